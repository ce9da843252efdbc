"""The truth, as it becomes known: sent late, again, and in any order, and joined to what was answered by the prediction's id."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from backend.access.engine import Decision
from backend.access.resources import Action
from backend.core.database import lock_for_transaction
from backend.core.errors import InvalidInput
from backend.drift import names, repository
from backend.drift.models import GroundTruth
from backend.identity.principal import Principal
from mlplatform.redaction.logging import clean
from mlplatform.spec.model import ModelSpec, ModelType

if TYPE_CHECKING:
    from backend.core.container import Services

EVENT = "ml-platform.drift.labels"


@dataclass(frozen=True)
class Label:
    """What would have been right, for each row of a prediction; that has an id, or (of a batch model) a day and a key."""

    id: str | None
    values: list[Any]
    observed_at: datetime | None
    day: date | None = None
    key: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Taken:
    """What became of labels."""

    new: int
    changed: int
    repeated: int
    outdated: int
    """Labels older than what was known of their predictions."""
    sampled: int
    """Labels whose predictions are among the samples, or whose days were scored, by now; the others wait for theirs."""


class Labels:
    """See the module's docstring."""

    def __init__(self, services: "Services") -> None:
        self._services = services

    def may_label(self, session: Session, caller: Principal, model: str) -> Decision:
        """Let through whom the policies permit to send labels of the model; return their decision.

        Raises:
            NotFound: there is no such model.
            Forbidden: the policies say no.
        """
        about = self._services.access.model(session, model)
        return self._services.access.require(
            session,
            caller,
            Action.REPORT_LABELS,
            about,
            detail=f"{caller.ref} may not send labels of {model}",
            fix=f"Members of {about.owner} may, and whom mlPlatform.drift.labellers names.",
            event=f"{EVENT}.refused",
        )

    def take(self, session: Session, caller: Principal, model: str, environment: str, labels: Sequence[Label]) -> Taken:
        """Keep labels. Of one prediction the newest observation counts, in whichever order they come.

        Raises:
            NotFound: there is no such model.
            Forbidden: the caller may not.
            InvalidInput: a label names no prediction as this model's are named.
        """
        decision = self.may_label(session, caller, model)
        prediction_of = self._naming(session, environment, model)
        told = [(prediction_of(label, f"labels/{place}"), label) for place, label in enumerate(labels)]
        lock_for_transaction(session, f"labels:{model}/{environment}")
        now = self._services.clock.now()
        ids = {prediction for prediction, _ in told}
        known = repository.truths(session, model, environment, ids)
        counts = dict.fromkeys(("new", "changed", "repeated", "outdated"), 0)
        for prediction, label in told:
            values = [clean(value) for value in label.values]
            at = label.observed_at or now
            row = known.get(prediction)
            if row is None:
                row = GroundTruth(model=model, environment=environment, prediction=prediction, day=label.day)
                row.value, row.observed_at, row.received_at = values, at, now
                session.add(row)
                known[prediction] = row
                counts["new"] += 1
            elif row.value == values:
                row.observed_at = max(row.observed_at, at)
                counts["repeated"] += 1
            elif at < row.observed_at:
                counts["outdated"] += 1
            else:
                row.value, row.observed_at, row.received_at = values, at, now
                counts["changed"] += 1
        session.flush()
        sampled = self._there(session, environment, model, {prediction: label.day for prediction, label in told})
        if counts["new"] or counts["changed"]:
            self._services.audit.append(
                session,
                type=f"{EVENT}.received",
                subject=f"model:{model}",
                actor=caller,
                data={"environment": environment, **counts, "access": decision.as_json()},
            )
        return Taken(**counts, sampled=sampled)

    def _naming(self, session: Session, environment: str, model: str) -> Callable[[Label, str], str]:
        """Return what makes a label's prediction's id; it is given where the label stands, for the complaint."""
        kind = self._services.registry.get_model(session, model).type
        if kind == ModelType.BATCH:
            live = self._services.deployments.live_version(session, environment, model)
            batch = ModelSpec.model_validate(self._services.registry.get_version(session, model, live).spec).batch
            keys = batch.keys if batch is not None else []
            return lambda label, place: _row(label, place, environment, model, keys)
        if kind == ModelType.STREAMING:
            return lambda label, place: names.message_id(environment, model, _id(label, place))
        return _header

    def _there(self, session: Session, environment: str, model: str, days: Mapping[str, date | None]) -> int:
        """Return how many of these predictions there are, given the day of those that lie in the lake."""
        wanted = {day for day in days.values() if day is not None}
        if not wanted:
            return len(self._services.privacy.samples.there(session, environment, model, days))
        scored = self._services.batch.scored(session, environment, model, wanted)
        return sum(day in scored for day in days.values())


def _id(label: Label, place: str) -> str:
    if label.id is None:
        raise InvalidInput(f"{place}: this model's predictions have an id, not a day and a key")
    return label.id


def _header(label: Label, place: str) -> str:
    given = _id(label, place)
    try:
        return str(uuid.UUID(given))
    except ValueError:
        raise InvalidInput(
            f"{place}/id: {given[:40]!r} is no prediction's id", fix="Take it from the answer's header X-Prediction-Id."
        ) from None


def _row(label: Label, place: str, environment: str, model: str, keys: Sequence[str]) -> str:
    if label.day is None:
        raise InvalidInput(
            f"{place}: a batch model's predictions have no id", fix=f"Give `day`, and in `key` {', '.join(keys)}."
        )
    if set(label.key) != set(keys):
        raise InvalidInput(
            f"{place}/key: names {', '.join(sorted(label.key))[:200]}", fix=f"batch.keys are {', '.join(keys)}."
        )
    return names.row_id(environment, model, label.day, [label.key[name] for name in keys])
