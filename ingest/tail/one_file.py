"""One file and the bookmark in it: batches of whole lines, the same again after a crash."""

import bz2
import gzip
import hashlib
import lzma
import os
import random
import time
import zlib
from typing import IO, Any, Callable, Dict, List, NamedTuple, Optional

from ingest.tail.which_lines import Filter, say, size_of

BATCH_LINES = 1000
BATCH_BYTES = (
    768 * 1024
)  # below what Tocsin takes at once (TOCSIN_MAX_BODY); a longer line is left out, and said
HEAD = 4096  # of a file's first line, by which it is known
LINGER = 30.0  # seconds for which a file that was rotated may still be written to
OPENERS: Dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError)  # what reading a damaged or half-written file raises

Entry = Dict[str, Any]


class Limits(NamedTuple):
    """How much a batch may hold."""

    lines: int
    bytes: int


class Batch(NamedTuple):
    """Lines to send; where the next batch begins; how many lines were read, and how many of these are too long."""

    end: int
    lines: List[bytes]
    read: int
    too_long: int


def head_of(start: bytes) -> Optional[bytes]:
    """What a file is known by: its first line, or 4096 bytes of it; None while neither is there."""
    end = start.find(b"\n", 0, HEAD) + 1
    return start[:end] if end else start[:HEAD] if len(start) >= HEAD else None


def digest(data: bytes) -> str:
    """SHA-256, enough of it."""
    return hashlib.sha256(data).hexdigest()[:32]


def opened(path: str) -> IO[bytes]:
    """A file for reading, unpacked if its name says that it is packed."""
    opener = OPENERS.get(os.path.splitext(path)[1])
    # Unbuffered: a buffer would still hold what stood there before the file was truncated and written anew.
    handle: IO[bytes] = opener(path, "rb") if opener else open(path, "rb", buffering=0)
    return handle


def new_entry(path: str, found: os.stat_result, **more: Any) -> Entry:
    """A bookmark in a file that is read for the first time."""
    entry: Entry = {
        "path": path, "ino": found.st_ino, "mtime": found.st_mtime, "head": None, "head_size": 0, "offset": 0,
        "pending": None, "long": None, "since": None, "rotated": False, "born": "%.6f-%d" % (time.time(), random.getrandbits(32)),
    }  # fmt: skip
    entry.update(more)
    return entry


class Moved(OSError):
    """Behind the path is another file by now."""


class Log:
    """One file and the bookmark in it, whatever name the file has by now."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.quiet_since: Optional[float] = None
        self.broken_since: Optional[float] = None
        self._handle: Optional[IO[bytes]] = None

    @classmethod
    def begin(cls, path: str, since: Optional[float] = None) -> "Log":
        """A file that is written to, held from now on whatever name it gets. Raises OSError."""
        handle = opened(path)
        log = cls(new_entry(path, os.fstat(handle.fileno()), since=since))
        log._handle = handle
        log.is_same()
        return log

    @property
    def packed(self) -> bool:
        """Whether it is compressed, and so complete."""
        return os.path.splitext(self.entry["path"])[1] in OPENERS

    def handle(self) -> IO[bytes]:
        """The open file."""
        if self._handle is None:
            handle = opened(self.entry["path"])
            try:
                other = not self.packed and os.fstat(handle.fileno()).st_ino != self.entry["ino"]
                if other or (self.entry["rotated"] and not self._begins(handle)):
                    raise Moved("another file has its name now")
            except BROKEN:
                handle.close()
                raise
            self._handle = handle
        return self._handle

    def _begins(self, handle: IO[bytes]) -> bool:
        """Whether a file begins as this one did; of one whose beginning nobody saw, yes."""
        return self.entry["head"] is None or digest(handle.read(self.entry["head_size"])) == self.entry["head"]

    def close(self) -> None:
        """Let go of the file."""
        if self._handle is not None:
            self._handle.close()
            self._handle = None

    def size(self) -> int:
        """Bytes in the file now; of a compressed one those read, as nobody knows more."""
        return self.entry["offset"] if self.packed else os.fstat(self.handle().fileno()).st_size

    def read(self, offset: int, count: int) -> bytes:
        """Up to `count` bytes."""
        handle = self.handle()
        handle.seek(offset)
        return handle.read(count)

    def is_same(self) -> bool:
        """Whether the file still begins as it did: one that was truncated and written again does not."""
        entry = self.entry
        if entry["head"] is None:
            head = head_of(self.read(0, HEAD))
            if head is not None:
                entry["head"], entry["head_size"] = digest(head), len(head)
            return True
        return bool(digest(self.read(0, entry["head_size"])) == entry["head"])

    def is_untouched(self) -> bool:
        """Whether nobody knows how it begins, and nothing of it was sent or is on its way."""
        return self.entry["head"] is None and not self.entry["offset"] and self.entry["pending"] is None

    def to_the_end(self) -> None:
        """Skip what is there already, up to the last whole line."""
        size = self.size()
        while size > 0:
            start = max(size - BATCH_BYTES, 0)
            cut = self.read(start, size - start).rfind(b"\n")
            if cut >= 0:
                self.entry["offset"] = start + cut + 1
                return
            size = start

    def is_over(self) -> bool:
        """Whether nobody writes to it any more."""
        waited = self.quiet_since is not None and time.monotonic() - self.quiet_since >= LINGER
        return bool(self.entry["rotated"]) and (self.packed or waited)

    def take(self, limits: Limits, wanted: Filter, over: bool) -> Optional[Batch]:
        """The next batch, or the very one that was on its way when we died; None when there is no whole line.

        Of a file that is `over`, a last line without its end is taken too.
        """
        entry = self.entry
        offset = entry["offset"]
        if entry["pending"] is not None and entry["pending"] > offset:
            data = self.read(offset, entry["pending"] - offset)
        else:
            data = self.read(offset, limits.bytes)
            cut = data.rfind(b"\n") + 1
            if cut and entry["long"] is not None:
                cut = data.find(b"\n") + 1
            elif not cut and (len(data) >= limits.bytes or (data and entry["long"] is not None)):
                if entry["long"] is None:
                    entry["long"] = {"start": offset, "begins": data[:300].decode("latin-1")}
                entry["offset"] = offset + len(data)
                return Batch(entry["offset"], [], 0, 0)
            elif not cut and over:
                cut = len(data)  # its writer was cut off: what there is, is sent
            if not cut:
                entry["since"] = entry["since"] if entry["rotated"] else None
                return None
            data = data[: self._cut(data, cut, limits.lines)]
        end = offset + len(data)
        if entry["head"] is None:
            self.is_same()  # a line that ended since the last look: what is sent has the same key after a crash
        if entry["long"] is not None:
            return Batch(end, self._too_long(end, wanted), 1, 1)
        lines = [line.rstrip(b"\r") for line in data.split(b"\n") if line.strip()]
        return Batch(end, [line for line in lines if wanted.takes(line, entry["since"])], len(lines), 0)

    @staticmethod
    def _cut(data: bytes, most: int, lines: int) -> int:
        if data.count(b"\n", 0, most) <= lines:
            return most
        end = 0
        for _ in range(lines):
            end = data.find(b"\n", end) + 1
        return end

    def _too_long(self, end: int, wanted: Filter) -> List[bytes]:
        """A sentence in place of a line that is too long. It is no JSON: so Tocsin sets it aside and tells somebody."""
        start, begins = self.entry["long"]["start"], self.entry["long"]["begins"].encode("latin-1")
        say(
            "{}: a line of {} at byte {} is too long and was left out".format(
                self.entry["path"], size_of(end - start), start
            )
        )
        if not all(any(value in begins for value in values) for values in wanted.needed):
            return []
        text = (
            "tocsin tail left out a line of {} bytes at byte {} of {}, which is too long. It begins: ".format(
                end - start, start, self.entry["path"]
            )
        )
        return [text.encode("utf-8", "replace") + begins.replace(b"\r", b" ")]

    def key(self, batch: Batch) -> str:
        """What makes these bytes of this file known again: the same whoever of us has died in between."""
        entry = self.entry
        body = digest(b"\n".join(batch.lines))
        said = "{}|{}|{}|{}|{}".format(entry["born"], entry["head"], entry["offset"], batch.end, body)
        return "tail-" + hashlib.sha256(said.encode()).hexdigest()
