"""What every test may ask for: a real database on both engines, a clock, real mail, LDAP and Redis servers."""

from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("here", deadline=None)  # how long an example takes depends on what else the machine does
settings.load_profile("here")

pytest_plugins = ["tables_ready", "held_time", "people_here", "real_servers", "running_tocsin", "at_the_door"]

SERVERS = {
    "database", "sqlite_database", "postgresql_database", "new_postgres", "redis_server", "smtp_server", "ldap_server", "imap_server",
    "people", "vendor", "tocsin", "running",
}  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a real server, so that the quick loop can leave it out; begin with the files that take longest.

    Files are handed out in this order: a long one that came last would have one core to itself while the others idle.
    """
    longest: dict[Path, float] = {}
    for item in items:
        if SERVERS & set(getattr(item, "fixturenames", ())):
            item.add_marker("servers")
        if item.get_closest_marker("slow"):
            timeout = item.get_closest_marker("timeout")
            longest[item.path] = max(longest.get(item.path, 1.0), float(timeout.args[0]) if timeout else 1.0)
    items.sort(key=lambda item: -longest.get(item.path, 0.0))
