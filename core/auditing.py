"""Asks whether the journal is what was recorded, of the database or of an exported file, and says so in plain words."""

from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from core import signing
from core.checkpoints import Checkpoint, PublicKey
from core.clock import now
from core.journal_rows import JournalRows
from core.proof_files import FORMAT, Head, ProofFile
from core.proof_files import write as write_file
from core.proving import Proof, follow
from core.ref_sums import Reference, RefSums, Texts


def prove_database(
    session: Session, keys: Collection[PublicKey] = (), given: Sequence[Checkpoint] = ()
) -> Proof:
    """Prove the journal in the database: the first thing done with this session (see JournalRows).

    keys: beside this installation's own. given: checkpoints that were kept elsewhere.
    """
    rows, sums = JournalRows(session), RefSums()
    trusted = {signing.public_key().raw, *(key.raw for key in keys)}
    proof = Proof(trusted, given, rows.instants, sums.texts)
    follow(proof, rows.leaves(), rows.stamps())
    for waiting in rows.waiting():
        proof.unsealed(waiting)
    for chunk in rows.refs():
        sums.index(chunk)
    if not sums.equal:
        _name_refs(proof, rows, sums)
    for entry in rows.never_sealed(proof.present):
        proof.tell(
            "never sealed", f"entry {entry}",
            "This entry is neither sealed nor waiting for it: it was put in, or its leaf was taken out.",
        )  # fmt: skip
    return proof


def prove_file(path: Path, keys: Collection[PublicKey] = (), given: Sequence[Checkpoint] = ()) -> Proof:
    """Prove an exported journal, without a database. Without `keys` its own key is believed. Raises Invalid."""
    file = ProofFile(path)
    trusted = {key.raw for key in keys} or {PublicKey.read(file.head.key).raw}
    proof = Proof(trusted, given)
    follow(proof, file.leaves(), file.stamps())
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
    by_text: set[Reference] = set()

    def collect(texts: Texts) -> None:
        by_text.update(sums.suspects((entry, kind, ref_id) for entry, refs in texts for kind, ref_id in refs))

    again = Proof(set(), refs=collect)
    for chunk in rows.leaves():
        again.leaves(chunk)
    for chunk in rows.waiting():
        again.unsealed(chunk)
    by_index = sums.suspects(row for chunk in rows.refs() for row in chunk)
    for entry, kind, ref_id in sorted(by_text - by_index):
        proof.tell(
            "reference", f"entry {entry}", f"It is about {kind} {ref_id}, and the index no longer says so."
        )
    for entry, kind, ref_id in sorted(by_index - by_text):
        proof.tell(
            "reference",
            f"entry {entry}",
            f"The index says that it is about {kind} {ref_id}; the entry does not.",
        )
