"""Asks whether the journal is what was recorded, of the database or of an exported file, and says so in plain words."""

import gc
import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from multiprocessing import get_context
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core import db, signing
from core.checkpoints import Checkpoint, PublicKey
from core.clock import now
from core.db import one_moment, reading
from core.journal import JournalLeaf
from core.journal_rows import JournalRows
from core.proof_files import FORMAT, Head, ProofFile
from core.proof_files import write as write_file
from core.proving import Proof, follow
from core.ref_sums import RefSums, lines
from core.settings import settings


@contextmanager
def _no_collector() -> Iterator[None]:
    """Python looks for cycles among what is read, finds none, and takes half of the time for it: it does not, in the block."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


@_no_collector()
def prove_database(
    keys: Collection[PublicKey] = (),
    given: Sequence[Checkpoint] = (),
    *,
    workers: int | None = None,
    at_a_time: int = 25_000,
) -> Proof:
    """Prove the journal in the database, at one moment, on as many cores as there are (or `workers`).

    keys: beside this installation's own. given: checkpoints that were kept elsewhere. at_a_time: leaves that one process
    takes; fewer in all are looked at here. With many it opens the database anew: call it where nothing else uses it.
    """
    sums, number = RefSums(), workers or os.cpu_count() or 1
    with reading() as session:
        many = (session.scalar(select(func.max(JournalLeaf.idx))) or 0) > at_a_time and number > 1
    if many:
        db.configure(settings())  # no connection may be open when processes are made
    with _helpers(number, sums) if many else nullcontext() as helpers, one_moment() as session:
        rows = JournalRows(session)
        slices = [(n, min(n + at_a_time, rows.size)) for n in range(0, rows.size, at_a_time)]
        trusted = {signing.public_key().raw, *(key.raw for key in keys)}
        proof = Proof(trusted, given, rows.instants, sums.texts, checked_elsewhere=helpers is not None)
        parts = helpers.imap(_check, slices) if helpers else iter(())
        follow(proof, rows.hashes() if helpers else rows.leaves(), rows.stamps())
        for waiting in rows.waiting():
            proof.unsealed(waiting)
        for chunk in rows.refs():
            sums.index(chunk)
        for part, texts in parts:
            proof.absorb(part)
            sums.merge(texts)
        proof.end()
        if not sums.equal:
            _name_refs(proof, rows, sums)
        for entry in rows.never_sealed(proof.present):
            proof.tell(
                "never sealed", f"entry {entry}",
                "This entry is neither sealed nor waiting for it: it was put in, or its leaf was taken out.",
            )  # fmt: skip
    return proof


_my_sums: list[RefSums] = []


def _helpers(number: int, sums: RefSums) -> Pool:
    """Processes forked from this one: they share its hash key, so that their sums can be put together."""
    return get_context("fork").Pool(number, _my_sums.append, (sums,))


def _check(bounds: tuple[int, int]) -> tuple[Proof, list[int]]:
    """In a process of its own: look at the entries of some leaves."""
    sums = RefSums(_my_sums[0].key)
    with one_moment() as session:
        rows = JournalRows(session)
        part = Proof(set(), instant=rows.instants, refs=sums.texts, next=bounds[0])
        for chunk in rows.leaves(*bounds):
            if chunk:
                part.check(chunk)
        part.end_at(bounds[1])
    part.instant = part.refs = None  # what goes back is what was found
    return part, sums.sums


@_no_collector()
def prove_file(path: Path, keys: Collection[PublicKey] = (), given: Sequence[Checkpoint] = ()) -> Proof:
    """Prove an exported journal, without a database. Without `keys` its own key is believed. Raises Invalid."""
    file = ProofFile(path)
    trusted = {key.raw for key in keys} or {PublicKey.read(file.head.key).raw}
    proof = Proof(trusted, given)
    follow(proof, file.leaves(), file.stamps())
    proof.end()
    if proof.entries != file.head.entries:
        proof.tell(
            "cut off", str(path),
            f"The file should hold {file.head.entries:,} entries and holds {proof.entries:,}: it has been cut off or altered.",
        )  # fmt: skip
    return proof


def export(session: Session, path: Path, *, data: bool) -> int:
    """Write the sealed journal to a file that proves itself; `data`: with its erasable part. Returns the entries."""
    rows = JournalRows(session)
    head = Head(FORMAT, now().isoformat(), rows.size, rows.pending, data, signing.public_key().text)
    return write_file(path, rows, head)


def statement(proof: Proof) -> str:
    """One or two plain sentences: what is proved, and how far one may rely on it."""
    if proof.found:
        return f"The journal does NOT verify: {proof.found:,} {'thing does' if proof.found == 1 else 'things do'} not fit."
    whole = f"The journal verifies: {proof.entries:,} sealed {'entry' if proof.entries == 1 else 'entries'}"
    if proof.kept:
        since = proof.kept[-1]
        return (
            f"{whole}, unchanged since the checkpoint of {since.at:%Y-%m-%d %H:%M} UTC that you gave (the first "
            f"{since.size:,}). What came after it is whole, but only as honest as this machine."
        )
    return (
        f"{whole}. It is whole, but only as honest as this machine: give a checkpoint that was kept elsewhere "
        "(--checkpoint FILE) to show that nothing has been rewritten."
    )


def told(proof: Proof, waiting: int = 0) -> dict[str, Any]:
    """The result for machines."""
    last = proof.last
    return {
        "verified": not proof.found, "statement": statement(proof), "entries": proof.entries, "waiting": waiting,
        "checkpoints": proof.stamps, "redacted": proof.redacted, "root": proof.tree.root().hex(),
        "last_checkpoint": {"size": last.size, "at": last.at.isoformat()} if last else None,
        "unchanged_since": [{"size": one.size, "at": one.at.isoformat()} for one in proof.kept],
        "problems_found": proof.found, "problems": [asdict(problem) for problem in proof.problems],
    }  # fmt: skip


def _name_refs(proof: Proof, rows: JournalRows, sums: RefSums) -> None:
    """Read once more and name the references that only one side has."""
    by_text: set[str] = set()
    again = Proof(set(), refs=lambda texts: by_text.update(sums.suspects(lines(texts))))
    for chunk in rows.leaves():
        again.leaves(chunk)
    for chunk in rows.waiting():
        again.unsealed(chunk)
    by_index = sums.suspects(line for chunk in rows.refs() for (line,) in chunk)
    for line in sorted(by_text - by_index):
        entry, kind, ref_id = line.split(" ", 2)
        proof.tell(
            "reference", f"entry {entry}", f"It is about {kind} {ref_id}, and the index no longer says so."
        )
    for line in sorted(by_index - by_text):
        entry, kind, ref_id = line.split(" ", 2)
        proof.tell(
            "reference",
            f"entry {entry}",
            f"The index says that it is about {kind} {ref_id}; the entry does not.",
        )
