"""A Merkle tree over a list that only grows (RFC 9162 §2.1, SHA-256), kept as the roots of its full subtrees."""

from collections.abc import Sequence
from hashlib import sha256

HASH_SIZE = 32


def leaf_hash(data: bytes) -> bytes:
    """The hash of one leaf: SHA-256(0x00 ‖ data)."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node: SHA-256(0x01 ‖ left ‖ right)."""
    return sha256(b"\x01" + left + right).digest()


class Tree:
    """As much of the tree as is needed to go on: one root for each bit that is set in its size, some 20 for a million."""

    __slots__ = ("_roots", "size")

    def __init__(self) -> None:
        self.size = 0
        self._roots: dict[int, bytes] = {}  # level (a full subtree of 2^level leaves) → its root

    @classmethod
    def resumed(cls, size: int, state: bytes) -> "Tree":
        """The tree of `size` leaves whose `state` was kept. Raises ValueError when they do not belong together."""
        levels = [level for level in range(size.bit_length()) if size >> level & 1]
        if len(state) != len(levels) * HASH_SIZE:
            raise ValueError(f"the state of a tree of {size} leaves has {len(levels)} hashes")
        tree = cls()
        tree.size = size
        tree._roots = {
            level: state[n * HASH_SIZE : (n + 1) * HASH_SIZE] for n, level in enumerate(reversed(levels))
        }
        return tree

    @property
    def state(self) -> bytes:
        """What `resumed` needs beside the size: the subtrees' roots, largest first."""
        return b"".join(root for _, root in sorted(self._roots.items(), reverse=True))

    def extend(self, leaves: Sequence[bytes]) -> None:
        """Append leaf hashes; a level at a time, so that thousands cost little more than their SHA-256."""
        first, level, nodes = self.size, 0, list(leaves)
        self.size += len(nodes)
        while nodes:
            if first & 1:
                nodes.insert(0, self._roots.pop(level))
            if len(nodes) & 1:
                self._roots[level] = nodes[-1]
            nodes = [
                sha256(b"\x01" + left + right).digest()
                for left, right in zip(nodes[::2], nodes[1::2], strict=False)
            ]
            first, level = first >> 1, level + 1

    def root(self) -> bytes:
        """The hash of the whole list so far."""
        roots = [root for _, root in sorted(self._roots.items())]
        if not roots:
            return sha256(b"").digest()
        whole = roots[0]
        for larger in roots[1:]:
            whole = node_hash(larger, whole)
        return whole
