"""The Merkle tree over the audit log's canonical texts: how it grows with the log, and proofs from what is kept of it.

Kept are the complete subtrees of every eighth level (:class:`~backend.audit.models.AuditNode`). A proof in a log of ten
million events so reads a few blocks of 256 events or nodes, and never the log.
"""

from collections.abc import Callable

from sqlalchemy.orm import Session

from backend.audit import repository, searching
from backend.audit.sealed import SealedSegments
from backend.core.errors import InvalidInput, NotFound
from evidence.checkpoint import Checkpoint
from evidence.merkle import HASH_BYTES, Frontier, consistency_proof, inclusion_proof, leaf_hash, node_hash, root_at
from evidence.notes import VerifierKey

KEPT_LEVELS = 8
_BLOCK = 1 << KEPT_LEVELS
_REMEMBERED = 64


class GrowingTree:
    """The tree as the head's row holds it, while events are appended."""

    def __init__(self, size: int, frontier: str) -> None:
        self.completed: list[dict[str, object]] = []
        try:
            self._tree = Frontier(size, hashes_of(frontier), self._keep)
        except ValueError:
            raise RuntimeError("the audit log's tree does not fit its head; run `platform audit verify`") from None
        self.append = self._tree.append

    def root(self) -> bytes:
        """Return the root as of now."""
        return self._tree.root()

    @property
    def frontier(self) -> str:
        """What the head's row is to hold."""
        return "".join(one.hex() for one in self._tree.hashes)

    def _keep(self, level: int, position: int, hash: bytes) -> None:
        if level % KEPT_LEVELS == 0:
            self.completed.append({"level": level, "position": position, "hash": hash.hex()})


def hashes_of(frontier: str) -> list[bytes]:
    """Return the hashes that the head's row holds.

    Raises:
        ValueError: it holds something else.
    """
    raw = bytes.fromhex(frontier)
    return [raw[at : at + HASH_BYTES] for at in range(0, len(raw), HASH_BYTES)]


def unsigned_checkpoint(key: VerifierKey, size: int, root: bytes, chain: str) -> Checkpoint:
    """Return the checkpoint of this platform's log at that size."""
    return Checkpoint(key.origin, size, root, chain)


class KeptTree:
    """Reads nodes for proofs; the last blocks that were read are remembered."""

    def __init__(self, session: Session, sealed: SealedSegments) -> None:
        self._session, self._sealed = session, sealed
        self._blocks: dict[tuple[int, int], list[bytes]] = {}

    def __call__(self, level: int, index: int) -> bytes:
        """Return the hash of a complete subtree."""
        kept = level - level % KEPT_LEVELS
        row, first = self._block(kept, index, level - kept)
        count = 1 << (level - kept)
        hashes = row[first : first + count]
        if len(hashes) != count:
            raise RuntimeError(f"the audit log's tree lacks node {level}/{index}; run `platform audit verify`")
        while len(hashes) > 1:
            hashes = [node_hash(hashes[at], hashes[at + 1]) for at in range(0, len(hashes), 2)]
        return hashes[0]

    def _block(self, kept: int, index: int, height: int) -> tuple[list[bytes], int]:
        first = index << height
        number = first // _BLOCK
        if (kept, number) not in self._blocks:
            read: Callable[[Session, int, int], list[bytes]] = self._leaves if kept == 0 else self._nodes(kept)
            if len(self._blocks) >= _REMEMBERED:
                del self._blocks[next(iter(self._blocks))]
            self._blocks[kept, number] = read(self._session, number * _BLOCK, _BLOCK)
        return self._blocks[kept, number], first % _BLOCK

    def _leaves(self, session: Session, first: int, count: int) -> list[bytes]:
        found = searching.texts(session, self._sealed, first + 1, first + count)
        return [leaf_hash(text.encode()) for text in found]

    @staticmethod
    def _nodes(level: int) -> Callable[[Session, int, int], list[bytes]]:
        def read(session: Session, first: int, count: int) -> list[bytes]:
            return [bytes.fromhex(one) for one in repository.nodes(session, level, first, first + count - 1)]

        return read


def inclusion(
    session: Session, sealed: SealedSegments, seq: int, size: int | None
) -> tuple[int, list[bytes], bytes, bytes]:
    """Return the tree's size, the proof that event ``seq`` is in it, its leaf hash and the root.

    Raises:
        NotFound: there is no such event.
        InvalidInput: the log never had that size, or not yet that event.
        SegmentUnreadable: it or a neighbour lies in a sealed segment that can't be read.
    """
    size, kept = _known(session, size, "size"), KeptTree(session, sealed)
    if seq > size:
        raise NotFound(f"a log of {size} events has no event {seq}")
    leaf = kept(0, seq - 1)
    return size, inclusion_proof(kept, seq - 1, size), leaf, root_at(kept, size)


def consistency(
    session: Session, sealed: SealedSegments, old: int, new: int | None
) -> tuple[int, list[bytes], bytes, bytes]:
    """Return the newer size, the proof that the log's first ``old`` events are its beginning, and both roots.

    Raises:
        InvalidInput: the log never had that size, or the sizes are the wrong way round.
        SegmentUnreadable: a size falls into a block of a sealed segment that can't be read.
    """
    new, kept = _known(session, new, "to"), KeptTree(session, sealed)
    if old > new:
        raise InvalidInput(f"query/from: {old} is larger than {new}, the size that it is to be compared with")
    return new, consistency_proof(kept, old, new), root_at(kept, old), root_at(kept, new)


def root_of(session: Session, sealed: SealedSegments, size: int) -> bytes:
    """Return the root that the log had at a size, from what is kept."""
    return root_at(KeptTree(session, sealed), size)


def _known(session: Session, size: int | None, name: str) -> int:
    last = repository.last_seq(session)
    if last == 0:
        raise NotFound("the audit log has no events yet")
    if size is not None and size > last:
        raise InvalidInput(f"query/{name}: the log has {last} events, not {size}")
    return last if size is None else size
