"""A backup taken while Tocsin works goes back into an empty database, on the same engine or the other, row for row."""

import gzip
import io
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import full_tables
import msgspec
import postgres_once
import pytest
from free_ports import wait_until
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from tables_ready import Database

from cli import assemble, backing_up, migrate
from connectors import rails
from core import archive, db, journal, loading, secrets
from core import settings as core_settings
from core.actors import SYSTEM
from core.db import reading, unit_of_work
from core.errors import Conflict, Invalid, TocsinError
from core.settings import Settings

ENGINES = ("sqlite", "postgresql")


def _full(database: Database, path: Path) -> Path:
    """A backup of this database, in which every table is full."""
    assemble.load()
    with db.engine().begin() as connection:
        full_tables.fill(connection)
    backing_up.save(database.settings, path, with_key=False)
    return path


@pytest.fixture
def backup(sqlite_database: Database, tmp_path: Path) -> Path:
    """A backup of a database in which every table is full."""
    return _full(sqlite_database, tmp_path / "backup.tocsin")


@pytest.fixture
def elsewhere(
    request: pytest.FixtureRequest, test_settings: Settings, tmp_path: Path
) -> Iterator[Callable[..., Settings]]:
    """Makes another, empty installation (`make("postgresql", …)`) and points this process at it."""
    made: list[str] = []

    def make(kind: str = "sqlite", **changes: object) -> Settings:
        place = tmp_path / "elsewhere"
        place.mkdir()
        url = f"sqlite:///{place / 'tocsin.db'}"
        if kind == "postgresql":
            made.append(f"elsewhere_{uuid4().hex[:16]}")
            url = postgres_once.create(made[-1], request.getfixturevalue("postgresql_template"))
        given = core_settings.configure(test_settings.with_(data_dir=place, database_url=url, **changes))
        db.configure(given)
        return given

    yield make
    db.dispose()
    for name in made:
        postgres_once.drop(name)


def _contents() -> dict[str, list[tuple[object, ...]]]:
    with db.engine().connect() as connection:
        return full_tables.contents(connection)


def _restore(given: Settings, path: Path, **options: bool) -> backing_up.Restored:
    lost = options.get("other_key", False)
    backup = backing_up.examined(path, given, other_key=lost)
    return backing_up.restore(
        given, backup, tell=lambda _: None, other_key=lost, hold=options.get("hold", False)
    )


def _without_the_restores_own(
    rows: dict[str, list[tuple[object, ...]]],
) -> dict[str, list[tuple[object, ...]]]:
    """Restoring writes one fact; taking the backup wrote one after it."""
    ours = {"journal", "journal_refs", "journal_pending", "outbox"}
    return {name: each for name, each in rows.items() if name not in ours}


@pytest.mark.parametrize("into", ENGINES)
def test_every_table_comes_back_row_for_row_from_each_engine_into_each(
    database: Database, into: str, elsewhere: Callable[..., Settings], tmp_path: Path
) -> None:
    backup = _full(database, tmp_path / "backup.tocsin")
    before = _contents()
    done = _restore(elsewhere(into), backup)
    after = _contents()
    assert _without_the_restores_own(after) == _without_the_restores_own(before)
    assert all(len(rows) >= 7 for rows in before.values())
    for name in ("journal", "journal_refs", "journal_pending", "outbox"):
        old = [row for row in before[name] if row in after[name]]
        assert len(old) >= 7, f"{name} has lost rows"
    assert done.manifest.rows == sum(table.rows for table in done.manifest.tables)
    assert done.revision == migrate.state()[0]
    with db.engine().connect() as connection:
        left_out = connection.execute(text("SELECT count(*) FROM sessions")).scalar_one()
    assert left_out == 0


def test_the_journal_is_guarded_and_references_hold_again(
    backup: Path, elsewhere: Callable[..., Settings]
) -> None:
    _restore(elsewhere(), backup)
    with pytest.raises(DBAPIError, match="append-only"), db.engine().begin() as connection:
        connection.execute(text("DELETE FROM journal"))
    with pytest.raises(DBAPIError), db.engine().begin() as connection:
        connection.execute(text("DELETE FROM incidents"))
    with reading() as session:
        (told,) = journal.entries(session, verbs=["backup.restored"])
    assert told.body["rows"] > 100


def test_it_goes_into_an_empty_database_only(backup: Path, sqlite_database: Database) -> None:
    before = _contents()
    with pytest.raises(Conflict, match="not empty"):
        _restore(sqlite_database.settings, backup)
    assert _contents() == before


def test_another_secret_key_is_told_before_anything_is_written(
    backup: Path, elsewhere: Callable[..., Settings]
) -> None:
    given = elsewhere(secret_key=b"quite another key than the one before it")
    with pytest.raises(Conflict, match="TOCSIN_SECRET_KEY"):
        _restore(given, backup)
    assert migrate.state()[0] is None
    assert _restore(given, backup, other_key=True).manifest.rows > 100


def test_a_backup_with_its_key_brings_it_along(
    sqlite_database: Database, elsewhere: Callable[..., Settings], tmp_path: Path
) -> None:
    backing_up.save(sqlite_database.settings, tmp_path / "with-key", with_key=True)
    sealed = secrets.seal("the product's password", "test")
    set_by_hand = elsewhere(secret_key=b"quite another key than the one before it")
    with pytest.raises(Conflict, match="unset it"):
        _restore(set_by_hand, tmp_path / "with-key")
    place = set_by_hand.data_dir / "secret.key"
    place.write_bytes(set_by_hand.secret_key)
    generated = core_settings.configure(set_by_hand.with_(secret_key_generated=True))
    assert _restore(generated, tmp_path / "with-key").key_written
    assert place.stat().st_mode & 0o777 == 0o600
    core_settings.configure(generated.with_(secret_key=place.read_bytes()))
    assert secrets.unseal(sealed, "test") == "the product's password"
    assert [file.read_bytes() for file in set_by_hand.data_dir.glob("secret.key.before-*")] == [
        set_by_hand.secret_key
    ]


def test_without_being_asked_no_key_is_in_it(backup: Path, sqlite_database: Database) -> None:
    assert backup.stat().st_mode & 0o777 == 0o600
    with gzip.open(backup) as file:
        content = file.read()
    assert b"a plain part of it" not in content
    assert sqlite_database.settings.secret_key not in content
    manifest, key = archive.examine(backup)
    assert key is None
    assert not manifest.with_key


def test_a_backup_that_is_not_whole_is_refused(
    backup: Path, elsewhere: Callable[..., Settings], tmp_path: Path
) -> None:
    given = elsewhere()
    whole = backup.read_bytes()
    broken = tmp_path / "broken"
    for content, why in (
        (whole[: len(whole) // 2], "not a whole backup"),
        (whole[:-1], "not a whole backup"),
        (b"", "not a whole backup"),
        (b"something else", "not a whole backup"),
        (_altered(whole), "damaged"),
        (_without_manifest(whole), "no manifest"),
    ):
        broken.write_bytes(content)
        with pytest.raises(Invalid, match=why):
            _restore(given, broken)
    with pytest.raises(Invalid, match="cannot be opened"):
        _restore(given, tmp_path / "nothing")
    assert migrate.state()[0] is None


def _members(whole: bytes) -> list[tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(whole)) as tar:
        return [(entry, tar.extractfile(entry).read()) for entry in tar]  # type: ignore[union-attr]  # all are files


def _packed(members: list[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for entry, content in members:
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return file.getvalue()


def _altered(whole: bytes) -> bytes:
    """Somebody has taken a line out of the journal and packed it again."""
    return _packed(
        [
            (entry, content.split(b"\n", 1)[1] if entry.name.startswith("tables/journal/") else content)
            for entry, content in _members(whole)
        ]
    )


def _without_manifest(whole: bytes) -> bytes:
    return _packed([(entry, content) for entry, content in _members(whole) if entry.name != archive.MANIFEST])


def _from(whole: bytes, **changes: object) -> bytes:
    """The same backup, telling something else of itself."""
    return _packed(
        [
            (entry, msgspec.json.encode({**msgspec.json.decode(content), **changes}) if entry.name == archive.MANIFEST else content)
            for entry, content in _members(whole)
        ]
    )  # fmt: skip


def test_a_newer_versions_backup_is_refused_with_what_to_do(
    backup: Path, elsewhere: Callable[..., Settings], tmp_path: Path
) -> None:
    given = elsewhere()
    (tmp_path / "newer").write_bytes(_from(backup.read_bytes(), revision="0815", version="9.9.9"))
    with pytest.raises(Conflict, match=r"0815, of Tocsin 9\.9\.9.*that version"):
        _restore(given, tmp_path / "newer")


@pytest.mark.parametrize("into", ENGINES)
def test_a_row_that_names_a_missing_one_leaves_nothing_behind(
    backup: Path, into: str, elsewhere: Callable[..., Settings], tmp_path: Path
) -> None:
    given = elsewhere(into)
    members = _members(backup.read_bytes())
    manifest = msgspec.json.decode(members[-1][1])
    incidents = next(table for table in manifest["tables"] if table["name"] == "incidents")
    incidents["rows"], incidents["parts"] = 0, []
    kept = [
        (entry, content) for entry, content in members[:-1] if not entry.name.startswith("tables/incidents/")
    ]
    (tmp_path / "torn").write_bytes(_packed([*kept, (members[-1][0], msgspec.json.encode(manifest))]))
    with pytest.raises(TocsinError, match="not in the backup"):
        _restore(given, tmp_path / "torn")
    with db.engine().connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM alerts")).scalar_one() == 0


def test_what_one_engine_cannot_keep_is_replaced() -> None:
    assert loading._postgres_text("a\x00b") == "a\ufffdb"
    assert (
        loading._postgres_json('{"a\\u0000": ["\\ud800", "\\ud83d\\udd14"]}')
        == '{"a\ufffd": ["\ufffd", "🔔"]}'
    )
    assert loading._postgres_json('{"path": "C:\\\\u0000"}') == '{"path": "C:\\\\u0000"}'


def test_hold_keeps_automation_from_acting(backup: Path, elsewhere: Callable[..., Settings]) -> None:
    _restore(elsewhere(), backup, hold=True)
    with reading() as session:
        assert rails.held(session) is not None


def test_a_backup_is_one_moment_while_others_write(database: Database, tmp_path: Path) -> None:
    """Two tables are written in one transaction again and again: a backup never holds one without the other."""
    assemble.load()
    stop = threading.Event()
    written = [0]

    def write() -> None:
        while not stop.is_set():
            with unit_of_work() as uow:
                journal.record(
                    uow,
                    SYSTEM,
                    journal.Fact(journal.verbs()["work.replayed"], (), {"n": written[0]}, {"free": "text"}),
                )
            written[0] += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        wait_until(lambda: written[0] > 10, what="the writer")
        for number in range(3):
            backing_up.save(database.settings, tmp_path / f"b{number}", with_key=False)
    finally:
        stop.set()
        writer.join()
    sizes = []
    for number in range(3):
        manifest, _ = archive.examine(tmp_path / f"b{number}")
        rows = {table.name: table.rows for table in manifest.tables}
        ours = rows["journal"] - number  # taking a backup is told without free text
        assert ours == rows["journal_data"]
        sizes.append(ours)
    assert sizes[0] < sizes[-1] <= written[0]


def test_an_existing_file_is_left_alone(backup: Path, sqlite_database: Database) -> None:
    before = backup.read_bytes()
    with pytest.raises(Conflict, match="there already"):
        backing_up.save(sqlite_database.settings, backup, with_key=False)
    assert backup.read_bytes() == before
    assert not list(backup.parent.glob("*.unfinished"))
    with pytest.raises(Invalid, match="cannot be written"):
        backing_up.save(sqlite_database.settings, Path("/proc/no/backup"), with_key=False)


def test_every_column_there_is_can_be_written() -> None:
    assemble.load()
    for table in db.Base.metadata.sorted_tables:
        for column in table.columns:
            assert archive.kind_of(column)
