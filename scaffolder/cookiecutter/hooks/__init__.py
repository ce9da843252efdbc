"""Read a template's hooks without running them: convert the common idioms, report everything else."""

import re
from collections.abc import Sequence
from pathlib import Path

from scaffolder.cookiecutter.context import Asked, Context
from scaffolder.cookiecutter.files import Source
from scaffolder.cookiecutter.hooks.plan import HookPlan, Planner
from scaffolder.cookiecutter.hooks.python import TooLong, Walker
from scaffolder.cookiecutter.hooks.shell import ShellReader
from scaffolder.cookiecutter.hooks.source import NotPython, read
from scaffolder.cookiecutter.report import Kind
from scaffolder.cookiecutter.rewrite import Rewriter

__all__ = ["HookPlan", "read_hooks"]

_BYTES = 1 << 20
_STAGES = ("pre_prompt", "pre_gen_project", "post_gen_project")
_TEXT_FILTERS = r"(?:\s*\|\s*(?:lower|upper|trim|title|capitalize|string|slugify|replace\s*\([^()]*\)))"
_TEXT_METHODS = r"(?:\.(?:lower|upper|strip|title|capitalize|replace)\([^()]*\))"


def read_hooks(folder: Path, sources: Sequence[Source], context: Context, rewriter: Rewriter) -> HookPlan:
    """Return what takes the place of the hooks in ``folder/hooks``; the rewriter's report says how each line fared."""
    planner = Planner(rewriter, context, sources)
    place = folder / "hooks"
    files = sorted(place.iterdir()) if place.is_dir() else []
    for stage in _STAGES:
        for file in files:
            if file.stem == stage and file.is_file() and not file.name.endswith("~"):
                _read_hook(file, f"hooks/{file.name}", stage, planner, context)
    return planner.finish()


def _read_hook(file: Path, shown: str, stage: str, planner: Planner, context: Context) -> None:
    from jinja2 import TemplateSyntaxError

    report = planner.rewriter.report

    def left(line: int | None, why: str) -> None:
        fix = "read it, and say in the template what it does; nothing of it was run or converted"
        report.add(Kind.NEEDS_YOU, shown, line, why, fix)

    if stage == "pre_prompt":
        left(None, "runs before the questions are asked, which no template of Copier's can")
        return
    if file.stat().st_size > _BYTES:
        left(None, f"has more than {_BYTES} bytes")
        return
    try:
        text = file.read_bytes().decode("utf-8").replace("\r\n", "\n")
        source = read(text, planner.rewriter.syntax, lambda expression: _is_text(expression, context))
        if file.suffix == ".py":
            actions = Walker(source, shown, planner.is_there).walk()
        elif file.suffix in {".sh", ".bash", ""}:
            actions = ShellReader(source, shown).read()
        else:
            left(None, f"is a script of a kind that is not read ({file.suffix})")
            return
    except UnicodeDecodeError:
        left(None, "is not UTF-8")
    except TemplateSyntaxError as fault:
        left(fault.lineno, f"is no valid Jinja: {fault.message}")
    except NotPython as fault:
        left(fault.line, f"can't be read as Python: {fault.message}")
    except TooLong:
        left(None, "does more than can be followed")
    else:
        planner.take(actions, shown=stage == "post_gen_project")


def _is_text(expression: str, context: Context) -> bool:
    """Say whether an expression's value is a text: a variable that holds one, maybe with filters that keep it one."""
    match = re.fullmatch(rf"cookiecutter\.(\w+){_TEXT_METHODS}*{_TEXT_FILTERS}*", expression.strip("-+ "))
    variable = context.variable(match[1]) if match else None
    if variable is None:
        return False
    if variable.asked is Asked.CHOICE:
        return all(isinstance(item, str | int | float) and not isinstance(item, bool) for item in variable.value)
    if variable.asked is Asked.RAW:
        return isinstance(variable.value, str)
    return variable.asked in {Asked.TEXT, Asked.RENDERED} and isinstance(variable.value, str | int | float)
