"""What may have caused an incident: changes before it began, ranked by kind and by how long before that was."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from backend.audit.service import AuditedEvent
from backend.core.errors import NotFound
from mlplatform.spec.model import ModelSpec

if TYPE_CHECKING:
    from backend.core.container import Services

LOOK_BACK = timedelta(days=3)
HALF_LIFE = timedelta(hours=6)
"""A change counts half as much when it was so long before."""
SETTINGS_CHANGED = "ml-platform.observability.settings.changed"
_MOST = 5
_EVENTS = 50
"""Newest events of a type that are looked at: of one type hundreds may lie before the one that matters of another."""
_DRIFTED = "ml-platform.drift.report.drifted"
_OF_MODEL = {
    "ml-platform.deployments.rollout.started": ("rollout", 0.8),
    "ml-platform.deployments.rollout.promoted": ("rollout", 1.0),
    "ml-platform.deployments.rollout.rolled_back": ("rollout", 0.7),
    "ml-platform.experiments.started": ("experiment", 0.8),
    "ml-platform.experiments.ended": ("experiment", 0.5),
    "ml-platform.experiments.decided": ("experiment", 0.3),
    "ml-platform.batch.backfill.requested": ("data", 0.4),
    _DRIFTED: ("data", 0.6),
}
_OF_REPOSITORY = {"ml-platform.fleet.update.merged": ("template", 0.5)}
_OF_DATASET = {
    "ml-platform.catalog.dataset.scanned": ("data", 0.6),
    "ml-platform.catalog.dataset.confirmed": ("data", 0.6),
}
_OF_PLATFORM = {SETTINGS_CHANGED: ("configuration", 0.4)}
_Kinds = Mapping[str, tuple[str, float]]
_SHADOW = 0.5
"""A shadow run counts so much of an A/B experiment: its answers reach nobody, but its load is there."""


@dataclass(frozen=True)
class Suspect:
    """A change that may have caused an incident."""

    kind: str
    what: str
    at: datetime
    by: str
    score: float
    """Between 0 and 1."""
    event: str
    """Id of the audit event that recorded it."""
    deployment: str | None = None
    version: int | None = None
    experiment: str | None = None

    @property
    def change(self) -> str:
        """What several moments of one change have in common."""
        return self.deployment or self.experiment or self.event

    def as_json(self) -> dict[str, Any]:
        """Return it as it is stored and sent."""
        return {
            "kind": self.kind,
            "what": self.what,
            "at": self.at.isoformat(),
            "by": self.by,
            "score": round(self.score, 3),
            "event": self.event,
            "deployment": self.deployment,
            "version": self.version,
            "experiment": self.experiment,
        }


class Suspects:
    """See the module's docstring."""

    def __init__(self, services: "Services") -> None:
        self._services = services

    def before(self, session: Session, environment: str | None, model: str | None, began: datetime) -> list[Suspect]:
        """Return what changed in the days before a time, most suspected first."""
        since = began - LOOK_BACK
        found: dict[str, Suspect] = {}
        # A minute later too: an alert's own start may lie before the first bad request was counted.
        until = began + timedelta(minutes=1)
        for subject, kinds in self._subjects(session, environment, model):
            for type, (kind, weight) in kinds.items():
                for event in self._services.audit.about(session, subject, type, since, until, _EVENTS):
                    suspect = self._suspect(session, event, kind, weight, environment, began)
                    # Of one rollout, or one experiment, the most suspect moment counts.
                    if suspect is not None and (
                        suspect.change not in found or found[suspect.change].score < suspect.score
                    ):
                        found[suspect.change] = suspect
        return sorted(found.values(), key=lambda one: -one.score)[:_MOST]

    def _subjects(self, session: Session, environment: str | None, model: str | None) -> list[tuple[str, _Kinds]]:
        subjects: list[tuple[str, _Kinds]] = [("settings", _OF_PLATFORM)]
        if model is None:
            return subjects
        row = self._services.registry.get_model(session, model)
        subjects.append((f"model:{model}", _OF_MODEL))
        org_and_name = row.repository.split("/")[-2:]
        subjects.append((f"repository:{'/'.join(org_and_name)}", _OF_REPOSITORY))
        live = self._services.deployments.live_version(session, environment, model) if environment else None
        try:
            spec = ModelSpec.model_validate(self._services.registry.get_version(session, model, live).spec)
        except NotFound:
            return subjects
        return subjects + [(f"dataset:{one.uri}", _OF_DATASET) for one in spec.data]

    def _suspect(
        self,
        session: Session,
        event: AuditedEvent,
        kind: str,
        weight: float,
        environment: str | None,
        began: datetime,
    ) -> Suspect | None:
        place = event.data.get("environment")
        if environment is not None and place is not None and place != environment:
            return None
        if event.type == _DRIFTED and event.time >= began:
            return None  # it is what raised the incident, not what caused it
        if kind == "experiment" and event.data.get("kind") == "shadow":
            weight *= _SHADOW
        age = max((began - event.time) / HALF_LIFE, 0.0)
        return Suspect(
            kind=kind,
            what=self._what(session, event),
            at=event.time,
            by=event.actor,
            score=weight * 0.5**age,
            event=event.id,
            deployment=event.data.get("deployment") if kind == "rollout" else None,
            version=event.data.get("version") if kind == "rollout" else None,
            experiment=event.data.get("experiment") if kind == "experiment" else None,
        )

    def _what(self, session: Session, event: AuditedEvent) -> str:
        data = event.data
        if event.type.startswith("ml-platform.deployments."):
            did = event.type.rpartition(".")[2].replace("_", " ")
            other = self._differences(session, data.get("model"), data.get("version"), data.get("previousVersion"))
            return f"v{data.get('version')} was {did} in {data.get('environment')}" + (f"; {other}" if other else "")
        if event.type.startswith("ml-platform.experiments."):
            return _of_experiment(event.type.rpartition(".")[2], data)
        if event.type == _DRIFTED:
            columns = [one["column"] for one in data.get("drifted", [])]
            return f"what v{data.get('version')} is asked or answers had drifted" + _in(dict.fromkeys(columns))
        if event.type == "ml-platform.batch.backfill.requested":
            return f"the days from {data.get('from')} to {data.get('to')} were to be scored again"
        if event.type == "ml-platform.fleet.update.merged":
            return f"the template was updated from {data.get('from')} to {data.get('to')}"
        if event.type == SETTINGS_CHANGED:
            return f"the platform's settings changed: {', '.join(data.get('sections', []))}"
        return f"{event.subject.partition(':')[2]} was changed ({event.type.rpartition('.')[2].replace('_', ' ')})"

    def _differences(self, session: Session, model: Any, version: Any, former: Any) -> str:
        """Say what a version has otherwise than the one before it, besides the artefact."""
        try:
            new, old = (self._services.registry.get_version(session, model, one).lineage for one in (version, former))
        except NotFound:
            return ""
        if former is None:
            return ""
        names = {"specDigest": "model.yaml", "lockDigest": "packages", "data": "training data"}
        other = [name for key, name in names.items() if new.get(key) != old.get(key)]
        return f"with other {', other '.join(other)}" if other else ""


def _of_experiment(did: str, data: dict[str, Any]) -> str:
    name = "a shadow run" if data.get("kind") == "shadow" else "an A/B experiment"
    if did == "decided":
        chosen = "promote the challenger" if data.get("decision") == "promote" else "keep the champion"
        return f"{name} of v{data.get('challenger')} was decided: {chosen}"
    if did == "ended":
        outcome = str(data.get("outcome")).replace("_", " ")
        return f"{name} of v{data.get('challenger')} ended in {data.get('environment')} ({outcome})"
    return f"{name} began in {data.get('environment')}: {data.get('reason')}"


def _in(names: Iterable[str]) -> str:
    some = list(names)[:5]
    return f" in {', '.join(some)}" if some else ""
