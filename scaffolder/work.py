"""Scaffolds as durable work: a workflow's id is its scaffold's id, its steps are those of :mod:`scaffolder.steps`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from sqlalchemy.orm import Session

from backend.core.workflows import Steps
from scaffolder import repository
from scaffolder.steps import DONE, WORK, ScaffoldSteps

if TYPE_CHECKING:
    from backend.core.container import Services


class ScaffoldWork:
    """The :class:`~backend.core.workflows.Work` of the scaffolder."""

    name: ClassVar[str] = "scaffold"
    most: ClassVar[int | None] = 4

    def __init__(self, services: "Services") -> None:
        self._services = services
        self._steps = ScaffoldSteps(services)
        services.runtime.add(self)

    def waiting(self, session: Session) -> Sequence[str]:
        """Return the ids of scaffolds that are not over."""
        return repository.to_work_on(session)

    def run(self, steps: Steps, id: str) -> None:
        """Make a repository, or take everything back."""
        for step in WORK:
            if steps.run(step.value, self._steps.run, id, step) != DONE:
                steps.run("clean up", self._steps.clean_up, id)
                return
        steps.run("finish", self._steps.finish, id)
        steps.run("settle", self._steps.settle, id)

    def give_up(self, id: str, reason: str) -> None:
        """End a scaffold that can't go on."""
        self._steps.give_up(id, reason)

    def beat(self, *, changed: bool) -> None:
        """There is nothing to do beside the rows."""

    def close(self) -> None:
        """End the process that renders others' templates."""
        self._services.rendering.close()
