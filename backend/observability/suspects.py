"""What may have caused an incident: changes before it began, ranked by kind and by how long before that was."""

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
_EVENTS = 200
_KINDS = {
    "ml-platform.deployments.rollout.started": ("rollout", 0.8),
    "ml-platform.deployments.rollout.promoted": ("rollout", 1.0),
    "ml-platform.deployments.rollout.rolled_back": ("rollout", 0.7),
    "ml-platform.fleet.update.merged": ("template", 0.5),
    SETTINGS_CHANGED: ("configuration", 0.4),
}
_DATA = ("data", 0.6)


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
        }


class Suspects:
    """See the module's docstring."""

    def __init__(self, services: "Services") -> None:
        self._services = services

    def before(self, session: Session, environment: str | None, model: str | None, began: datetime) -> list[Suspect]:
        """Return what changed in the days before a time, most suspected first."""
        since = began - LOOK_BACK
        found: dict[str, Suspect] = {}
        for subject in self._subjects(session, environment, model):
            # A minute later too: an alert's own start may lie before the first bad request was counted.
            events = self._services.audit.about(session, subject, since, began + timedelta(minutes=1), _EVENTS)
            for event in events:
                suspect = self._suspect(session, event, environment, began)
                if suspect is not None:
                    # Of one rollout the most suspect moment counts.
                    name = suspect.deployment or suspect.event
                    if name not in found or found[name].score < suspect.score:
                        found[name] = suspect
        return sorted(found.values(), key=lambda one: -one.score)[:_MOST]

    def _subjects(self, session: Session, environment: str | None, model: str | None) -> list[str]:
        subjects = ["settings"]
        if model is None:
            return subjects
        row = self._services.registry.get_model(session, model)
        subjects.append(f"model:{model}")
        org_and_name = row.repository.split("/")[-2:]
        subjects.append(f"repository:{'/'.join(org_and_name)}")
        live = self._services.deployments.live_version(session, environment, model) if environment else None
        try:
            spec = ModelSpec.model_validate(self._services.registry.get_version(session, model, live).spec)
        except NotFound:
            return subjects
        return subjects + [f"dataset:{one.uri}" for one in spec.data]

    def _suspect(
        self, session: Session, event: AuditedEvent, environment: str | None, began: datetime
    ) -> Suspect | None:
        kind, weight = _KINDS.get(event.type, _DATA if event.subject.startswith("dataset:") else ("", 0.0))
        place = event.data.get("environment")
        if not weight or (environment is not None and place is not None and place != environment):
            return None
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
        )

    def _what(self, session: Session, event: AuditedEvent) -> str:
        data = event.data
        if event.type.startswith("ml-platform.deployments."):
            did = event.type.rpartition(".")[2].replace("_", " ")
            other = self._differences(session, data.get("model"), data.get("version"), data.get("previousVersion"))
            return f"v{data.get('version')} was {did} in {data.get('environment')}" + (f"; {other}" if other else "")
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
