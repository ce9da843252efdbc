"""How gate results are shown."""

from collections.abc import Callable
from typing import Any, TextIO

from mlplatform.cli import output
from mlplatform.gates.result import GateResult, Outcome


def gate_document(result: GateResult) -> dict[str, Any]:
    """Return a result as it goes into ``--json`` output."""
    return result.model_dump(mode="json", by_alias=True)


def show_gate(result: GateResult, *, write: Callable[[str], None], stream: TextIO | None = None) -> None:
    """Write a result in a line, and below it whatever did not pass."""
    write(f"  {output.mark(result.outcome, 13, stream)} {result.gate:<16} {result.summary}")
    for check in result.checks:
        if check.outcome is Outcome.PASSED:
            continue
        write(f"      {output.mark(check.outcome, stream=stream)}: {check.name}: {check.message}")
        if check.observed is not None or check.limit is not None:
            write(f"        found {check.observed or '-'}, limit {check.limit or '-'}")
