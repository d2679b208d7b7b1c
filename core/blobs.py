"""Content-addressed files, kept in the database: their name is the SHA-256 of their bytes."""

import hashlib
from datetime import datetime

from sqlalchemy import LargeBinary, Text, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from core.db import Base, UnitOfWork
from core.errors import NotFound
from core.types import Instant


class Blob(Base):
    """The bytes of one file; the same bytes are stored once."""

    __tablename__ = "blobs"

    digest: Mapped[str] = mapped_column(Text, primary_key=True)
    media_type: Mapped[str] = mapped_column(Text)
    size: Mapped[int]
    content: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    stored_at: Mapped[datetime] = mapped_column(Instant)


def put(uow: UnitOfWork, content: bytes, media_type: str) -> str:
    """Store bytes and return their SHA-256 in hex; storing them again changes nothing."""
    digest = hashlib.sha256(content).hexdigest()
    if uow.get(Blob, digest) is None:
        uow.add(
            Blob(digest=digest, media_type=media_type, size=len(content), content=content, stored_at=uow.now)
        )
        uow.flush()
    return digest


def get(session: Session, digest: str) -> bytes:
    """The bytes with this SHA-256. Raises NotFound."""
    content = session.scalar(select(Blob.content).where(Blob.digest == digest))
    if content is None:
        raise NotFound(f"No stored file has the digest {digest[:12]}…")
    return content
