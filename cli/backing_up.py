"""Takes everything out of the database into one file while Tocsin runs, and puts it back into an empty one."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

from sqlalchemy import Connection

from cli import migrate
from connectors import rails
from core import archive, auditing, db, facts, loading, processes, secrets
from core.actors import SYSTEM
from core.archive import Manifest
from core.db import Base, reading, unit_of_work
from core.errors import Conflict, Invalid
from core.journal import Fact, record
from core.settings import Settings, configure
from core.types import Ref

Tell = Callable[[str], None]
_REF = Ref("setting", "database")
_KEY_AWAY = (
    "The backup was made with another secret key, and does not hold it: set TOCSIN_SECRET_KEY (or put secret.key into "
    "the data directory) as it was there. Without that key, --other-key restores everything but the stored secrets."
)


@dataclass(frozen=True)
class Backup:
    """A backup that was read from end to end: where it is, what it holds, and its secret key if that is inside."""

    path: Path
    manifest: Manifest
    key: bytes | None


@dataclass(frozen=True)
class Restored:
    """What a restore did: the backup's manifest, the schema's revision now, whether its secret key was put in place.

    `proof` says how the journal was proved, `problems` how much of it does not fit.
    """

    manifest: Manifest
    revision: str
    key_written: bool
    proof: str
    problems: int


def proof_of_key(key: bytes | None = None) -> str:
    """What proves that two installations have the same secret key, without telling it."""
    return secrets.proof("backup", b"the same key", key).hex()


def save(given: Settings, path: Path, *, with_key: bool) -> Manifest:
    """Write a backup to `path`, which appears when it is whole. Raises Conflict when there is such a file already."""
    if path.exists():
        raise Conflict(f"{path} is there already: choose another name, or remove it first.")
    unfinished = path.with_name(path.name + ".unfinished")
    try:
        handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        raise Invalid(f"{unfinished} cannot be written: {error.strerror}.") from error
    try:
        with os.fdopen(handle, "wb") as file:
            manifest = write(given, file, with_key=with_key)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(path)
    except OSError as error:
        raise Invalid(f"{path} cannot be written: {error.strerror}.") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return manifest


def write(given: Settings, file: IO[bytes], *, with_key: bool) -> Manifest:
    """Write a backup to an open file: one moment of every table, while others go on writing; the journal says so after."""
    migrate.require_current()
    with _one_moment() as connection:
        manifest = archive.write(
            connection,
            Base.metadata.sorted_tables,
            file,
            version=processes.version(),
            revision=migrate.state()[1],
            key=proof_of_key(),
            secret_key=given.secret_key if with_key else None,
        )
    body = {"rows": manifest.rows, "revision": manifest.revision, "with_key": with_key}
    with unit_of_work() as uow:
        record(uow, SYSTEM, Fact(facts.BACKUP_MADE, (_REF,), body))
    return manifest


def examined(path: Path, looked_up: Settings, *, other_key: bool) -> Backup:
    """Read a backup from end to end, so that nothing is made for one that cannot be restored here.

    Raises Invalid when the file is not whole, Conflict when its schema is newer than this version, or when it was sealed with a
    secret key that is neither inside nor here (unless `other_key`).
    """
    backup = Backup(path, *archive.examine(path))
    _refuse_unknown(backup.manifest)
    if looked_up.secret_key:
        _key_to_write(looked_up, backup, other_key)
    elif backup.key is None and not other_key:
        raise Conflict(_KEY_AWAY)
    return backup


def restore(given: Settings, backup: Backup, *, other_key: bool, hold: bool, tell: Tell) -> Restored:
    """Put a backup into this installation's empty database, and bring it to this version.

    Raises Conflict when the database holds something, or the backup was sealed with another secret key (unless `other_key`).
    """
    manifest = backup.manifest
    tell(
        f"{backup.path} is whole: {manifest.rows} rows from {manifest.database}, made {_said(manifest.made_at)}."
    )
    _refuse_full()
    own_key = _key_to_write(given, backup, other_key)
    migrate.upgrade(manifest.revision)
    with db.engine().begin() as connection:
        if found := loading.held(connection):  # somebody was quicker
            raise Conflict(_full(found))
        loading.load(connection, manifest.tables, archive.rows(backup.path, manifest))
    tell(f"Every table holds what the backup says; the schema is at {manifest.revision}.")
    if own_key is not None:
        _write_key(given, manifest, own_key)
    revision = migrate.upgrade()
    if revision != manifest.revision:
        tell(f"The schema was brought from {manifest.revision} to {revision}.")
    body = {"rows": manifest.rows, "made_at": manifest.made_at.isoformat(), "revision": manifest.revision}
    with unit_of_work() as uow:
        record(uow, SYSTEM, Fact(facts.BACKUP_RESTORED, (_REF,), body))
        if hold:
            rails.hold_all(
                uow, SYSTEM, f"Restored from the backup of {_said(manifest.made_at)}: look before it acts."
            )
    if own_key is not None:
        configure(given.with_(secret_key=own_key))  # the checkpoints are signed with it
    proof = auditing.prove_database()
    return Restored(manifest, revision, own_key is not None, auditing.statement(proof), proof.found)


@contextmanager
def _one_moment() -> Iterator[Connection]:
    """A connection that sees the database as it is now, whatever others commit meanwhile."""
    with reading() as session:
        if not db.is_postgres(session):
            yield session.connection()
            return
    with db.engine().connect() as plain:
        connection = plain.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        with connection.begin():
            yield connection


def _refuse_unknown(manifest: Manifest) -> None:
    if manifest.revision not in migrate.known():
        raise Conflict(
            f"The backup's schema is {manifest.revision}, of Tocsin {manifest.version}; this is {processes.version()}, which "
            f"knows up to {migrate.known()[-1]}. Restore it with that version or a newer one."
        )


def _refuse_full() -> None:
    with db.engine().connect() as connection:
        if found := loading.held(connection):
            raise Conflict(_full(found))


def _full(found: dict[str, int]) -> str:
    named = ", ".join(f"{rows} in {name}" for name, rows in list(found.items())[:3])
    return (
        f"This database is not empty ({named}): a backup goes into an empty one. Set TOCSIN_DATA_DIR or "
        "TOCSIN_DATABASE_URL to a new one, and do not run `tocsin migrate` or start Tocsin on it before."
    )


def _key_to_write(given: Settings, backup: Backup, other_key: bool) -> bytes | None:
    """The backup's own key if it has to be put in place here, so that what is sealed in the backup can be opened."""
    if proof_of_key(given.secret_key) == backup.manifest.key or other_key:
        return None
    if backup.key is None:
        raise Conflict(_KEY_AWAY)
    if not given.secret_key_generated:
        raise Conflict(
            "TOCSIN_SECRET_KEY is another key than the backup's: unset it to use the key that the backup holds, or set it to that."
        )
    return backup.key


def _write_key(given: Settings, manifest: Manifest, key: bytes) -> None:
    place = given.data_dir / "secret.key"
    place.replace(given.data_dir / f"secret.key.before-{manifest.made_at:%Y%m%dT%H%M%S}")
    handle = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(key)
        file.flush()
        os.fsync(file.fileno())


def _said(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
