"""Deployments: who made the version, who asked, who approved, what was attested, what became of it; and what was live when."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import ClassVar

from evidence.events import Event
from evidence.tables.base import Noted, Row, identities
from evidence.tables.listed import ATTESTED, BROKE_GLASS, REGISTERED, named_version

_ROOM = "ml-platform.deployments."
_REQUESTED, _APPROVED, _REJECTED = (f"{_ROOM}deployment.{one}" for one in ("requested", "approved", "rejected"))
_PROMOTED, _COMPLETED = "promoted", "completed"
Signed = tuple[int, str, str, str]
"""Sequence number, gate, outcome and id of an attestation."""


@dataclass(slots=True)
class _Version:
    """Who made a version, from what."""

    author: str = ""
    on_behalf_of: str = ""
    repository: str = ""
    commit: str = ""


@dataclass(slots=True)
class Deployment:
    """What the events say about one deployment."""

    id: str
    model: str
    version: str
    environment: str
    digest: str
    first_seq: int
    context: bool
    last_seq: int = 0
    requested: tuple[str, str, str] = ("", "", "")
    decision: str = ""
    decided: tuple[str, str, str] = ("", "", "")
    admitted_seq: int = 0
    break_glass: str = ""
    outcome: str = ""
    finished_at: str = ""
    reason: str = ""
    live: tuple[str, str] = ("", "")
    made: _Version = field(default_factory=_Version)


class Deployments:
    """The deployment log."""

    name: ClassVar[str] = "deployments"
    header: ClassVar[Row] = (
        "deployment", "model", "version", "environment", "digest", "author", "author_on_behalf_of", "repository", "commit",
        "requested_at", "requested_by", "requested_on_behalf_of", "decision", "decided_at", "decided_by",
        "decided_on_behalf_of", "break_glass", "gates", "attestations", "outcome", "finished_at", "reason", "first_seq",
        "last_seq",
    )  # fmt: skip

    def __init__(self) -> None:
        self._all: dict[str, Deployment] = {}
        self._versions: dict[tuple[str, str], _Version] = {}
        self._signed: dict[str, list[Signed]] = {}
        self.changes: list[tuple[str, str, str, str]] = []
        """Environment, model, time and deployment of each change of what is live, in order."""

    def wants(self, type: str) -> bool:
        """Say whether it is about a deployment, or about what is deployed."""
        return type in (REGISTERED, ATTESTED) or (type.startswith(_ROOM) and not type.endswith("approval.refused"))

    def feed(self, event: Event, *, context: bool) -> Iterable[Row]:
        """Take up who made a version, what was attested, and everything about deployments."""
        if event.type == REGISTERED:
            lineage = event.data.get("lineage")
            said = lineage if isinstance(lineage, dict) else {}
            more = (event.text("onBehalfOf"), str(said.get("repository") or ""), str(said.get("commit") or ""))
            self._versions[named_version(event)] = _Version(event.actor, *more)
        elif event.type == ATTESTED:
            signed = (event.seq, event.text("gate"), event.text("outcome"), event.text("attestation"))
            self._signed.setdefault(event.text("digest"), []).append(signed)
        elif event.text("deployment"):
            self._about(event, context)
        return ()

    def finish(self) -> Iterator[Row]:
        """Return a row for each deployment of the period, in the order of their first events."""
        for one in self.of_period():
            made = self.version_of(one)
            signed = self.gates_of(one)
            yield (
                one.id, one.model, one.version, one.environment, one.digest, made.author, made.on_behalf_of, made.repository,
                made.commit, *one.requested, one.decision, *one.decided, one.break_glass,
                " ".join(f"{gate}={outcome}" for gate, (outcome, _) in sorted(signed.items())),
                " ".join(id for _, (_, id) in sorted(signed.items())),
                one.outcome, one.finished_at, one.reason, str(one.first_seq), str(one.last_seq),
            )  # fmt: skip

    def of_period(self) -> Iterator[Deployment]:
        """Return the deployments that something happened to in the period."""
        return (one for one in self._all.values() if not one.context)

    def get(self, id: str) -> Deployment:
        """Return one deployment."""
        return self._all[id]

    def version_of(self, one: Deployment) -> _Version:
        """Return who made the version."""
        return self._versions.get((one.model, one.version)) or _Version()

    def gates_of(self, one: Deployment) -> dict[str, tuple[str, str]]:
        """Return the newest result of each gate, and its attestation, as they were when the deployment was admitted."""
        until = one.admitted_seq or one.first_seq
        found = {}
        for seq, gate, outcome, id in self._signed.get(one.digest, ()):
            if seq <= until:
                found[gate] = (outcome, id)
        return found

    def exceptions(self) -> Iterator[Noted]:
        """Return what an auditor asks about."""
        for one in self.of_period():
            made, where = self.version_of(one), f"deployment {one.id} ({one.model} v{one.version} to {one.environment})"
            authors = identities(made.author, made.on_behalf_of, *one.requested[1:])
            if one.decision == "approved" and (same := authors & identities(*one.decided[1:])):
                said = f"{', '.join(sorted(same))} approved it, and is its author or asked for it"
                yield Noted("separation-of-duties", where, said)
            if one.break_glass:
                yield Noted("break-glass", where, f"the policy was overridden: {one.break_glass}")
            if one.outcome != _PROMOTED or one.break_glass:
                continue
            if not made.author:
                yield Noted("provenance", where, "who made the version is not on record here")
            gates = self.gates_of(one)
            if not gates:
                yield Noted("gates", where, "nothing was attested about its artefact before it was admitted")
            failed = sorted(gate for gate, (outcome, _) in gates.items() if outcome == "failed")
            if failed:
                yield Noted("gates", where, f"went live although {', '.join(failed)} had failed")

    def _about(self, event: Event, context: bool) -> None:
        text = event.text
        id = text("deployment")
        one = self._all.get(id)
        if one is None:
            names = (text("model"), text("version"), text("environment"), text("digest"))
            one = self._all[id] = Deployment(id, *names, event.seq, context)
        elif one.context and not context:
            # Begun before the period: it is listed, with what is known from then.
            del self._all[id]
            one.context = False
            self._all[id] = one
        one.last_seq = event.seq
        who = (event.time, event.actor, text("onBehalfOf"))
        if event.type == _REQUESTED:
            one.requested, one.admitted_seq = who, event.seq
        elif event.type in (_APPROVED, _REJECTED):
            one.decision, one.decided, one.admitted_seq = event.type.rpartition(".")[2], who, event.seq
        elif BROKE_GLASS in event.type:
            one.break_glass = text("breakGlass")
        one.reason = text("reason") or one.reason
        if text("outcome") == _PROMOTED and one.outcome != _PROMOTED:
            self.changes.append((one.environment, one.model, event.time, id))
        one.outcome = text("outcome") or one.outcome
        if text("phase") == _COMPLETED:
            one.finished_at = event.time


class Live:
    """What was live in the period: each version, from when until when, and by whose hands."""

    name: ClassVar[str] = "live"
    header: ClassVar[Row] = (
        "environment", "model", "version", "digest", "since", "until", "deployment", "author", "commit", "approved_by", "gates",
    )  # fmt: skip

    def __init__(self, deployments: Deployments) -> None:
        self._deployments = deployments

    def wants(self, type: str) -> bool:
        """Leave all events to the deployments' table."""
        return False

    def feed(self, event: Event, *, context: bool) -> Iterable[Row]:
        """Return nothing."""
        return ()

    def finish(self) -> Iterator[Row]:
        """Return a row for each span of time, in the order of their beginnings."""
        changes = self._deployments.changes
        until: dict[tuple[str, str], str] = {}
        ends = []
        for environment, model, time, _ in reversed(changes):
            ends.append(until.get((environment, model), ""))
            until[environment, model] = time
        for (environment, model, since, id), end in zip(changes, reversed(ends), strict=True):
            one = self._deployments.get(id)
            made = self._deployments.version_of(one)
            approved = one.decided[1] if one.decision == "approved" else ""
            gates = " ".join(
                f"{gate}={outcome}" for gate, (outcome, _) in sorted(self._deployments.gates_of(one).items())
            )
            ids = (id, made.author, made.commit, approved, gates)
            yield (environment, model, one.version, one.digest, since, end, *ids)


class Population:
    """All deployments of the period: what an auditor draws samples from."""

    name: ClassVar[str] = "population"
    header: ClassVar[Row] = ("number", "deployment", "model", "version", "environment", "requested_at")

    def __init__(self, deployments: Deployments) -> None:
        self._deployments = deployments

    def wants(self, type: str) -> bool:
        """Leave all events to the deployments' table."""
        return False

    def feed(self, event: Event, *, context: bool) -> Iterable[Row]:
        """Return nothing."""
        return ()

    def finish(self) -> Iterator[Row]:
        """Return the numbered deployments."""
        for number, one in enumerate(self._deployments.of_period(), start=1):
            yield (str(number), one.id, one.model, one.version, one.environment, one.requested[0])


class Sample:
    """A sample that nobody chose: the deployments whose id, hashed with the seed, comes first."""

    name: ClassVar[str] = "sample"
    header: ClassVar[Row] = ("draw", "number", "deployment", "model", "version", "environment", "hash")

    def __init__(self, deployments: Deployments, size: int) -> None:
        self._deployments, self._size = deployments, size
        self.seed = ""

    def wants(self, type: str) -> bool:
        """Leave all events to the deployments' table."""
        return False

    def feed(self, event: Event, *, context: bool) -> Iterable[Row]:
        """Return nothing."""
        return ()

    def finish(self) -> Iterator[Row]:
        """Return the drawn deployments, in the order of their hashes."""
        drawn = sorted(
            (sha256(f"{self.seed}\n{one.id}".encode()).hexdigest(), number, one)
            for number, one in enumerate(self._deployments.of_period(), start=1)
        )
        for draw, (hash, number, one) in enumerate(drawn[: self._size], start=1):
            yield (str(draw), str(number), one.id, one.model, one.version, one.environment, hash)
