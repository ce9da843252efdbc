"""Rollouts as durable work, and the loop that keeps traffic right.

A workflow's id is its deployment's id, its steps are those of :mod:`backend.deployments.rollout`; how they survive crashes is
in :mod:`backend.core.workflows`.
"""

import logging
import time
from collections.abc import Sequence
from typing import ClassVar

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from backend.core.container import Services
from backend.core.errors import PlatformError
from backend.core.workflows import Steps, WorkflowRuntime
from backend.deployments import repository
from backend.deployments.lifecycle import Lifecycle
from backend.deployments.reconcile import Reconciler
from backend.deployments.rollout import RolloutSteps
from backend.deployments.targets.base import Target
from backend.deployments.world import World
from backend.local.folders import Folders
from mlplatform.spec.model import ModelType

_log = logging.getLogger(__name__)


class RolloutEngine:
    """The :class:`~backend.core.workflows.Work` of the deployments domain."""

    name: ClassVar[str] = "rollout"
    most: ClassVar[int | None] = None

    def __init__(self, services: Services, target: Target | None = None) -> None:
        self._services = services
        self.target: Target = target if target is not None else _target_of(services)
        runtime: WorkflowRuntime = services.runtime
        self.reconciler = Reconciler(services, self.target)
        world = World(services, self.target, self.reconciler, runtime, Lifecycle(services))
        self._steps = RolloutSteps(world)
        self._known: list[tuple[object, ...]] = []
        self._version = ""
        self._synced = float("-inf")
        self._said = ""
        runtime.add(self)

    def waiting(self, session: Session) -> Sequence[str]:
        """Return the ids of deployments that are not over."""
        return repository.to_work_on(session)

    def run(self, steps: Steps, id: str) -> None:
        """Roll a version out, or back."""
        plan = steps.run("plan", self._steps.plan, id)
        for index, kind in plan or []:
            if steps.run(f"{index} {kind}", self._steps.run, id, index, kind) != "passed":
                break
        steps.run("finish", self._steps.finish, id)

    def give_up(self, id: str, reason: str) -> None:
        """End a rollout that can't go on."""
        self._steps.give_up(id, reason)

    def beat(self, *, changed: bool) -> None:
        """Compare desired and real traffic: when the desired one was changed, and now and then anyway."""
        version = self._services.database.version()
        wanted = self._known
        if version != self._version:
            with self._services.database.read() as session:
                wanted = [(*row[:4], row[5]) for row in repository.shares(session)]
        interval = self._services.settings.rollouts.reconcile_interval.total_seconds()
        if wanted != self._known or changed or time.monotonic() - self._synced >= interval:
            self._synced = time.monotonic()
            self._sync()
        self._known, self._version = wanted, version

    def close(self) -> None:
        """Let go of the target; what serves goes on serving."""
        self.reconciler.artefacts.close()
        if (close := getattr(self.target, "close", None)) is not None:
            close()

    def _sync(self) -> None:
        said = ""
        try:
            self.reconciler.sync()
        except PlatformError as error:
            said = error.detail
            if said != self._said:
                _log.warning("the traffic is not as it should be yet: %s", said)
        except OperationalError:
            raise
        except Exception:
            _log.exception("a pass over the traffic failed; the next one tries again")
        if self._said and not said:
            _log.info("the traffic is as it should be again")
        self._said = said


def _target_of(services: Services) -> Target:
    """Make the target that the settings describe."""
    # Not needed, and its processes not there, where another target is handed in.
    from backend.deployments.targets.batch import BatchTarget
    from backend.deployments.targets.by_type import TargetsByType
    from backend.deployments.targets.local.target import LocalTarget
    from backend.deployments.targets.streaming.target import StreamingTarget

    def type_of(model: str, version: int) -> str:
        with services.database.read() as session:
            return str(services.registry.get_version(session, model, version).spec["type"])

    folders = Folders(services.settings.home)
    batch = BatchTarget(folders, services.database, services.batch_work.jobs, services.batch, services.deployments)
    servers = LocalTarget.from_settings(services.settings)
    streaming = StreamingTarget(services.settings, servers)
    return TargetsByType(servers, {ModelType.BATCH: batch, ModelType.STREAMING: streaming}, type_of)
