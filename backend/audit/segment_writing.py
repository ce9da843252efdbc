"""Writes a segment's file from rows of the table, and makes sure that it is what the log was signed for."""

import zlib
from collections import Counter
from datetime import datetime
from hashlib import file_digest, sha256
from pathlib import Path

import orjson
from sqlalchemy.orm import Session

from backend.audit import reading
from backend.audit import repository as log_repository
from backend.audit import segment_repository as repository
from backend.audit.reading import LogDamaged
from backend.audit.service import AuditService
from backend.audit.tree import root_of
from backend.core.database import Database
from backend.core.schemas import utc
from evidence.checkpoint import open_checkpoint
from evidence.errors import EvidenceError
from evidence.merkle import Frontier, leaf_hash
from evidence.segments import BLOCK, GENESIS, Block, SegmentFile, SegmentManifest, file_name

_GZIP = 31
_LEVEL = 6
_PIECE = 16 * BLOCK


def write_segment(
    database: Database, audit: AuditService, file: Path, first: int, last: int, sealed_at: datetime
) -> SegmentManifest:
    """Write the events from ``first`` to ``last`` to a file; the same events always make the same file.

    Raises:
        LogDamaged: they are not what the log was signed for, so they must not leave it.
    """
    with database.read() as session:
        chain_before = _chain_before(session, audit, first)
        frontier = reading.frontier(session, audit.sealed, first - 1)
        root = _signed_root(session, audit, last)
    tree, chain = Frontier(first - 1, frontier), chain_before
    blocks: list[Block] = []
    types: Counter[str] = Counter()
    times: set[str] = set()
    size = 0
    with file.open("wb") as into:
        for start in range(first, last + 1, _PIECE):
            with database.read() as session:
                rows = repository.rows(session, start, min(start + _PIECE - 1, last))
            for at in range(0, len(rows), BLOCK):
                lines = []
                for text, hash in rows[at : at + BLOCK]:
                    line = text.encode()
                    event = orjson.loads(line)
                    types[event["type"]] += 1
                    times.add(event["time"])
                    chain = sha256(chain.encode() + line).hexdigest()
                    if chain != hash or int(event["sequence"]) != tree.size + 1:
                        raise LogDamaged(f"event {tree.size + 1} is not what was written; run `platform audit verify`")
                    tree.append(leaf_hash(line))
                    lines.append(line)
                packed = _packed(lines)
                into.write(packed)
                size += len(packed)
                blocks.append(Block(size, chain))
            times = {min(times), max(times)} if times else times
    if tree.size != last or tree.root() != root:
        raise LogDamaged(f"the events {first} to {last} are not those that were signed; run `platform audit verify`")
    with file.open("rb") as stream:
        digest = file_digest(stream, "sha256").hexdigest()
    return SegmentManifest(
        origin=audit.verifier.origin,
        first=first,
        last=last,
        since=min(times),
        until=max(times),
        types=dict(types),
        chain_before=chain_before,
        frontier=frontier,
        root=root,
        sha256=digest,
        size=size,
        blocks=tuple(blocks),
        sealed=utc(sealed_at),
    )


def read_back(audit: AuditService, manifest: SegmentManifest) -> None:
    """Read a segment's file from the store, and hold all of it against its manifest.

    Raises:
        StoreFailed: the store does not answer.
        LogDamaged: what it gives back is something else.
        OSError: reading was cut off.
    """
    tree = Frontier(manifest.first - 1, manifest.frontier)
    with audit.sealed.store.open(file_name(manifest.name)) as stream:
        file = SegmentFile(manifest, stream)
        for block in file.blocks():
            for line in block.lines or ():
                tree.append(leaf_hash(line))
    if not file.intact or tree.root() != manifest.root:
        raise LogDamaged(f"{audit.sealed.store.place} gives back another file than was put there")


def _chain_before(session: Session, audit: AuditService, first: int) -> str:
    before = next(iter(repository.spans(session, first - 1, first - 1)), None)
    if before is None:
        return GENESIS
    return audit.sealed.manifest(session, before.first, before.last).chain


def _signed_root(session: Session, audit: AuditService, size: int) -> bytes:
    """Return the root at a size, made of nodes that the next checkpoint vouches for."""
    end = log_repository.checkpoint_from(session, size)
    if end is None:
        raise LogDamaged(f"there is no checkpoint from event {size} on; run `platform audit verify`")
    found, note = audit.checkpoint(session, end)
    try:
        open_checkpoint(note, audit.verifier)
    except EvidenceError as error:
        raise LogDamaged(f"the checkpoint at event {end}: {error.message}; run `platform audit verify`") from None
    if root_of(session, audit.sealed, end) != found.root:
        raise LogDamaged(
            f"what is kept of the tree is not what the checkpoint at event {end} was signed for; run `platform audit verify`"
        )
    return root_of(session, audit.sealed, size)


def _packed(lines: list[bytes]) -> bytes:
    # gzip's header without a time, so that the same events make the same bytes.
    deflater = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    return deflater.compress(b"".join(line + b"\n" for line in lines)) + deflater.flush()
