"""Evaluating the checks that are due, as durable work."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from sqlalchemy.orm import Session

from backend.audit.service import PLATFORM
from backend.compliance import repository
from backend.compliance.models import ComplianceRun
from backend.core.ids import new_id
from backend.core.workflows import Steps

if TYPE_CHECKING:
    from backend.core.container import Services

_LOOK_SECONDS = 5.0


class ComplianceWork:
    """The :class:`~backend.core.workflows.Work` of the controls: a row for each evaluation, a step for each check."""

    name: ClassVar[str] = "compliance-evaluation"
    most: ClassVar[int | None] = 1

    def __init__(self, services: "Services") -> None:
        self._services = services
        self._looked = float("-inf")
        services.runtime.add(self)

    def waiting(self, session: Session) -> Sequence[str]:
        """Return the evaluations that are not finished."""
        return repository.open_runs(session)

    def run(self, steps: Steps, id: str) -> None:
        """Evaluate what is due."""
        steps.run("evaluate", self._evaluate, id)

    def give_up(self, id: str, reason: str) -> None:
        """End an evaluation that can't go on; the next one begins anew."""
        with self._services.database.write() as session:
            self._finish(session, id, 0, reason)

    def beat(self, *, changed: bool) -> None:
        """Begin an evaluation when a check is due."""
        if time.monotonic() - self._looked < _LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        with self._services.database.read() as session:
            if repository.open_runs(session) or not self._services.controls.due(session):
                return
        with self._services.database.write() as session:
            session.add(ComplianceRun(id=new_id(), started_at=self._services.clock.now(), requested_by=PLATFORM))
            repository.drop_old_runs(session)

    def close(self) -> None:
        """There is nothing to let go of."""

    def _evaluate(self, id: str) -> None:
        controls = self._services.controls
        with self._services.database.read() as session:
            row = repository.run(session, id)
            if row is None or row.finished_at is not None:
                return
            results = {}
            for check, result in controls.examine(session, controls.due(session, everything=row.everything)):
                self._services.runtime.wait(0)  # leaves when the runtime stops
                results[check] = result
        with self._services.database.write() as session:
            controls.keep(session, results)
            self._finish(session, id, len(results), None)

    def _finish(self, session: Session, id: str, evaluated: int, reason: str | None) -> None:
        row = repository.run(session, id)
        if row is not None and row.finished_at is None:
            row.finished_at, row.evaluated, row.reason = self._services.clock.now(), evaluated, reason
