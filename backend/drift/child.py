"""Judging in a process of its own: its imports take seconds and hundreds of megabytes, and what it is given was sent by others.

Nothing of a window is written to disk: it goes through a pipe. ``python -m backend.drift.child`` is the other end.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from backend.core.errors import PlatformError
from backend.drift.window import PartWindow
from mlplatform.reference.profile import Reference
from mlplatform.serving.output import one_line

NO_TELEMETRY = {"DO_NOT_TRACK": "1", "ITERATIVE_DO_NOT_TRACK": "1"}
"""Evidently's own switch, and that of the library which would send."""
PATIENCE = 600.0


@dataclass(frozen=True)
class Judged:
    """What came back: the judgement and the data of Evidently's dashboard."""

    judgement: dict[str, Any]
    dashboard: dict[str, Any]


def judged(reference: Reference, windows: Sequence[tuple[PartWindow, bool]], alpha: float) -> Judged:
    """Judge in a child process.

    Raises:
        PlatformError: it could not be done.
    """
    asked = {
        "reference": reference.model_dump(mode="json", by_alias=True),
        "alpha": alpha,
        "windows": [{"labelled": labelled, **_plain(window)} for window, labelled in windows],
    }
    answer = ask("backend.drift.child", asked, "judging")
    return Judged(answer["judgement"], answer["dashboard"])


def ask(module: str, asked: Any, what: str, variables: Sequence[str] = ()) -> Any:
    """Have a module answer in a child process, which gets these environment variables besides the harmless ones.

    Raises:
        PlatformError: it could not be done.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", module],
            input=json.dumps(asked),
            env=environment(variables),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise PlatformError(f"{what} took longer than {PATIENCE:g} s") from None
    if done.returncode != 0:
        # The last line of a traceback may quote what was read.
        lines = [one_line(line)[:300] for line in done.stderr.strip().splitlines()[-1:]]
        raise PlatformError(f"{what} failed with status {done.returncode}: {lines[0] if lines else 'no reason'}")
    return json.loads(done.stdout)


def environment(variables: Sequence[str] = ()) -> dict[str, str]:
    """Return the environment of a child: of the platform's secrets only what is named, and no telemetry."""
    kept = ("PATH", "LANG", "LC_ALL", "TMPDIR", "HOME", "PYTHONPATH", "SYSTEMROOT", *variables)
    found = {name: os.environ[name] for name in kept if name in os.environ}
    return {**found, **NO_TELEMETRY, "MPLBACKEND": "Agg"}


def _plain(window: PartWindow) -> dict[str, Any]:
    document = asdict(window)
    document["columns"] = [[side, name, values] for (side, name), values in window.columns.items()]
    return document


def _window(document: dict[str, Any]) -> tuple[PartWindow, bool]:
    columns = {(side, name): values for side, name, values in document["columns"]}
    return PartWindow(document["name"], document["rows"], columns), document["labelled"]


def main() -> int:
    """Judge what is on standard input."""
    os.environ.update(NO_TELEMETRY)
    asked = json.load(sys.stdin)
    from backend.drift.judging import judge
    from backend.drift.rendering import dashboard

    reference = Reference.model_validate(asked["reference"])
    windows = [_window(one) for one in asked["windows"]]
    judgement = judge(reference, windows, asked["alpha"])
    answer = {"judgement": judgement.as_json(), "dashboard": dashboard(reference, windows, judgement)}
    sys.stdout.write(json.dumps(answer, allow_nan=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
