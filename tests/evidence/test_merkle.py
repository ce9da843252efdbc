"""The tree against its definition in RFC 6962, written down as it stands there."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_proof,
    frontier_at,
    inclusion_proof,
    leaf_hash,
    root_at,
    verify_consistency,
    verify_inclusion,
)

# The test vectors of the certificate-transparency sources (merkle_tree_test.cc).
VECTORS = [
    bytes.fromhex(one)
    for one in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)


OTHER = sha256(b"neither leaf nor node").digest()
"""A hash that no entry has, whatever the entries are."""


def naive_root(entries: list[bytes]) -> bytes:
    if not entries:
        return sha256(b"").digest()
    if len(entries) == 1:
        return sha256(b"\x00" + entries[0]).digest()
    k = 1
    while 2 * k < len(entries):
        k *= 2
    return sha256(b"\x01" + naive_root(entries[:k]) + naive_root(entries[k:])).digest()


class Tree:
    """Entries, and the complete subtrees of them."""

    def __init__(self, entries: list[bytes]) -> None:
        self.entries = entries
        self.kept: dict[tuple[int, int], bytes] = {}
        self.frontier = Frontier(completed=self._keep)
        for index, entry in enumerate(entries):
            self.kept[0, index] = leaf_hash(entry)
            self.frontier.append(leaf_hash(entry))

    def _keep(self, level: int, index: int, hash: bytes) -> None:
        self.kept[level, index] = hash

    def nodes(self, level: int, index: int) -> bytes:
        return self.kept[level, index]


trees = st.lists(st.binary(max_size=4), min_size=1, max_size=70).map(Tree)


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_those_of_certificate_transparency(size: int) -> None:
    assert Tree(VECTORS[:size]).frontier.root().hex() == ROOTS[size - 1]


def test_the_empty_tree() -> None:
    assert Frontier().root() == EMPTY_ROOT == naive_root([])


@given(trees, st.data())
def test_roots_and_frontiers_are_those_of_the_definition(tree: Tree, data: st.DataObject) -> None:
    size = data.draw(st.integers(0, len(tree.entries)))
    assert root_at(tree.nodes, size) == naive_root(tree.entries[:size])
    taken_up = frontier_at(tree.nodes, size)
    assert taken_up.root() == naive_root(tree.entries[:size])
    for entry in tree.entries[size:]:
        taken_up.append(leaf_hash(entry))
    assert taken_up.root() == tree.frontier.root()
    assert taken_up.hashes == tree.frontier.hashes


@given(trees, st.data())
def test_an_inclusion_proof_shows_one_entry_and_no_other(tree: Tree, data: st.DataObject) -> None:
    size = data.draw(st.integers(1, len(tree.entries)))
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(tree.nodes, index, size)
    root, leaf = root_at(tree.nodes, size), leaf_hash(tree.entries[index])
    assert verify_inclusion(leaf, index, size, proof, root)
    assert not verify_inclusion(OTHER, index, size, proof, root)
    assert not verify_inclusion(leaf, index, size, proof, OTHER)
    assert not verify_inclusion(leaf, index, size, [*proof, leaf], root)
    assert not verify_inclusion(leaf, size, size, proof, root)
    if proof:
        assert not verify_inclusion(leaf, index, size, proof[:-1], root)
        at = data.draw(st.integers(0, len(proof) - 1))
        assert not verify_inclusion(leaf, index, size, [*proof[:at], OTHER, *proof[at + 1 :]], root)


@given(trees, st.data())
def test_a_consistency_proof_shows_one_beginning_and_no_other(tree: Tree, data: st.DataObject) -> None:
    new = data.draw(st.integers(1, len(tree.entries)))
    old = data.draw(st.integers(1, new))
    proof = consistency_proof(tree.nodes, old, new)
    old_root, new_root = root_at(tree.nodes, old), root_at(tree.nodes, new)
    assert verify_consistency(old, new, old_root, new_root, proof)
    assert not verify_consistency(old, new, OTHER, new_root, proof)
    assert not verify_consistency(old, new, old_root, OTHER, proof)
    assert not verify_consistency(old, new, old_root, new_root, [*proof, old_root])
    if proof:
        assert not verify_consistency(old, new, old_root, new_root, proof[1:])
        at = data.draw(st.integers(0, len(proof) - 1))
        changed = [*proof[:at], OTHER, *proof[at + 1 :]]
        assert not verify_consistency(old, new, old_root, new_root, changed)
    assert verify_consistency(0, new, EMPTY_ROOT, new_root, [])


@given(trees, st.data())
def test_a_changed_entry_has_no_consistency(tree: Tree, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(tree.entries) - 1))
    old = data.draw(st.integers(at + 1, len(tree.entries)))
    forged = Tree([*tree.entries[:at], b"forged entry", *tree.entries[at + 1 :], b"more"])
    size = len(forged.entries)
    proof = consistency_proof(forged.nodes, old, size)
    assert not verify_consistency(old, size, root_at(tree.nodes, old), forged.frontier.root(), proof)


def test_what_has_no_proof_is_an_error() -> None:
    tree = Tree([b"a", b"b"])
    for index, size in ((2, 2), (-1, 2), (0, 0)):
        with pytest.raises(ValueError, match="has no entry"):
            inclusion_proof(tree.nodes, index, size)
    for old, new in ((0, 2), (3, 2)):
        with pytest.raises(ValueError, match="no proper beginning"):
            consistency_proof(tree.nodes, old, new)
    with pytest.raises(ValueError, match="has 2 hashes"):
        Frontier(3, [EMPTY_ROOT])


@given(trees, st.integers(0, 3))
def test_subtrees_stand_in_for_their_entries(tree: Tree, level: int) -> None:
    size, told = len(tree.entries), Tree(tree.entries[: len(tree.entries) >> level << level])
    kept: dict[tuple[int, int], bytes] = {}
    grown = Frontier(completed=lambda *node: kept.update({node[:2]: node[2]}))
    for index in range(size >> level):
        grown.append_subtree(level, naive_root(tree.entries[index << level : index + 1 << level]))
    assert (grown.size, grown.hashes, grown.root()) == (told.frontier.size, told.frontier.hashes, told.frontier.root())
    assert kept == {at: node for at, node in told.kept.items() if at[0] >= max(level, 1)}
    if level and size >> level:
        grown.append(OTHER)
        with pytest.raises(ValueError, match=f"no subtree of {1 << level} entries begins behind"):
            grown.append_subtree(level, OTHER)
