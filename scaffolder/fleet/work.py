"""Campaigns and inventories as durable work: the rows say what is wanted, so both go on wherever the process was killed."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from sqlalchemy.orm import Session

from backend.audit.service import PLATFORM
from backend.core.workflows import Steps
from scaffolder.fleet import repository
from scaffolder.fleet.campaigns import CampaignSteps
from scaffolder.fleet.inventory import InventorySteps

if TYPE_CHECKING:
    from backend.core.container import Services

_LOOK_EVERY = 30.0


class CampaignWork:
    """The :class:`~backend.core.workflows.Work` of campaigns."""

    name: ClassVar[str] = "campaign"
    most: ClassVar[int | None] = 2

    def __init__(self, services: "Services", steps: CampaignSteps) -> None:
        self._steps = steps
        services.runtime.add(self)

    def waiting(self, session: Session) -> Sequence[str]:
        """Return the ids of campaigns that are not over."""
        return repository.to_work_on(session)

    def run(self, steps: Steps, id: str) -> None:
        """Collect the repositories, then go on until nothing is open."""
        steps.run("collect", self._steps.collect, id)
        steps.run("carry out", self._steps.carry_out, id)

    def give_up(self, id: str, reason: str) -> None:
        """End a campaign that can't go on."""
        self._steps.give_up(id, reason)

    def beat(self, *, changed: bool) -> None:
        """There is nothing to do beside the rows."""

    def close(self) -> None:
        """Nothing is kept open between campaigns."""


class InventoryWork:
    """The :class:`~backend.core.workflows.Work` of inventories."""

    name: ClassVar[str] = "fleet inventory"
    most: ClassVar[int | None] = 1

    def __init__(self, services: "Services", steps: InventorySteps) -> None:
        self._services, self._steps = services, steps
        self._looked = float("-inf")
        services.runtime.add(self)

    def waiting(self, session: Session) -> Sequence[str]:
        """Return the ids of passes that are not over."""
        return [row.id for row in repository.inventories_to_do(session)]

    def run(self, steps: Steps, id: str) -> None:
        """Look at all repositories."""
        steps.run("look", self._steps.look, id)

    def give_up(self, id: str, reason: str) -> None:
        """End a pass that can't go on."""
        self._steps.give_up(id, reason)

    def beat(self, *, changed: bool) -> None:
        """Have a pass made when the last one is old enough."""
        now = time.monotonic()
        if now - self._looked < _LOOK_EVERY:
            return
        self._looked = now
        interval = self._services.settings.fleet.inventory_interval
        with self._services.database.read() as session:
            last = repository.last_inventory(session)
            if repository.inventories_to_do(session):
                return
        if last is not None and self._services.clock.now() - last.started_at >= interval:
            with self._services.database.write() as session:
                self._services.fleet.refresh(session, PLATFORM)

    def close(self) -> None:
        """Nothing is kept open between passes."""
