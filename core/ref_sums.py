"""Whether the index of references says what the entries say: both are summed up in any order, and neither is kept."""

import secrets
from collections.abc import Iterable, Sequence

_BUCKETS = 256
Texts = Iterable[tuple[str, Sequence[tuple[str, str]]]]
"""Entries (32 hex digits), each with the kinds and ids that its text names."""


class RefSums:
    """Folds keyed hashes: what is equal cancels out, and nobody knows the key before. (No reference is there twice.)

    A sum tells that something differs, not what: the buckets limit a second reading to a few in a thousand.
    """

    def __init__(self, key: str | None = None) -> None:
        self.key = key or secrets.token_hex(16)
        self._sums = [0] * _BUCKETS

    def texts(self, entries: Texts) -> None:
        """What the texts of these entries name."""
        self.index([(line,) for line in lines(entries)])

    def index(self, rows: Iterable[tuple[str]]) -> None:
        """What the index says: "entry kind id", each in one line."""
        key, sums = self.key, self._sums
        for (line,) in rows:
            number = hash((key, line))
            sums[number & 255] ^= number

    def merge(self, sums: Sequence[int]) -> None:
        """Add what another process has summed up with the same key."""
        self._sums = [mine ^ theirs for mine, theirs in zip(self._sums, sums, strict=True)]

    @property
    def sums(self) -> list[int]:
        """What has been summed up so far."""
        return list(self._sums)

    @property
    def equal(self) -> bool:
        """Whether both said the same."""
        return not any(self._sums)

    def suspects(self, found: Iterable[str]) -> set[str]:
        """Of these lines, those that may be on one side only."""
        wrong = {number for number, total in enumerate(self._sums) if total}
        return {line for line in found if hash((self.key, line)) & 255 in wrong}


def lines(entries: Texts) -> list[str]:
    """What the texts of entries name, written as the index is read."""
    return [f"{entry} {kind} {ref_id}" for entry, refs in entries for kind, ref_id in refs]
