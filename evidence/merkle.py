"""Merkle trees over a log (RFC 6962, section 2.1), their proofs, and how both are verified (RFC 9162, section 2.1.3 and 2.1.4).

A leaf and an inner node are hashed with different first bytes, so that neither can be passed off as the other. The hash of a
complete subtree never changes again: it is named by its level (a leaf is level 0) and its index on that level. Proofs are made
from such nodes alone, whoever keeps them.

>>> tree = Frontier()
>>> for entry in (b"one", b"two", b"three"):
...     tree.append(leaf_hash(entry))
>>> proof = [leaf_hash(b"one"), leaf_hash(b"three")]
>>> verify_inclusion(leaf_hash(b"two"), 1, 3, proof, tree.root())
True
"""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()
"""Root of the tree without entries."""

Nodes = Callable[[int, int], bytes]
"""Hash of a complete subtree by its level and index."""


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of an entry."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of a node from those of its children."""
    return sha256(b"\x01" + left + right).digest()


class Frontier:
    """The right edge of a tree: the roots of its complete subtrees, largest first. All that appending needs.

    ``completed`` is told the level, index and hash of every inner node that becomes complete.
    """

    __slots__ = ("_completed", "_hashes", "size")

    def __init__(
        self,
        size: int = 0,
        hashes: Iterable[bytes] = (),
        completed: Callable[[int, int, bytes], None] | None = None,
    ) -> None:
        """Take up a tree of that many entries.

        Raises:
            ValueError: a tree of that size has another number of complete subtrees.
        """
        self.size, self._hashes, self._completed = size, list(hashes), completed
        if size < 0 or len(self._hashes) != size.bit_count():
            raise ValueError(f"the frontier of {size} entries has {max(size, 0).bit_count()} hashes")
        if any(len(one) != HASH_BYTES for one in self._hashes):
            raise ValueError(f"a hash has {HASH_BYTES} bytes")

    @property
    def hashes(self) -> tuple[bytes, ...]:
        """Roots of the complete subtrees, largest first."""
        return tuple(self._hashes)

    def append(self, leaf: bytes) -> None:
        """Add an entry by its leaf hash."""
        hashes, index, node, level = self._hashes, self.size, leaf, 0
        while index & 1:
            node = sha256(b"\x01" + hashes.pop() + node).digest()
            index >>= 1
            level += 1
            if self._completed is not None:
                self._completed(level, index, node)
        hashes.append(node)
        self.size += 1

    def append_subtree(self, level: int, node: bytes) -> None:
        """Add a complete subtree by its root: as many entries as it has, without having them.

        Raises:
            ValueError: no subtree of that height begins where this tree ends.
        """
        index, count = self.size >> level, 1 << level
        if self.size % count:
            raise ValueError(f"no subtree of {count} entries begins behind {self.size}")
        while True:
            if self._completed is not None and level:
                self._completed(level, index, node)
            if not index & 1:
                break
            node = node_hash(self._hashes.pop(), node)
            index >>= 1
            level += 1
        self._hashes.append(node)
        self.size += count

    def root(self) -> bytes:
        """Return the root of the tree as it is now."""
        if not self._hashes:
            return EMPTY_ROOT
        *left, root = self._hashes
        for one in reversed(left):
            root = node_hash(one, root)
        return root


def root_at(nodes: Nodes, size: int) -> bytes:
    """Return the root that the tree had with its first ``size`` entries."""
    return _root(nodes, 0, size) if size else EMPTY_ROOT


def frontier_at(nodes: Nodes, size: int) -> Frontier:
    """Return the frontier that the tree had with its first ``size`` entries."""
    hashes, first = [], 0
    for level in reversed(range(size.bit_length())):
        if size >> level & 1:
            hashes.append(nodes(level, first >> level))
            first += 1 << level
    return Frontier(size, hashes)


def inclusion_proof(nodes: Nodes, index: int, size: int) -> list[bytes]:
    """Return what shows that the entry at ``index`` (from 0) is in the tree of ``size`` entries (RFC 6962, 2.1.1).

    Raises:
        ValueError: there is no such entry in it.
    """
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} entries has no entry {index}")
    path, first, end = [], 0, size
    while end - first > 1:
        middle = first + _split(end - first)
        if index < middle:
            path.append(_root(nodes, middle, end))
            end = middle
        else:
            path.append(_root(nodes, first, middle))
            first = middle
    return path[::-1]


def consistency_proof(nodes: Nodes, old: int, new: int) -> list[bytes]:
    """Return what shows that the tree of ``old`` entries is the beginning of that of ``new`` (RFC 6962, 2.1.2).

    Raises:
        ValueError: the old tree is empty or larger than the new one.
    """
    if not 0 < old <= new:
        raise ValueError(f"a tree of {old} entries is no proper beginning of one of {new}")
    path, first, end, whole = [], 0, new, True
    while old != end:
        middle = first + _split(end - first)
        if old <= middle:
            path.append(_root(nodes, middle, end))
            end = middle
        else:
            path.append(_root(nodes, first, middle))
            first, whole = middle, False
    if not whole:
        path.append(_root(nodes, first, end))
    return path[::-1]


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Say whether the proof shows that a leaf hash is the entry at ``index`` of the tree with that root."""
    if not 0 <= index < size:
        return False
    node, last = leaf, size - 1
    for one in proof:
        if last == 0:
            return False
        if index & 1 or index == last:
            node = node_hash(one, node)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            node = node_hash(node, one)
        index, last = index >> 1, last >> 1
    return last == 0 and node == root


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Say whether the proof shows that the tree with ``old_root`` is the beginning of the one with ``new_root``.

    The empty tree is the beginning of every tree, without a proof.
    """
    if not 0 <= old <= new:
        return False
    if old == new:
        return not proof and old_root == new_root
    if old == 0:
        return not proof and old_root == EMPTY_ROOT
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not path:
        return False
    index, last = old - 1, new - 1
    while index & 1:
        index, last = index >> 1, last >> 1
    first = second = path[0]
    for one in path[1:]:
        if last == 0:
            return False
        if index & 1 or index == last:
            first, second = node_hash(one, first), node_hash(one, second)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            second = node_hash(second, one)
        index, last = index >> 1, last >> 1
    return last == 0 and first == old_root and second == new_root


def _split(count: int) -> int:
    """Return the largest power of two below a number."""
    return 1 << ((count - 1).bit_length() - 1)


def _root(nodes: Nodes, first: int, end: int) -> bytes:
    count = end - first
    if count & (count - 1) == 0:
        level = count.bit_length() - 1
        return nodes(level, first >> level)
    middle = first + _split(count)
    return node_hash(_root(nodes, first, middle), _root(nodes, middle, end))
