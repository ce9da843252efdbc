"""The runtime of durable work: DBOS, the loop that finds work in the domains' tables, and who may run it.

Requests only write rows. The one process that holds the lock works them off: for each row that a domain's :class:`Work`
names it runs a DBOS workflow whose id is the row's id. DBOS remembers which steps are done; everything else is in the
domain's own tables, so a step that is called again finds out by itself how far it had come.

DBOS keeps one runtime per process, so there can be one that runs per process.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Protocol, TypeVar

from dbos import DBOS, DBOSConfig, SetWorkflowID
from sqlalchemy import create_engine, inspect, make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from backend.core.config import Settings
from backend.core.database import Database
from backend.core.workflows.lock import runtime_lock
from mlplatform.redaction import redact

APPLICATION_VERSION = "1"
"""Fixed: a newer backend goes on with the work of an older one. Raise it when steps change their meaning."""
LOOK = 0.25
"""Longest time, in seconds, that a change of a row goes unread."""
_LOOK_AGAIN_SECONDS = 1.0
"""After so long rows are looked at although nothing was committed: some wait for a moment, not for a change."""
_EXECUTOR = "ml-platform"
_STANDBY_SECONDS = 1.0
_LOCK_CHECK_SECONDS = 5.0
_RECOVERIES = 1_000_000
_ATTEMPTS = 5
_UNFINISHED = frozenset({"PENDING", "ENQUEUED", "DELAYED"})

Result = TypeVar("Result")

_log = logging.getLogger(__name__)


class RuntimeStopping(BaseException):
    """Leaves a step in the middle without an outcome, so that it is called again when the runtime is back.

    Not an :class:`Exception`: DBOS records those as how the step ended.
    """


class Steps(Protocol):
    """What a workflow is given to do its steps with."""

    def run(self, name: str, work: Callable[..., Result], *arguments: object) -> Result | None:
        """Do a step once, however often the process is killed; ``work`` must bear being called again.

        What goes wrong unexpectedly is tried again. After a few attempts the row is given up
        (:meth:`Work.give_up`), and the step's result is ``None``.
        """
        ...


class Work(Protocol):
    """One kind of durable work of a domain. Make it, add it to the runtime before that starts."""

    name: ClassVar[str]
    """Name of the workflow; DBOS finds interrupted ones by it, so it never changes."""

    @property
    def most(self) -> int | None:
        """Most rows that are worked on at the same time; ``None`` for any number."""
        ...

    def waiting(self, session: Session) -> Sequence[str]:
        """Return the ids of all rows that are not finished, those first that should be first."""
        ...

    def run(self, steps: Steps, id: str) -> None:
        """Work one row off. The order of steps must follow from their results alone (it is run again after a crash)."""
        ...

    def give_up(self, id: str, reason: str) -> None:
        """End a row that can't go on, in a transaction of its own."""
        ...

    def beat(self, *, changed: bool) -> None:
        """Do what is not about one row, such as comparing the wanted with the real state.

        Called at least every :data:`LOOK` seconds by the process that leads; ``changed`` says whether somebody called
        :meth:`WorkflowRuntime.wake` since the last time.
        """
        ...

    def close(self) -> None:
        """Let go of what the work holds; the runtime stops."""
        ...


class WorkflowRuntime:
    """Works rows off. :meth:`start` and :meth:`stop` once; :meth:`wake` whenever a row was changed."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings, self._database = settings, database
        self._lock = runtime_lock(database)
        self._kinds: dict[str, Work] = {}
        self._workflows: dict[str, Callable[[str], None]] = {}
        self._changed = threading.Condition()
        self._changes = 0
        self._stopping = False
        self._leading = False
        self._launched = False
        self._thread: threading.Thread | None = None
        self._active: dict[str, dict[str, threading.Thread | None]] = {}
        self._active_guard = threading.Lock()
        self._leaving: set[tuple[str, str]] = set()
        """Rows whose workflow has returned here, which DBOS may have yet to write down."""

    def add(self, work: Work) -> None:
        """Have this kind of work done too; one of the same name is replaced."""
        self._kinds[work.name] = work
        self._active.setdefault(work.name, {})

    @property
    def leading(self) -> bool:
        """Whether this process is the one that works rows off."""
        return self._leading

    def start(self) -> None:
        """Take up work, here or (while another process does it) on standby."""
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="workflow-runtime", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Put work down where it is; the next runtime goes on with it. What serves goes on serving."""
        self._stopping = True
        self.wake()
        if self._thread is not None:
            self._thread.join(timeout=30)
            self._thread = None
        for work in self._kinds.values():
            work.close()

    def wake(self) -> None:
        """Have all loops look at the database now."""
        with self._changed:
            self._changes += 1
            self._changed.notify_all()

    def wait(self, seconds: float) -> None:
        """Wait for the time or for a change; for steps.

        Raises:
            RuntimeStopping: the runtime is being stopped.
        """
        with self._changed:
            seen = self._changes
            self._changed.wait_for(lambda: self._changes != seen or self.halting, timeout=seconds)
        if self.halting:
            raise RuntimeStopping

    @property
    def halting(self) -> bool:
        """Whether steps are to come to an end, because another process takes over or none does."""
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
                _log.exception("the workflow runtime stumbled; it starts again")
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
        if self._has_history():
            self._launch()
        _log.info("this process works %s off", ", ".join(self._kinds) or "nothing")
        checked = time.monotonic()
        looked, version, seen = float("-inf"), "", -1
        while not self._stopping:
            if time.monotonic() - checked > _LOCK_CHECK_SECONDS:
                checked = time.monotonic()
                if not self._lock.held():
                    _log.error("the runtime's lock was lost; another process may take over")
                    return
            changed, seen = self._changes != seen, self._changes
            try:
                before, version = version, self._database.version()
                if changed or version != before or time.monotonic() - looked > _LOOK_AGAIN_SECONDS:
                    looked = time.monotonic() if self._take_up() else float("-inf")
                for work in self._kinds.values():
                    work.beat(changed=changed)
            except OperationalError as error:
                _log.warning("the database does not answer: %s", error.orig)
            self._look(seen)

    def _take_up(self) -> bool:
        """Start what rows of all kinds wait for; false when some of it has to be looked at again soon."""
        with self._active_guard:
            left = set(self._leaving)
        with self._database.read() as session:
            waiting = [(work, work.waiting(session)) for work in self._kinds.values()]
        started = [self._dispatch(work, ids) for work, ids in waiting]
        # Who is gone for DBOS, too: a row may wait again before that, as when somebody goes on at once.
        left -= {(work.name, id) for work, ids in waiting for id in ids}
        gone = {(name, id) for name, id in left if self._free_workflow(id) is not None}
        with self._active_guard:
            self._leaving -= gone
        return all(started)

    def _look(self, seen: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._changes != seen or self._stopping, timeout=LOOK)

    def _has_history(self) -> bool:
        """Say whether there ever was a workflow here. Where none was, none was interrupted, and DBOS starts with the first."""
        url = make_url(self._settings.workflows_url)
        if url.get_backend_name() == "sqlite":
            return url.database is not None and Path(url.database).exists()
        engine = create_engine(url)
        try:
            return inspect(engine).has_table("workflow_status", schema="dbos")
        finally:
            engine.dispose()

    def _launch(self) -> None:
        url = self._settings.workflows_url.replace("postgresql+psycopg://", "postgresql://")
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
        for name, work in self._kinds.items():
            register = DBOS.workflow(name=name, max_recovery_attempts=_RECOVERIES)
            self._workflows[name] = register(self._workflow_of(work))
        try:
            DBOS.launch()
        except Exception:
            DBOS.destroy(destroy_registry=True)
            raise
        self._launched = True

    def _workflow_of(self, work: Work) -> Callable[[str], None]:
        def workflow(id: str) -> None:
            with self._working_on(work, id):
                work.run(_Steps(self, work, id), id)

        return workflow

    def _dispatch(self, work: Work, waiting: Sequence[str]) -> bool:
        """Start workflows for rows that have none, be it because a crash came between the two.

        False when a row's last workflow is only just ending, so that the row's turn is at the next look.
        """
        if waiting and not self._launched:
            self._launch()
        active, all_started = self._active[work.name], True
        for id in waiting:
            with self._active_guard:
                if id in active:
                    continue
                if work.most is not None and len(active) >= work.most:
                    return all_started
                active[id] = None
            workflow_id = self._free_workflow(id)
            if workflow_id is None:
                with self._active_guard:
                    if (work.name, id) in self._leaving:
                        del active[id]
                        all_started = False
                continue  # interrupted, if it is not leaving; DBOS goes on with it by itself
            with self._active_guard:
                self._leaving.discard((work.name, id))
            try:
                with SetWorkflowID(workflow_id):
                    DBOS.start_workflow(self._workflows[work.name], id)
            except Exception:
                self._forget(work, id)
                raise
        return all_started

    def _free_workflow(self, id: str) -> str | None:
        """Return the id of a row's next workflow; ``None`` while DBOS has its last one for unfinished."""
        workflow_id, attempt = id, 1
        while (status := DBOS.get_workflow_status(workflow_id)) is not None:
            if status.status in _UNFINISHED:
                return None
            # Ended without finishing the row: it is to be taken up again, or the end was a fault of ours.
            attempt += 1
            workflow_id = f"{id}.{attempt}"
        return workflow_id

    def attempt(self, work: Work, id: str, step: Callable[..., Result], *arguments: object) -> Result | None:
        """Do a step; what goes wrong unexpectedly is tried again, and in the end gives the row up rather than hanging it."""
        attempt = 0
        while True:
            try:
                return step(*arguments)
            except OperationalError as error:
                _log.warning("the database does not answer: %s", error.orig)
            except Exception as error:
                attempt += 1
                _log.exception("a step of %s %s failed, attempt %s", work.name, id, attempt)
                if attempt == _ATTEMPTS:
                    text = redact(str(error))[:500]
                    work.give_up(id, f"the platform could not go on: {type(error).__name__}: {text}")
                    return None
            self.wait(min(0.2 * 2**attempt, 5.0))

    @contextmanager
    def _working_on(self, work: Work, id: str) -> Iterator[None]:
        with self._active_guard:
            self._active[work.name][id] = threading.current_thread()
        try:
            if self.halting:
                raise RuntimeStopping
            yield
        finally:
            self._forget(work, id)

    def _forget(self, work: Work, id: str) -> None:
        with self._active_guard:
            self._active[work.name].pop(id, None)
            self._leaving.add((work.name, id))
        self.wake()  # another of a kind of which so many may run at once has its turn

    def _put_down(self) -> None:
        """Wait for the steps to leave, then take DBOS down."""
        until = time.monotonic() + 20
        while time.monotonic() < until:
            with self._active_guard:
                if not any(thread for active in self._active.values() for thread in active.values()):
                    break
            self.wake()
            time.sleep(0.02)
        for active in self._active.values():
            active.clear()
        if self._launched:
            DBOS.destroy(destroy_registry=True)
            self._launched = False
        self._leaving.clear()


class _Steps:
    """:class:`Steps` of one row."""

    def __init__(self, runtime: WorkflowRuntime, work: Work, id: str) -> None:
        self._runtime, self._work, self._id = runtime, work, id

    def run(self, name: str, work: Callable[..., Result], *arguments: object) -> Result | None:
        return DBOS.run_step({"name": name}, self._runtime.attempt, self._work, self._id, work, *arguments)


def _log_through_root() -> None:
    """Send DBOS's log lines where all others go, through the redacting filter, instead of to a stream of its own."""
    logger = logging.getLogger("dbos")
    logger.handlers.clear()
    logger.propagate = True
