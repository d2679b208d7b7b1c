"""Proves a journal: every hash, every place, every root and signature, from whatever holds the rows."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from operator import itemgetter
from typing import Any

import msgspec

from core import checkpoints
from core.checkpoints import Checkpoint, PublicKey
from core.errors import Invalid
from core.merkle import Tree, leaf_hash
from core.ref_sums import Texts

Row = tuple[Any, ...]
"""A leaf with its entry: index, entry (32 hex digits), hash, body or None when it is missing, salt, data, and the
journal's columns at, actor_kind, actor_id, verb, data_digest (None each where there are no columns: in a file)."""

MOST_TOLD = 50
KEY_CHANGED = "journal.key_changed"


@dataclass(frozen=True)
class Stamp:
    """A stored checkpoint, and the key it was stored with."""

    size: int
    key: bytes
    note: str


@dataclass(frozen=True)
class Problem:
    """What does not fit: its kind, where, and a sentence."""

    kind: str
    where: str
    message: str


class _Who(msgspec.Struct, gc=False):
    kind: str
    id: str


class Told(msgspec.Struct, gc=False):
    """What a body says and columns repeat; the fact itself is not looked at."""

    id: str
    at: datetime
    actor: _Who
    verb: str
    refs: list[tuple[str, str]]
    data: str | None


_told = msgspec.json.Decoder(Told)
_STRANGE = (
    msgspec.MsgspecError,
    TypeError,
    ValueError,
    AttributeError,
    OverflowError,
)  # what altered rows may raise


@dataclass
class Proof:
    """Takes the leaves and checkpoints of a journal in their order and gathers what does not fit.

    trusted: keys whose signature counts. given: checkpoints that were kept elsewhere. instant: reads the column
    `at`, None where the rows have no columns. refs: is told what each entry's body names.
    """

    trusted: set[bytes]
    given: Sequence[Checkpoint] = ()
    instant: Callable[[Sequence[Any]], list[datetime]] | None = None
    refs: Callable[[Texts], None] | None = None
    tree: Tree = field(default_factory=Tree)
    problems: list[Problem] = field(default_factory=list)
    found: int = 0
    next: int = 0
    entries: int = 0
    present: int = 0
    redacted: int = 0
    stamps: int = 0
    last: Checkpoint | None = None
    kept: list[Checkpoint] = field(default_factory=list)
    signers: dict[bytes, int] = field(default_factory=dict)
    announced: set[bytes] = field(default_factory=set)
    checked_elsewhere: bool = False
    _strange: list[tuple[bytes, Checkpoint]] = field(default_factory=list)
    _good: int = 0

    def __post_init__(self) -> None:
        self._asked = sorted(self.given, key=lambda one: one.size)
        for one in self._asked:
            if not any(one.signed_by(raw) for raw in self.trusted):
                self.tell(
                    "foreign checkpoint", f"checkpoint of {one.at:%Y-%m-%d %H:%M} UTC",
                    f"The checkpoint that you gave ({one.size:,} entries) is not signed by the key of this journal. "
                    "If the journal had another key then, give that one with --key.",
                )  # fmt: skip

    def leaves(self, rows: Sequence[Row]) -> None:
        """The next leaves, in order."""
        start = 0
        while self._asked and self._asked[0].size <= self.tree.size + len(rows) - start:
            upto = start + max(self._asked[0].size - self.tree.size, 0)
            self._some(rows[start:upto])
            start = upto
            self._compare_given(self._asked.pop(0))
        self._some(rows[start:] if start else rows)

    def stamp(self, stamp: Stamp) -> None:
        """A stored checkpoint, once all leaves below its size have been taken."""
        self.stamps += 1
        where = f"checkpoint {stamp.size}"
        try:
            one = checkpoints.read(stamp.note)
        except Invalid:
            self.tell(
                "unreadable checkpoint", where, "This checkpoint's text cannot be read: it has been altered."
            )
            return
        if one.size != stamp.size or not one.signed_by(stamp.key):
            self.tell(
                "forged checkpoint", where,
                f"The checkpoint of {one.at:%Y-%m-%d %H:%M:%S} UTC is not signed by the key it is stored with: it has been "
                "altered or forged.",
            )  # fmt: skip
            return
        self.signers[stamp.key] = one.size
        if stamp.key not in self.trusted:
            self._strange.append((stamp.key, one))
        if self.tree.size != one.size or self.tree.root() != one.root:
            self.tell(
                "root", where,
                f"Something among the entries {self._good} to {one.size - 1} is not what the checkpoint of "
                f"{one.at:%Y-%m-%d %H:%M:%S} UTC sealed: entries were altered, removed, added or changed places.",
            )  # fmt: skip
            return
        self._good, self.last = one.size, one

    def end(self) -> None:
        """Nothing more comes: what has not been met is missing."""
        for one in self._asked:
            self.tell(
                "shorter", f"checkpoint of {one.at:%Y-%m-%d %H:%M} UTC",
                f"The checkpoint that you gave covers {one.size:,} entries and the journal has only {self.tree.size:,}: "
                "entries have been removed, or an older backup was restored.",
            )  # fmt: skip
        latest = max(self.signers.items(), key=lambda item: item[1])[0] if self.signers else None
        for raw, one in self._strange:
            if raw == latest or raw not in self.announced:
                self.tell(
                    "foreign key", f"checkpoint {one.size}",
                    f"The checkpoint of {one.at:%Y-%m-%d %H:%M:%S} UTC is signed by {PublicKey(one.origin, raw).text}, which is "
                    "not the key of this installation. If it was restored without its key, give the key that you noted "
                    "down with --key; otherwise somebody else signed it.",
                )  # fmt: skip

    def tell(self, kind: str, where: str, message: str) -> None:
        """Something does not fit."""
        self.found += 1
        if len(self.problems) < MOST_TOLD:
            self.problems.append(Problem(kind, where, message))

    def unsealed(self, rows: Sequence[Row]) -> None:
        """Entries that wait for their seal: their columns must fit, there is no hash yet."""
        for row in rows:
            self.present += 1
            self._entry(f"entry {row[1]}", row, sealed=False)

    def _some(self, rows: Sequence[Row]) -> None:
        if rows:
            hashes = [one if isinstance(one, bytes) else b"" for one in (row[2] for row in rows)]
            if not self.checked_elsewhere:
                self.check(rows)
            self.entries += len(rows)
            self.tree.extend(hashes)

    def check(self, rows: Sequence[Row]) -> None:
        """Look at the next leaves' entries, without adding them to the tree."""
        hashes = [row[2] for row in rows]
        try:
            fits = self._fit(rows, hashes)
        except _STRANGE:
            fits = False
        if not fits:  # look at each, and name what is wrong
            idx = self.next
            for row in rows:
                if row[0] != idx:
                    self._gap(idx, row[0])
                self._entry(f"leaf {row[0]}, entry {row[1]}", row, sealed=True)
                idx = row[0] + 1
        self.next = rows[-1][0] + 1
        self.present += len(rows)

    def end_at(self, number: int) -> None:
        """The leaves that were to be checked end before this number."""
        if self.next < number:
            self._gap(self.next, number)

    def absorb(self, part: "Proof") -> None:
        """What another process found in the leaves that it looked at."""
        self.found += part.found
        self.problems = (self.problems + part.problems)[:MOST_TOLD]
        self.present += part.present
        self.redacted += part.redacted
        self.announced |= part.announced

    def _fit(self, rows: Sequence[Row], hashes: list[bytes]) -> bool:
        """Whether these leaves are all as they should be: column by column, for there may be millions."""
        numbers, entries, _, bodies, salts, data, ats, kinds, actors, verbs, digests = zip(*rows, strict=True)
        if numbers != tuple(range(self.next, self.next + len(rows))):
            return False
        if [sha256(b"\x00" + body).digest() for body in bodies] != hashes:
            return False
        told = [_told.decode(body) for body in bodies]
        promised = [one.data for one in told]
        held = [n for n, one in enumerate(data) if one is not None]
        if tuple([one.id.replace("-", "") for one in told]) != entries or [
            sha256(salts[n] + data[n]).hexdigest() for n in held
        ] != [promised[n] for n in held]:
            return False
        instant = self.instant
        if instant is not None and (
            tuple([one.verb for one in told]) != verbs
            or tuple([one.actor.id for one in told]) != actors
            or tuple([one.actor.kind for one in told]) != kinds
            or [one.at for one in told] != instant(ats)
            or promised != [one and one.hex() for one in digests]
        ):
            return False
        if self.refs is not None:
            self.refs([(entry, one.refs) for entry, one in zip(entries, told, strict=True)])
        self.redacted += len(rows) - promised.count(None) - len(held)
        if KEY_CHANGED in {one.verb for one in told}:
            for one, body in zip(told, bodies, strict=True):
                self._hear_of_key(one.verb, body)
        return True

    def _gap(self, wanted: int, got: int) -> None:
        missing = f"{wanted}" if got == wanted + 1 else f"{wanted} to {got - 1}"
        what = f"The leaves {missing} are missing" if got > wanted else f"The leaf {got} is there twice"
        self.tell("gap", f"leaf {wanted}", f"{what}: entries have been removed from the sealed list.")

    def _entry(self, where: str, row: Row, *, sealed: bool) -> None:
        """Look at one entry that does not fit (or has no hash yet) and say what is wrong with it."""
        _, entry, stored, body, *_ = row
        if body is None:
            self.present -= 1
            self.tell(
                "missing",
                where,
                "This entry was recorded and is no longer in the journal: it has been deleted.",
            )
            return
        body = (
            body.encode() if isinstance(body, str) else bytes(body)
        )  # SQLite keeps whatever kind it is given
        if sealed and leaf_hash(body) != stored:
            self.tell(
                "body",
                where,
                "This entry's text is not the text that was sealed: one of them has been altered.",
            )
        try:
            told = _told.decode(body)
        except _STRANGE:
            self.tell("unreadable", where, "This entry's text cannot be read: it has been altered.")
            return
        if told.id.replace("-", "") != entry:
            self.tell("place", where, f"This place holds the text of another entry ({told.id}).")
        try:
            self._columns(where, row, told)
        except _STRANGE:
            self.tell("column", where, "A column holds a value of another kind than is ever written there.")
        if self.refs is not None:
            self.refs([(entry, told.refs)])
        self._hear_of_key(told.verb, body)

    def _columns(self, where: str, row: Row, told: Told) -> None:
        _, _, _, _, salt, data, at, kind, actor, verb, column = row
        if self.instant is not None:
            shown = {
                "at": (told.at, self.instant([at])[0]), "actor_kind": (told.actor.kind, kind), "actor_id": (told.actor.id, actor),
                "verb": (told.verb, verb), "data_digest": (told.data, column.hex() if column is not None else None),
            }  # fmt: skip
            for name, (should, is_) in shown.items():
                if should != is_:
                    self.tell(
                        "column", where, f"The column {name} says {is_} and the sealed text says {should}."
                    )
        if data is not None and (told.data is None or sha256(salt + data).hexdigest() != told.data):
            self.tell(
                "data",
                where,
                "The erasable part of this entry is not what was recorded: it has been altered.",
            )
        self.redacted += told.data is not None and data is None

    def _hear_of_key(self, verb: str, body: bytes) -> None:
        if verb != KEY_CHANGED:
            return
        said = msgspec.json.decode(body)["body"]
        self.announced |= {bytes.fromhex(said[name]) for name in ("raw", "before") if name in said}

    def _compare_given(self, one: Checkpoint) -> None:
        if self.tree.size == one.size and self.tree.root() == one.root:
            self.kept.append(one)
            return
        self.tell(
            "changed since", f"checkpoint of {one.at:%Y-%m-%d %H:%M} UTC",
            f"The first {one.size:,} entries are not those of the checkpoint that you gave: the journal has been altered "
            "since then, or this is another journal.",
        )  # fmt: skip


def follow(proof: Proof, leaves: Iterable[list[Row]], stamps: Iterable[Stamp]) -> None:
    """Give a proof all leaves and all checkpoints, each checkpoint after the last leaf it covers; then say `end()`."""
    coming = iter(stamps)
    stamp = next(coming, None)
    for rows in leaves:
        start = 0
        while stamp is not None and rows and stamp.size <= rows[-1][0] + 1:
            upto = bisect_left(rows, stamp.size, start, key=itemgetter(0))
            proof.leaves(rows[start:upto])
            proof.stamp(stamp)
            start, stamp = upto, next(coming, None)
        proof.leaves(rows[start:] if start else rows)
    while stamp is not None:
        proof.stamp(stamp)
        stamp = next(coming, None)
