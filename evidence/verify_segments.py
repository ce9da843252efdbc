"""Verifies sealed segments of the audit log offline: their files in a folder, and the platform's public key."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from evidence.checkpoint import Checkpoint
from evidence.errors import EvidenceError
from evidence.merkle import Frontier, leaf_hash
from evidence.notes import VerifierKey
from evidence.segments import (
    BLOCK,
    SegmentFile,
    SegmentManifest,
    file_name,
    named_range,
    open_removal,
    open_segment,
    removal_name,
    segment_name,
)

_LARGEST_MANIFEST = 1 << 20
_MOST_FAULTS = 100


@dataclass(frozen=True)
class SegmentFault:
    """One thing that is wrong with a segment."""

    segment: str
    message: str


@dataclass
class SegmentsVerification:
    """What came of it. ``removed`` segments were deleted by the platform, which signed that and keeps their roots."""

    faults: list[SegmentFault] = field(default_factory=list)
    segments: int = 0
    events: int = 0
    first: int = 0
    last: int = 0
    root: str = ""
    compared: int = 0
    removed: int = 0

    @property
    def valid(self) -> bool:
        """Whether the files are what the platform sealed, one after the other."""
        return not self.faults


def verify_segments(
    folder: Path,
    key: VerifierKey,
    known: Sequence[Checkpoint] = (),
    progress: Callable[[int], None] | None = None,
) -> SegmentsVerification:
    """Check the segments in a folder; ``known`` are checkpoints from a second place, compared where they lie within.

    Raises:
        EvidenceError: there are none.
        OSError: the folder can't be read.
    """
    ranges = sorted(found for one in folder.iterdir() if (found := named_range(one.name)) is not None)
    if not ranges:
        raise EvidenceError(f"{folder} holds no sealed segments", "Give the folder with the files *.manifest.")
    return _Check(folder, key, known, progress).run(ranges)


class _Check:
    """The state of one verification."""

    def __init__(
        self, folder: Path, key: VerifierKey, known: Sequence[Checkpoint], progress: Callable[[int], None] | None
    ) -> None:
        self._folder, self._key, self._progress = folder, key, progress
        self._known = {one.size: one for one in known}
        self._before: SegmentManifest | None = None
        self.found = SegmentsVerification()

    def run(self, ranges: Sequence[tuple[int, int]]) -> SegmentsVerification:
        found, end = self.found, ranges[0][0] - 1
        found.first = ranges[0][0]
        for first, last in ranges:
            # What an attempt has left that was given up: another segment has its events, too.
            if first <= end or any(one == first and until > last for one, until in ranges):
                continue
            name = segment_name(first, last)
            if first != end + 1:
                self._fault(name, f"the segments with the events {end + 1} to {first - 1} are missing before it")
                self._before = None
            self._segment(name, first, last)
            end = found.last = last
        return found

    def _segment(self, name: str, first: int, last: int) -> None:
        try:
            with (self._folder / f"{name}.manifest").open("rb") as stream:
                note = stream.read(_LARGEST_MANIFEST + 1).decode()
            manifest = open_segment(note, self._key)
        except (EvidenceError, UnicodeDecodeError) as error:
            self._fault(name, f"its manifest: {error}")
            self._before = None
            return
        if (manifest.first, manifest.last) != (first, last):
            self._fault(name, f"its manifest is that of segment {manifest.name}")
            self._before = None
            return
        before = self._before
        if before is not None and (
            manifest.chain_before != before.chain
            or Frontier(manifest.first - 1, manifest.frontier).root() != before.root
        ):
            self._fault(name, f"it does not go on from segment {before.name}")
        self._before = manifest
        self.found.segments += 1
        self.found.root = manifest.root.hex()
        self._events(manifest)

    def _events(self, manifest: SegmentManifest) -> None:
        found, tree, damaged = self.found, Frontier(manifest.first - 1, manifest.frontier), False
        try:
            with (self._folder / file_name(manifest.name)).open("rb") as stream:
                file = SegmentFile(manifest, stream)
                for block in file.blocks():
                    if block.lines is None:
                        events = f"events {block.first} to {block.first + BLOCK - 1}"
                        self._fault(manifest.name, f"its file was altered at the {events}: {block.message}")
                        damaged = True
                        continue
                    found.events += BLOCK
                    if damaged:
                        continue
                    for line in block.lines:
                        tree.append(leaf_hash(line))
                        if tree.size in self._known:
                            self._compare(manifest, tree)
                    if self._progress is not None:
                        self._progress(found.events)
        except FileNotFoundError:
            if not self._removed(manifest):
                self._fault(manifest.name, "its file is missing")
            return
        if damaged:
            return
        if not file.intact:
            self._fault(manifest.name, f"its file has {file.size} bytes instead of {manifest.size}, or other ones")
        if tree.root() != manifest.root:
            self._fault(manifest.name, "its events do not make the root that was signed for it")

    def _removed(self, manifest: SegmentManifest) -> bool:
        """Say whether the platform signed that it deleted the segment's events."""
        try:
            with (self._folder / removal_name(manifest.name)).open("rb") as stream:
                open_removal(stream.read(_LARGEST_MANIFEST + 1).decode(), self._key, manifest)
        except FileNotFoundError:
            return False
        except (EvidenceError, UnicodeDecodeError) as error:
            self._fault(manifest.name, f"the note of its deletion: {error}")
            return False
        self.found.removed += 1
        return True

    def _compare(self, manifest: SegmentManifest, tree: Frontier) -> None:
        self.found.compared += 1
        if self._known[tree.size].root != tree.root():
            said = f"the log was rewritten: the checkpoint from elsewhere over {tree.size} events has another root"
            self._fault(manifest.name, said)

    def _fault(self, segment: str, message: str) -> None:
        if len(self.found.faults) < _MOST_FAULTS:
            self.found.faults.append(SegmentFault(segment, message))
