"""What an auditor and whoever answers for the data get: classes of data, controls, and a pack that verifies offline."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from demo.shell import DemoError, Person

Say = Callable[[str], None]


def classify(author: Person, approver: Person, say: Say) -> None:
    """Have the data behind the model looked at, and confirmed by a person."""
    datasets = author.platform("data", "classify", "--submit").document["datasets"]
    for dataset in datasets:
        waiting = [one["name"] for one in dataset["columns"] if one["proposed"]]
        found = approver.platform("data", "confirm", dataset["id"]).document
        say(f"{dataset['name']}: {len(waiting)} columns confirmed, {found['classification']}")


def controls(operator: Person, say: Say) -> None:
    """Have the controls checked now, and say how they stand."""
    operator.platform("compliance", "evaluate")
    found = operator.platform("compliance", "status", expect=None).document["controls"]
    counts = {state: sum(one["state"] == state for one in found) for state in ("passing", "failing", "not_evaluated")}
    said = ", ".join(f"{number} {state.replace('_', ' ')}" for state, number in counts.items())
    say(f"SOC 2: {said}")
    for control in found:
        for check in control["checks"] if control["state"] == "failing" else ():
            if check["state"] == "failing":
                say(f"  [red]failing[/red] {control['id']} {control['title']}: {check['summary']}")


def evidence(operator: Person, home: Path, say: Say) -> None:
    """Export what is on record and verify it as an auditor would: with the public key and one file, without the platform."""
    now = datetime.now(UTC)
    file = home / "demo" / f"evidence-{now:%Y%m%dT%H%M%S}.zip"
    period = (
        "--from",
        f"{now - timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}",
        "--to",
        f"{now - timedelta(seconds=1):%Y-%m-%dT%H:%M:%SZ}",
    )
    pack = operator.platform("evidence", "export", *period, "-o", str(file)).document
    say(f"evidence pack: {pack['events']} events, {pack['bytes'] // 1024} KiB, at {file}")
    key = home / "audit" / "key.pub"
    verified = operator.platform("evidence", "verify", str(file), "--key", str(key), expect=None)
    if verified.status != 0:
        raise DemoError(f"the evidence pack does not verify: {verified.document} {verified.messages}")
    say(
        f"[green]verified offline[/green]: `{Path(sys.executable).parent / 'platform-evidence'} verify` needs no platform"
    )
