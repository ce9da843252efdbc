"""Recomputes the Merkle tree while the chain is checked, and compares it with what is kept, signed and known from elsewhere.

The chain shows an edit that did not make all hashes after it fit. Whoever holds database and key can make everything fit, but
not a checkpoint that lies in a second place: for that, the roots at the sizes of such checkpoints are looked at on the way.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, text

from backend.audit.chain import Fault, Row
from backend.audit.tree import KEPT_LEVELS, hashes_of
from evidence.checkpoint import Checkpoint
from evidence.merkle import HASH_BYTES, Frontier, leaf_hash
from evidence.segments import time_of

_NODES = text("SELECT level, position, hash FROM audit_nodes ORDER BY level, position")
_CHUNK = 5000
_MOST_WARNINGS = 100


@dataclass(frozen=True)
class Warned:
    """Something that is odd about an event and no proof of tampering."""

    seq: int
    message: str


@dataclass
class TreeCheck:
    """The state of a check; feed it all rows in the order of ``seq``.

    ``known`` are checkpoints from elsewhere: genuine ones, whose signature was verified.
    """

    known: Sequence[Checkpoint] = ()
    warnings: list[Warned] = field(default_factory=list)
    _roots: dict[int, bytes] = field(default_factory=dict)
    _kept: dict[tuple[int, int], bytes] = field(default_factory=dict)
    _unread: list[int] = field(default_factory=list)
    _left_out: list[int] = field(default_factory=list)
    _uncertain: bool = False
    _time: str = ""

    def __post_init__(self) -> None:
        self._tree = Frontier(completed=self._keep)
        self._wanted = sorted({one.size for one in self.known}, reverse=True)
        self._note_root()

    @property
    def size(self) -> int:
        """Number of events seen."""
        return self._tree.size

    def root(self) -> bytes:
        """Return the root over the events seen."""
        return self._tree.root()

    @property
    def frontier(self) -> tuple[bytes, ...]:
        """The tree's right edge over the events seen."""
        return self._tree.hashes

    def feed_all(self, rows: Iterable[Row]) -> None:
        """Take up the next rows."""
        self._feed((row[0], row[5], row[6].encode("utf-8", "surrogatepass")) for row in rows)

    def feed_lines(self, first: int, lines: Iterable[bytes]) -> None:
        """Take up the next events by their canonical texts."""
        self._feed((seq, time_of(line), line) for seq, line in enumerate(lines, start=first))

    def warn(self, seq: int, message: str) -> None:
        """Take down something that is odd."""
        if len(self.warnings) < _MOST_WARNINGS:
            self.warnings.append(Warned(seq, message))

    def skip(self, level: int, node: bytes | None, *, wanted: bool = True) -> None:
        """Take up a complete subtree whose events are not read, by its node; nothing where that is missing, too.

        ``wanted`` is false where nobody expects that they can be read, so that checkpoints within are left out.
        """
        self._uncertain = self._uncertain or node is None
        end = self.size + (1 << level)
        while self._wanted and self._wanted[-1] < end:
            size = self._wanted.pop()
            (self._unread if wanted else self._left_out).append(size)
        self._tree.append_subtree(level, node or bytes(HASH_BYTES))
        self._note_root()

    def _feed(self, events: Iterable[tuple[int, str, bytes]]) -> None:
        append, wanted, last = self._tree.append, self._wanted, self._time
        for seq, time, line in events:
            append(leaf_hash(line))
            if time < last:
                self.warn(
                    seq, f"event {seq} is dated {time}, before the event in front of it ({last}): the clock went back"
                )
            last = time
            if wanted and wanted[-1] == self._tree.size:
                self._note_root()
        self._time = last

    def compared(self) -> list[Fault]:
        """Compare with the checkpoints from elsewhere; each range between two of them is named at most once."""
        faults: list[Fault] = []
        before = 0
        if self._uncertain:
            return faults
        for one in sorted(self.known, key=lambda known: known.size):
            if one.size in self._left_out:
                continue
            if one.size in self._unread:
                message = (
                    f"the checkpoint from elsewhere over {one.size} events can't be compared: it was signed within a "
                    "sealed segment that can't be read"
                )
                faults.append(Fault(one.size, None, "unreadable", message))
                continue
            if one.size > self.size:
                message = (
                    f"a checkpoint from elsewhere was signed when the log had {one.size} events, and it has {self.size}: "
                    f"it was cut off, or is an older copy"
                )
                return [*faults, Fault(self.size + 1, None, "truncated", message)]
            if self._roots[one.size] != one.root:
                message = (
                    f"the log was rewritten: its first {one.size} events are not those that a checkpoint from elsewhere "
                    f"was signed for; the first that differs is one of {before + 1} to {one.size}"
                )
                return [*faults, Fault(before + 1, None, "edited", message)]
            before = one.size
        return faults

    def kept(self, connection: Connection, frontier: str) -> list[Fault]:
        """Compare with the nodes and the frontier in the database, which proofs are made from."""
        last = self.size
        try:
            same = tuple(hashes_of(frontier)) == self._tree.hashes
        except ValueError:
            same = False
        if not same:
            message = "the tree's right edge in the head is not that of the events"
            return [Fault(last, None, "edited", message)]
        found = 0
        for chunk in connection.execute(_NODES).partitions(_CHUNK):
            for level, position, hash in chunk:
                found += 1
                if self._kept.get((level, position), b"").hex() != hash:
                    return [_misplaced(level, position)]
        if found != len(self._kept):
            return [Fault(last, None, "removed", f"{len(self._kept) - found} nodes of the tree are missing")]
        return []

    def _keep(self, level: int, position: int, hash: bytes) -> None:
        if level % KEPT_LEVELS == 0:
            self._kept[level, position] = hash

    def _note_root(self) -> None:
        while self._wanted and self._wanted[-1] == self._tree.size:
            self._roots[self._wanted.pop()] = self._tree.root()


def _misplaced(level: int, position: int) -> Fault:
    first = (position << level) + 1
    message = f"the tree's node {level}/{position} is not that of events {first} to {first + (1 << level) - 1}"
    return Fault(first, None, "edited", message)
