"""The truth, as it becomes known: sent late, again, and in any order, and joined to samples by the prediction's id."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from backend.access.engine import Decision
from backend.access.resources import Action
from backend.core.database import lock_for_transaction
from backend.drift import repository
from backend.drift.models import GroundTruth
from backend.identity.principal import Principal
from mlplatform.redaction.logging import clean

if TYPE_CHECKING:
    from backend.core.container import Services

EVENT = "ml-platform.drift.labels"


@dataclass(frozen=True)
class Label:
    """What would have been right, for each row of a prediction."""

    prediction: str
    values: list[Any]
    observed_at: datetime | None


@dataclass(frozen=True)
class Taken:
    """What became of labels."""

    new: int
    changed: int
    repeated: int
    outdated: int
    """Labels older than what was known of their predictions."""
    sampled: int
    """Labels whose predictions are among the samples by now; the others wait for theirs."""


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
        """
        decision = self.may_label(session, caller, model)
        lock_for_transaction(session, f"labels:{model}/{environment}")
        now = self._services.clock.now()
        ids = {label.prediction for label in labels}
        known = repository.truths(session, model, environment, ids)
        counts = dict.fromkeys(("new", "changed", "repeated", "outdated"), 0)
        for label in labels:
            values = [clean(value) for value in label.values]
            at = label.observed_at or now
            row = known.get(label.prediction)
            if row is None:
                row = GroundTruth(model=model, environment=environment, prediction=label.prediction)
                row.value, row.observed_at, row.received_at = values, at, now
                session.add(row)
                known[label.prediction] = row
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
        sampled = self._services.privacy.samples.there(session, environment, model, ids)
        if counts["new"] or counts["changed"]:
            self._services.audit.append(
                session,
                type=f"{EVENT}.received",
                subject=f"model:{model}",
                actor=caller,
                data={"environment": environment, **counts, "access": decision.as_json()},
            )
        return Taken(**counts, sampled=len(sampled))
