"""Verifies an evidence pack with the platform's public key and nothing else.

What is believed, and why: the key is given. It signed the checkpoint, so the root of the tree is the platform's word. The events
of the period, put behind the frontier of those before it, make that root, so each of them and their order is. Events from before
the period come with inclusion proofs. The tables are made again from the events. Attestations are named by the events with
their digests and the signers' keys. The manifest, signed too, says what else belongs to the pack. A checkpoint that was kept in
a second place, and lies within the pack, shows that the log is the one that was published then.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any

from evidence import archive as names
from evidence.archive import Archive
from evidence.checkpoint import Checkpoint, open_checkpoint
from evidence.dsse import check_attestation
from evidence.errors import EvidenceError
from evidence.events import Event, read_event
from evidence.manifest import Manifest, read_manifest
from evidence.merkle import Frontier, leaf_hash, verify_consistency, verify_inclusion
from evidence.notes import VerifierKey, read_key
from evidence.tables import CsvTables, Noted, TableSet
from evidence.tables.listed import ATTESTED

_MOST_FAULTS = 100


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with a pack: what, and where."""

    where: str
    message: str


@dataclass
class Verification:
    """What came of it. ``exceptions`` are no faults of the pack: they are what it shows."""

    faults: list[Fault] = field(default_factory=list)
    exceptions: list[Noted] = field(default_factory=list)
    manifest: Manifest | None = None
    checkpoint: Checkpoint | None = None
    events: int = 0
    attestations: int = 0
    compared: int = 0

    @property
    def valid(self) -> bool:
        """Whether the pack is what the platform signed, whole and unchanged."""
        return not self.faults


def verify_pack(
    file: Path,
    key: VerifierKey,
    known: Sequence[Checkpoint] = (),
    proof: dict[str, Any] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Verification:
    """Check everything about a pack; ``known`` are checkpoints from a second place, opened with the same key.

    ``proof`` is the platform's consistency proof from the pack's end to a later checkpoint.

    Raises:
        EvidenceError: the file is no pack, or a checkpoint can't be compared with it.
        OSError: it can't be read.
    """
    with Archive(file) as pack:
        return _Check(pack, key, known, proof, progress).run()


class _Check:
    """The state of one verification."""

    def __init__(
        self,
        pack: Archive,
        key: VerifierKey,
        known: Sequence[Checkpoint],
        proof: dict[str, Any] | None,
        progress: Callable[[int], None] | None,
    ) -> None:
        self._pack, self._key, self._known, self._proof, self.progress = pack, key, known, proof, progress
        self.found = Verification()

    def run(self) -> Verification:
        """Go through the pack; what keeps the rest from being judged ends it early."""
        try:
            manifest = self.found.manifest = read_manifest(self._pack, self._key)
            checkpoint = self.found.checkpoint = self._opened_checkpoint()
        except EvidenceError as error:
            self.fault(names.MANIFEST if self.found.manifest is None else names.CHECKPOINT, error.message)
            return self.found
        self._listed(manifest)
        if manifest.size != checkpoint.size or manifest.origin != checkpoint.origin:
            said = f"the manifest speaks of {manifest.size} events of {manifest.origin}, the checkpoint of {checkpoint.size} of "
            self.fault(names.CHECKPOINT, said + checkpoint.origin)
        comparable = self._comparable(manifest, checkpoint)
        try:
            self._events(manifest, checkpoint, comparable)
        except EvidenceError as error:
            self.fault("events", error.message)
        self._digests(manifest)
        return self.found

    def fault(self, where: str, message: str) -> None:
        """Take down what is wrong, once."""
        if len(self.found.faults) < _MOST_FAULTS and Fault(where, message) not in self.found.faults:
            self.found.faults.append(Fault(where, message))

    def _opened_checkpoint(self) -> Checkpoint:
        try:
            note = self._pack.read(names.CHECKPOINT).decode()
        except UnicodeDecodeError:
            raise EvidenceError("it is no text") from None
        return open_checkpoint(note, self._key)

    def _listed(self, manifest: Manifest) -> None:
        present = set(self._pack.sizes) - {names.MANIFEST, names.SIGNATURE}
        for name in sorted(set(manifest.files) - present):
            self.fault(name, "the manifest lists it, and it is missing")
        for name in sorted(present - set(manifest.files)):
            self.fault(name, "it is not in the manifest: it was added")

    def _digests(self, manifest: Manifest) -> None:
        """Compare digests of what was read already; read what was not."""
        for name, said in manifest.files.items():
            if name not in self._pack.sizes:
                continue
            try:
                if name not in self._pack.seen:
                    for _ in self._pack.chunks(name):
                        pass
            except EvidenceError as error:
                self.fault(name, error.message)
                continue
            if self._pack.seen[name] != said.sha256:
                self.fault(name, "it was changed: its digest is not the manifest's")

    def _comparable(self, manifest: Manifest, checkpoint: Checkpoint) -> dict[int, list[Checkpoint]]:
        """Sort checkpoints from elsewhere by the sizes at which they are compared."""
        within: dict[int, list[Checkpoint]] = {}
        for one in self._known:
            if manifest.first - 1 <= one.size <= checkpoint.size:
                within.setdefault(one.size, []).append(one)
            elif one.size < manifest.first:
                raise EvidenceError(
                    f"the checkpoint over {one.size} events is older than the pack, which begins at event {manifest.first}",
                    "Give one from within the period, or the proof between both with `platform audit prove`.",
                )
            else:
                self._later(one, checkpoint)
        return within

    def _later(self, known: Checkpoint, checkpoint: Checkpoint) -> None:
        if self._proof is None:
            raise EvidenceError(
                f"the checkpoint over {known.size} events is newer than the pack, which ends at event {checkpoint.size}",
                f"Ask for `platform audit prove --from {checkpoint.size} --to {known.size} --json`, and give it with --proof.",
            )
        try:
            hashes = [bytes.fromhex(one) for one in self._proof["proof"]]
        except (KeyError, TypeError, ValueError):
            raise EvidenceError("the proof can't be read", "Give the JSON of `platform audit prove`.") from None
        self.found.compared += 1
        if not verify_consistency(checkpoint.size, known.size, checkpoint.root, known.root, hashes):
            message = (
                f"the log of {known.size} events that was published does not go on from this pack's {checkpoint.size}"
            )
            self.fault(names.CHECKPOINT, message)

    def _events(self, manifest: Manifest, checkpoint: Checkpoint, known: dict[int, list[Checkpoint]]) -> None:
        tree = self._frontier(manifest)
        keys = self._keys()
        tables = TableSet(sample_size=manifest.sample_size, only=manifest.tables)
        with CsvTables(tables) as made:
            self._context(manifest, checkpoint, made, keys)
            period = _Period(self, manifest, tree, known)
            envelopes = _Envelopes(
                self, chain.from_iterable(map(self._pack.lines, self._pack.numbered("attestations"))), keys
            )
            for name in self._pack.numbered("events"):
                for number, line in enumerate(self._pack.lines(name), start=1):
                    event = period.take(line, f"{name} line {number}")
                    if event is not None:
                        if event.seq <= manifest.last_within:
                            made.feed(event, context=event.seq < manifest.first_within)
                        envelopes.take(event)
            envelopes.finish("attestations")
            period.finish(checkpoint)
            made.finish(manifest.sample_seed or checkpoint.root.hex())
            self.found.exceptions = tables.exceptions()
            self._tables(made)

    def _frontier(self, manifest: Manifest) -> Frontier:
        document = self._pack.json(names.FRONTIER)
        try:
            tree = Frontier(int(document["size"]), [bytes.fromhex(one) for one in document["hashes"]])
        except (KeyError, TypeError, ValueError):
            raise EvidenceError(f"{names.FRONTIER} can't be read") from None
        if tree.size != manifest.first - 1:
            raise EvidenceError(
                f"{names.FRONTIER} is that of {tree.size} events; the pack begins at event {manifest.first}"
            )
        return tree

    def _keys(self) -> dict[str, VerifierKey]:
        document = self._pack.json(names.KEYS)
        if not isinstance(document, dict):
            raise EvidenceError(f"{names.KEYS} can't be read")
        found = {}
        for said, text in document.items():
            key = read_key(str(text))
            if key.key_id != said:
                self.fault(names.KEYS, f"the key {said[:16]} is another one")
            found[key.key_id] = key
        return found

    def _context(
        self, manifest: Manifest, checkpoint: Checkpoint, made: CsvTables, keys: dict[str, VerifierKey]
    ) -> None:
        """Check the events from before the period one by one."""
        envelopes = _Envelopes(self, self._pack.lines(names.CONTEXT_ATTESTATIONS), keys)
        last = 0
        for number, line in enumerate(self._pack.lines(names.CONTEXT), start=1):
            where = f"{names.CONTEXT} line {number}"
            try:
                text, proof = _proved(line)
                event = read_event(text)
            except EvidenceError as error:
                self.fault(where, error.message)
                continue
            if not verify_inclusion(leaf_hash(text), event.seq - 1, checkpoint.size, proof, checkpoint.root):
                self.fault(where, f"event {event.seq} is not in the log: its inclusion proof does not lead to the root")
            if not last < event.seq < manifest.first:
                self.fault(where, f"event {event.seq} stands in the wrong place")
            last = event.seq
            made.feed(event, context=True)
            envelopes.take(event)
        envelopes.finish(names.CONTEXT_ATTESTATIONS)

    def _tables(self, made: CsvTables) -> None:
        for table, expected in made.files():
            name = f"csv/{table}.csv"
            if name not in self._pack.sizes:
                continue  # told with the manifest
            line = self._pack.compare(name, expected)
            if line is not None:
                self.fault(f"{name} line {line}", "it is not what the events say")


class _Period:
    """The events of the period: one after another, none missing, and the tree over them."""

    def __init__(self, check: _Check, manifest: Manifest, tree: Frontier, known: dict[int, list[Checkpoint]]) -> None:
        self._check, self._manifest, self._tree, self._known = check, manifest, tree, known
        self._expected, self._times = manifest.first, ("", "")
        self._block, self._blocks, self._misplaced = sha256(), 0, False
        self._compare()

    def take(self, line: bytes, where: str) -> Event | None:
        """Check one line's place; return its event."""
        check, found = self._check, self._check.found
        try:
            event = read_event(line)
        except EvidenceError as error:
            check.fault(where, error.message)
            event = None
        if event is not None and event.seq != self._expected:
            self._misplaced = True
            gone = event.seq > self._expected
            missing = f"events {self._expected} to {event.seq - 1} are missing in front of it"
            said = missing if gone else "it stands there twice, or out of order"
            check.fault(where, f"event {event.seq}: {said}")
        self._expected = (event.seq if event is not None else self._expected) + 1
        leaf = leaf_hash(line)
        self._tree.append(leaf)
        self._block.update(leaf)
        found.events += 1
        if found.events % self._manifest.block == 0:
            self._end_block(where)
        self._compare()
        if event is not None:
            self._times = (self._times[0] or event.time, event.time)
            self._in_place(event, where)
        if check.progress is not None and found.events % 10_000 == 0:
            check.progress(found.events)
        return event

    def finish(self, checkpoint: Checkpoint) -> None:
        """Check the root, and that the period has no gap at its two ends."""
        check, manifest = self._check, self._manifest
        if check.found.events % manifest.block:
            self._end_block("the last events")
        if self._misplaced:
            pass  # told already, and nothing fits behind it
        elif self._tree.size < checkpoint.size:
            missing = f"events {self._tree.size + 1} to {checkpoint.size}"
            check.fault("events", f"the pack was cut off: {missing} are missing at the end")
        elif self._tree.root() != checkpoint.root:
            check.fault("events", "they do not make the root that the checkpoint was signed for: they were changed")
        first, last = self._times
        if manifest.first > 1 and first >= manifest.since:
            message = (
                f"the pack begins with event {manifest.first}, dated {first}: the period's first events are left out"
            )
            check.fault("events", f"gap in the period: {message}")
        if last < manifest.until:
            message = f"the pack ends with an event dated {last}: the period's last events are left out"
            check.fault("events", f"gap in the period: {message}")
        for size in self._known:
            check.fault("events", f"the checkpoint from elsewhere over {size} events was not reached")

    def _in_place(self, event: Event, where: str) -> None:
        """See that what the manifest leaves out of the period lies outside it."""
        manifest = self._manifest
        early, late = event.seq < manifest.first_within, event.seq > manifest.last_within
        if (early and event.time >= manifest.since) or (late and event.time < manifest.until):
            said = f"event {event.seq} is dated {event.time}, within the period, and was kept out of its tables"
            self._check.fault(where, said)

    def _end_block(self, where: str) -> None:
        digest, self._block = self._block.hexdigest(), sha256()
        blocks, size = self._manifest.blocks, self._manifest.block
        at, self._blocks = self._blocks, self._blocks + 1
        if self._misplaced or (at < len(blocks) and blocks[at] == digest):
            return
        first = self._manifest.first + at * size
        self._check.fault(f"up to {where}", f"one of the events {first} to {first + size - 1} was changed")

    def _compare(self) -> None:
        for one in self._known.pop(self._tree.size, ()):
            self._check.found.compared += 1
            if one.root != self._tree.root():
                message = (
                    f"the log was rewritten: the checkpoint from elsewhere over {one.size} events has another root"
                )
                self._check.fault(names.CHECKPOINT, message)


class _Envelopes:
    """The attestations, in the order of the events that recorded them."""

    def __init__(self, check: _Check, lines: Iterator[bytes], keys: dict[str, VerifierKey]) -> None:
        self._check, self._lines, self._keys = check, lines, keys

    def take(self, event: Event) -> None:
        """Check the attestation of an event, if it recorded one."""
        if event.type != ATTESTED:
            return
        self._check.found.attestations += 1
        try:
            check_attestation(next(self._lines, b""), event, self._keys)
        except EvidenceError as error:
            self._check.fault("attestations", error.message)

    def finish(self, where: str) -> None:
        """See that none is left over."""
        if next(self._lines, None) is not None:
            self._check.fault(where, "there are more attestations than events recorded: one was added")
            for _ in self._lines:
                pass


def _proved(line: bytes) -> tuple[bytes, list[bytes]]:
    try:
        document = json.loads(line)
        return document["event"].encode(), [bytes.fromhex(one) for one in document["proof"]]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise EvidenceError("it can't be read") from None
