"""The `database` fixture: each test gets its own copy of a migrated database, on SQLite and on PostgreSQL."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import postgres_once
import pytest

from core import db
from core import settings as core_settings
from core.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("core", "connectors", "notify", "incidents", "ingest", "playbooks", "reports", "web", "cli")
ENGINES = ("sqlite", "postgresql")


@dataclass(frozen=True)
class Database:
    """One test's database: `kind` is "sqlite" or "postgresql"."""

    kind: str
    url: str
    settings: Settings


def migrated(url: str) -> None:
    """Make every table in an empty database, the way an installation does: by the migrations."""
    from cli import migrate

    db.configure(Settings(data_dir=ROOT, database_url=url, secret_key=b"unused" * 8))
    try:
        migrate.upgrade()
    finally:
        db.dispose()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: object) -> None:
    """With xdist, the controller starts PostgreSQL before the workers (its first start makes a system user)."""
    postgres_once.url()


def pytest_unconfigure() -> None:
    """Stop PostgreSQL at the end of the run, in the process that started it."""
    postgres_once.stop()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with every table and no rows."""
    path = tmp_path_factory.mktemp("template") / "tocsin.db"
    migrated(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgresql_template() -> Iterator[str]:
    """The name of a PostgreSQL database with every table and no rows."""
    name = f"template_{uuid4().hex[:12]}"
    migrated(postgres_once.create(name))
    yield name
    postgres_once.drop(name)


@pytest.fixture
def test_settings(tmp_path: Path) -> Settings:
    """Settings for one test; the database is set by `database`. Loopback may be called: the servers are there."""
    return Settings(
        data_dir=tmp_path,
        database_url=f"sqlite:///{tmp_path / 'tocsin.db'}",
        secret_key=b"a secret key for tests only, 32+ bytes",
        base_url="http://tocsin.test",
        playbooks=ROOT / "playbooks.yaml",
        egress_allow=("127.0.0.0/8", "::1/128"),
    )


@pytest.fixture(params=ENGINES)
def database(request: pytest.FixtureRequest, test_settings: Settings) -> Iterator[Database]:
    """An empty migrated database that `unit_of_work()` and `reading()` use; the test runs once on each engine."""
    yield from _connected(request, request.param, test_settings)


@pytest.fixture
def sqlite_database(request: pytest.FixtureRequest, test_settings: Settings) -> Iterator[Database]:
    """As `database`, on SQLite only: for what does not touch the database's own behaviour."""
    yield from _connected(request, "sqlite", test_settings)


@pytest.fixture
def postgresql_database(request: pytest.FixtureRequest, test_settings: Settings) -> Iterator[Database]:
    """As `database`, on PostgreSQL only."""
    yield from _connected(request, "postgresql", test_settings)


def _connected(request: pytest.FixtureRequest, kind: str, given: Settings) -> Iterator[Database]:
    name = f"test_{uuid4().hex[:16]}"
    if kind == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), given.data_dir / "tocsin.db")
        url = given.database_url
    else:
        url = postgres_once.create(name, request.getfixturevalue("postgresql_template"))
    settings = core_settings.configure(given.with_(database_url=url))
    db.configure(settings)
    try:
        yield Database(kind, url, settings)
    finally:
        db.dispose()
        if kind == "postgresql":
            postgres_once.drop(name)
