"""A record in memory: events of the platform's own shapes, really signed attestations, and packs of them."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from backend.audit.events import NewEvent, canonical, chained, envelope
from backend.audit.models import GENESIS
from backend.evidence import checks
from backend.evidence.checks import ControlState
from backend.evidence.pack import Wanted, write_pack
from evidence.checkpoint import Checkpoint, sign_checkpoint
from evidence.merkle import Frontier, inclusion_proof, leaf_hash
from evidence.notes import VerifierKey
from evidence.tables import Noted
from mlplatform.attest import dsse
from mlplatform.attest.keys import SigningKey
from mlplatform.attest.statement import Subject, build_statement
from mlplatform.gates.result import Check, Gate, GateResult, Outcome

START = datetime(2026, 1, 1, tzinfo=UTC)
ADA, GRACE, OPERATOR = "user:default/ada", "user:default/grace", "user:default/operator"
ATTESTED = "ml-platform.attestations.attestation.recorded"


class Record:
    """A log and what belongs to it."""

    def __init__(self, key: SigningKey | None = None) -> None:
        self.key = key or SigningKey.generate()
        self.signer = SigningKey.generate()
        self.now = START
        self.documents: list[dict[str, Any]] = []
        self.stored: dict[str, str] = {}

    @property
    def public(self) -> VerifierKey:
        return VerifierKey(self.key.public_bytes)

    @property
    def texts(self) -> list[str]:
        return [canonical(one).decode() for one in self.documents]

    def add(self, type: str, subject: str, actor: str, **data: Any) -> int:
        """Append an event, a minute after the one before."""
        self.now += timedelta(minutes=1)
        seq = len(self.documents) + 1
        new = NewEvent(f"ml-platform.{type}", subject, actor, data)
        self.documents.append(envelope(new, id=f"id-{seq}", time=self.now, sequence=seq))
        return seq

    def attest(self, model: str, digest: str, gate: Gate, outcome: Outcome = Outcome.PASSED) -> int:
        """Record a signed result of a gate."""
        checked = [Check(name=f"{gate}.all", outcome=outcome, message="looked at it")]
        result = GateResult(
            gate=gate, outcome=outcome, summary=f"{gate} {outcome}", checks=checked, started_at=START, finished_at=START
        )
        about = Subject(
            model=model,
            digest=digest,
            repository="local/r",
            commit="a" * 40,
            lock_digest="b" * 64,
            spec_digest="c" * 64,
        )
        standard = gate in {Gate.SCHEMA, Gate.THRESHOLDS, Gate.PII}
        statement = build_statement(result, about, None if standard else {"standard": "body"})
        text = json.dumps(dsse.sign(statement, self.signer), sort_keys=True, separators=(",", ":"))
        id = f"attestation-{len(self.stored) + 1}"
        self.stored[id] = text
        return self.add(
            "attestations.attestation.recorded", f"model:{model}", ADA, attestation=id, digest=digest, gate=gate.value,
            outcome=outcome.value, summary=result.summary, keyId=self.signer.keyid, signer=ADA,
            envelopeDigest=hashlib.sha256(text.encode()).hexdigest(),
        )  # fmt: skip

    def register(self, model: str, version: int, author: str = ADA, **data: Any) -> str:
        """Register a version with its gates; return its digest."""
        digest = hashlib.sha256(f"{model}/{version}".encode()).hexdigest()
        lineage = {"commit": "a" * 40, "repository": "local/r", "dirty": False, "data": [{"name": "wine"}]}
        self.add(
            "registry.version.registered",
            f"model:{model}/versions/{version}",
            author,
            digest=digest,
            lineage=lineage,
            **data,
        )
        for gate in (Gate.SCHEMA, Gate.PII):
            self.attest(model, digest, gate)
        return digest

    def deploy(
        self, model: str, version: int, digest: str, *, by: str = ADA, approver: str | None = GRACE, **data: Any
    ) -> str:
        """Deploy a version to production, from the request to the end."""
        id = f"deployment-{len(self.documents) + 1}"
        about = {"deployment": id, "model": model, "version": version, "environment": "production", "digest": digest}
        subject, room = f"model:{model}/deployments/{id}", "deployments"
        self.add(f"{room}.deployment.requested", subject, by, **about, phase="awaiting_approval", outcome=None, **data)
        if approver is not None:
            self.add(
                f"{room}.deployment.approved", subject, approver, **about, phase="pending", outcome=None, reason="fine"
            )
        self.add(
            f"{room}.rollout.promoted", subject, "service:ml-platform", **about, phase="promoting", outcome="promoted"
        )
        self.add(
            f"{room}.rollout.finished", subject, "service:ml-platform", **about, phase="completed", outcome="promoted"
        )
        return id

    def checkpoint(self, size: int | None = None) -> tuple[Checkpoint, str]:
        """Sign the log as it is, or was."""
        tree, last = Frontier(), GENESIS
        for text in self.texts[: size or len(self.documents)]:
            tree.append(leaf_hash(text.encode()))
            last = chained(last, text.encode())
        found = Checkpoint(self.public.origin, tree.size, tree.root(), last)
        return found, sign_checkpoint(found, self.public, self.key.sign)

    def pack(self, file: Path, since: datetime, until: datetime, control: str | None = None, **given: Any) -> Path:
        """Write a pack."""
        tables = checks.tables_of(control)
        wanted = Wanted(
            platform="http://platform.test", since=since, until=until, control=control,
            tables=None if tables is None else sorted(tables), sample_size=given.get("sample_size", 2),
            sample_seed=given.get("sample_seed"), made_at=self.now,
        )  # fmt: skip
        source = MemorySource(
            self, since, until, **{name: one for name, one in given.items() if name in ("first", "until_seq")}
        )
        write_pack(file, wanted, source, self.public, self.key.sign, lambda _: None)
        return file


class MemorySource:
    """The record as a pack's source. ``first`` and ``until_seq`` cheat about the period."""

    def __init__(
        self, record: Record, since: datetime, until: datetime, first: int | None = None, until_seq: int | None = None
    ) -> None:
        times = [datetime.fromisoformat(one["time"]) for one in record.documents]
        self._record = record
        self.first_within = first or next(seq for seq, time in enumerate(times, 1) if time >= since)
        self.last_within = until_seq or max((seq for seq, time in enumerate(times, 1) if time < until), default=0)
        self.first = first or max(self.first_within - 1, 1)
        self.checkpoint, self.note = record.checkpoint(until_seq or self.last_within + 1)

    def _nodes(self, level: int, index: int) -> bytes:
        tree = Frontier()
        for text in self._record.texts[index << level : (index + 1) << level]:
            tree.append(leaf_hash(text.encode()))
        return tree.root()

    def frontier(self) -> Sequence[bytes]:
        tree = Frontier()
        for text in self._record.texts[: self.first - 1]:
            tree.append(leaf_hash(text.encode()))
        return tree.hashes

    def context(self) -> Iterator[tuple[str, list[bytes]]]:
        for seq, text in enumerate(self._record.texts[: self.first - 1], start=1):
            yield text, inclusion_proof(self._nodes, seq - 1, self.checkpoint.size)

    def events(self) -> Iterator[str]:
        return iter(self._record.texts[self.first - 1 : self.checkpoint.size])

    def envelopes(self, ids: Sequence[str]) -> Mapping[str, str]:
        return {id: self._record.stored[id] for id in ids if id in self._record.stored}

    def keys(self, ids: Sequence[str]) -> Mapping[str, bytes]:
        return {self._record.signer.keyid: self._record.signer.public_bytes} if ids else {}

    def states(self, exceptions: Sequence[Noted]) -> Sequence[ControlState]:
        return checks.judged(exceptions, None)


def event(text: str) -> Any:
    return orjson.loads(text)


def quarter(key: SigningKey | None = None, *, until: int = 6) -> Record:
    """A version that is live before the period, and ``until`` deployments in it; the period is the second day."""
    record = Record(key)
    digest = record.register("wine", 1)
    record.deploy("wine", 1, digest)
    record.now = START + timedelta(days=1)
    for version in range(2, 2 + until):
        digest = record.register("wine", version)
        record.deploy("wine", version, digest)
    record.add("identity.login.refused", "principal:x", "user:default/eve", reason='=cmd|"x"!A1')
    record.now = START + timedelta(days=2)
    record.add("evidence.pack.requested", "evidence:1", OPERATOR)
    return record


DAY = (START + timedelta(days=1), START + timedelta(days=2))
