"""Puts Tocsin together: imports every package, so that its tables, verbs, permissions and work are known."""

import importlib
import pkgutil
from functools import cache

PACKAGES = ("core", "connectors", "notify", "incidents", "ingest", "playbooks", "reports")
# Not imported here: what is found by walking a folder, what belongs to the web, and what only one command loads.
_SKIPPED = (".catalog", ".channels", ".steps", ".lights", ".routes", ".samples", ".mail_listen", ".tail")


@cache
def load() -> tuple[str, ...]:
    """Import every module of every package below the web; returns their names. Doing it again costs nothing."""
    names: list[str] = []
    for package in PACKAGES:
        root = importlib.import_module(package)
        names.append(package)
        for module in pkgutil.walk_packages(root.__path__, f"{package}."):
            if not any(part in module.name for part in _SKIPPED):
                importlib.import_module(module.name)
                names.append(module.name)
    return tuple(names)
