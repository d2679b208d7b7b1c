"""Content-addressed files, kept in the database in parts: their name is the SHA-256 of their bytes."""

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

from sqlalchemy import ForeignKey, LargeBinary, Text, delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, Session, mapped_column

from core.db import Base, UnitOfWork, is_postgres, reading
from core.errors import NotFound, TooLarge
from core.types import Instant

PART = 512 * 1024
"""Bytes of one part: what is in memory at once while a file comes or goes."""


class Blob(Base):
    """One file; the same bytes are stored once."""

    __tablename__ = "blobs"

    digest: Mapped[str] = mapped_column(Text, primary_key=True)
    media_type: Mapped[str] = mapped_column(Text)
    size: Mapped[int]
    stored_at: Mapped[datetime] = mapped_column(Instant)
    emptied_at: Mapped[datetime | None] = mapped_column(Instant)  # its bytes were taken away; what it was stays known


class BlobPart(Base):
    """Some of a file's bytes; the parts are counted from 0."""

    __tablename__ = "blob_parts"

    digest: Mapped[str] = mapped_column(ForeignKey("blobs.digest"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    content: Mapped[bytes] = mapped_column(LargeBinary)


@dataclass(frozen=True)
class Measured:
    """A file that has been read once: its SHA-256 in hex, its size in bytes and how it begins."""

    file: BinaryIO
    digest: str
    size: int
    head: bytes


def measure(file: BinaryIO, most: int) -> Measured:
    """Read a file part by part, outside of any transaction. Raises TooLarge above `most` bytes."""
    file.seek(0)
    hashed, size, head = hashlib.sha256(), 0, b""
    while part := file.read(PART):
        head = head or part[:8192]
        size += len(part)
        if size > most:
            raise TooLarge(f"The file is larger than {most // 1024:,} KiB, the most that is kept.")
        hashed.update(part)
    return Measured(file, hashed.hexdigest(), size, head)


def put_file(uow: UnitOfWork, measured: Measured, media_type: str) -> str:
    """Store a measured file part by part and return its digest; what is stored already is not read again.

    Bytes that were taken away come back when somebody brings them anew.
    """
    insert = postgresql.insert if is_postgres(uow) else sqlite.insert
    row = {"digest": measured.digest, "media_type": media_type, "size": measured.size, "stored_at": uow.now}
    # Who else stores or empties the same bytes just now is waited for here, so that the parts are written once.
    given = insert(Blob).values(row)
    again = {"stored_at": uow.now, "emptied_at": None}
    added = given.on_conflict_do_update(
        index_elements=["digest"], set_=again, where=Blob.emptied_at.is_not(None)
    ).returning(Blob.digest)
    if uow.scalar(added.execution_options(populate_existing=True)) is None:
        return measured.digest
    measured.file.seek(0)
    number = 0
    while part := measured.file.read(PART):
        uow.execute(insert(BlobPart).values(digest=measured.digest, number=number, content=part))
        number += 1
    return measured.digest


def put(uow: UnitOfWork, content: bytes, media_type: str) -> str:
    """Store bytes and return their SHA-256 in hex; storing them again changes nothing."""
    return put_file(uow, measure(io.BytesIO(content), len(content)), media_type)


def get(session: Session, digest: str, most: int | None = None) -> bytes:
    """The bytes with this SHA-256, or their beginning: at least `most` where there are as many. Raises NotFound."""
    held = session.get(Blob, digest)
    if held is None:
        raise NotFound(f"No stored file has the digest {digest[:12]}…")
    if held.emptied_at is not None:
        raise NotFound("This file was taken away; the journal says when and why.")
    query = select(BlobPart.content).where(BlobPart.digest == digest).order_by(BlobPart.number)
    if most is not None:
        query = query.where(BlobPart.number <= most // PART)
    return b"".join(session.scalars(query))


def empty(uow: UnitOfWork, digest: str) -> None:
    """Delete the bytes, whoever holds them: for core.held_files, which has asked. Locked by lock() in this transaction."""
    gone = delete(BlobPart).where(BlobPart.digest == digest)
    uow.execute(gone.execution_options(synchronize_session=False))
    uow.get_one(Blob, digest).emptied_at = uow.now
    uow.flush()


def lock(uow: UnitOfWork, digest: str) -> bool:
    """Wait for whoever stores the same bytes, and keep others waiting; False when there are none."""
    held = uow.get(Blob, digest, with_for_update=True, populate_existing=True)
    return held is not None and held.emptied_at is None


def parts(digest: str) -> Iterator[bytes]:
    """The bytes with this SHA-256, part by part, each read by itself: no transaction is open between two."""
    number = 0
    while True:
        with reading() as session:
            part = session.scalar(
                select(BlobPart.content).where(BlobPart.digest == digest, BlobPart.number == number)
            )
        if part is None:
            return
        yield part
        number += 1
