"""``platform compliance document``."""

from pathlib import Path

import click

from mlplatform.cli import options, output, session


@options.command(
    "Write the model card or the technical file (EU AI Act, Annex IV) of a version, made from what is on record. Prints "
    "Markdown, or writes it to a file.",
    examples=[
        "platform compliance document model-card --model churn --version champion",
        "platform compliance document technical-file --version 3 -o technical-file.md",
    ],
)
@click.argument("document", type=click.Choice(["model-card", "technical-file"]))
@options.directory_option
@options.model_option
@options.version_option
@click.option("-o", "--output", "file", type=click.Path(path_type=Path, dir_okay=False), help="File to write.")
def document(
    document: str, directory: Path, model: str | None, version: int | str | None, file: Path | None, as_json: bool
) -> None:
    """Fetch the document."""
    name = session.model_name(directory, model)
    with session.connected() as client:
        if version is None:
            newest = client.versions(name, limit=1)["items"]
            version = newest[0]["version"] if newest else 1  # the answer then says that there is none
        found = client.document(document, name, version)
    if file is not None:
        file.write_text(found["markdown"], encoding="utf-8")
        told = f"wrote {file}: {document} of {name} version {found['version']}"
        output.result({**found, "file": str(file)}, as_json=as_json, human=lambda: output.write(told))
        return
    output.result(found, as_json=as_json, human=lambda: output.write(found["markdown"].rstrip()))
