"""The backup's format: one tar.gz with every table as lines of JSON, the same from SQLite and PostgreSQL, so that each restores the other.

`tables/<name>/<number>.jsonl` holds one row a line, a JSON list of its columns' values: uuids as text, instants as microseconds
since 1970, bytes as base64, JSON documents as text. `manifest.json` comes last, so a file that was cut off has none: it names
the schema's revision, every table's columns and rows, and the SHA-256 of each part.
"""

import gzip
import hashlib
import io
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import msgspec
from sqlalchemy import (
    JSON, BigInteger, Boolean, Column, ColumnElement, Connection, Float, Integer, LargeBinary, String, Table, Text, Uuid,
    cast, extract, select, type_coerce,
)  # fmt: skip

from core.errors import Invalid
from core.types import Instant

FORMAT = "tocsin backup, format 1"
MANIFEST = "manifest.json"
KEY = "secret.key"
PART = 4 * 1024 * 1024
"""About so many bytes of a table go into one part: what writing and reading hold in memory."""
LEFT_OUT = frozenset({"alembic_version", "processes", "sessions"})
"""Of the moment: who is signed in and what runs has no meaning in another place."""

_KINDS: tuple[tuple[type[Any], str], ...] = (
    (Instant, "instant"), (Uuid, "uuid"), (JSON, "json"), (LargeBinary, "bytes"), (Boolean, "bool"), (Integer, "int"),
    (Float, "float"), (String, "text"),
)  # fmt: skip


class Part(msgspec.Struct, frozen=True):
    """One file of a table's rows."""

    name: str
    rows: int
    sha256: str


class TableFacts(msgspec.Struct, frozen=True):
    """One table as it was: its columns (name, kind) in the order of a row's values, and where its rows are."""

    name: str
    columns: list[tuple[str, str]]
    rows: int
    parts: list[Part]


class Manifest(msgspec.Struct, frozen=True):
    """What a backup says of itself. `key` proves which secret key its sealed values need, without telling it."""

    format: str
    made_at: datetime
    version: str
    database: str
    revision: str
    key: str
    with_key: bool
    tables: list[TableFacts]

    @property
    def rows(self) -> int:
        """How many rows there are in all tables."""
        return sum(table.rows for table in self.tables)


def kind_of(column: "Column[Any]") -> str:
    """How a column's values are written. Raises TypeError for a type that the format does not know."""
    for kind, name in _KINDS:
        if isinstance(column.type, kind):
            return name
    raise TypeError(f"a backup cannot hold {column} of type {column.type!r}: say how in core/archive.py")


def write(
    connection: Connection,
    tables: Sequence[Table],
    file: IO[bytes],
    *,
    version: str,
    revision: str,
    key: str,
    secret_key: bytes | None = None,
) -> Manifest:
    """Write every row of `tables` that this connection's transaction sees; the connection must hold a snapshot."""
    made_at, told = datetime.now(UTC), []
    with (
        gzip.GzipFile(fileobj=file, mode="wb", compresslevel=5, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        for table in tables:
            if table.name in LEFT_OUT:
                continue
            columns = [(str(column.name), kind_of(column)) for column in table.columns]
            parts = []
            for number, (rows, content) in enumerate(_parts(connection, table), 1):
                name = f"tables/{table.name}/{number:06}.jsonl"
                _add(tar, name, content, made_at)
                parts.append(Part(name, rows, hashlib.sha256(content).hexdigest()))
            told.append(TableFacts(str(table.name), columns, sum(part.rows for part in parts), parts))
        if secret_key is not None:
            _add(tar, KEY, secret_key, made_at)
        manifest = Manifest(
            FORMAT, made_at, version, connection.dialect.name, revision, key, secret_key is not None, told
        )
        _add(tar, MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)), made_at)
    return manifest


def examine(path: Path) -> tuple[Manifest, bytes | None]:
    """Read a backup from end to end: its manifest, and its secret key if that is inside.

    Raises Invalid when it is no backup, was cut off, or a part is not what the manifest says.
    """
    digests: dict[str, str] = {}
    manifest = key = None
    for name, content in _members(path):
        if name == MANIFEST:
            try:
                manifest = msgspec.json.decode(content, type=Manifest)
            except msgspec.MsgspecError as error:
                raise Invalid(f"{path} has a manifest that cannot be read: {error}") from error
        elif name == KEY:
            key = content
        else:
            digests[name] = hashlib.sha256(content).hexdigest()
    if manifest is None:
        raise Invalid(
            f"{path} is not a whole backup: it has no manifest, so it was cut off or is something else."
        )
    if manifest.format != FORMAT:
        raise Invalid(f"{path} is written in {manifest.format!r}; this version reads {FORMAT!r}.")
    told = {part.name: part.sha256 for table in manifest.tables for part in table.parts}
    wrong = sorted(name for name in told.keys() | digests.keys() if told.get(name) != digests.get(name))
    if wrong:
        raise Invalid(f"{path} is damaged: {wrong[0]} is not what it was when the backup was made.")
    return manifest, key


def rows(path: Path, manifest: Manifest) -> Iterator[tuple[TableFacts, list[list[Any]]]]:
    """The rows of every part, table by table, values as they are written in it."""
    by_part = {part.name: table for table in manifest.tables for part in table.parts}
    for name, content in _members(path):
        if name in by_part:
            yield by_part[name], [msgspec.json.decode(line) for line in content.splitlines()]


def _parts(connection: Connection, table: Table) -> Iterator[tuple[int, bytes]]:
    postgres = connection.dialect.name == "postgresql"
    query = select(*(_as_written(column, postgres) for column in table.columns))
    encode, gathered, size = msgspec.json.encode, list[bytes](), 0
    with connection.execution_options(yield_per=500).execute(query) as result:
        for row in result:
            line = encode(list(row))
            gathered.append(line)
            size += len(line)
            if size >= PART:
                yield len(gathered), b"\n".join(gathered)
                gathered, size = [], 0
    if gathered:
        yield len(gathered), b"\n".join(gathered)


def _as_written(column: "Column[Any]", postgres: bool) -> ColumnElement[Any]:
    kind = kind_of(column)
    if kind == "instant":
        return (
            cast(extract("epoch", column) * 1_000_000, BigInteger)
            if postgres
            else type_coerce(column, BigInteger)
        )
    if kind == "json":  # SQLite keeps a document that is a bare number as one
        return cast(column, Text)
    if kind == "uuid":
        return cast(column, Text) if postgres else type_coerce(column, Text)
    return column


def _add(tar: tarfile.TarFile, name: str, content: bytes, at: datetime) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime, entry.mode = len(content), int(at.timestamp()), 0o600
    tar.addfile(entry, io.BytesIO(content))


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    try:
        with gzip.open(path, "rb") as packed, tarfile.open(fileobj=packed, mode="r|") as tar:
            for entry in tar:
                content = tar.extractfile(entry)
                if content is not None:
                    yield entry.name, content.read()
            packed.read()  # to the end, where gzip's own checksum stands
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError):
            raise Invalid(f"{path} cannot be opened: {error.strerror}.") from error
        raise Invalid(f"{path} is not a whole backup: {error}.") from error
