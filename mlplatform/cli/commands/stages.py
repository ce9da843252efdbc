"""``platform train``, ``platform validate`` and ``platform scan``."""

from pathlib import Path
from typing import Any

import click

from mlplatform.cli import options, output, session
from mlplatform.cli.gate_output import gate_document, show_gate

seed_option = click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), default=42, show_default=True, help="Random seed."
)


@options.command(
    "Train the model: runs training.entrypoint of model.yaml and writes build/model and build/training.json.",
    examples=["platform train", "platform train --seed 7 --json"],
)
@options.directory_option
@seed_option
def train(directory: Path, seed: int, as_json: bool) -> None:
    """Train in the repository's own environment."""
    workspace = session.repository_workspace(directory)
    from mlplatform.training import run_training

    with output.working("training"):
        record = run_training(workspace, seed=seed)
    if record.git.dirty:
        output.warn("trained with uncommitted changes; `platform register` will refuse it without --allow-dirty")
    document = record.model_dump(mode="json", by_alias=True)

    def human() -> None:
        took = (record.finished_at - record.started_at).total_seconds()
        output.write(f"trained {workspace.spec.name} in {output.seconds(took)}, sha256 {record.model_digest[:12]}")
        for name, value in sorted(record.metrics.items()):
            output.write(f"  {name:<24} {value:.6g}")

    output.result(document, as_json=as_json, human=human)


@options.command(
    "Judge the trained model: its signature and data against model.yaml, and its metrics against the thresholds and "
    "the champion (when a platform can be asked).",
    examples=["platform validate", "platform validate --json | jq '.gates[].summary'"],
)
@options.directory_option
def validate(directory: Path, as_json: bool) -> int:
    """Run the gates schema and thresholds."""
    workspace = session.repository_workspace(directory)
    workspace.trained()
    from mlplatform.pipeline import gates
    from mlplatform.pipeline.champion import fetch_champion

    with output.working("validating"):
        champion = fetch_champion(workspace, warn=output.warn)
        results = gates.validate(workspace, champion, warn=output.warn)
    return _told(results, as_json)


@options.command(
    "Scan the data, the model's files and the logs for personal data, write the bill of materials, look for known "
    "vulnerabilities of the locked dependencies, and record where the model comes from.",
    examples=["platform scan", "platform scan --json"],
)
@options.directory_option
def scan(directory: Path, as_json: bool) -> int:
    """Run the gates pii, sbom, vulnerabilities and provenance."""
    workspace = session.repository_workspace(directory)
    workspace.trained()
    from mlplatform.pipeline import gates

    with output.working("scanning"):
        results = gates.scan(workspace)
    return _told(results, as_json)


def _told(results: list[Any], as_json: bool) -> int:
    from mlplatform.pipeline.gates import failed

    def human() -> None:
        for result in results:
            show_gate(result, write=output.write)

    output.result({"gates": [gate_document(result) for result in results]}, as_json=as_json, human=human)
    return 1 if failed(results) else 0
