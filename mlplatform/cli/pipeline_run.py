"""All stages in order, with live progress: what ``platform run`` does."""

import os
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mlplatform.cli import output, session
from mlplatform.cli.errors import DEBUG, explained
from mlplatform.cli.gate_output import gate_document, show_gate
from mlplatform.pipeline.errors import StageRefused

if TYPE_CHECKING:
    from mlplatform.client import PlatformClient
    from mlplatform.gates.result import GateResult
    from mlplatform.pipeline.workspace import Workspace

Json = dict[str, Any]


class StageFailed(Exception):
    """A stage ended without getting through; the message is the reason."""


@dataclass
class PipelineRun:
    """One run of the pipeline in a repository."""

    workspace: "Workspace"
    environment: str
    wait: bool | None
    timeout: object
    seed: int
    allow_dirty: bool
    model: str | None = None
    stages: list[Json] = field(default_factory=list)
    version: Json | None = None
    deployment: Json | None = None
    reason: str | None = None
    fix: str | None = None
    error: Json | None = None

    def run(self, names: list[str]) -> int:
        """Run the stages; return 0 when all got through, else 1. What stopped it is told and remembered."""
        for name in names:
            stage: Callable[[], str] = getattr(self, f"_{name}")
            started = time.monotonic()
            entry: Json = {"stage": name, "outcome": "failed", "seconds": 0.0, "summary": ""}
            self.stages.append(entry)
            output.say(output.paint(f"{name} ...", "cyan", sys.stderr))
            try:
                entry["summary"] = stage()
                entry["outcome"] = "passed"
            except StageFailed as error:
                entry["summary"] = self.reason = str(error)
            except Exception as error:
                self._explain(entry, error)
            entry["seconds"] = round(time.monotonic() - started, 3)
            took = output.seconds(entry["seconds"])
            output.say(f"{output.mark(entry['outcome'], stream=sys.stderr)} {name} in {took}: {entry['summary']}")
            if entry["outcome"] == "failed":
                if self.fix:
                    output.say(f"  {self.fix}")
                return 1
        return 0

    def document(self) -> Json:
        """Return the run as one JSON document."""
        return {
            "model": self.model,
            "environment": self.environment,
            "outcome": "failed" if self.reason else "passed",
            "reason": self.reason,
            "fix": self.fix,
            "error": self.error,
            "stages": self.stages,
            "version": self.version,
            "deployment": self.deployment,
        }

    def summary(self) -> str:
        """Return the last line for people."""
        total = output.seconds(sum(stage["seconds"] for stage in self.stages))
        last = self.stages[-1]
        if self.reason:
            return f"{output.mark('failed')} at {last['stage']} after {total}: {self.reason.splitlines()[0]}"
        return f"{output.mark('passed')}: {', '.join(stage['stage'] for stage in self.stages)} in {total}"

    def _explain(self, entry: Json, error: Exception) -> None:
        """Remember an error as the reason, and tell the lines that go with it (faults, requirements)."""
        if os.environ.get(DEBUG):
            traceback.print_exception(error)
        self.error, (first, *rest) = explained(error)
        entry["summary"] = self.reason = first
        self.fix = self.error.get("fix")
        for line in rest:
            if line != self.fix:
                output.say(f"  {line}")

    def _check(self) -> str:
        from mlplatform.pipeline.check import check
        from mlplatform.spec.faults import describe

        report = check(self.workspace)
        self.model = report.spec.name
        for file, fault in report.faults:
            output.say(f"  {describe(file, fault)}")
        for note in report.notes:
            output.say(f"  note: {note}")
        if report.faults:
            file, fault = report.faults[0]
            more = f" (and {len(report.faults) - 1} more)" if len(report.faults) > 1 else ""
            raise StageFailed(f"{file}:{fault.line}: {fault.message}{more}")
        return ", ".join(report.checked)

    def _train(self) -> str:
        from mlplatform.training import run_training

        record = run_training(self.workspace, seed=self.seed)
        self.model = self.workspace.spec.name
        if record.git.dirty:
            output.warn("trained with uncommitted changes")
        metrics = ", ".join(f"{name} {value:.4g}" for name, value in sorted(record.metrics.items())[:4])
        return f"sha256 {record.model_digest[:12]}" + (f", {metrics}" if metrics else "")

    def _validate(self) -> str:
        from mlplatform.pipeline import gates
        from mlplatform.pipeline.champion import fetch_champion

        self.workspace.trained()
        champion = fetch_champion(self.workspace, warn=output.warn)
        return self._gates(gates.validate(self.workspace, champion, listen=self._listen, warn=output.warn))

    def _scan(self) -> str:
        from mlplatform.pipeline import gates

        return self._gates(gates.scan(self.workspace, listen=self._listen))

    def _listen(self, result: "GateResult") -> None:
        show_gate(result, write=output.say, stream=sys.stderr)

    def _gates(self, results: "list[GateResult]") -> str:
        from mlplatform.pipeline.gates import failed

        self.model = self.workspace.spec.name
        self.stages[-1]["gates"] = [gate_document(result) for result in results]
        if stopped := failed(results):
            names = "; ".join(f"the gate `{result.gate}` failed: {result.summary}" for result in stopped)
            self.fix = f"the details are above and in build/gates/{stopped[0].gate}.json"
            raise StageFailed(names)
        return ", ".join(f"{result.gate} {result.outcome.replace('_', ' ')}" for result in results)

    def _register(self) -> str:
        from mlplatform.pipeline.register import candidate, register

        model = candidate(self.workspace, allow_dirty=self.allow_dirty)
        with session.connected() as client:
            done = register(model, client, session.credentials(), say=_indented)
        self.version = {**done.version, "created": done.created}
        self.model = done.version["model"]
        return f"{done.version['model']} version {done.version['version']}" + (
            "" if done.created else " (was there already)"
        )

    def _deploy(self) -> str:
        from mlplatform.cli.rollout_output import followed
        from mlplatform.pipeline import deploy

        spec = self.workspace.spec
        self.model = spec.name
        with session.connected() as client:
            number = self.version["version"] if self.version else self._registered_number(client)
            self.deployment = client.deploy(spec.name, self.environment, version=number)
            if self.wait is False:
                return deploy.ending(self.deployment)
            self.deployment, status = followed(
                client,
                self.deployment,
                timeout=self.timeout,
                through_approval=self.wait is True,
            )
        text = deploy.ending(self.deployment)
        if self.deployment["phase"] == "awaiting_approval" and self.wait is None:
            return text
        if status:
            raise StageFailed(text)
        return text

    def _registered_number(self, client: "PlatformClient") -> int:
        """Return the version that the model in ``build/`` was registered as: never deploy another one by accident."""
        digest = self.workspace.trained().model_digest
        for version in client.pages(f"/registry/models/{self.workspace.spec.name}/versions", {}):
            if version["digest"] == digest:
                return int(version["version"])
        raise StageRefused("the model in build/ is not registered", fix="run `platform register`")


def _indented(line: str) -> None:
    output.say(f"  {line}")
