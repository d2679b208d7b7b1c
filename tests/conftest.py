"""What every test may ask for: a real database on both engines, a clock, real mail, LDAP and Redis servers."""

import pytest

pytest_plugins = ["tables_ready", "held_time", "people_here", "real_servers", "running_tocsin"]

SERVERS = {
    "database", "sqlite_database", "postgresql_database", "new_postgres", "redis_server", "smtp_server", "ldap_server", "imap_server",
    "people", "vendor", "tocsin", "running",
}  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a real server, so that the quick loop can leave it out."""
    for item in items:
        if SERVERS & set(getattr(item, "fixturenames", ())):
            item.add_marker("servers")
