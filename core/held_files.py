"""Who holds which files: packages declare it, so that a file is let go of by one subject and goes when nobody holds it any more."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from core import blobs
from core.db import UnitOfWork
from core.types import Ref


@dataclass(frozen=True)
class Holder:
    """Rows that hold a file: `digest` is the column with its SHA-256, `still` what is true of those that have not let go.

    `of` is true of a subject's rows, `name` the column with what they call it; `let_go(uow, subject, digest, why)` has the subject's
    rows let go of one and returns what the journal calls them. Without `of` they belong to no subject.
    """

    what: str
    digest: Any
    still: ColumnElement[bool]
    of: Callable[[UUID], ColumnElement[bool]] | None = None
    name: Any = None
    let_go: Callable[[UnitOfWork, UUID, str, str], Sequence[Ref]] = lambda _uow, _subject, _digest, _why: ()


@dataclass(frozen=True)
class Reader:
    """Reads more out of a file than its bytes show: `parts` (of its media type) decoded, or raises Invalid; `beside` what was drawn of it.

    `parts(content)` returns the pieces, and whether each was read.
    """

    media_type: str
    parts: Callable[[bytes], tuple[list[bytes], bool]]
    beside: Callable[[Session, str], str]


_holders: dict[str, Holder] = {}  # filled at import
_readers: dict[str, Reader] = {}  # filled at import
_follow: list[Callable[[UnitOfWork, str], None]] = []  # filled at import


def declare(*holders: Holder) -> None:
    """Add holders, at import."""
    for one in holders:
        _holders[one.what] = one


def reads(reader: Reader) -> None:
    """Add a reader, at import; one for each media type."""
    _readers[reader.media_type] = reader


def reader(media_type: str) -> Reader | None:
    """Who reads files of this type."""
    return _readers.get(media_type)


def goes_with(follow: Callable[[UnitOfWork, str], None]) -> None:
    """Have `follow(uow, digest)` called when the bytes of a file go: what was made of it goes, too."""
    _follow.append(follow)


def of_subject(session: Session, subject: UUID) -> Iterator[tuple[str, str]]:
    """The digest of each file that a subject holds, once, and what it is called there."""
    seen: set[str] = set()
    for one in _holders.values():
        if one.of is None:
            continue
        rows = session.execute(select(one.digest, one.name).where(one.of(subject), one.still).order_by(one.digest))
        for digest, name in rows:
            if digest not in seen:
                seen.add(digest)
                yield digest, str(name)


def let_go(uow: UnitOfWork, subject: UUID, digest: str, why: str) -> tuple[list[Ref], bool]:
    """Have a subject let go of a file; its bytes go when nobody else holds it. Returns what held it, and whether they went."""
    there = blobs.lock(uow, digest)
    refs = [ref for one in _holders.values() if one.of is not None for ref in one.let_go(uow, subject, digest, why)]
    uow.flush()
    return refs, there and gone_if_free(uow, digest)


def gone_if_free(uow: UnitOfWork, digest: str) -> bool:
    """Delete the bytes of a locked file that nobody holds."""
    for one in _holders.values():
        if uow.scalar(select(one.digest).where(one.digest == digest, one.still).limit(1)) is not None:
            return False
    blobs.empty(uow, digest)
    for follow in _follow:
        follow(uow, digest)
    return True
