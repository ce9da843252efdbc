"""Where batch versions run: nothing is served, so what there is of a version is the environment that its runs need.

Each version that is wanted has a record and one pseudo replica: ``starting`` while its Python environment is being made,
``ready`` when that is there. The days themselves are scored by :mod:`backend.batch`.
"""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from backend.batch.jobs import Job, Jobs
from backend.batch.running import log_folder
from backend.batch.service import BatchService
from backend.core.database import Database
from backend.core.errors import PlatformError
from backend.deployments.service import DeploymentService
from backend.deployments.targets.base import (
    ReplicaPhase,
    ReplicaSetSpec,
    ReplicaState,
    Route,
    Sample,
    TargetUnavailable,
    VersionKey,
    WarmResult,
)
from backend.deployments.targets.local.environments import is_ready, lock_digest
from backend.deployments.targets.local.logs import follow_files
from backend.deployments.targets.local.versions import slug
from backend.deployments.targets.log_filter import EVERYTHING, LogFilter
from backend.local.folders import Folders
from mlplatform.batch.faults import BatchFailed
from mlplatform.spec.model import ModelSpec

_SHOWN_RUNS = 5
"""Runs whose logs are shown, the newest."""
_AGAIN_SECONDS = 10.0


@dataclass(frozen=True)
class _Wanted:
    """A version that is to be ready for runs."""

    key: VersionKey
    digest: str
    artefact: Path


class BatchTarget:
    """Implements :class:`backend.deployments.targets.base.Target` for batch versions on this machine."""

    def __init__(
        self, folders: Folders, database: Database, jobs: Jobs, runs: BatchService, deployments: DeploymentService
    ) -> None:
        self._folders, self._database, self._jobs = folders, database, jobs
        self._runs, self._deployments = runs, deployments
        self._failed: dict[str, tuple[float, str]] = {}

    def start(self, spec: ReplicaSetSpec) -> None:
        """Have the version's environment made; return at once."""
        folder = self._records
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._record(spec.key)
        temporary = path.with_suffix(".new")
        key = spec.key
        document = {
            "key": [key.environment, key.model, key.version],
            "digest": spec.digest,
            "artefact": str(spec.artefact_dir),
        }
        temporary.write_text(json.dumps(document), encoding="utf-8")
        temporary.replace(path)
        self._prepare(_Wanted(key, spec.digest, spec.artefact_dir))

    def stop(self, key: VersionKey) -> None:
        """Forget the version; runs of it that are under way are the batch domain's business."""
        self._record(key).unlink(missing_ok=True)

    def replicas(self, key: VersionKey | None = None) -> list[ReplicaState]:
        """Return the pseudo replica of each version."""
        wanted = [one for path in sorted(self._records.glob("*.json")) if (one := _read(path)) is not None]
        return [self._state(one) for one in wanted if key is None or one.key == key]

    def apply(self, routes: Sequence[Route]) -> None:
        """Do nothing: batch versions have no traffic."""

    def sample(self) -> dict[VersionKey, Sample]:
        """Return nothing: there are no requests to count."""
        return {}

    def warm(self, key: VersionKey, spec: ModelSpec) -> WarmResult | None:
        """Have the newest day of the lake scored for trial; ``None`` while that goes on."""
        batch = spec.batch
        assert batch is not None
        with self._database.read() as session:
            deployment = self._deployments.in_progress(session, key.environment, key.model)
            if deployment is None:
                return WarmResult(ok=False, requests=0, message=f"{key} is not being rolled out")
            mine = [run for run in self._runs.trials(session, deployment) if run.version == key.version]
        if not mine:
            try:
                days = self._runs.rules.lake(key.environment).days(batch.input, batch.partition)
            except (BatchFailed, PlatformError, OSError) as fault:
                raise TargetUnavailable(f"the lake of {key.environment} does not answer: {fault}") from fault
            if not days:
                said = f"there is no data yet at {batch.input} in the lake of {key.environment}, so nothing was tried"
                return WarmResult(ok=True, requests=0, message=said)
            with self._database.write() as session:
                self._runs.trial(
                    session,
                    deployment_id=deployment,
                    environment=key.environment,
                    model=key.model,
                    version=key.version,
                    day=days[-1],
                )
            return None
        trial = mine[-1]
        if trial.state in ("pending", "running"):
            return None
        ok = trial.state in ("succeeded", "unchanged")
        rejected = f", {trial.rejected} rejected" if trial.rejected else ""
        said = f"{trial.rows} rows of {trial.day} scored for trial{rejected}" if ok else f"{trial.day}: {trial.message}"
        return WarmResult(ok=ok, requests=trial.rows or 0, message=said)

    def logs(
        self, keys: Sequence[VersionKey], tail: int, follow: bool, wanted: LogFilter = EVERYTHING
    ) -> Iterator[str]:
        """Yield ``<version>/<day> <line>`` of the newest runs, then follow them and those that come."""
        return follow_files(
            lambda: {label: path for key in keys for label, path in self._logs(key).items()},
            tail=tail,
            follow=follow,
            running=lambda: any(self._record(key).exists() for key in keys),
            wanted=wanted,
        )

    def close(self) -> None:
        """Leave everything: processes go on, records stay."""

    @property
    def _records(self) -> Path:
        return self._folders.jobs / "versions"

    def _record(self, key: VersionKey) -> Path:
        return self._records / f"{slug(key)}.json"

    def _state(self, wanted: _Wanted) -> ReplicaState:
        phase, message = self._judged(wanted)
        return ReplicaState(key=wanted.key, replica=0, state=phase, port=None, pid=None, message=message)

    def _judged(self, wanted: _Wanted) -> tuple[ReplicaPhase, str | None]:
        if self._jobs.python is not None:
            return "ready", None
        try:
            digest = lock_digest(wanted.artefact / "environment")
        except OSError as fault:
            return "failed", f"the bundle's uv.lock can't be read: {fault.strerror}"
        if is_ready(self._folders.environments / digest):
            return "ready", None
        name = _job(digest)
        state = self._jobs.state(name)
        if not state.runs and state.last is not None and state.last["event"] == "failed":
            self._failed[name] = (time.monotonic(), str(state.last["message"]))
            self._jobs.forget(name)
        if name in self._failed and not state.runs:
            return "failed", self._failed[name][1]
        return "starting", "making the Python environment"

    def _prepare(self, wanted: _Wanted) -> None:
        if self._judged(wanted)[0] == "ready":
            return
        try:
            name = _job(lock_digest(wanted.artefact / "environment"))
        except OSError:
            return  # the state says it
        since, _ = self._failed.get(name, (float("-inf"), ""))
        if self._jobs.state(name).runs or time.monotonic() - since < _AGAIN_SECONDS:
            return
        self._failed.pop(name, None)
        key = wanted.key
        log = log_folder(self._folders, key.environment, key.model) / f"v{key.version}-environment.log"
        self._jobs.start(Job(name=name, artefact=wanted.artefact, module=None, arguments=(), log=log))

    def _logs(self, key: VersionKey) -> dict[str, Path]:
        folder = log_folder(self._folders, key.environment, key.model)
        found = sorted(folder.glob(f"v{key.version}-*.log"), key=lambda path: (path.stat().st_mtime, path.name))
        shown = {}
        for path in found[-_SHOWN_RUNS:]:
            # v<version>-<day>-<run>.log, or v<version>-environment.log
            what = path.stem.removeprefix(f"v{key.version}-")
            shown[f"{key.version}/{what if what == 'environment' else what[:10]}"] = path
        return shown


def _read(path: Path) -> _Wanted | None:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        environment, model, version = document["key"]
        return _Wanted(VersionKey(environment, model, int(version)), document["digest"], Path(document["artefact"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _job(digest: str) -> str:
    return f"environment-{digest[:32]}"
