"""What ties a report to the journal: its entries' digest, their places under a checkpoint, who keeps it, how to verify."""

import hashlib
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core import bulk, merkle, sealing, witness
from core.journal import Entry, JournalEntry, JournalLeaf
from reports.proof_model import Kept, Proof

CLOCK = (
    "What we did carries the time of the database's clock, in UTC, at which it was written down. What the attacker did "
    "carries the time that its source gives, as exactly as is said beside it; nobody has compared those clocks with ours "
    "unless a finding says so."
)


def of(session: Session, entries: Sequence[Entry], key: str) -> Proof:
    """The proof of a report that tells these entries."""
    ids = [entry.id for entry in entries]
    bodies: dict[UUID, bytes] = {}
    for row in session.execute(
        select(JournalEntry.id, JournalEntry.body).where(bulk.among(session, JournalEntry.id, ids))
    ):
        bodies[row.id] = row.body
    digest = hashlib.sha256()
    for entry in entries:
        digest.update(merkle.leaf_hash(bodies[entry.id]))
    sealed = sealing.state(session)
    within = (
        select(func.count(), func.min(JournalLeaf.idx), func.max(JournalLeaf.idx))
        .where(bulk.among(session, JournalLeaf.entry, ids), JournalLeaf.idx < sealed.size)
    )  # fmt: skip
    number, begins, ends = session.execute(within).one()
    kept = tuple(
        Kept(one.name, one.size, one.at) for one in witness.witnesses(session) if one.size is not None
    )
    return Proof(
        entries=len(entries),
        first=entries[0].at if entries else None,
        last=entries[-1].at if entries else None,
        digest=digest.hexdigest(),
        redacted=sum(entry.redacted for entry in entries),
        statement=_statement(len(entries), number, sealed, kept),
        sealed=number,
        begins=begins,
        ends=ends,
        checkpoint=sealed.size,
        checkpoint_at=sealed.at,
        witnesses=kept,
        clock=CLOCK,
        verify=(
            "tocsin audit export -o journal.ndjson.gz",
            "tocsin audit verify journal.ndjson.gz --checkpoint the-newest-one-of-the-witness.txt",
            f"tocsin report {key} --format json   # while its version is {len(entries)}, proof.digest is the SHA-256 below",
        ),
    )


def _statement(entries: int, within: int, sealed: sealing.Sealed, kept: Sequence[Kept]) -> str:
    """What the numbers mean, for somebody who does not know the journal."""
    said = (
        f"This report tells {entries} entries of the journal, which the database lets nobody change or delete. "
        "The digest below is the SHA-256 over the hashes of these entries in the order of their time: made again from "
        "the journal later, it shows whether they are the same."
    )
    if not within or sealed.at is None:
        return f"{said} None of them is sealed yet, so they are as honest as this machine and as this copy of the report."
    by = f"{within} of them are sealed under the checkpoint of {sealed.at:%Y-%m-%d %H:%M} UTC over {sealed.size:,} entries"
    if not kept:
        return f"{said} {by}. No outside witness keeps it, so it is as honest as this machine and as this copy of the report."
    names = ", ".join(f"{one.name} (up to entry {one.size:,})" for one in kept)
    return f"{said} {by}. Checkpoints are kept outside by {names}."
