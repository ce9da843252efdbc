"""``platform templates``."""

import click

from mlplatform.cli.commands.templates_import import import_


@click.group(
    help="Bring templates in.",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="\b\nExamples:\n  $ platform templates import ~/src/cookiecutter-service --out service",
)
def templates() -> None:
    """Hold the commands about templates."""


templates.add_command(import_, "import")
