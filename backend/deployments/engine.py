"""The rollout engine: durable workflows (DBOS), the loop that finds them work, and the loop that keeps traffic right.

A workflow's id is its deployment's id, its steps are those of :mod:`backend.deployments.rollout`. DBOS remembers which steps
are done; everything else is in the platform's own tables, so a step that is called again finds out by itself
how far it had come. Requests only write rows: the process that holds the engine's lock works them off.

DBOS keeps one runtime per process, so there can be one running engine per process.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any

from dbos import DBOS, DBOSConfig, SetWorkflowID
from sqlalchemy.exc import OperationalError

from backend.core.container import Services
from backend.core.errors import PlatformError
from backend.deployments import repository
from backend.deployments.lifecycle import Lifecycle
from backend.deployments.lock import engine_lock
from backend.deployments.reconcile import Reconciler
from backend.deployments.rollout import RolloutSteps
from backend.deployments.targets.base import Target
from backend.deployments.world import LOOK, World
from mlplatform.redaction import redact

APPLICATION_VERSION = "1"
"""Fixed: a newer backend goes on with the rollouts of an older one. Raise it when steps change their meaning."""
_EXECUTOR = "rollout-engine"
_STANDBY_SECONDS = 1.0
_LOCK_CHECK_SECONDS = 5.0
_RECOVERIES = 1_000_000
_ATTEMPTS = 5
_UNFINISHED = frozenset({"PENDING", "ENQUEUED", "DELAYED"})

_log = logging.getLogger(__name__)


class EngineStopping(BaseException):
    """Leaves a step in the middle without an outcome, so that it is called again when the engine is back.

    Not an :class:`Exception`: DBOS records those as how the step ended.
    """


class RolloutEngine:
    """Works deployments off. ``start`` and ``stop`` once; ``wake`` whenever a row was changed."""

    def __init__(self, services: Services, target: Target | None = None) -> None:
        self._services = services
        self.target: Target = target if target is not None else _target_of(services)
        self._lock = engine_lock(services.database)
        self._changed = threading.Condition()
        self._changes = 0
        self._stopping = False
        self._leading = False
        self._thread: threading.Thread | None = None
        self.reconciler = Reconciler(services, self.target, leading=lambda: self._leading)
        world = World(services, self.target, self.reconciler, self, Lifecycle(services))
        self._steps = RolloutSteps(world)
        self._active: dict[str, threading.Thread | None] = {}
        self._active_guard = threading.Lock()
        self._said = ""

    @property
    def leading(self) -> bool:
        """Whether this process is the one that works rollouts off."""
        return self._leading

    def start(self) -> None:
        """Take up work, here or (while another process does it) on standby."""
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="rollout-engine", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Put work down where it is; the next engine goes on with it. What serves goes on serving."""
        self._stopping = True
        self.wake()
        if self._thread is not None:
            self._thread.join(timeout=30)
            self._thread = None
        if (close := getattr(self.target, "close", None)) is not None:
            close()

    def wake(self) -> None:
        """Have all loops look at the database now."""
        with self._changed:
            self._changes += 1
            self._changed.notify_all()

    def wait(self, seconds: float) -> None:
        """Wait for the time or for a change.

        Raises:
            EngineStopping: the engine is being stopped.
        """
        with self._changed:
            seen = self._changes
            self._changed.wait_for(lambda: self._changes != seen or self._halting, timeout=seconds)
        if self._halting:
            raise EngineStopping

    @property
    def _halting(self) -> bool:
        return self._stopping or not self._leading

    def _run(self) -> None:
        while not self._stopping:
            if not self._lock.acquire():
                self._pause(_STANDBY_SECONDS)
                continue
            self._leading = True
            try:
                self._lead()
            except Exception:
                _log.exception("the rollout engine stumbled; it starts again")
            finally:
                self._leading = False
                self.wake()
                self._put_down()
                self._lock.release()
            self._pause(_STANDBY_SECONDS)

    def _pause(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopping, timeout=seconds)

    def _lead(self) -> None:
        self._launch()
        _log.info("this process works rollouts off")
        checked = time.monotonic()
        interval = self._services.settings.rollouts.reconcile_interval.total_seconds()
        synced, seen = float("-inf"), -1
        known: object = None
        while not self._stopping:
            if time.monotonic() - checked > _LOCK_CHECK_SECONDS:
                checked = time.monotonic()
                if not self._lock.held():
                    _log.error("the engine's lock was lost; another process may take over")
                    return
            try:
                with self._services.database.read() as session:
                    waiting = repository.to_work_on(session)
                    state = [
                        (row.environment, row.model, row.version, row.weight, row.mirror)
                        for row in repository.traffic(session)
                    ]
                self._dispatch(waiting)
                if state != known or seen != self._changes or time.monotonic() - synced >= interval:
                    seen, synced = self._changes, time.monotonic()
                    self._sync()
                    known = state
            except OperationalError as error:
                _log.warning("the database does not answer: %s", error.orig)
            self._look()

    def _look(self) -> None:
        with self._changed:
            seen = self._changes
            self._changed.wait_for(lambda: self._changes != seen or self._stopping, timeout=LOOK)

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

    def _launch(self) -> None:
        url = self._services.settings.workflows_url.replace("postgresql+psycopg://", "postgresql://")
        config: DBOSConfig = {
            "name": "ml-platform",
            "system_database_url": url,
            "application_version": APPLICATION_VERSION,
            "executor_id": _EXECUTOR,
            "log_level": "WARNING",
            "run_migrations": True,
        }
        DBOS(config=config)
        _log_through_root()
        self._workflow = DBOS.workflow(name="rollout", max_recovery_attempts=_RECOVERIES)(self._workflow_function())
        DBOS.launch()

    def _dispatch(self, waiting: Sequence[str]) -> None:
        """Start workflows for deployments that have none, be it because a crash came between the two."""
        for deployment_id in waiting:
            with self._active_guard:
                if deployment_id in self._active:
                    continue
                self._active[deployment_id] = None
            workflow_id = deployment_id
            for attempt in count(2):
                status = DBOS.get_workflow_status(workflow_id)
                if status is None or status.status in _UNFINISHED:
                    break
                # Ended without deciding the deployment: a fault of ours, and no reason to leave it lying.
                workflow_id = f"{deployment_id}.{attempt}"
            if status is not None:
                continue  # interrupted; DBOS goes on with it by itself
            try:
                with SetWorkflowID(workflow_id):
                    DBOS.start_workflow(self._workflow, deployment_id)
            except Exception:
                self._forget(deployment_id)
                raise

    def _workflow_function(self) -> Callable[[str], None]:
        def rollout(deployment_id: str) -> None:
            with self._working_on(deployment_id):
                plan = DBOS.run_step({"name": "plan"}, self._try, deployment_id, self._steps.plan, deployment_id)
                for index, kind in plan or []:
                    name = f"{index} {kind}"
                    work = self._steps.run
                    if (
                        DBOS.run_step({"name": name}, self._try, deployment_id, work, deployment_id, index, kind)
                        != "passed"
                    ):
                        break
                DBOS.run_step({"name": "finish"}, self._try, deployment_id, self._steps.finish, deployment_id)

        return rollout

    def _try(self, deployment_id: str, work: Callable[..., Any], *arguments: Any) -> Any:
        """Do a step; what goes wrong unexpectedly is tried again, and in the end ends the rollout rather than hanging it."""
        attempt = 0
        while True:
            try:
                return work(*arguments)
            except OperationalError as error:
                _log.warning("the database does not answer: %s", error.orig)
            except Exception as error:
                attempt += 1
                _log.exception("a step of deployment %s failed, attempt %s", deployment_id, attempt)
                if attempt == _ATTEMPTS:
                    reason = f"the platform could not go on: {type(error).__name__}: {redact(str(error))[:500]}"
                    self._steps.give_up(deployment_id, reason)
                    return "ended"
            self.wait(min(0.2 * 2**attempt, 5.0))

    @contextmanager
    def _working_on(self, deployment_id: str) -> Iterator[None]:
        with self._active_guard:
            self._active[deployment_id] = threading.current_thread()
        try:
            if self._halting:
                raise EngineStopping
            yield
        finally:
            self._forget(deployment_id)

    def _forget(self, deployment_id: str) -> None:
        with self._active_guard:
            self._active.pop(deployment_id, None)

    def _put_down(self) -> None:
        """Wait for the steps to leave, then take the workflow runtime down."""
        until = time.monotonic() + 20
        while time.monotonic() < until:
            with self._active_guard:
                if not any(self._active.values()):
                    break
            self.wake()
            time.sleep(0.02)
        self._active.clear()
        DBOS.destroy(destroy_registry=True)


def _log_through_root() -> None:
    """Send DBOS's log lines where all others go, through the redacting filter, instead of to a stream of its own."""
    logger = logging.getLogger("dbos")
    logger.handlers.clear()
    logger.propagate = True


def _target_of(services: Services) -> Target:
    """Make the target that the settings describe."""
    # Not needed, and its processes not there, where another target is handed in.
    from backend.deployments.targets.local.target import LocalTarget

    return LocalTarget.from_settings(services.settings)
