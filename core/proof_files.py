"""The journal as one file that proves itself without Tocsin's database: a line of JSON for each entry and checkpoint."""

import gzip
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, cast

import msgspec

from core.errors import Invalid
from core.journal_rows import JournalRows
from core.proving import Row, Stamp

CHUNK = 2000
FORMAT = "tocsin journal 1"


class Head(msgspec.Struct):
    """The first line: what this file is, how much follows, and the key that the journal is signed with."""

    format: str
    made_at: str
    entries: int
    unsealed: int
    data: bool
    key: str


class Line(msgspec.Struct, omit_defaults=True):
    """An entry (leaf, entry, hash, body, and salt and data if kept) or a checkpoint (checkpoint, size, key)."""

    leaf: int | None = None
    entry: str | None = None
    hash: str | None = None
    body: str | None = None
    salt: str | None = None
    data: str | None = None
    size: int | None = None
    key: str | None = None
    checkpoint: str | None = None


def write(path: Path, rows: JournalRows, head: Head) -> int:
    """Write the sealed journal (without its erasable data unless head.data) to `path`; a name in .gz is compressed.

    Returns how many entries were written. Entries stand in the order of their leaves, a checkpoint after its last one.
    """
    encode = msgspec.json.Encoder().encode
    written = 0
    with cast("IO[bytes]", gzip.open(path, "wb") if path.suffix == ".gz" else path.open("wb")) as file:
        file.write(encode(head) + b"\n")
        stamps = iter(rows.stamps())
        stamp = next(stamps, None)
        for chunk in rows.leaves():
            for idx, entry, hashed, body, salt, data, *_ in chunk:
                while stamp is not None and stamp.size <= idx:
                    file.write(encode(_stamped(stamp)) + b"\n")
                    stamp = next(stamps, None)
                line = Line(leaf=idx, entry=entry, hash=hashed.hex(), body=_text(body))
                if head.data and data is not None:
                    line.salt, line.data = salt.hex(), _text(data)
                file.write(encode(line) + b"\n")
                written += 1
        while stamp is not None:
            file.write(encode(_stamped(stamp)) + b"\n")
            stamp = next(stamps, None)
    return written


class ProofFile:
    """A written journal, read again in chunks. Raises Invalid when it is none, or is cut off."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._open() as file:
            try:
                self.head = msgspec.json.decode(file.readline(), type=Head)
            except (msgspec.MsgspecError, OSError, EOFError) as error:
                raise Invalid(f"{path} is not a journal that `tocsin audit export` wrote.") from error
        if self.head.format != FORMAT:
            raise Invalid(f"{path} has the format {self.head.format!r}; this version reads {FORMAT!r}.")

    def leaves(self) -> Iterator[list[Row]]:
        """The entries as a proof takes them."""
        chunk: list[Row] = []
        for line in self._lines():
            if line.leaf is not None:
                chunk.append((
                    line.leaf, line.entry, _bytes(line.hash), _raw(line.body), _bytes(line.salt), _raw(line.data),
                    None, None, None, None, None,
                ))  # fmt: skip
                if len(chunk) == CHUNK:
                    yield chunk
                    chunk = []
        yield chunk

    def stamps(self) -> Iterator[Stamp]:
        """The checkpoints, in their order."""
        for line in self._lines():
            if line.checkpoint is not None:
                yield Stamp(line.size or 0, _bytes(line.key) or b"", line.checkpoint)

    def _lines(self) -> Iterable[Line]:
        decode = msgspec.json.Decoder(Line).decode
        with self._open() as file:
            file.readline()
            for number, line in enumerate(file, 2):
                try:
                    yield decode(line)
                except msgspec.MsgspecError as error:
                    raise Invalid(f"{self._path}:{number}: this line cannot be read: {error}") from error

    def _open(self) -> IO[bytes]:
        try:
            return cast(
                "IO[bytes]", gzip.open(self._path) if self._path.suffix == ".gz" else self._path.open("rb")
            )
        except OSError as error:
            raise Invalid(f"{self._path} cannot be read: {error.strerror}.") from error


def _stamped(stamp: Stamp) -> Line:
    return Line(size=stamp.size, key=stamp.key.hex(), checkpoint=stamp.note)


def _text(body: Any) -> str | None:
    """Canonical JSON is text; whatever is not was put there by somebody else, and its hash will not fit."""
    return None if body is None else bytes(body).decode("utf-8", "replace")


def _raw(text: str | None) -> bytes | None:
    return None if text is None else text.encode()


def _bytes(digits: str | None) -> bytes | None:
    try:
        return None if digits is None else bytes.fromhex(digits)
    except ValueError:
        return b""
