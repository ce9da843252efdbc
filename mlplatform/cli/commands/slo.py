"""``platform slo``."""

from pathlib import Path
from typing import Any

from mlplatform.cli import options, output, session

Json = dict[str, Any]


@options.command(
    "Show how the objectives of a model stand: what is left of each error budget, and how fast it burns. "
    "Exit status 1 when a budget is gone.",
    examples=["platform slo", "platform slo --model wine --json"],
)
@options.directory_option
@options.model_option
def slo(directory: Path, model: str | None, as_json: bool) -> int:
    """Print the objectives."""
    name = session.model_name(directory, model)
    with session.connected() as client:
        found = client.slos(name)
    output.result(found, as_json=as_json, human=lambda: _show(found))
    return 1 if found["state"] == "breached" else 0


def _show(found: Json) -> None:
    if not found["slos"]:
        output.write(f"{found['model']} is live nowhere, or its model.yaml has no slos")
        return
    rows = [
        (
            one["slo"],
            one["environment"],
            f"v{one['version']}",
            one["state"].replace("_", " "),
            "-" if one["remaining"] is None else f"{100 * one['remaining']:.1f} %",
            _fastest(one),
            f"{one['objective']:g} % in {one['windowSeconds'] // 86_400} d: {one['meaning']}",
        )
        for one in found["slos"]
    ]
    output.table(("objective", "environment", "version", "state", "budget left", "burns", "promise"), rows)
    for one in found["slos"]:
        for alert, since in sorted(one["firing"].items()):
            output.write(f"{one['slo']} in {one['environment']}: {alert} burn since {since[:19].replace('T', ' ')} UTC")
        if one["note"]:
            output.write(f"{one['slo']} in {one['environment']}: {one['note']}")


def _fastest(one: Json) -> str:
    """Say how many times as fast as it may the budget burns, by the pair of windows in which that is worst."""
    pairs = [(burn["longRate"], burn["long"]) for burn in one["burns"] if burn["longRate"] is not None]
    if not pairs:
        return "-"
    rate, window = max(pairs, key=lambda pair: pair[0])
    return f"{rate:.1f}x over {window}"
