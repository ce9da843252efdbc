"""Runs as durable work, and what follows the clock: schedules, backfills, clearing up."""

import logging
import shutil
import time
from collections.abc import Callable, Sequence
from typing import ClassVar

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from backend.batch import repository
from backend.batch.jobs import Jobs
from backend.batch.metrics import BatchMetrics
from backend.batch.running import RunSteps
from backend.batch.scheduler import Scheduler
from backend.core.container import Services
from backend.core.workflows import Steps, WorkflowRuntime
from backend.local.folders import Folders

_EVERY = 1.0
"""Seconds between two looks at schedules and backfills while nobody has changed anything."""
_SWEEP_EVERY = 60.0

_log = logging.getLogger(__name__)


class BatchWork:
    """The :class:`~backend.core.workflows.Work` of the batch domain."""

    name: ClassVar[str] = "batch run"

    def __init__(self, services: Services) -> None:
        runtime: WorkflowRuntime = services.runtime
        self._services = services
        self._folders = Folders(services.settings.home)
        otlp = services.settings.telemetry.otlp
        collector = otlp.endpoint if otlp is not None and otlp.logs else None
        self.jobs = Jobs(self._folders, services.settings.serving.python, collector)
        rules = services.batch.rules
        self._scheduler = Scheduler(services, rules)
        metrics = BatchMetrics(services.metrics, services.database)
        self._steps = RunSteps(services, rules, self.jobs, metrics, runtime)
        self._looked = self._swept = float("-inf")
        runtime.add(self)

    @property
    def most(self) -> int | None:
        """Most runs at the same time."""
        return self._services.settings.batch.parallel_runs

    def waiting(self, session: Session) -> Sequence[str]:
        """Return the ids of runs that are under way or whose turn has come."""
        return repository.to_work_on(session, self._services.clock.now())

    def run(self, steps: Steps, id: str) -> None:
        """Make one attempt at a run; one that is to be made again later is another workflow."""
        attempt = steps.run("begin", self._steps.begin, id)
        if attempt is None:
            return
        ended = steps.run("score", self._steps.score, id, attempt)
        steps.run("finish", self._steps.finish, id, attempt, ended)

    def give_up(self, id: str, reason: str) -> None:
        """End a run that can't go on."""
        self._steps.give_up(id, reason)

    def beat(self, *, changed: bool) -> None:
        """Follow schedules, feed backfills, and now and then clear up."""
        now = time.monotonic()
        if changed or now - self._looked >= _EVERY:
            self._looked = now
            self._quietly("following the schedules", self._scheduler.tick)
            self._quietly("feeding the backfills", self._feed)
            self._quietly("ending trials", self._end_trials)
        if now - self._swept >= _SWEEP_EVERY:
            self._swept = now
            self._quietly("clearing up", self._sweep)

    def close(self) -> None:
        """Leave the processes: they go on, and whoever leads next finds them."""

    def _feed(self) -> None:
        with self._services.database.read() as session:
            running = [one.id for one in repository.running_backfills(session)]
        for backfill_id in running:
            with self._services.database.write() as session:
                self._services.batch.backfills.feed(session, backfill_id)

    def _end_trials(self) -> None:
        with self._services.database.read() as session:
            if not repository.active_trials(session):
                return
        with self._services.database.write() as session:
            self._services.batch.end_trials(session, self._services.deployments.undecided(session))

    def _sweep(self) -> None:
        with self._services.database.read() as session:
            needed = self._services.deployments.undecided(session)
        for folder in self._folders.trials.glob("*"):
            if folder.name not in needed:
                shutil.rmtree(folder, ignore_errors=True)

    def _quietly(self, what: str, work: Callable[[], None]) -> None:
        """Keep a fault here from taking the rollouts along, which the same thread looks after."""
        try:
            work()
        except OperationalError:
            raise
        except Exception:
            _log.exception("%s failed; the next look tries again", what)
