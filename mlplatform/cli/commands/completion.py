"""``platform completion``."""

import click

from mlplatform.cli import options, output, table


@options.command(
    "Print the completion script of a shell.",
    examples=[
        'eval "$(platform completion bash)"      # in ~/.bashrc',
        'eval "$(platform completion zsh)"       # in ~/.zshrc',
        "platform completion fish > ~/.config/fish/completions/platform.fish",
    ],
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str, as_json: bool) -> None:
    """Print the script that click makes for the shell."""
    from click.shell_completion import get_completion_class

    from mlplatform.cli.app import COMPLETE, cli

    kind = get_completion_class(shell)
    assert kind is not None, "click completes these three"
    script = kind(cli, {}, table.PROGRAM, COMPLETE).source()
    output.result({"shell": shell, "script": script}, as_json=as_json, human=lambda: output.write(script))
