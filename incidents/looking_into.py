"""Looks into one file for a value: held, not there, or not to be looked into."""

from dataclasses import dataclass

from core import blobs, held_files
from core.blobs import Blob
from core.db import reading
from core.errors import Invalid, NotFound
from core.seeking import Seeker

HELD, CLEAR, UNREAD, LATER = "held", "clear", "unread", "later"
LARGEST = 64 * 1024 * 1024
"""Bytes of a mail that is taken apart; a larger one is looked through as it stands, which is not everything it says."""


@dataclass(frozen=True)
class Looked:
    """What came of looking into a file. `found`: held, clear, unread (nobody can say), later (there was no time)."""

    digest: str
    name: str
    size: int
    media_type: str
    found: str

    @property
    def clear(self) -> bool:
        """Whether the value is not in it."""
        return self.found == CLEAR


def look(digest: str, name: str, seeker: Seeker | None) -> Looked:
    """Look into a file, part by part and in no transaction; without a seeker nothing is read, and it is `later`."""
    with reading() as session:
        held = session.get(Blob, digest)
    if held is None:
        return Looked(digest, name, 0, "", CLEAR)
    found = LATER if seeker is None else _found(held, seeker)
    return Looked(digest, name, held.size, held.media_type, found)


def _found(held: Blob, seeker: Seeker) -> str:
    if seeker.stream(blobs.parts(held.digest)):
        return HELD
    reader = held_files.reader(held.media_type)
    if reader is None:
        return CLEAR if held.media_type.startswith("text/") else UNREAD
    try:
        with reading() as session:
            if seeker.text(reader.beside(session, held.digest)):
                return HELD
            raw = blobs.get(session, held.digest) if held.size <= LARGEST else None
        if raw is None:
            return UNREAD
        pieces, whole = reader.parts(raw)
    except Invalid:
        return UNREAD
    except NotFound:  # taken away meanwhile
        return CLEAR
    if any(seeker.raw(piece) for piece in pieces):
        return HELD
    return CLEAR if whole else UNREAD
