"""How runs and backfills are shown: asked for, followed, ended."""

import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from mlplatform.cli import output

if TYPE_CHECKING:
    from mlplatform.client import PlatformClient

Json = dict[str, Any]

_POLL_SECONDS = 0.5
_TOLD_EVERY = 5.0
_GOOD = {"succeeded", "unchanged"}
_OVER = {*_GOOD, "failed", "cancelled"}
_WORDS = {
    "missing": "to be scored: not scored yet",
    "other_version": "to be scored: scored by {by}",
    "changed": "to be scored: the input has changed since",
    "unchanged": "stays: scored by this version from this input",
    "no_input": "no input",
    "not_asked_for": "stays: {by}",
}


def run_line(run: Json) -> str:
    """Return a run in a line."""
    state = output.mark(run["state"])
    said = f": {run['message']}" if run.get("message") else ""
    return f"{state} {run['day']} of {run['model']} by v{run['version']} in {run['environment']} ({run['id']}){said}"


def backfill_line(backfill: Json) -> str:
    """Return a backfill in a line."""
    days = f"{backfill['done']} of {backfill['days']} days"
    said = f": {backfill['message']}" if backfill.get("message") else ""
    return (
        f"{output.mark(backfill['state'])} {backfill['from']} to {backfill['to']} of {backfill['model']} by "
        f"v{backfill['version']} in {backfill['environment']}, {days} ({backfill['id']}){said}"
    )


def show_runs(items: list[Json]) -> None:
    """Print runs as a table."""
    rows = [
        (
            item["day"],
            output.mark(item["state"]),
            f"v{item['version']}",
            item["cause"],
            "" if item["rows"] is None else f"{item['rows']:,}",
            "" if item["rejected"] is None else f"{item['rejected']:,}",
            _took(item),
            item["id"],
            item["message"] if item["state"] in {"failed", "cancelled", "pending"} else "",
        )
        for item in items
    ]
    output.table(("day", "state", "version", "cause", "rows", "rejected", "took", "run", "message"), rows)


def show_run(run: Json) -> None:
    """Print one run with what is known of it."""
    output.write(run_line(run))
    if run["rows"] is not None:
        total = f" of {run['total']:,}" if run["total"] is not None else ""
        output.write(f"  rows {run['rows']:,}{total}, rejected {run['rejected']:,}, took {_took(run) or '-'}")
    for rule in run["rejectedBy"]:
        output.write(f"  {rule['column']} {rule['rule']}: {rule['rows']:,} rows")
    output.write(f"  asked for by {run['requestedBy']} ({run['cause']}), attempts {run['attempts']}")
    if run["outputDigest"]:
        output.write(f"  input {run['inputDigest'][:12]}, output {run['outputDigest'][:12]}")


def show_plan(plan: Json) -> None:
    """Print what a backfill would do, day by day."""
    for day in plan["days"]:
        by = f"scored by v{day['version']}" if day["version"] else "not scored by that version"
        text = _WORDS[day["state"]].format(by=by.removeprefix("scored by ") if day["state"] == "other_version" else by)
        output.write(f"{day['day']}  {text}")
    output.write(
        f"{plan['toScore']} of {len(plan['days'])} days would be scored by v{plan['version']}; nothing was changed"
    )


def follow_run(client: "PlatformClient", run: Json, *, timeout: object, as_json: bool) -> int:
    """Follow a run to its end, print it, and return the exit status."""
    output.say(f"run {run['id']}")

    def told(now: Json) -> str:
        if now["state"] == "running" and now["total"]:
            return f"{_progress(now)} rows"
        waits = now.get("message") if now["state"] == "pending" else None
        return f"{now['state']}: {waits}" if waits else str(now["state"])

    ended = _followed(run, lambda: client.batch_run_of(run["id"]), told, timeout)
    output.result(ended, as_json=as_json, human=lambda: output.write(run_line(ended)))
    return 0 if ended["state"] in _GOOD else 1


def follow_backfill(client: "PlatformClient", backfill: Json, *, timeout: object, as_json: bool) -> int:
    """Follow a backfill to its end, print it, and return the exit status."""
    output.say(f"backfill {backfill['id']}: {backfill['days']} days")

    def told(now: Json) -> str:
        failed = f", {now['failed']} failed" if now["failed"] else ""
        return f"{now['done']} of {now['days']} days{failed}"

    ended = _followed(backfill, lambda: client.backfill_of(backfill["id"]), told, timeout)
    output.result(ended, as_json=as_json, human=lambda: output.write(backfill_line(ended)))
    return 0 if ended["state"] == "succeeded" else 1


def _followed(now: Json, ask: Callable[[], Json], told: Callable[[Json], str], timeout: object) -> Json:
    limit = timeout.total_seconds() if isinstance(timeout, timedelta) else float("inf")
    started, said, said_at = time.monotonic(), "", float("-inf")
    try:
        while now["state"] not in _OVER:
            line = told(now)
            if line != said and time.monotonic() - said_at >= (0 if not said else _TOLD_EVERY if "rows" in line else 0):
                said, said_at = line, time.monotonic()
                _timed(line)
            if time.monotonic() - started > limit:
                output.say("it is not over yet and goes on by itself")
                return now
            time.sleep(_POLL_SECONDS)
            now = ask()
    except KeyboardInterrupt:
        output.say(f'\nit goes on by itself; to stop it: platform batch cancel {now["id"]} --reason "..."')
        raise
    return now


def _progress(run: Json) -> str:
    done = (run["rows"] or 0) + (run["rejected"] or 0)
    return f"{done:,} of {run['total']:,} ({done / run['total'] * 100:.0f} %)"


def _took(run: Json) -> str:
    if not run.get("startedAt") or not run.get("finishedAt"):
        return ""
    span = datetime.fromisoformat(run["finishedAt"]) - datetime.fromisoformat(run["startedAt"])
    return output.seconds(span.total_seconds())


def _timed(line: str) -> None:
    now = datetime.now().astimezone()
    output.say(f"{output.paint(f'{now:%H:%M:%S}', 'dim', sys.stderr)}  {line}")
