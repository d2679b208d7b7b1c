"""Keeps the HTTP library's own command line, and the terminal libraries it needs, out of our processes."""

import sys

# httpx imports it when rich and pygments happen to be there, and asks for ImportError, which None gives.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # None is how Python marks what is not to be found
