"""The tree that grows by chunks is the tree of RFC 9162, whatever the chunks."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.merkle import Tree, leaf_hash, node_hash


def naive(leaves: list[bytes]) -> bytes:
    """MTH of RFC 9162 §2.1.1, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return node_hash(naive(leaves[:k]), naive(leaves[k:]))


@given(st.lists(st.integers(0, 40), max_size=8))
def test_it_grows_by_chunks_as_the_reference_does(chunks: list[int]) -> None:
    tree, leaves = Tree(), list[bytes]()
    for chunk in chunks:
        new = [leaf_hash(bytes([(len(leaves) + n) % 256])) for n in range(chunk)]
        tree.extend(new)
        leaves += new
        tree = Tree.resumed(tree.size, tree.state)
        assert (tree.size, tree.root()) == (len(leaves), naive(leaves))


def test_roots_are_those_of_certificate_transparency() -> None:
    """The known answers of the test data that the reference implementations share (transparency-dev/merkle)."""
    data = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ]
    roots = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ]
    tree = Tree()
    for datum, root in zip(data, roots, strict=True):
        tree.extend([leaf_hash(bytes.fromhex(datum))])
        assert tree.root().hex() == root


def test_a_state_of_another_size_is_refused() -> None:
    tree = Tree()
    tree.extend([leaf_hash(b"a")] * 3)
    with pytest.raises(ValueError, match="1 hashes"):
        Tree.resumed(4, tree.state)
