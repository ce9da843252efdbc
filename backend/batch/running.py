"""What happens in each step of a run. Every function may be killed anywhere and called again."""

import logging
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

from backend.audit.service import PLATFORM
from backend.batch import repository
from backend.batch.jobs import Job, Jobs, JobState
from backend.batch.metrics import BatchMetrics
from backend.batch.models import ACTIVE, BatchRun, Cause, RunState
from backend.batch.rules import Rules
from backend.core.container import Services
from backend.core.errors import PlatformError
from backend.core.workflows.runtime import LOOK
from backend.local.folders import Folders
from mlplatform.spec.batch import Batch
from mlplatform.spec.quantities import format_duration

_TOLD_EVERY = 1.0
"""Seconds between two updates of a run's row counts."""
_SPARE = 60.0
"""Seconds that a process has to end by itself after its time is over."""
_LONGEST_DELAY = timedelta(hours=1)

_log = logging.getLogger(__name__)


class Waiting(Protocol):
    """How a step waits; raises when the runtime stops, which leaves the step to be called again."""

    def wait(self, seconds: float) -> None:
        """Return after the time, or earlier when something may have changed."""
        ...


class RunSteps:
    """The steps of runs, as jobs on this machine."""

    def __init__(self, services: Services, rules: Rules, jobs: Jobs, metrics: BatchMetrics, waiting: Waiting) -> None:
        self._services, self._rules, self._jobs = services, rules, jobs
        self._metrics, self._waiting = metrics, waiting
        self._database = services.database

    def begin(self, run_id: str) -> int | None:
        """Begin an attempt, or go on with it after a crash; return its number, ``None`` when the run is over."""
        with self._database.write() as session:
            run = repository.lock(session, run_id)
            if run.state not in ACTIVE:
                return None
            if run.state == RunState.RUNNING:
                return run.attempts
            if run.cause == Cause.SCHEDULE:
                # What is live when the run begins scores, whatever was when it became due.
                live = self._services.deployments.live_version(session, run.environment, run.model)
                run.version = live if live is not None else run.version
            now = self._services.clock.now()
            run.state, run.attempts, run.not_before = RunState.RUNNING, run.attempts + 1, None
            run.started_at = run.started_at or now
            again = f", attempt {run.attempts}" if run.attempts > 1 else ""
            said = f"v{run.version} scores {run.day} of {run.model}{again}"
            self._rules.record(session, "run.started", run, PLATFORM, reason=said, attempt=run.attempts)
            return run.attempts

    def score(self, run_id: str, attempt: int) -> dict[str, Any]:
        """Have the process running until it ends; return its last word, or what became of it."""
        name = job_name(run_id, attempt)
        try:
            job, timeout = self._job(run_id, attempt)
        except PlatformError as error:
            return {"event": "failed", "message": error.detail, "again": False}
        begun, told = time.monotonic(), float("-inf")
        while True:
            with self._database.read() as session:
                if repository.state_of(session, run_id) != RunState.RUNNING:
                    self._jobs.kill(name)
                    return {"event": "cancelled"}
            state = self._jobs.state(name)
            if not state.runs and state.last is None and not state.begun:
                self._jobs.start(job)
            elif not state.runs:
                return dict(state.last or {"event": "failed", "message": "its process was killed", "again": True})
            elif time.monotonic() - begun > timeout.total_seconds() + _SPARE and state.progress is not None:
                self._jobs.kill(name)
                late = f"it took longer than {format_duration(timeout)} (batch.timeout)"
                return {"event": "failed", "message": late, "again": True}
            if time.monotonic() - told > _TOLD_EVERY:
                told = time.monotonic()
                self._tell(run_id, state)
            self._waiting.wait(LOOK)

    def finish(self, run_id: str, attempt: int, ended: Mapping[str, Any] | None) -> None:
        """Write down how an attempt ended: for good, or to be tried again."""
        over: BatchRun | None = None
        with self._database.write() as session:
            run = repository.lock(session, run_id)
            if run.state == RunState.RUNNING and ended is not None:
                if ended["event"] == "ended":
                    self._ended_well(run, ended)
                else:
                    batch = self._rules.spec(session, run.model, run.version).batch
                    self._failed(run, ended, batch)
                said = run.message or ""
                event = "run.retrying" if run.state == RunState.PENDING else f"run.{run.state}"
                self._rules.record(
                    session, event, run, PLATFORM, reason=said, attempt=attempt, rows=run.rows, rejected=run.rejected
                )
                over = run if run.state != RunState.PENDING else None
        if over is not None:
            self._metrics.over(over)
        self._jobs.forget(job_name(run_id, attempt))

    def give_up(self, run_id: str, reason: str) -> None:
        """End a run that can't go on."""
        with self._database.write() as session:
            run = repository.lock(session, run_id)
            if run.state not in ACTIVE:
                return
            run.state, run.message, run.finished_at = RunState.FAILED, reason, self._services.clock.now()
            self._rules.record(session, "run.failed", run, PLATFORM, reason=reason)
        self._metrics.over(run)
        self._jobs.kill(job_name(run_id, run.attempts))

    def _job(self, run_id: str, attempt: int) -> tuple[Job, timedelta]:
        with self._database.read() as session:
            run = repository.find(session, run_id)
            assert run is not None
            version = self._services.registry.get_version(session, run.model, run.version)
            batch = self._rules.batch(session, run.model, run.version)
        artefact = self._services.registry.bundle_path(version)
        settings = self._services.settings
        arguments = {
            "--model-dir": artefact / "model",
            "--spec": artefact / "environment" / "model.yaml",
            "--version": run.version,
            "--environment": run.environment,
            "--lake": settings.lake_of(run.environment),
            "--day": run.day,
            "--run-id": run.id,
            "--timeout": format_duration(batch.timeout),
        }
        if run.cause == Cause.TRIAL:
            assert run.deployment_id is not None
            root = trial_root(Folders(settings.home), run.deployment_id, run.version)
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            arguments["--output-root"] = root
        flat = [str(part) for pair in arguments.items() for part in pair]
        job = Job(
            name=job_name(run_id, attempt),
            artefact=artefact,
            module="mlplatform.batch",
            arguments=(*flat, *(["--force"] if run.force else [])),
            log=run_log(Folders(settings.home), run),
            variables=tuple(settings.environments[run.environment].lake_variables),
        )
        return job, batch.timeout

    def _tell(self, run_id: str, state: JobState) -> None:
        if state.progress is None:
            return
        with self._database.write() as session:
            run = repository.lock(session, run_id)
            if run.state == RunState.RUNNING:
                run.rows = int(state.progress["rows"]) - int(state.progress["rejected"])
                run.rejected, run.total = int(state.progress["rejected"]), int(state.progress["total"])

    def _ended_well(self, run: BatchRun, ended: Mapping[str, Any]) -> None:
        unchanged = ended["outcome"] == "unchanged"
        run.state = RunState.UNCHANGED if unchanged else RunState.SUCCEEDED
        run.rows, run.rejected, run.total = int(ended["rows"]), int(ended["rejected"]), int(ended["total"])
        run.input_digest, run.output_digest = ended["inputDigest"], ended["outputDigest"]
        run.model_seconds, run.reasons = float(ended["modelSeconds"]), list(ended["reasons"])
        rejected = f", {run.rejected} rejected" if run.rejected else ""
        run.message = (
            f"v{run.version} has scored this input before; nothing was changed"
            if unchanged
            else f"{run.rows} rows scored{rejected}"
        )
        run.finished_at = self._services.clock.now()

    def _failed(self, run: BatchRun, ended: Mapping[str, Any], batch: Batch | None) -> None:
        message = str(ended.get("message", "it ended without a word"))
        now = self._services.clock.now()
        retries = batch.retries if batch is not None else 0
        if ended.get("again") and run.attempts <= retries:
            delay = min(self._services.settings.batch.retry_delay * 2 ** (run.attempts - 1), _LONGEST_DELAY)
            run.state, run.not_before = RunState.PENDING, now + delay
            run.message = f"attempt {run.attempts} of {retries + 1} failed: {message}"
            return
        tried = f" (after {run.attempts} attempts)" if run.attempts > 1 else ""
        run.state, run.message, run.finished_at = RunState.FAILED, f"{message}{tried}", now


def job_name(run_id: str, attempt: int) -> str:
    """Name the job of an attempt."""
    return f"{run_id}-{attempt}"


def trial_root(folders: Folders, deployment_id: str, version: int) -> Path:
    """Return where a version writes for trial in a rollout."""
    return folders.trials / deployment_id / f"v{version}"


def run_log(folders: Folders, run: BatchRun) -> Path:
    """Return where a run logs to."""
    return log_folder(folders, run.environment, run.model) / f"v{run.version}-{run.day}-{run.id}.log"


def log_folder(folders: Folders, environment: str, model: str) -> Path:
    """Return the folder with the logs of a model's runs."""
    return folders.logs / "batch" / environment / model
