"""``platform data classify``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mlplatform.cli import options, output, session
from mlplatform.cli.errors import CliError

if TYPE_CHECKING:
    from mlplatform.pii.classify import Proposal
    from mlplatform.spec.model import DataReference

Json = dict[str, Any]


@options.command(
    "Propose how sensitive each column of the model's data sets is: from names, types, how values spread, and a scan of a "
    "sample. With --submit the proposal goes to the platform, where somebody of the owner group confirms it. Values are "
    "neither shown nor sent.",
    examples=["platform data classify", "platform data classify --dataset loans --submit"],
)
@options.directory_option
@click.option("--dataset", "names", metavar="NAME", multiple=True, help="Only this data set of model.yaml.")
@click.option("--submit", is_flag=True, help="Send the proposal to the platform.")
def classify(directory: Path, names: tuple[str, ...], submit: bool, as_json: bool) -> None:
    """Load the data in the repository's own environment, and look at it."""
    workspace = session.repository_workspace(directory)
    from mlplatform.pii.classify import classify_frame
    from mlplatform.pipeline import code
    from mlplatform.training import DataLoader

    references = [one for one in workspace.spec.data if not names or one.name in names]
    missing = sorted(set(names) - {one.name for one in references})
    if missing:
        known = ", ".join(one.name for one in workspace.spec.data)
        raise CliError(f"model.yaml has no data set {missing[0]}", f"it has {known}")
    found: dict[str, list[Proposal]] = {}
    loader = DataLoader(workspace.spec, workspace.path)
    with code.inside(workspace.path):
        for reference in references:
            with output.working(f"looking at {reference.name}"):
                frame = loader.load(reference.name)
                found[reference.name] = classify_frame(frame, reference.name, reference.classification)
    scans = [_scan(one, workspace.spec.owner, found[one.name]) for one in references]
    answers: list[Json] = []
    if submit:
        with session.connected() as client:
            answers = [client.submit_scan(scan) for scan in scans]

    def human() -> None:
        for reference in references:
            output.write(f"{reference.name} ({reference.uri}), declared {reference.classification}")
            rows = [(one.column, one.type, one.classification, one.reason) for one in found[reference.name]]
            output.table(("column", "type", "proposed", "because"), rows)
        for answer in answers:
            output.write(f"sent; `platform data confirm {answer['id']}` confirms it")

    output.result({"scans": scans, "datasets": answers}, as_json=as_json, human=human)


def _scan(reference: "DataReference", owner: str, proposals: "list[Proposal]") -> Json:
    return {
        "name": reference.uri,
        "entity": f"resource:default/{reference.name}",
        "owner": owner,
        "columns": [
            {
                "name": one.column[:200],
                "type": one.type[:50],
                "classification": one.classification.value,
                "reason": one.reason,
                "evidence": [
                    {
                        "entity": finding.entity,
                        "count": finding.count,
                        "sampled": finding.sampled,
                        "confidence": finding.confidence,
                    }
                    for finding in one.findings
                ],
            }
            for one in proposals
        ],
    }
