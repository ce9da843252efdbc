"""What happens in each step of a rollout. Every function may be killed anywhere and called again.

A step first writes what it wants into the database (:class:`~backend.deployments.lifecycle.Lifecycle`) and then waits for
the world to be so. While it waits it reads the deployment's row at least every quarter of a second, since a person's
abort, promote or rollback is a change of that row and of nothing else.
"""

import time

from backend.core.workflows.runtime import LOOK
from backend.deployments import repository, words
from backend.deployments.analysed import Analysed, Ended
from backend.deployments.compared import Compared
from backend.deployments.models import Deployment, Outcome, StepKind, StepState
from backend.deployments.targets.base import VersionKey
from backend.deployments.world import World, key_of
from mlplatform.spec.model import ModelSpec, ModelType


class RolloutSteps:
    """The steps of rollouts on one target."""

    def __init__(self, world: World) -> None:
        self._world, self._lifecycle, self._database = world, world.lifecycle, world.services.database

    def plan(self, deployment_id: str) -> list[tuple[int, str]]:
        """Take the deployment up and return its steps."""
        with self._database.write() as session:
            return self._lifecycle.plan(session, deployment_id)

    def run(self, deployment_id: str, index: int, kind: str) -> Ended:
        """Do one step."""
        if kind == StepKind.PROMOTE:
            with self._database.write() as session:
                promoted = self._lifecycle.promote(session, deployment_id, index)
            self._world.settle(self._get(deployment_id))
            return "passed" if promoted else "ended"
        with self._database.write() as session:
            step = self._lifecycle.begin(session, deployment_id, index)
        if step is None:
            return "ended"
        if step.state == StepState.PASSED:
            return "passed"
        with self._database.read() as session:
            deployment = repository.get(session, deployment_id)
            spec = self._lifecycle.spec_of(session, deployment.model, deployment.version)
        self._world.settle(deployment)
        if kind == StepKind.START:
            return self._start(deployment, index, spec)
        if kind == StepKind.WARM:
            return self._warm(deployment, index, spec)
        if kind == StepKind.COMPARE:
            return Compared(self._world, deployment, index, spec).run()
        return Analysed(self._world, deployment, step, spec).run()

    def finish(self, deployment_id: str) -> None:
        """Close the deployment once the traffic is as it was decided."""
        self._world.settle(self._get(deployment_id))
        needed = self._stands_in(deployment_id)
        with self._database.write() as session:
            self._lifecycle.complete(session, deployment_id, keep=needed)

    def _get(self, deployment_id: str) -> Deployment:
        with self._database.read() as session:
            return repository.get(session, deployment_id)

    def _stands_in(self, deployment_id: str) -> bool:
        """Say whether a version that was taken back is all there is: the primary is dead and does not come back."""
        with self._database.read() as session:
            deployment = repository.get(session, deployment_id)
            primary = repository.live(session, deployment.environment, deployment.model)
            if primary is None or primary.version == deployment.version:
                return False
            spec = self._lifecycle.spec_of(session, primary.model, primary.version)
        key = VersionKey(primary.environment, primary.model, primary.version)
        until = time.monotonic() + spec.serving.startup_timeout.total_seconds()
        while not self._up(key) and self._up(key_of(deployment)):
            if time.monotonic() > until:
                return True
            self._world.waiting.wait(LOOK)
        return False

    def _up(self, key: VersionKey) -> bool:
        replicas = self._world.patiently(lambda: self._world.target.replicas(key))
        return any(one.state == "ready" for one in replicas)

    def give_up(self, deployment_id: str, reason: str) -> None:
        """End a rollout that can't go on."""
        with self._database.write() as session:
            self._lifecycle.roll_back(session, deployment_id, Outcome.FAILED, reason)

    def _start(self, deployment: Deployment, index: int, spec: ModelSpec) -> Ended:
        timeout = spec.serving.startup_timeout.total_seconds()
        began, wanted, version = time.monotonic(), spec.serving.replicas, f"v{deployment.version}"
        while True:
            if self._world.decided(deployment.id)[0]:
                return "ended"
            if fault := self._world.reconciler.artefacts.fault(key_of(deployment)):
                return self._failed(deployment, f"{version} can't be started: {fault}")
            replicas = self._world.replicas(deployment)
            ready = [one for one in replicas if one.state == "ready"]
            took = time.monotonic() - began
            if len(ready) >= wanted:
                return self._passed(deployment, index, f"{len(ready)} of {wanted} replicas ready after {took:.1f} s")
            failed = next((one for one in replicas if one.state == "failed"), None)
            if failed is not None:
                why = failed.message or "it ended without a word"
                return self._failed(deployment, f"replica {failed.replica} of {version} failed: {why}")
            if took > timeout:
                last = next((one.message for one in replicas if one.message), None)
                said = f"; last heard: {last}" if last else ""
                reason = f"{len(ready)} of {wanted} replicas of {version} ready within {words.seconds(timeout)}{said}"
                return self._failed(deployment, reason)
            self._world.waiting.wait(LOOK)

    def _warm(self, deployment: Deployment, index: int, spec: ModelSpec) -> Ended:
        while True:
            if self._world.decided(deployment.id)[0]:
                return "ended"
            result = self._world.patiently(lambda: self._world.target.warm(key_of(deployment), spec))
            if result is not None:
                break
            self._world.waiting.wait(LOOK)
        if result.ok:
            return self._passed(deployment, index, result.message)
        tried = "does not score for trial" if spec.type is ModelType.BATCH else "does not answer trial requests well"
        return self._failed(deployment, f"v{deployment.version} {tried}: {result.message}")

    def _passed(self, deployment: Deployment, index: int, reason: str) -> Ended:
        with self._database.write() as session:
            return "passed" if self._lifecycle.passed(session, deployment.id, index, reason) else "ended"

    def _failed(self, deployment: Deployment, reason: str) -> Ended:
        with self._database.write() as session:
            self._lifecycle.roll_back(session, deployment.id, Outcome.FAILED, reason)
        return "ended"
