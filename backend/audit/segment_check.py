"""Checks sealed segments from their files, and goes on behind one that can't be read with what is kept of it."""

from dataclasses import dataclass, field

from sqlalchemy import Connection, Row, inspect, text

from backend.audit.chain import Fault, FaultKind
from backend.audit.models import GENESIS
from backend.audit.segment_store import SegmentStore, StoreFailed
from backend.audit.tree_check import TreeCheck
from evidence.errors import EvidenceError
from evidence.notes import VerifierKey
from evidence.segments import (
    BLOCK,
    BLOCK_LEVEL,
    ReadBlock,
    SegmentFile,
    SegmentManifest,
    file_name,
    manifest_name,
    open_removal,
    open_segment,
    segment_name,
)
from mlplatform.attest.keys import PublicKey

_SEGMENTS = text(
    "SELECT s.first_seq, s.last_seq, s.since, s.until, s.manifest, r.note FROM audit_segments s "
    "LEFT JOIN audit_segment_removals r ON r.first_seq = s.first_seq ORDER BY s.first_seq"
)
_SegmentRow = Row[tuple[int, int, str, str, str, str | None]]
_NODES = text(
    "SELECT position, hash FROM audit_nodes WHERE level = :level AND position BETWEEN :first AND :last ORDER BY position"
)
_LEFT = text("SELECT seq, id FROM audit_events WHERE seq <= :last ORDER BY seq LIMIT 20")
_MOST_RANGES = 20


@dataclass
class SegmentCheck:
    """The state of a check. After :meth:`run`, ``horizon`` is the last sealed event and ``chain`` its hash, if that is known."""

    connection: Connection
    key: PublicKey | None
    store: SegmentStore | None
    tree: TreeCheck
    faults: list[Fault] = field(default_factory=list)
    events: int = 0
    segments: int = 0
    horizon: int = 0
    chain: str | None = GENESIS
    _names: dict[str, str] = field(default_factory=dict)
    """Names of segments by the digests of their files."""

    def run(self) -> None:
        """Check all segments, in order, and that the table does not have their events, too."""
        # A database from before there were segments has no table of them.
        rows = self.connection.execute(_SEGMENTS).all() if inspect(self.connection).has_table("audit_segments") else []
        opened = [self._opened(row) for row in rows]
        self._names = {one.sha256: one.name for one in opened if isinstance(one, SegmentManifest)}
        for row, manifest in zip(rows, opened, strict=True):
            self._check(row, manifest)
        for seq, id in self.connection.execute(_LEFT, {"last": self.horizon}) if self.horizon else ():
            self._fault(seq, "inserted", f"row {seq} was inserted: event {seq} is sealed in a segment", id)

    def _opened(self, row: _SegmentRow) -> SegmentManifest | str:
        """Return the manifest in the table, or what is wrong with it."""
        try:
            found = open_segment(row.manifest, None if self.key is None else VerifierKey(self.key.raw))
        except EvidenceError as error:
            return f"its manifest is not what the platform signed: {error.message}"
        if (found.first, found.last) != (row.first_seq, row.last_seq):
            return f"its manifest is that of segment {found.name}"
        return found

    def _check(self, row: _SegmentRow, manifest: SegmentManifest | str) -> None:
        first, last = row.first_seq, row.last_seq
        name = segment_name(first, last)
        if first <= self.horizon or (first - 1) % BLOCK or last % BLOCK or last < first:
            return self._fault(first, "inserted", f"segment {name} was inserted: no segment begins and ends there")
        if first > self.horizon + 1:
            gap = f"{self.horizon + 1} to {first - 1}"
            self._fault(self.horizon + 1, "removed", f"the segments with the events {gap} are missing in the table")
            self._skip(self.horizon + 1, first - 1)
            self.chain = None
        self.horizon = last
        self.segments += 1
        if isinstance(manifest, str):
            self._fault(first, "edited", f"segment {name}: {manifest}")
            self._skip(first, last)
            self.chain = None
            return None
        if (row.since, row.until) != (manifest.since, manifest.until):
            self._fault(first, "edited", f"segment {name}: its times in the table are not those of its manifest")
        if self.chain not in (None, manifest.chain_before) or (
            not self.faults and self.tree.frontier != manifest.frontier
        ):
            self._fault(first, "edited", f"segment {name} does not go on from event {first - 1}")
        if row.note is None or not self._removed(manifest, row.note):
            self._read(manifest, row.manifest)
        self.chain = manifest.chain
        if self.tree.root() != manifest.root:
            message = f"segment {name}: what is kept of the tree does not make the root that was signed for it"
            self._fault(first, "edited", message)
        return None

    def _removed(self, manifest: SegmentManifest, note: str) -> bool:
        """Go on behind a segment that was deleted on record; false if the record is not the platform's."""
        try:
            removal = open_removal(note, None if self.key is None else VerifierKey(self.key.raw), manifest)
        except EvidenceError as error:
            message = f"segment {manifest.name}: its deletion is not what the platform signed: {error.message}"
            self._fault(manifest.first, "edited", message)
            return False
        self._skip(manifest.first, manifest.last, wanted=False)
        self.tree.warn(
            manifest.first,
            f"segment {manifest.name} was deleted at {removal.at} by {removal.by}: of the events {manifest.first} to "
            f"{manifest.last} only their root is known",
        )
        return True

    def _read(self, manifest: SegmentManifest, note: str) -> None:
        """Read a segment's files, and feed the tree with what its events are, or with what is kept of them."""
        name, first, last = manifest.name, manifest.first, manifest.last
        damaged: list[ReadBlock] = []
        if self.store is None:
            self._fault(first, "unreadable", f"segment {name}: it was not said where segments lie")
            return self._skip(first, last)
        place = self.store.place
        try:
            with self.store.open(manifest_name(name)) as stream:
                if stream.read(len(note.encode()) + 1) != note.encode():
                    self._fault(first, "edited", f"segment {name}: its manifest in {place} is not the signed one")
        except FileNotFoundError:
            self._fault(first, "removed", f"segment {name}: its manifest is missing in {place}")
        except (StoreFailed, OSError) as error:
            self._fault(first, "unreadable", f"segment {name}: its manifest can't be read: {error}")
        seen = first
        try:
            with self.store.open(file_name(name)) as stream:
                file = SegmentFile(manifest, stream)
                for block in file.blocks():
                    if block.lines is None:
                        damaged.append(block)
                        self._skip(block.first, block.first + BLOCK - 1)
                    else:
                        self.tree.feed_lines(block.first, block.lines)
                        self.events += BLOCK
                    seen = block.first + BLOCK
        except FileNotFoundError:
            self._fault(
                first,
                "removed",
                f"segment {name}: its file is missing in {place}; of the events {first} to {last} only their root is known",
            )
            return self._skip(first, last)
        except (StoreFailed, OSError) as error:
            self._fault(seen, "unreadable", f"segment {name}: its file can't be read: {error}")
            return self._skip(seen, last) if seen <= last else None
        if not file.intact:
            self._altered(manifest, file, damaged)
        return None

    def _altered(self, manifest: SegmentManifest, file: SegmentFile, damaged: list[ReadBlock]) -> None:
        name, first = manifest.name, damaged[0].first if damaged else manifest.first
        other = self._names.get(file.digest)
        if other is not None:
            return self._fault(first, "reordered", f"segment {name}: its file is that of segment {other}")
        if file.size < manifest.size and damaged:
            message = f"its file is cut off: it has {file.size} of {manifest.size} bytes, and event {first} is the first to miss"
            return self._fault(first, "truncated", f"segment {name}: {message}")
        for block in damaged[:_MOST_RANGES]:
            events = f"events {block.first} to {block.first + BLOCK - 1}"
            self._fault(block.first, "edited", f"segment {name}: its file was altered at the {events}: {block.message}")
        if not damaged:
            message = f"its file was altered: its events are there, and {file.size - manifest.size} bytes more"
            self._fault(first, "edited", f"segment {name}: {message}")
        return None

    def _skip(self, first: int, last: int, *, wanted: bool = True) -> None:
        """Go on behind events that can't be read, with the nodes that the database has kept of the tree over them."""
        begin, end = (first - 1) // BLOCK, (last - 1) // BLOCK
        found = self.connection.execute(_NODES, {"level": BLOCK_LEVEL, "first": begin, "last": end})
        kept = {position: bytes.fromhex(hash) for position, hash in found}
        for position in range(begin, end + 1):
            self.tree.skip(BLOCK_LEVEL, kept.get(position), wanted=wanted)

    def _fault(self, seq: int, kind: FaultKind, message: str, id: str | None = None) -> None:
        self.faults.append(Fault(seq, id, kind, message))
