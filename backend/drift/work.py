"""Drift reports as durable work: a row for each, put down when its time has come, made in steps that bear being called again."""

import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from backend.core.workflows import Steps
from backend.drift import repository
from backend.drift.models import DriftOutcome
from mlplatform.spec.model import ModelSpec

if TYPE_CHECKING:
    from backend.core.container import Services

_LOOK_SECONDS = 20.0
_PRUNE_SECONDS = 3600.0

_log = logging.getLogger(__name__)


class DriftWork:
    """The :class:`~backend.core.workflows.Work` of the drift domain."""

    name: ClassVar[str] = "drift-report"
    most: ClassVar[int | None] = 1

    def __init__(self, services: "Services") -> None:
        self._services = services
        self._looked = self._pruned = float("-inf")
        self._specs: dict[tuple[str, int], ModelSpec] = {}
        services.runtime.add(self)

    def waiting(self, session: Session) -> Sequence[str]:
        """Return the reports that are not made yet."""
        return repository.waiting(session)

    def run(self, steps: Steps, id: str) -> None:
        """Make a report, and have the model trained again if its ``model.yaml`` says so."""
        outcome = steps.run("judge", self._services.drift.make, id)
        if outcome == DriftOutcome.DRIFTED:
            steps.run("retrain", self._services.retraining.follow, id)

    def give_up(self, id: str, reason: str) -> None:
        """End a report that can't be made."""
        self._services.drift.give_up(id, reason)

    def beat(self, *, changed: bool) -> None:
        """Put down the reports whose time has come."""
        now = time.monotonic()
        if now - self._looked < _LOOK_SECONDS:
            return
        self._looked = now
        try:
            self.begin_due()
            if now - self._pruned >= _PRUNE_SECONDS:
                self._pruned = now
                self._services.drift.prune()
        except OperationalError:
            raise
        except Exception:
            _log.exception("looking for drift reports that are due failed; the next look tries again")

    def close(self) -> None:
        """There is nothing to let go of."""

    def begin_due(self) -> int:
        """Put down a report of each live version that is due; return how many those were."""
        with self._services.database.read() as session:
            live = self._services.deployments.live_everywhere(session)
            specs = {(model, version): self._spec(session, model, version) for _, model, version in live}
            due = [
                (model, environment, version)
                for environment, model, version in live
                if self._services.drift.due(session, model, environment, version, specs[model, version])
            ]
        self._specs = specs
        for model, environment, version in due:
            with self._services.database.write() as session:
                self._services.drift.begin(session, model, environment, version)
        return len(due)

    def _spec(self, session: Session, model: str, version: int) -> ModelSpec:
        # A version's model.yaml never changes.
        known = self._specs.get((model, version))
        return known or ModelSpec.model_validate(self._services.registry.get_version(session, model, version).spec)
