"""A pack's manifest: what it is about, what belongs to it, and the signature over all of that."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from evidence import archive as names
from evidence.archive import Archive
from evidence.errors import EvidenceError
from evidence.notes import VerifierKey, open_note, sign_note

FORMAT = "ml-platform evidence pack v1"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
_HEX = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Listed:
    """One file of the pack."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class Manifest:
    """What a verified manifest says.

    ``first`` and ``size`` are the numbers of the first and last event in the pack, ``first_within`` and ``last_within`` those of
    the period: what stands around them shows that nothing of it is left out.
    """

    origin: str
    platform: str
    since: str
    until: str
    control: str | None
    first: int
    size: int
    first_within: int
    last_within: int
    tables: tuple[str, ...]
    sample_size: int
    sample_seed: str | None
    block: int
    blocks: tuple[str, ...]
    files: dict[str, Listed]


def sign_manifest(text: bytes, key: VerifierKey, sign: Callable[[bytes], bytes]) -> str:
    """Return the note that is a manifest's signature."""
    return sign_note(_said(text), key.raw, sign)


def read_manifest(pack: Archive, key: VerifierKey) -> Manifest:
    """Read the manifest that the key signed.

    Raises:
        EvidenceError: it is missing, changed, signed by another key, or no manifest.
    """
    text = pack.read(names.MANIFEST)
    try:
        note = pack.read(names.SIGNATURE).decode()
    except UnicodeDecodeError:
        raise EvidenceError("its signature is no text") from None
    if open_note(note, key) != _said(text):
        raise EvidenceError("it was changed: its digest is not the one that was signed")
    document = pack.json(names.MANIFEST)
    try:
        return _manifest(document)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise EvidenceError(
            "it is no manifest that this version can read", "Install a newer platform-evidence."
        ) from None


def _said(text: bytes) -> str:
    return f"{FORMAT}\n{sha256(text).hexdigest()}\n"


def _manifest(document: dict[str, Any]) -> Manifest:
    period, events, sample, tree = (document[name] for name in ("period", "events", "sample", "tree"))
    control, seed = document["control"], sample["seed"]
    files = {name: Listed(one["sha256"], int(one["bytes"])) for name, one in document["files"].items()}
    times = (period["from"], period["to"])
    blocks = tuple(tree["blocks"])
    if document["format"] != FORMAT or not all(_TIME.fullmatch(one) for one in times):
        raise ValueError
    if not all(_HEX.fullmatch(one.sha256) for one in files.values()) or not all(_HEX.fullmatch(one) for one in blocks):
        raise ValueError
    if int(events["first"]) < 1 or int(events["last"]) < int(events["first"]) - 1 or int(tree["block"]) < 1:
        raise ValueError
    return Manifest(
        origin=str(document["origin"]),
        platform=str(document["platform"]),
        since=times[0],
        until=times[1],
        control=None if control is None else str(control),
        first=int(events["first"]),
        size=int(events["last"]),
        first_within=int(period["firstEvent"]),
        last_within=int(period["lastEvent"]),
        tables=tuple(str(one) for one in document["tables"]),
        sample_size=int(sample["size"]),
        sample_seed=None if seed is None else str(seed),
        block=int(tree["block"]),
        blocks=blocks,
        files=files,
    )
