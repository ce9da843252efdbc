"""A step in which old and new batch version score the same newest days for trial, and what they answered is compared.

What ``rollout.analysis`` limits decides: the share of rows that are accepted stands for the success rate, the model's time
per row for the latency. How many answers changed, and how much their distribution moved, is told and put on record, not judged:
a better model answers differently.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Literal

from backend.batch.jobs import Job
from backend.batch.models import ACTIVE, GOOD, BatchRun
from backend.batch.rules import span
from backend.batch.running import log_folder, trial_root
from backend.core.errors import PlatformError
from backend.core.workflows.runtime import LOOK
from backend.deployments import words
from backend.deployments.analysis.judge import LATENCY_VS_PRIMARY, SUCCESS_RATE, SUCCESS_RATE_VS_PRIMARY
from backend.deployments.figures import Figures
from backend.deployments.models import Deployment, Outcome
from backend.deployments.targets.base import TargetUnavailable
from backend.deployments.world import World
from backend.local.folders import Folders
from mlplatform.batch.faults import BatchFailed
from mlplatform.spec.model import ModelSpec

MOST_DAYS = 3
"""Newest days that are compared."""
NOISE_SECONDS = 1.0
"""A version is not called slower for less than this over all days: so much a busy machine adds by itself."""
_LONGEST_COMPARISON = 1800.0

Ended = Literal["passed", "ended"]

_log = logging.getLogger(__name__)


class Compared:
    """Bears being called again: trials are rows, and the comparison is a job that is found again."""

    def __init__(self, world: World, deployment: Deployment, index: int, spec: ModelSpec) -> None:
        assert deployment.previous_version is not None
        assert spec.batch is not None
        self._world, self._deployment, self._index, self._spec = world, deployment, index, spec
        self._batch = spec.batch
        self._primary = deployment.previous_version
        self._services = world.services
        self._folders = Folders(world.services.settings.home)
        with self._services.database.read() as session:
            self._old = world.lifecycle.spec_of(session, deployment.model, self._primary)

    def run(self) -> Ended:
        """Compare, and pass the step or decide the rollout."""
        if self._old.batch is None:
            return self._passed(f"v{self._primary} is no batch version, so there is nothing to compare with")
        if set(self._old.batch.keys) != set(self._batch.keys):
            return self._passed(f"not compared: v{self._primary} names rows by other keys")
        days = self._world.patiently(self._days)
        if not days:
            return self._passed(f"there is no data yet that both v{self._primary} and this version read; not compared")
        self._ask_for_trials(days)
        trials = self._await_trials(days)
        if isinstance(trials, str):
            return self._decided(trials)
        version = self._deployment.version
        for trial in trials:
            if trial.version == version and trial.state not in GOOD:
                return self._rolled_back(Outcome.FAILED, f"v{version} does not score {trial.day}: {trial.message}")
        unscored = {trial.day: trial.message for trial in trials if trial.state not in GOOD}
        days = [day for day in days if day not in unscored]
        if not days:
            (day, why), *_ = unscored.items()
            return self._passed(f"not compared: v{self._primary} itself does not score {day}: {why}")
        found = self._compare(days)
        if isinstance(found, str):
            return self._decided(found)
        if found["event"] != "ended":
            return self._rolled_back(Outcome.FAILED, f"the answers could not be compared: {found['message']}")
        return self._judge(days, found["comparison"])

    def _days(self) -> list[date]:
        with self._services.database.read() as session:
            known = self._services.batch.trials(session, self._deployment.id)
        asked = sorted({run.day for run in known if run.version == self._primary})
        if asked:
            return asked
        assert self._old.batch is not None
        try:
            lake = self._services.batch.rules.lake(self._deployment.environment)
            mine = lake.days(self._batch.input, self._batch.partition)
            theirs = set(lake.days(self._old.batch.input, self._old.batch.partition))
        except (BatchFailed, PlatformError, OSError) as fault:
            raise TargetUnavailable(f"the lake does not answer: {fault}") from fault
        return [day for day in mine if day in theirs][-MOST_DAYS:]

    def _ask_for_trials(self, days: Sequence[date]) -> None:
        deployment = self._deployment
        with self._services.database.write() as session:
            for version in (self._primary, deployment.version):
                for day in days:
                    self._services.batch.trial(
                        session,
                        deployment_id=deployment.id,
                        environment=deployment.environment,
                        model=deployment.model,
                        version=version,
                        day=day,
                    )

    def _await_trials(self, days: Sequence[date]) -> list[BatchRun] | str:
        """Return the trials when they are over, or who decided otherwise meanwhile (see :meth:`_decided`)."""
        while True:
            if (decided := self._interrupted()) is not None:
                return decided
            with self._services.database.read() as session:
                trials = self._services.batch.trials(session, self._deployment.id)
            mine = [run for run in trials if run.day in days]
            if all(run.state not in ACTIVE for run in mine):
                return mine
            self._world.waiting.wait(LOOK)

    def _compare(self, days: Sequence[date]) -> Mapping[str, Any] | str:
        jobs, job = self._services.batch_work.jobs, self._job(days)
        begun = time.monotonic()
        while True:
            if (decided := self._interrupted()) is not None:
                jobs.kill(job.name)
                jobs.forget(job.name)
                return decided
            state = jobs.state(job.name)
            if not state.runs:
                if state.last is not None:
                    jobs.forget(job.name)
                    return dict(state.last)
                jobs.start(job)  # for the first time, or again after it was killed
            elif time.monotonic() - begun > _LONGEST_COMPARISON:
                jobs.kill(job.name)
                jobs.forget(job.name)
                return {"event": "failed", "message": f"it took longer than {words.seconds(_LONGEST_COMPARISON)}"}
            self._world.waiting.wait(LOOK)

    def _job(self, days: Sequence[date]) -> Job:
        deployment = self._deployment
        registry = self._services.registry
        arguments: list[str] = []
        artefacts = {}
        with self._services.database.read() as session:
            for side, number in (("old", self._primary), ("new", deployment.version)):
                artefact = registry.bundle_path(registry.get_version(session, deployment.model, number))
                artefacts[side] = artefact
                arguments += [f"--{side}-spec", str(artefact / "environment" / "model.yaml")]
                arguments += [f"--{side}", str(trial_root(self._folders, deployment.id, number))]
        for day in days:
            arguments += ["--day", day.isoformat()]
        folder = log_folder(self._folders, deployment.environment, deployment.model)
        return Job(
            name=f"compare-{deployment.id}",
            artefact=artefacts["new"],
            module="mlplatform.batch.compare",
            arguments=tuple(arguments),
            log=folder / f"v{deployment.version}-{days[-1]}-compare-{deployment.id}.log",
        )

    def _judge(self, days: Sequence[date], comparison: dict[str, Any]) -> Ended:
        figures = figures_between(self._spec, comparison)
        breached = [check for check in figures.checks if check["verdict"] == "breached"]
        told = described(self._primary, days, comparison)
        if breached:
            why = "; ".join(_finding(check, self._primary) for check in breached)
            return self._rolled_back(Outcome.ROLLED_BACK, f"{why} ({told})", figures)
        return self._passed(told, figures)

    def _interrupted(self) -> str | None:
        """Return ``""`` when the rollout is decided, the name of who promoted it if somebody did, else ``None``."""
        decided, promoted_by = self._world.decided(self._deployment.id)
        if decided:
            return ""
        return promoted_by

    def _decided(self, promoted_by: str) -> Ended:
        return self._passed(f"{promoted_by} promoted it without further analysis") if promoted_by else "ended"

    def _passed(self, reason: str, figures: Figures | None = None) -> Ended:
        with self._services.database.write() as session:
            passed = self._world.lifecycle.passed(session, self._deployment.id, self._index, reason, figures)
        return "passed" if passed else "ended"

    def _rolled_back(self, outcome: Outcome, reason: str, figures: Figures | None = None) -> Ended:
        with self._services.database.write() as session:
            self._world.lifecycle.roll_back(session, self._deployment.id, outcome, reason, judgement=figures)
        return "ended"


def figures_between(spec: ModelSpec, comparison: dict[str, Any]) -> Figures:
    """Return a comparison as a step's figures, held against the limits of ``rollout.analysis``."""
    old, new = comparison["old"], comparison["new"]
    analysis = spec.rollout.analysis
    drop = None if old["accepted"] is None else old["accepted"] - analysis.success_rate.max_drop
    slowest = old["modelSeconds"] * analysis.latency.max_ratio
    slower = new["rows"] and old["rows"] and new["modelSeconds"] > slowest + NOISE_SECONDS
    limit = _per_row(old)
    return Figures(
        canary=_side(new),
        primary=_side(old),
        checks=[
            _at_least(SUCCESS_RATE, new["accepted"], analysis.success_rate.minimum),
            _at_least(SUCCESS_RATE_VS_PRIMARY, new["accepted"], drop),
            _check(
                LATENCY_VS_PRIMARY,
                _per_row(new),
                None if limit is None else limit * analysis.latency.max_ratio,
                "breached" if slower else "passing",
            ),
        ],
        more={"comparison": comparison},
    )


def described(primary: int, days: Sequence[date], comparison: dict[str, Any]) -> str:
    """Say what a comparison found."""
    old, new = comparison["old"], comparison["new"]
    parts = [f"{span(days[0], days[-1])}: {new['rows']:,} rows, {_share(new['accepted'])} accepted"]
    parts[0] += f" (v{primary}: {_share(old['accepted'])})"
    parts.append(f"{_share(comparison['changed'])} of {comparison['matched']:,} answers changed")
    for name, told in comparison["outputs"].items():
        index = "-" if told["psi"] is None else f"{told['psi']:.3g}"
        text = f"{name}: {_share(told['agreement'])} agree, stability index {index}"
        if "difference" in told and told["difference"]["mean"] is not None:
            text += f", mean difference {told['difference']['mean']:.3g}"
        if told["nulls"]["new"] or told["nulls"]["old"]:
            text += f", {_share(told['nulls']['new'])} null (v{primary}: {_share(told['nulls']['old'])})"
        parts.append(text)
    if comparison["onlyNew"]:
        parts.append(f"new outputs: {', '.join(comparison['onlyNew'])}")
    if comparison["onlyOld"]:
        parts.append(f"outputs that are gone: {', '.join(comparison['onlyOld'])}")
    return "; ".join(parts)


def _side(figures: dict[str, Any]) -> dict[str, Any]:
    return {
        "requests": figures["rows"],
        "errors": figures["rejected"],
        "successRate": figures["accepted"],
        "latencyMs": _per_row(figures),
    }


def _per_row(figures: dict[str, Any]) -> float | None:
    return figures["modelSeconds"] * 1000 / figures["rows"] if figures["rows"] else None


def _at_least(name: str, observed: float | None, limit: float | None) -> dict[str, Any]:
    if observed is None or limit is None:
        return _check(name, observed, limit, "no_data")
    return _check(name, observed, limit, "passing" if observed >= limit else "breached")


def _check(name: str, observed: float | None, limit: float | None, verdict: str) -> dict[str, Any]:
    return {
        "name": name,
        "observed": observed,
        "limit": limit,
        "evidence": None,
        "threshold": None,
        "verdict": verdict if observed is not None else "no_data",
    }


def _finding(check: dict[str, Any], primary: int) -> str:
    allowed = f" allowed by v{primary}" if check["name"] != SUCCESS_RATE else ""
    if check["name"] == LATENCY_VS_PRIMARY:
        return f"{check['observed']:.3g} ms a row, over {check['limit']:.3g} ms{allowed}"
    return f"{_share(check['observed'])} of the rows accepted, under {_share(check['limit'])}{allowed}"


def _share(value: float | None) -> str:
    return "-" if value is None else words.percent(value)
