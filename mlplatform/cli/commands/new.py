"""``platform new``."""

from pathlib import Path

import click

from mlplatform.cli import options, output, rooms


@options.command(
    "Make a model repository from the golden-path template: code that trains a real model, tests, CI, serving, "
    "documentation, and a first commit.",
    examples=[
        "platform new wine --type realtime",
        "platform new churn --type realtime --defaults --data owner=group:default/risk",
        "platform new wine --type realtime --defaults --no-register --dest ~/work",
    ],
)
@click.argument("name")
@click.option(
    "--type",
    "kind",
    type=click.Choice(["realtime", "batch", "streaming"]),
    default="realtime",
    show_default=True,
    help="Which golden path.",
)
@click.option(
    "--data", "answers", metavar="KEY=VALUE", multiple=True, help="Answer to one of the template's questions."
)
@click.option("--defaults", is_flag=True, help="Ask nothing: take the default answers.")
@click.option("--dest", type=click.Path(path_type=Path, file_okay=False), default=Path(), help="Folder to make it in.")
@click.option("--register/--no-register", default=True, help="Also make its remote repository on the platform.")
def new(
    name: str, kind: str, answers: tuple[str, ...], defaults: bool, dest: Path, register: bool, as_json: bool
) -> None:
    """Render, commit, and push."""
    given = dict(options.pair(answer) for answer in answers)
    made = rooms.scaffolder("api", "platform new").new_repository(
        name, type=kind, data=given, defaults=defaults, dest=dest.resolve(), register=register, progress=output.say
    )
    document = {
        "path": str(made.path),
        "commit": made.commit,
        "templateVersion": made.template_version,
        "url": made.url,
    }

    def human() -> None:
        output.write(f"{made.path} at {made.commit[:12]}, template {made.template_version}")
        output.say(f"next: cd {made.path} && platform run")

    output.result(document, as_json=as_json, human=human)
