"""Run gates on the trained model and keep what they say."""

import importlib
from collections.abc import Callable, Iterable
from typing import Any

from mlplatform.gates.result import Gate, GateResult, Outcome
from mlplatform.pipeline import code
from mlplatform.pipeline.champion import Champion
from mlplatform.pipeline.errors import StageRefused
from mlplatform.pipeline.workspace import SCAN_GATES, VALIDATE_GATES, Workspace

Listener = Callable[[GateResult], None]


def validate(
    workspace: Workspace,
    champion: Champion,
    *,
    listen: Listener = lambda _: None,
    warn: Callable[[str], None] = lambda _: None,
) -> list[GateResult]:
    """Run the gates that judge the model itself: schema and thresholds.

    A model that passes them gets its training reference too. Without one it can be deployed, and is not watched for drift.
    """
    results = run_gates(workspace, VALIDATE_GATES, champion, listen=listen)
    workspace.reference.unlink(missing_ok=True)
    if not failed(results):
        from mlplatform.reference.build import write_reference

        try:
            write_reference(workspace)
        except StageRefused as error:
            warn(f"{error}; the version will not be watched for drift")
    return results


def scan(workspace: Workspace, *, listen: Listener = lambda _: None) -> list[GateResult]:
    """Run the gates that look at what the model carries with it: personal data, dependencies, origin."""
    return run_gates(workspace, SCAN_GATES, Champion(None, "not needed"), listen=listen)


def failed(results: Iterable[GateResult]) -> list[GateResult]:
    """Return the results that stop the pipeline. A gate that was not evaluated does not: policies decide about it."""
    return [result for result in results if result.outcome is Outcome.FAILED]


def run_gates(workspace: Workspace, gates: Iterable[Gate], champion: Champion, *, listen: Listener) -> list[GateResult]:
    """Run the gates in order, all of them, so that one failure does not hide another.

    Raises:
        StageRefused: there is no model, or a gate could not do its work.
    """
    from mlplatform.gates.context import GateContext
    from mlplatform.training import DataLoader

    trained = workspace.trained()
    results = []
    with code.inside(workspace.path):
        context = GateContext(
            spec=workspace.spec,
            repository=workspace.path,
            build=workspace.build,
            load=DataLoader(workspace.spec, workspace.path).load,
            champion=champion.artefact,
            champion_unavailable=champion.unavailable,
        )
        for gate in gates:
            result, predicate = _evaluated(gate, context, workspace)
            workspace.keep(result, predicate, trained.model_digest)
            listen(result)
            results.append(result)
    return results


def _evaluated(gate: Gate, context: Any, workspace: Workspace) -> tuple[GateResult, dict[str, Any] | None]:
    module = importlib.import_module(f"mlplatform.gates.{gate}")
    try:
        result: GateResult = module.evaluate(context)
        body = getattr(module, "body", None)
        return result, body(result, context) if body is not None else None
    except StageRefused:
        raise
    except Exception as error:
        why = code.explain(error, workspace.path)
        raise StageRefused(
            f"the gate `{gate}` broke off: {why}", fix="set ML_PLATFORM_DEBUG=1 for the traceback"
        ) from error
