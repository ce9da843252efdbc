"""The click group: commands are loaded from the table when they are named."""

import difflib
import importlib
import os
from collections.abc import Mapping

import click

from mlplatform import __version__
from mlplatform.cli import table

COMPLETE = f"_{table.PROGRAM.upper()}_COMPLETE"


class LazyGroup(click.Group):
    """A group whose commands are imported one at a time; its help page comes from the table alone."""

    sections: Mapping[str, Mapping[str, table.Entry]] = table.SECTIONS

    @property
    def entries(self) -> dict[str, table.Entry]:
        """The commands by name, in the table's order."""
        return {name: entry for section in self.sections.values() for name, entry in section.items()}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the table's order."""
        return list(self.entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command that is named, and no other."""
        entry = self.entries.get(cmd_name)
        if entry is None:
            return None
        module, _, attribute = entry.target.partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; answer a misspelt one with what was probably meant."""
        if args and args[0] not in self.entries and not args[0].startswith("-"):
            close = difflib.get_close_matches(args[0], self.entries, n=1)
            hint = f" Did you mean '{close[0]}'?" if close else ""
            ctx.fail(f"No such command '{args[0]}'.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands by section, without importing any."""
        for section, entries in self.sections.items():
            with formatter.section(section):
                formatter.write_dl([(name, entry.help) for name, entry in entries.items()])


def group(name: str, help: str, *, examples: list[str]) -> LazyGroup:
    """Return the group of that name in :data:`table.GROUPS`, with a help page that ends in examples."""
    shown = "\n".join(f"  $ {example}" for example in examples)
    made = LazyGroup(
        name=name,
        help=help,
        epilog=f"\b\nExamples:\n{shown}",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    made.sections = {"Commands": table.GROUPS[name]}
    return made


@click.group(
    cls=LazyGroup,
    name=table.PROGRAM,
    help=table.SUMMARY,
    epilog=table.EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name=table.PROGRAM, help=table.OPTIONS[0][1])
def cli() -> None:
    """Hold the commands; the help text is the table's."""


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit status; nothing that goes wrong gets out as a traceback.

    This is what ``click.Command.main`` does, except that interrupts and closed pipes are left to our own entry point.
    """
    instruction = os.environ.get(COMPLETE)
    if instruction:
        from click.shell_completion import shell_complete

        return shell_complete(cli, {}, table.PROGRAM, COMPLETE, instruction)
    try:
        with cli.make_context(table.PROGRAM, list(arguments)) as context:
            status = cli.invoke(context)
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return 130
    except BrokenPipeError:
        raise
    except Exception as error:
        from mlplatform.cli.errors import report

        return report(error, as_json="--json" in arguments)
    return status if isinstance(status, int) else 0
