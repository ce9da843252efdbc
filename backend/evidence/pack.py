"""Writes a pack: one zip file, from a stream of events, in memory that does not grow with the number of events.

It knows nothing of the database, so that whatever has events can be packed.
"""

import base64
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Protocol

import orjson

from backend.core.schemas import utc
from backend.evidence import report
from backend.evidence.checks import ControlState
from backend.evidence.oscal import assessment_results
from evidence import archive as names
from evidence.checkpoint import Checkpoint
from evidence.events import Event, event_of
from evidence.manifest import FORMAT, sign_manifest
from evidence.merkle import Frontier, leaf_hash
from evidence.notes import VerifierKey
from evidence.tables import CsvTables, Noted, TableSet
from evidence.tables.listed import ATTESTED

EVENTS_A_FILE = 50_000
_BLOCK = 16
"""So many events share a digest in the manifest, which says where a change was made."""
_ENVELOPES = 500
_LEVEL = 4
_REPORT = 5_000
_PIECE = 1 << 16


@dataclass(frozen=True)
class Wanted:
    """What a pack is about."""

    platform: str
    since: datetime
    until: datetime
    control: str | None
    tables: Sequence[str] | None
    sample_size: int
    sample_seed: str | None
    made_at: datetime


class Source(Protocol):
    """Where a pack's contents come from."""

    first: int
    first_within: int
    last_within: int
    checkpoint: Checkpoint
    note: str

    def frontier(self) -> Sequence[bytes]:
        """Return the tree's right edge before the first event."""
        ...

    def context(self) -> Iterator[tuple[str, list[bytes]]]:
        """Yield the texts of events from before, with their inclusion proofs, in order."""
        ...

    def events(self) -> Iterator[str]:
        """Yield the canonical texts of all events, in order."""
        ...

    def envelopes(self, ids: Sequence[str]) -> Mapping[str, str]:
        """Return the envelopes of attestations by their ids."""
        ...

    def keys(self, ids: Sequence[str]) -> Mapping[str, bytes]:
        """Return public keys by their ids."""
        ...

    def states(self, exceptions: Sequence[Noted]) -> Sequence[ControlState]:
        """Return how the controls stood."""
        ...


class RootDiffers(Exception):
    """The events do not make the root that was signed."""


def write_pack(
    file: Path,
    wanted: Wanted,
    source: Source,
    key: VerifierKey,
    sign: Callable[[bytes], bytes],
    progress: Callable[[int], None],
) -> None:
    """Write the pack; ``progress`` is told now and then how many events are in it.

    Raises:
        RootDiffers: the log was tampered with; `platform audit verify` says where.
    """
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as zipped:
        _Writer(zipped, wanted, source, progress).write(key, sign)


class _Writer:
    """The state of one pack."""

    def __init__(
        self, zipped: zipfile.ZipFile, wanted: Wanted, source: Source, progress: Callable[[int], None]
    ) -> None:
        self._zip, self._wanted, self._source, self._progress = zipped, wanted, source, progress
        self._files: dict[str, dict[str, object]] = {}
        self._keys: set[str] = set()
        self._attestation_files = 0
        self._tables = TableSet(sample_size=wanted.sample_size, only=wanted.tables)

    def write(self, key: VerifierKey, sign: Callable[[bytes], bytes]) -> None:
        wanted, source = self._wanted, self._source
        frontier = list(source.frontier())
        tree = Frontier(source.first - 1, frontier)
        document = {"size": tree.size, "hashes": [one.hex() for one in frontier]}
        self._document(names.FRONTIER, _pretty(document))
        with CsvTables(self._tables) as made:
            self._context(made)
            blocks = self._events(tree, made)
            if tree.root() != source.checkpoint.root:
                raise RootDiffers("the events do not make the root that was signed; run `platform audit verify`")
            made.finish(wanted.sample_seed or source.checkpoint.root.hex())
            for name, file in made.files():
                self._stream(f"csv/{name}.csv", iter(partial(file.read, 1 << 16), b""))
            counts = dict(made.counts)
        found = {one: base64.b64encode(raw).decode() for one, raw in source.keys(sorted(self._keys)).items()}
        self._document(names.KEYS, _pretty(dict(sorted(found.items()))))
        self._document(names.CHECKPOINT, source.note)
        self._readable(counts)
        text = _pretty(self._manifest(blocks)).encode()
        self._stream(names.MANIFEST, iter([text]))
        self._document(names.SIGNATURE, sign_manifest(text, key, sign))

    def _context(self, made: CsvTables) -> None:
        attested: list[Event] = []

        def lines() -> Iterator[bytes]:
            for text, proof in self._source.context():
                event = event_of(orjson.loads(text))
                made.feed(event, context=True)
                if event.type == ATTESTED:
                    attested.append(event)
                yield json.dumps({"event": text, "proof": [one.hex() for one in proof]}).encode() + b"\n"

        self._stream(names.CONTEXT, lines())
        self._stream(names.CONTEXT_ATTESTATIONS, self._envelopes(attested))

    def _events(self, tree: Frontier, made: CsvTables) -> list[str]:
        texts = self._source.events()
        blocks: list[str] = []
        block, done, number = sha256(), 0, 0
        attested: list[Event] = []

        def lines() -> Iterator[bytes]:
            nonlocal block, done
            for text in texts:
                raw = text.encode()
                event = event_of(orjson.loads(raw))
                leaf = leaf_hash(raw)
                tree.append(leaf)
                block.update(leaf)
                done += 1
                if done % _REPORT == 0:
                    self._progress(done)
                if done % _BLOCK == 0:
                    blocks.append(block.hexdigest())
                    block = sha256()
                if event.seq <= self._source.last_within:
                    made.feed(event, context=event.seq < self._source.first_within)
                if event.type == ATTESTED:
                    attested.append(event)
                yield raw + b"\n"
                if done % EVENTS_A_FILE == 0:
                    break

        while tree.size < self._source.checkpoint.size:
            before, number = done, number + 1
            self._stream(f"events/{number:06}.jsonl", lines())
            if attested:
                self._attestation_files += 1
                self._stream(f"attestations/{self._attestation_files:06}.jsonl", self._envelopes(attested))
                attested.clear()
            if done == before:
                break  # fewer than there should be: the root tells
        if done % _BLOCK:
            blocks.append(block.hexdigest())
        self._progress(done)
        return blocks

    def _envelopes(self, attested: Sequence[Event]) -> Iterator[bytes]:
        for start in range(0, len(attested), _ENVELOPES):
            piece = attested[start : start + _ENVELOPES]
            found = self._source.envelopes([one.text("attestation") for one in piece])
            for one in piece:
                self._keys.add(one.text("keyId"))
                yield found.get(one.text("attestation"), "").encode() + b"\n"

    def _readable(self, counts: Mapping[str, int]) -> None:
        wanted, source = self._wanted, self._source
        exceptions = self._tables.exceptions()
        states = source.states(exceptions)
        period = (utc(wanted.since), utc(wanted.until))
        title = {
            "Platform": wanted.platform,
            "Period": f"{period[0]} to {period[1]}",
            **({"Control": wanted.control} if wanted.control else {}),
            "Log": source.checkpoint.origin,
            "Events": f"{source.first} to {source.checkpoint.size}",
            "Root": source.checkpoint.root.hex(),
            "Sample's seed": wanted.sample_seed or source.checkpoint.root.hex(),
            "Made": utc(wanted.made_at),
        }
        document = assessment_results(
            states,
            origin=source.checkpoint.origin,
            root=source.checkpoint.root.hex(),
            since=period[0],
            until=period[1],
            made=utc(wanted.made_at),
        )
        self._document("oscal-assessment-results.json", _pretty(document))
        self._document("report.html", report.page(title, states, exceptions, counts))
        self._document("README.md", report.readme(title, "platform-evidence verify PACK.zip --key key.pub"))

    def _manifest(self, blocks: list[str]) -> dict[str, object]:
        wanted, source = self._wanted, self._source
        return {
            "format": FORMAT,
            "platform": wanted.platform,
            "origin": source.checkpoint.origin,
            "made": utc(wanted.made_at),
            "period": {
                "from": utc(wanted.since),
                "to": utc(wanted.until),
                "firstEvent": source.first_within,
                "lastEvent": source.last_within,
            },
            "control": wanted.control,
            "events": {"first": source.first, "last": source.checkpoint.size},
            "tables": [one.name for one in self._tables.tables],
            "sample": {"size": wanted.sample_size, "seed": wanted.sample_seed},
            "files": dict(sorted(self._files.items())),
            "tree": {"block": _BLOCK, "blocks": blocks},
        }

    def _document(self, name: str, text: str) -> None:
        self._stream(name, iter([text.encode()]))

    def _stream(self, name: str, chunks: Iterator[bytes]) -> None:
        digest, size = sha256(), 0
        with self._zip.open(name, "w", force_zip64=True) as into:
            for chunk in _gathered(chunks):
                digest.update(chunk)
                size += len(chunk)
                into.write(chunk)
        self._files[name] = {"sha256": digest.hexdigest(), "bytes": size}


def _gathered(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in fewer pieces."""
    held, size = [], 0
    for chunk in chunks:
        held.append(chunk)
        size += len(chunk)
        if size >= _PIECE:
            yield b"".join(held)
            held, size = [], 0
    yield b"".join(held)


def _pretty(document: object) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"
