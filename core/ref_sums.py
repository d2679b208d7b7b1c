"""Whether the index of references says what the entries say: both are summed up in any order, and neither is kept."""

import secrets
from collections.abc import Iterable, Sequence

_BUCKETS = 256
Reference = tuple[str, str, str]
"""Entry (32 hex digits), kind and id."""
Texts = Iterable[tuple[str, Sequence[tuple[str, str]]]]
"""Entries, each with what its text names."""


class RefSums:
    """Folds keyed hashes: what is equal cancels out, and nobody knows the key before. (No reference is there twice.)

    A sum tells that something differs, not what: the buckets limit a second reading to a few in a thousand.
    """

    def __init__(self, key: str | None = None) -> None:
        self.key = key or secrets.token_hex(16)
        self._sums = [0] * _BUCKETS

    def texts(self, entries: Texts) -> None:
        """What the texts of these entries name."""
        key, sums = self.key, self._sums
        for entry, refs in entries:
            for kind, ref_id in refs:
                number = hash((key, entry, kind, ref_id))
                sums[number & 255] ^= number

    def index(self, rows: Iterable[Sequence[str]]) -> None:
        """What the index says: entry, kind and id."""
        key, sums = self.key, self._sums
        for entry, kind, ref_id in rows:
            number = hash((key, entry, kind, ref_id))
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

    def suspects(self, rows: Iterable[Sequence[str]]) -> set[Reference]:
        """Of these references, those that may be on one side only."""
        wrong = {number for number, total in enumerate(self._sums) if total}
        return {
            (entry, kind, ref_id)
            for entry, kind, ref_id in rows
            if hash((self.key, entry, kind, ref_id)) & 255 in wrong
        }
