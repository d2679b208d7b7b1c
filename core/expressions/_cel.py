"""Keeps the CEL library's command line, and the terminal libraries it needs, out of our processes."""

import sys
from types import ModuleType

# cel/__init__.py imports it: 0.6 s at every start, and 20 MB, for a program that nobody runs here.
sys.modules.setdefault("cel.cli", ModuleType("cel.cli"))
