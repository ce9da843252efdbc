"""What the steps of a rollout see of the world, and how they wait for it."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from backend.core.container import Services
from backend.core.workflows.runtime import LOOK
from backend.deployments import repository
from backend.deployments.lifecycle import Lifecycle
from backend.deployments.models import ENDED, Deployment
from backend.deployments.reconcile import Reconciler
from backend.deployments.targets.base import ReplicaState, Sample, Target, TargetUnavailable, VersionKey

Result = TypeVar("Result")

_log = logging.getLogger(__name__)


class Waiting(Protocol):
    """How a step waits; raises when the engine stops, which leaves the step to be called again."""

    def wait(self, seconds: float) -> None:
        """Return after the time, or earlier when something may have changed."""
        ...


@dataclass(frozen=True)
class World:
    """Services, target and the patience to deal with them."""

    services: Services
    target: Target
    reconciler: Reconciler
    waiting: Waiting
    lifecycle: Lifecycle

    @property
    def poll(self) -> float:
        """Seconds between two readings of the figures."""
        return self.services.settings.rollouts.poll_interval.total_seconds()

    def decided(self, deployment_id: str) -> tuple[bool, str | None]:
        """Return whether the rollout is decided, and who asked to promote it."""
        with self.services.database.read() as session:
            phase, promoted_by = repository.phase_of(session, deployment_id)
        return phase in ENDED, promoted_by

    def replicas(self, deployment: Deployment) -> list[ReplicaState]:
        """Return the new version's replicas."""
        return self.patiently(lambda: self.target.replicas(key_of(deployment)))

    def sample(self) -> dict[VersionKey, Sample] | None:
        """Return the proxy's figures, or ``None`` while it does not answer."""
        try:
            return self.target.sample()
        except TargetUnavailable:
            return None

    def settle(self, deployment: Deployment) -> None:
        """Return when a deployment's traffic is what the database wants."""
        self.patiently(lambda: self.reconciler.settle(deployment.environment, deployment.model))

    def patiently(self, work: Callable[[], Result]) -> Result:
        """Call until the target answers: nothing can be decided while it doesn't, and it is being restarted."""
        said = ""
        while True:
            try:
                return work()
            except TargetUnavailable as error:
                if error.detail != said:
                    said = error.detail
                    _log.warning("the serving target does not answer: %s", said)
                self.waiting.wait(LOOK)


def key_of(deployment: Deployment) -> VersionKey:
    """Return the new version's key."""
    return VersionKey(deployment.environment, deployment.model, deployment.version)
