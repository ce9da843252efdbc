"""Moves the shares of a stream: writes the control file that workers follow, see :mod:`mlplatform.streaming.handover`."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backend.deployments.targets.base import Route, TargetUnavailable
from backend.deployments.targets.streaming.workers import Worker, progress_of, progress_of_all
from mlplatform.streaming.control import Control, ControlError, group_prefix, read_control, write_control
from mlplatform.streaming.handover import (
    Progress,
    from_the_beginning,
    gaining,
    groups_to_ask,
    let_go,
    recovered,
    take_over,
    without_retired,
)
from mlplatform.streaming.position import BEGINNING

_TAKEN_OVER_SECONDS = 1.0
_POLL_SECONDS = 0.02


def move_shares(path: Path, route: Route, workers: Sequence[Worker], *, latest: bool) -> None:
    """Make a route the shares of its versions, and return when all workers act on it.

    It may be killed anywhere and called again. ``latest`` has a stream that nobody has read yet begin with its next message.

    Raises:
        TargetUnavailable: the file can't be written yet, for nobody can tell the positions, or a worker does not follow it.
    """
    try:
        control = read_control(path)
    except ControlError as error:
        raise TargetUnavailable(
            f"the shares of {route.environment}/{route.model}: {error}",
            fix="Delete the file; it is made anew from what the broker remembers.",
        ) from None
    before = read_revision(path)
    progress: Progress | None = None
    begin = BEGINNING
    if control is None:
        progress = progress_of_all(workers, group_prefix(route.environment, route.model))
        control, known = recovered(route.environment, route.model, progress)
        begin = known if known is not None else progress.head if latest else BEGINNING
    else:
        states = [state for worker in workers if (state := worker.assignment()) is not None]
        control = _tidied(control, states)
    weights = {version: weight for version, weight in route.weights if weight}
    if gaining(control, weights, route.mirror):
        progress = progress or progress_of(workers, groups_to_ask(control))
        control = take_over(control, weights, route.mirror, progress, begin)
        write_control(path, control)
    control = let_go(control, weights, route.mirror)
    if control.revision != read_revision(path):
        write_control(path, control)
    _await(control, workers, quick=before == control.revision)


def read_revision(path: Path) -> int | None:
    """Return the revision of the file that is in place; ``None`` if there is none."""
    present = read_control(path)
    return None if present is None else present.revision


def _tidied(control: Control, states: Sequence[dict[str, Any]]) -> Control:
    """Take out what is over: positions of a stream that was made anew, and groups that the broker knows no more."""
    if any(state.get("renewed") and state.get("revision") == control.revision for state in states):
        control = from_the_beginning(control)
    gone = {str(group) for state in states for group in state.get("forgotten") or ()}
    return without_retired(control, gone)


def _await(control: Control, workers: Sequence[Worker], *, quick: bool) -> None:
    deadline = time.monotonic() + (0.0 if quick else _TAKEN_OVER_SECONDS)
    while True:
        behind = next((worker for worker in workers if not _follows(worker, control)), None)
        if behind is None:
            return
        if time.monotonic() >= deadline:
            state = behind.assignment() or {}
            why = state.get("trouble") or "it has not taken them over yet"
            raise TargetUnavailable(f"replica {behind.replica} of {behind.key} does not follow its shares: {why}")
        time.sleep(_POLL_SECONDS)


def _follows(worker: Worker, control: Control) -> bool:
    state = worker.assignment()
    return state is not None and int(state.get("revision", -1)) >= control.revision
