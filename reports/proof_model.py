"""The last page of a report's data model: what ties it to the journal, and who keeps that outside."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Kept:
    """A witness: who keeps checkpoints outside, the size of the newest one they have, since when."""

    name: str
    size: int
    at: datetime | None


@dataclass(frozen=True)
class Proof:
    """What ties the report to the journal: the entries it tells of and one digest over their hashes, in order.

    sealed: how many of them have their place in the sealed journal, `begins` and `ends` being the first and last place;
    checkpoint: how many entries the newest checkpoint covers, made at `checkpoint_at`. verify: three lines how to verify it.
    """

    entries: int
    first: datetime | None
    last: datetime | None
    digest: str
    redacted: int
    statement: str
    sealed: int = 0
    begins: int | None = None
    ends: int | None = None
    checkpoint: int = 0
    checkpoint_at: datetime | None = None
    witnesses: tuple[Kept, ...] = ()
    clock: str = ""
    verify: tuple[str, ...] = ()
