"""What came of a verification, for people and for programs."""

import json
from pathlib import Path
from typing import Any

from evidence.checkpoint import Checkpoint, open_checkpoint
from evidence.errors import EvidenceError
from evidence.notes import VerifierKey, read_key
from evidence.verify import Verification
from evidence.verify_segments import SegmentsVerification

_LARGEST = 1 << 20


def lines(result: Verification) -> list[str]:
    """Return the result as lines."""
    told = ["VALID" if result.valid else "NOT VALID"]
    if (manifest := result.manifest) is not None:
        scope = f", control {manifest.control}" if manifest.control else ""
        told.append(f"  period       {manifest.since} to {manifest.until}{scope}")
        told.append(f"  log          {manifest.origin}, events {manifest.first} to {manifest.size}")
        told.append(
            f"  events       {result.events} verified against the signed root, {result.attestations} attestations"
        )
    if result.compared:
        told.append(f"  checkpoints  {result.compared} from a second place compared")
    elif result.valid:
        told.append(
            "  checkpoints  none from a second place given: that the platform rewrote its log can't be excluded"
        )
    told += [f"  fault: {one.where}: {one.message}" for one in result.faults]
    told += [f"  exception: {one.where}: {one.message}" for one in result.exceptions]
    return told


def document(result: Verification) -> dict[str, Any]:
    """Return the result as JSON data."""
    manifest, checkpoint = result.manifest, result.checkpoint
    return {
        "valid": result.valid,
        "period": manifest and {"from": manifest.since, "to": manifest.until},
        "control": manifest and manifest.control,
        "origin": manifest and manifest.origin,
        "events": result.events,
        "attestations": result.attestations,
        "checkpoint": checkpoint and {"size": checkpoint.size, "root": checkpoint.root.hex()},
        "checkpointsCompared": result.compared,
        "faults": [{"where": one.where, "message": one.message} for one in result.faults],
        "exceptions": [{"check": one.check, "where": one.where, "message": one.message} for one in result.exceptions],
    }


def segment_lines(result: SegmentsVerification) -> list[str]:
    """Return what came of verifying segments as lines."""
    told = ["VALID" if result.valid else "NOT VALID"]
    told.append(f"  segments     {result.segments}, events {result.first} to {result.last}")
    told.append(f"  events       {result.events} verified against their signed manifests")
    if result.removed:
        told.append(
            f"  deleted      {result.removed} segments, by the platform: of their events only the root is known"
        )
    told.append(f"  root         {result.root or 'unknown'}")
    if result.compared:
        told.append(f"  checkpoints  {result.compared} from a second place compared")
    return told + [f"  fault: segment {one.segment}: {one.message}" for one in result.faults]


def segment_document(result: SegmentsVerification) -> dict[str, Any]:
    """Return what came of verifying segments as JSON data."""
    return {
        "valid": result.valid,
        "segments": result.segments,
        "events": result.events,
        "first": result.first,
        "last": result.last,
        "root": result.root,
        "checkpointsCompared": result.compared,
        "deleted": result.removed,
        "faults": [{"segment": one.segment, "message": one.message} for one in result.faults],
    }


def key_in(file: Path) -> VerifierKey:
    """Read a public key from a file.

    Raises:
        EvidenceError: it holds none.
        OSError: it can't be read.
    """
    try:
        return read_key(_text(file))
    except EvidenceError as error:
        raise EvidenceError(f"{file}: {error.message}", error.fix) from None


def checkpoint_in(file: Path, key: VerifierKey) -> Checkpoint:
    """Read a checkpoint that was kept in a second place.

    Raises:
        EvidenceError: it is none, or another key signed it.
        OSError: it can't be read.
    """
    try:
        return open_checkpoint(_text(file), key)
    except EvidenceError as error:
        raise EvidenceError(f"{file}: {error.message}", error.fix) from None


def proof_in(file: Path) -> dict[str, Any]:
    """Read a consistency proof as the platform prints it.

    Raises:
        EvidenceError: it is none.
        OSError: it can't be read.
    """
    try:
        found = json.loads(_text(file))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise EvidenceError(f"{file}: it is no proof", "Give the JSON of `platform audit prove`.")
    return found


def _text(file: Path) -> str:
    with file.open("rb") as stream:
        raw = stream.read(_LARGEST + 1)
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise EvidenceError("it is no text") from None
    if len(raw) > _LARGEST:
        raise EvidenceError("it is too long")
    return text
