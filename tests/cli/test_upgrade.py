"""An upgrade goes forward on a filled database, says what it does, and is asked for by whoever needs it."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import full_tables
import pytest
from incident_bench import draft, take
from running_tocsin import COMMAND, Tocsin
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError
from tables_ready import ROOT, Database

from cli import assemble, backing_up, migrate
from core import archive, db
from core.errors import Unavailable

# The backups that releases leave behind, each made by its own version; CONTRIBUTING says how.
RELEASES = sorted((ROOT / "tests" / "cli" / "releases").glob("*.tocsin"))

WIDENS = '''"""Alerts have a colour."""

import sqlalchemy as sa
from alembic import op

revision = "9001"
down_revision = "{below}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("alerts") as batch_op:
        batch_op.add_column(sa.Column("colour", sa.Text(), nullable=False, server_default="red"))
        batch_op.alter_column("title", type_=sa.Text(), existing_type=sa.String(500), existing_nullable=False)
'''
FILLS = '''"""Incidents are counted by stage."""

import sqlalchemy as sa
from alembic import op

revision = "9002"
down_revision = "9001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table("stages", sa.Column("stage", sa.Text(), primary_key=True), sa.Column("incidents", sa.Integer()))
    op.execute("INSERT INTO stages SELECT stage, count(*) FROM incidents GROUP BY stage")
    with op.batch_alter_table("journal") as batch_op:
        batch_op.add_column(sa.Column("shelf", sa.Text(), nullable=True))
'''


@pytest.fixture
def later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Makes this a later version, with two more migrations."""

    def make() -> None:
        folder = tmp_path / "migrations"
        shutil.copytree(ROOT / "cli" / "migrations", folder, ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "versions" / "9001_colour.py").write_text(
            WIDENS.format(below=migrate.known()[-1]), encoding="utf-8"
        )
        (folder / "versions" / "9002_stages.py").write_text(FILLS, encoding="utf-8")
        monkeypatch.setattr(migrate, "_MIGRATIONS", folder)

    return make


def _fill() -> dict[str, list[tuple[object, ...]]]:
    """Rows in every table, and a real alert with its incident; returns what there is."""
    assemble.load()
    with db.engine().begin() as connection:
        full_tables.fill(connection)
    take(draft())
    return _rows()


def _rows() -> dict[str, list[tuple[object, ...]]]:
    with db.engine().connect() as connection:
        return full_tables.contents(connection)


def test_migrations_go_forward_on_a_filled_database(database: Database, later: Callable[[], None]) -> None:
    before = _fill()
    first = migrate.known()[-1]
    later()
    assert [(step.revision, step.says) for step in migrate.pending(migrate.state()[0])] == [
        ("9001", "Alerts have a colour"), ("9002", "Incidents are counted by stage"),
    ]  # fmt: skip
    with pytest.raises(Unavailable, match=rf"{first} and this version needs 9002: run `tocsin migrate`"):
        migrate.require_current()
    assert migrate.upgrade() == "9002"
    migrate.require_current()
    assert migrate.pending(migrate.state()[0]) == []
    assert _rows() == before, "columns that were there hold what they held"
    with db.engine().connect() as connection:
        colours = connection.execute(text("SELECT DISTINCT colour FROM alerts")).scalars().all()
        counted = connection.execute(text("SELECT sum(incidents) FROM stages")).scalar_one()
        assert {index["name"] for index in inspect(connection).get_indexes("alerts")} >= {"uq_alerts_open"}
    assert colours == ["red"]
    assert counted == len(before["incidents"])
    with pytest.raises(DBAPIError, match="append-only"), db.engine().begin() as connection:
        connection.execute(text("UPDATE journal SET shelf = 'x'"))


def test_a_database_of_a_newer_version_is_left_alone(database: Database) -> None:
    with db.engine().begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for act in (migrate.require_current, migrate.upgrade):
        with pytest.raises(Unavailable, match=r"9999, which this version does not know .* newer version"):
            act()


@pytest.mark.parametrize("kept", [None, *RELEASES], ids=lambda path: path.stem if path else "this version")
def test_an_older_versions_backup_is_restored_and_brought_to_this_version(
    kept: Path | None, sqlite_database: Database, later: Callable[[], None], tmp_path: Path
) -> None:
    backup = kept or tmp_path / "backup.tocsin"
    if kept is None:
        _fill()
        backing_up.save(sqlite_database.settings, backup, with_key=False)
    manifest, _ = archive.examine(backup)
    later()
    given = sqlite_database.settings.with_(database_url=f"sqlite:///{tmp_path / 'empty.db'}")
    db.configure(given)
    told: list[str] = []
    lost = kept is not None
    whole = backing_up.examined(backup, given, other_key=lost)
    done = backing_up.restore(given, whole, other_key=lost, hold=False, tell=told.append)
    assert done.revision == "9002" != manifest.revision
    assert any(f"from {manifest.revision} to 9002" in line for line in told)
    with db.engine().connect() as connection:
        incidents = connection.execute(text("SELECT count(*) FROM incidents")).scalar_one()
        assert connection.execute(text("SELECT count(*) FROM alerts WHERE colour = 'red'")).scalar_one() > 0
    assert incidents == next(table.rows for table in manifest.tables if table.name == "incidents")


@pytest.mark.slow
@pytest.mark.parametrize("command", ["web", "worker", "beat", "backup"])
def test_whoever_needs_the_schema_says_how_to_mend_it(
    command: str, tocsin: Callable[..., Tocsin], tmp_path: Path
) -> None:
    installation = tocsin(TOCSIN_REDIS_URL="redis://127.0.0.1:1/0", TOCSIN_SECRET_KEY="k" * 32)
    arguments = [command, str(tmp_path / "file")] if command == "backup" else [command]
    installation.data.mkdir(parents=True, exist_ok=True)
    (installation.data / "tocsin.db").touch()
    done = subprocess.run(
        [COMMAND, *arguments],
        env=installation.env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 1
    assert "run `tocsin migrate`" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_migrate_says_what_it_does(tocsin: Callable[..., Tocsin]) -> None:
    installation = tocsin()
    (first,) = migrate.known()[:1]
    asked = subprocess.run(
        [COMMAND, "migrate", "--check"],
        env=installation.env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert asked.returncode == 1
    assert f"Would do {first}: The first schema.\n" in asked.stdout
    assert f"Doing {first}: The first schema.\n" in installation.run("migrate")
    assert "Doing" not in installation.run("migrate")
    assert installation.json("migrate", "--check")["pending"] == []


def test_migrations_say_what_they_do() -> None:
    for step in migrate._steps():
        assert step.says[0].isupper(), step
        assert len(step.says) > 10, step
