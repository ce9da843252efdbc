"""Sealed segments of the audit log: a file with some of its events, and the manifest that the platform signed for it.

The file has one canonical event a line and is compressed: a gzip member (RFC 1952) for each block of 256 events, one after the
other. So any tool unpacks the whole, and a block can be read alone. The manifest is a signed note: the format's name on its
first line, then one JSON document. It holds the chain's hash at the end of each block, so each block is verified by itself, and
the tree's frontier before and root behind the segment, so the log is verified across segments of which some can't be read.
"""

import json
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import IO, Any

from evidence.errors import EvidenceError
from evidence.merkle import HASH_BYTES, Frontier
from evidence.notes import VerifierKey, open_note, sign_note

FORMAT = "ml-platform audit segment v1"
REMOVAL = "ml-platform audit segment removal v1"
BLOCK = 256
"""Events of a block; segments begin and end between blocks, as complete subtrees of so many events do."""
BLOCK_LEVEL = 8
GENESIS = "0" * 64
"""What the log's first event is chained to."""
LARGEST_BLOCK = 256 << 20
"""Most bytes that a block may unpack to."""
_GZIP = 31
_HEX = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"(\d{16})-(\d{16})\.manifest")
_TIME = b'"time":"'


@dataclass(frozen=True)
class Block:
    """Where a block ends: in the file, and in the chain."""

    end: int
    chain: str


@dataclass(frozen=True)
class SegmentManifest:
    """What the platform says of a segment.

    ``since`` and ``until`` are the earliest and the latest time of its events, ``types`` how many there are of each type.
    ``frontier`` is the tree's right edge before its first event, ``root`` the root with its last one.
    """

    origin: str
    first: int
    last: int
    since: str
    until: str
    types: dict[str, int]
    chain_before: str
    frontier: tuple[bytes, ...]
    root: bytes
    sha256: str
    size: int
    blocks: tuple[Block, ...]
    sealed: str

    @property
    def name(self) -> str:
        """The segment's name: its first and last number."""
        return segment_name(self.first, self.last)

    @property
    def chain(self) -> str:
        """Hash of its last event."""
        return self.blocks[-1].chain

    @property
    def events(self) -> int:
        """How many events it has."""
        return self.last - self.first + 1

    def span(self, number: int) -> tuple[int, int]:
        """Return where in the file the block with that number (from 0) begins and ends."""
        return (self.blocks[number - 1].end if number else 0), self.blocks[number].end

    def chain_at(self, number: int) -> str:
        """Return the hash of the event before the block with that number."""
        return self.blocks[number - 1].chain if number else self.chain_before

    def note(self, key: VerifierKey, sign: Callable[[bytes], bytes]) -> str:
        """Return it as a signed note."""
        document = {
            "origin": self.origin,
            "events": {"first": self.first, "last": self.last, "types": dict(sorted(self.types.items()))},
            "times": {"earliest": self.since, "latest": self.until, "sealed": self.sealed},
            "chain": {"before": self.chain_before, "after": self.chain},
            "tree": {"frontier": [one.hex() for one in self.frontier], "root": self.root.hex()},
            "file": {"name": file_name(self.name), "sha256": self.sha256, "bytes": self.size},
            "blocks": [[one.end, one.chain] for one in self.blocks],
        }
        return sign_note(f"{FORMAT}\n{json.dumps(document, separators=(',', ':'))}\n", key.raw, sign)


@dataclass(frozen=True)
class Removal:
    """That a segment's events were deleted: when, and by which retention run. Its manifest stays, with root and chain."""

    origin: str
    segment: str
    root: str
    at: str
    by: str

    def note(self, key: VerifierKey, sign: Callable[[bytes], bytes]) -> str:
        """Return it as a signed note."""
        said = {"origin": self.origin, "segment": self.segment, "root": self.root, "at": self.at, "by": self.by}
        return sign_note(f"{REMOVAL}\n{json.dumps(said, separators=(',', ':'))}\n", key.raw, sign)


@dataclass(frozen=True)
class ReadBlock:
    """A block as it was found: its lines, or what is wrong with it."""

    first: int
    lines: Sequence[bytes] | None
    message: str | None = None


def segment_name(first: int, last: int) -> str:
    """Return the name of the segment with these events."""
    return f"{first:016}-{last:016}"


def file_name(name: str) -> str:
    """Return the name of the file with a segment's events."""
    return f"{name}.jsonl.gz"


def manifest_name(name: str) -> str:
    """Return the name of the file with a segment's manifest."""
    return f"{name}.manifest"


def removal_name(name: str) -> str:
    """Return the name of the file that says that a segment's events were deleted."""
    return f"{name}.removal"


def named_range(file: str) -> tuple[int, int] | None:
    """Return the first and last number that a manifest's file name speaks of; nothing if it is no such name."""
    found = _NAME.fullmatch(file)
    return (int(found[1]), int(found[2])) if found else None


def open_segment(note: str, key: VerifierKey | None) -> SegmentManifest:
    """Read a manifest that the key signed; without a key, one that anybody may have written.

    Raises:
        EvidenceError: it is none, was changed, or is of another log.
    """
    try:
        found = _manifest(_document(note, key, FORMAT))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise EvidenceError("it is no segment's manifest that this version can read") from None
    if key is not None and found.origin != key.origin:
        raise EvidenceError(f"it is the manifest of a segment of {found.origin}, not of {key.origin}")
    return found


def open_removal(note: str, key: VerifierKey | None, manifest: SegmentManifest) -> Removal:
    """Read that a segment's events were deleted, as the key signed it; without a key, as anybody may have written it.

    Raises:
        EvidenceError: it says no such thing, or of another segment.
    """
    try:
        said = _document(note, key, REMOVAL)
        found = Removal(*(str(said[name]) for name in ("origin", "segment", "root", "at", "by")))
    except (ValueError, KeyError, TypeError):
        raise EvidenceError("it is no segment's removal that this version can read") from None
    if (found.origin, found.segment, found.root) != (manifest.origin, manifest.name, manifest.root.hex()):
        raise EvidenceError(f"it is the removal of segment {found.segment} of {found.origin}")
    return found


def unpacked(raw: bytes) -> list[bytes]:
    """Return the lines of a block as it lies in the file.

    Raises:
        EvidenceError: it is damaged.
    """
    try:
        inflater = zlib.decompressobj(_GZIP)
        text = inflater.decompress(raw, LARGEST_BLOCK)
    except zlib.error as error:
        raise EvidenceError(f"it can't be unpacked: {error}") from None
    if not inflater.eof or inflater.unused_data:
        raise EvidenceError("it is cut off, or something else stands in its place")
    *lines, rest = text.split(b"\n")
    if rest or len(lines) != BLOCK:
        raise EvidenceError(f"it holds {len(lines)} lines instead of {BLOCK}")
    return lines


def verified(manifest: SegmentManifest, number: int, raw: bytes) -> list[bytes]:
    """Return the lines of a block, which are those that the manifest was signed for.

    Raises:
        EvidenceError: they are not; the message goes on from the block's name.
    """
    lines, chain = unpacked(raw), manifest.chain_at(number)
    for line in lines:
        chain = sha256(chain.encode() + line).hexdigest()
    if chain != manifest.blocks[number].chain:
        raise EvidenceError("its events are not those that were sealed")
    return lines


class SegmentFile:
    """A segment's file, while it is read. When all blocks were taken, ``size`` and ``digest`` are those of the whole file."""

    def __init__(self, manifest: SegmentManifest, stream: IO[bytes]) -> None:
        self._manifest, self._stream = manifest, stream
        self._sum = sha256()
        self.size = 0

    @property
    def digest(self) -> str:
        """SHA-256 of what was read."""
        return self._sum.hexdigest()

    @property
    def intact(self) -> bool:
        """Whether the whole file is the one that was sealed."""
        return self.size == self._manifest.size and self.digest == self._manifest.sha256

    def blocks(self) -> Iterator[ReadBlock]:
        """Yield the blocks, each verified by itself.

        Raises:
            OSError: the file can't be read.
        """
        manifest = self._manifest
        for number in range(len(manifest.blocks)):
            start, end = manifest.span(number)
            raw = self._read(end - start)
            first = manifest.first + number * BLOCK
            try:
                yield ReadBlock(first, verified(manifest, number, raw))
            except EvidenceError as error:
                yield ReadBlock(first, None, error.message)
        while self._read(1 << 16):
            pass

    def _read(self, count: int) -> bytes:
        parts = []
        while count and (part := self._stream.read(count)):
            parts.append(part)
            count -= len(part)
        raw = b"".join(parts)
        self._sum.update(raw)
        self.size += len(raw)
        return raw


def time_of(line: bytes) -> str:
    """Return the time of a canonical event without parsing all of it: only ``type`` comes behind it, as members are sorted."""
    start = line.rindex(_TIME) + len(_TIME)
    return line[start : line.index(b'"', start)].decode()


def _document(note: str, key: VerifierKey | None, format: str) -> dict[str, Any]:
    head, _, text = (note.rpartition("\n\n")[0] if key is None else open_note(note, key)).partition("\n")
    try:
        document = json.loads(text) if head == format else None
    except RecursionError:
        document = None
    if not isinstance(document, dict):
        raise ValueError
    return document


def _manifest(document: dict[str, Any]) -> SegmentManifest:
    events, times, chain, tree, file = (document[name] for name in ("events", "times", "chain", "tree", "file"))
    blocks = tuple(Block(int(end), str(hash)) for end, hash in document["blocks"])
    found = SegmentManifest(
        origin=str(document["origin"]),
        first=int(events["first"]),
        last=int(events["last"]),
        since=str(times["earliest"]),
        until=str(times["latest"]),
        types={str(name): int(count) for name, count in events["types"].items()},
        chain_before=str(chain["before"]),
        frontier=tuple(bytes.fromhex(one) for one in tree["frontier"]),
        root=bytes.fromhex(tree["root"]),
        sha256=str(file["sha256"]),
        size=int(file["bytes"]),
        blocks=blocks,
        sealed=str(times["sealed"]),
    )
    ends = [0, *(one.end for one in blocks)]
    hashes = [found.chain_before, str(chain["after"]), found.sha256, *(one.chain for one in blocks)]
    fits = (
        found.first >= 1
        and (found.first - 1) % BLOCK == 0
        and bool(blocks)
        and found.events == len(blocks) * BLOCK
        and chain["after"] == found.chain
        and file["name"] == file_name(found.name)
        and ends == sorted(set(ends))
        and ends[-1] == found.size
        and all(_HEX.fullmatch(one) for one in hashes)
        and len(found.root) == HASH_BYTES
    )
    if not fits:
        raise ValueError
    Frontier(found.first - 1, found.frontier)
    return found
