"""Collects what a gate checks while it runs and turns it into the result."""

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from mlplatform.attest.digest import file_sha256
from mlplatform.attest.statement import checks_predicate
from mlplatform.gates.context import GateContext
from mlplatform.gates.result import Check, Gate, GateResult, Outcome, Reference, Tool
from mlplatform.redaction import redact

_MAX_CHECKS_NAMED = 2
_MAX_ERROR = 300


class Recorder:
    """One run of one gate."""

    def __init__(self, gate: Gate, context: GateContext) -> None:
        self._gate = gate
        self._context = context
        self._started: datetime = context.clock()
        self.checks: list[Check] = []
        self.against: list[Reference] = []
        self.tools: list[Tool] = []

    def add(
        self, name: str, outcome: Outcome, message: str, *, observed: str | None = None, limit: str | None = None
    ) -> None:
        """Record a check under the gate's name."""
        self.checks.append(
            Check(name=f"{self._gate}.{name}", outcome=outcome, observed=observed, limit=limit, message=message)
        )

    def passed(self, name: str, message: str, *, observed: str | None = None, limit: str | None = None) -> None:
        """Record a check that held."""
        self.add(name, Outcome.PASSED, message, observed=observed, limit=limit)

    def failed(self, name: str, message: str, *, observed: str | None = None, limit: str | None = None) -> None:
        """Record a check that did not hold."""
        self.add(name, Outcome.FAILED, message, observed=observed, limit=limit)

    def not_evaluated(self, name: str, message: str, *, limit: str | None = None) -> None:
        """Record a check that nobody could make."""
        self.add(name, Outcome.NOT_EVALUATED, message, limit=limit)

    def tool(self, *distributions: str) -> None:
        """Name the programs that did the checking, by their distributions."""
        from importlib.metadata import PackageNotFoundError, version

        for name in distributions:
            try:
                self.tools.append(Tool(name=name, version=version(name)))
            except PackageNotFoundError:
                self.tools.append(Tool(name=name, version="unknown"))

    def datasets(self, names: Iterable[str]) -> None:
        """Name data sets as what was looked at, with the digests that training recorded."""
        digests = {entry["name"]: entry["digest"] for entry in training_record(self._context).get("data", [])}
        for name in names:
            reference = self._context.spec.dataset(name)
            self.against.append(Reference(name=name, uri=reference.uri, digest=digests.get(name, {})))

    def finish(self, passed: str) -> GateResult:
        """Return the result; ``passed`` is the summary when everything held."""
        outcome = GateResult.combined(self.checks)
        telling = [check for check in self.checks if check.outcome is outcome]
        if outcome is Outcome.PASSED:
            summary = passed
        else:
            named = "; ".join(check.message for check in telling[:_MAX_CHECKS_NAMED])
            rest = len(telling) - _MAX_CHECKS_NAMED
            summary = f"{named}; and {rest} more" if rest > 0 else named
        return GateResult(
            gate=self._gate,
            outcome=outcome,
            summary=summary,
            checks=self.checks,
            against=self.against,
            tools=self.tools,
            started_at=self._started,
            finished_at=self._context.clock(),
        )


def training_record(context: GateContext) -> dict[str, Any]:
    """Return what training wrote down about the artefact, or nothing where it is missing or damaged."""
    try:
        record = json.loads((context.build / "training.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def checked_body(result: GateResult, context: GateContext) -> dict[str, Any]:
    """Return a result as a test-result predicate, with ``model.yaml`` as what the model was held against."""
    path = context.repository / "model.yaml"
    described = {"name": path.name, "mediaType": "application/yaml"}
    configuration: list[dict[str, Any]] = []
    if path.is_file():
        configuration = [{**described, "digest": {"sha256": file_sha256(path)}}]
    return checks_predicate(result, configuration)


def explain(error: BaseException) -> str:
    """Return an error of somebody else's code as one redacted line: its text may hold rows of data."""
    first = str(error).strip().splitlines()
    text = f"{type(error).__name__}: {first[0]}" if first else type(error).__name__
    return redact(text if len(text) <= _MAX_ERROR else f"{text[:_MAX_ERROR]}…")


def share(count: int, total: int) -> str:
    """Return a count with its share, for example ``3 of 178 (1.7 %)``."""
    return f"{count} of {total} ({count / total:.1%})".replace("%", " %") if total else f"{count} of 0"
