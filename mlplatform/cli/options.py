"""Options that several commands share, so that they are called and explained the same everywhere."""

import os
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import click

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

DEFAULT_ENVIRONMENT = "staging"


class DurationType(click.ParamType[timedelta]):
    """A span of time such as ``90s`` or ``15m``."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Read it as ``model.yaml`` reads durations."""
        from mlplatform.spec.quantities import parse_duration

        try:
            return parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class MonthType(click.ParamType[str]):
    """A calendar month in UTC."""

    name = "month"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return it as it is, if it is one."""
        if not re.fullmatch(r"(19|2[0-9])[0-9]{2}-(0[1-9]|1[0-2])", value):
            self.fail(f"{value!r} is no month; write for example 2028-02", param, ctx)
        return str(value)


class MomentType(click.ParamType[str]):
    """A time, or a span of time before now."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return it as RFC 3339 has it; a time without a zone is UTC."""
        from mlplatform.spec.quantities import parse_duration

        try:
            return (datetime.now(UTC) - parse_duration(value)).isoformat()
        except (ValueError, OverflowError):
            pass
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is neither a span such as 15m nor a time such as 2027-03-01T12:00", param, ctx)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()


class VersionType(click.ParamType[int | str]):
    """A version number, or an alias."""

    name = "version"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        """Take a positive number or a word."""
        text = str(value).removeprefix("v") if re.fullmatch(r"v?\d+", str(value)) else str(value)
        if text.isdigit():
            if int(text) < 1:
                self.fail("versions count from 1", param, ctx)
            return int(text)
        if not re.fullmatch(r"[a-z][a-z0-9_-]{0,62}", text):
            self.fail(f"{value!r} is neither a version number nor an alias such as `champion`", param, ctx)
        return text


def command(help: str, *, examples: list[str]) -> Callable[[Callable[..., Any]], click.Command]:
    """Make a click command with a help text that ends in examples, and ``--json``."""

    def make(function: Callable[..., Any]) -> click.Command:
        shown = "\n".join(f"  $ {example}" for example in examples)
        return click.command(
            help=help,
            epilog=f"\b\nExamples:\n{shown}",
            context_settings={"help_option_names": ["-h", "--help"]},
        )(json_option(function))

    return make


json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output.")

directory_option = click.option(
    "-C",
    "--directory",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default=Path(),
    help="Model repository to work in, instead of the current folder.",
)

environment_option = click.option(
    "--env",
    "environment",
    metavar="NAME",
    default=lambda: os.environ.get("ML_PLATFORM_ENV") or DEFAULT_ENVIRONMENT,
    show_default=DEFAULT_ENVIRONMENT,
    help="Environment; ML_PLATFORM_ENV sets another default.",
)

model_option = click.option(
    "--model", "model", metavar="NAME", help="Model, instead of the one in this folder's model.yaml."
)

version_option = click.option(
    "--version", "version", type=VersionType(), metavar="N", help="Version number, or an alias such as champion."
)

timeout_option = click.option(
    "--timeout",
    type=DurationType(),
    default="2h",
    show_default=True,
    help="How long to wait at most; what was asked for goes on without this command.",
)

secret_file_option = click.option(
    "--secret-file",
    type=click.Path(path_type=Path),
    help="The platform's login secret, `-` for standard input; else it is looked for in ML_PLATFORM_HOME and .mlplatform/.",
)


def configs_option(help: str) -> Callable[[Decorated], Decorated]:
    """Return ``--config``, which may be given several times."""
    kind = click.Path(path_type=Path, exists=True, dir_okay=False)
    return click.option("--config", "configs", type=kind, multiple=True, help=help)


def pair(text: str) -> tuple[str, str]:
    """Return what ``--data KEY=VALUE`` says.

    Raises:
        click.UsageError: it has another form.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.isidentifier():
        raise click.UsageError(f"--data takes KEY=VALUE, not {text!r}.")
    return key, value
