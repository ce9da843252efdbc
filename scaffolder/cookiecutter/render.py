"""Make a project from a Cookiecutter template with Cookiecutter itself."""

import difflib
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from scaffolder.cookiecutter.context import Context, read_context
from scaffolder.cookiecutter.limits import DEFAULT, Limits
from scaffolder.cookiecutter.process import Request, render_once
from scaffolder.cookiecutter.source import CONTEXT_FILE, SourcePolicy, fetched, template_folder
from scaffolder.errors import Collision, InvalidAnswer, ScaffoldError
from scaffolder.names import shortened

Engine = Literal["copier", "cookiecutter"]
_ANSWER_LENGTH = 2_000


@dataclass(frozen=True)
class Rendered:
    """A project that was made."""

    folder: Path
    answers: dict[str, Any]
    """All of them, defaults included."""
    commit: str | None
    """Of the template, where it was fetched."""
    hooks: tuple[str, ...]
    """The template's hooks."""
    hooks_ran: bool


def detect_engine(folder: Path) -> Engine:
    """Say whose template a folder holds; one that is both is Copier's.

    Raises:
        ScaffoldError: it is neither's.
    """
    if any((folder / name).is_file() for name in ("copier.yml", "copier.yaml")):
        return "copier"
    if (folder / CONTEXT_FILE).is_file():
        return "cookiecutter"
    raise ScaffoldError(
        f"{folder.name} holds neither copier.yml nor {CONTEXT_FILE}, so it is no template",
        fix="name the folder or repository that has one of them at its top",
    )


def render(
    source: str,
    answers: Mapping[str, Any],
    folder: Path,
    *,
    policy: SourcePolicy,
    checkout: str | None = None,
    directory: str | None = None,
    context_file: str = CONTEXT_FILE,
    limits: Limits = DEFAULT,
) -> Rendered:
    """Render a Cookiecutter template into ``folder`` (which must not exist); what is not answered takes its default.

    Hooks and Jinja extensions of the template run only where the policy trusts the source. Everything else happens in
    Jinja's sandbox, in a process with limits on time, memory and size. The project appears whole or not at all.

    Raises:
        InvalidAnswer: an answer is unknown, too long or not acceptable.
        Collision: ``folder`` is there already.
        TemplateRefused: the source is not on the allow-list, or the template is hostile or takes too much.
        ScaffoldError: the template can't be fetched or rendered.
    """
    if folder.exists() or folder.is_symlink():
        raise Collision(f"{folder} is there already", fix="choose another folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with fetched(source, policy, checkout=checkout, limits=limits) as repository:
        template = template_folder(repository.folder, directory)
        context = read_context(template, context_file, limits)
        if context.nested:
            raise InvalidAnswer(
                f"the template is a choice of {', '.join(context.nested)}",
                fix=f"name one with its folder, for example {next(iter(context.nested.values()))}",
            )
        _check(answers, context)
        trusted = policy.trusts(source)
        staging = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".render-"))
        try:
            request = Request(
                engine="cookiecutter",
                folder=template,
                jobs=[(answers, staging)],
                context_file=context_file,
                source=source,
                checkout=checkout,
                trusted=trusted,
            )
            made = render_once(request, limits)
            if not made.project.resolve().is_relative_to(staging.resolve()):
                raise ScaffoldError("the template was rendered out of its folder")
            made.project.rename(folder)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        return Rendered(folder, made.answers, repository.commit, hooks_of(template), trusted)


def hooks_of(template: Path) -> tuple[str, ...]:
    """Return the names of the template's hook files."""
    names = ("pre_prompt", "pre_gen_project", "post_gen_project")
    folder = template / "hooks"
    if not folder.is_dir():
        return ()
    return tuple(sorted(path.name for path in folder.iterdir() if path.stem in names and not path.name.endswith("~")))


def _check(answers: Mapping[str, Any], context: Context) -> None:
    asked = [variable.name for variable in context.variables if not variable.name.startswith("_")]
    for name, value in answers.items():
        if name not in asked:
            near = difflib.get_close_matches(name, asked, n=1)
            raise InvalidAnswer(
                f"the template has no variable {shortened(name)}",
                fix=f"did you mean {near[0]}?" if near else f"its variables are {', '.join(asked)}",
            )
        length = len(value) if isinstance(value, str) else len(json.dumps(value))
        if length > _ANSWER_LENGTH:
            raise InvalidAnswer(
                f"the answer to {shortened(name)} has {length} characters; at most {_ANSWER_LENGTH} are possible"
            )
        variable = context.variable(name)
        if variable is not None and isinstance(variable.value, list) and not isinstance(value, list):
            choices = [str(item) for item in variable.value if isinstance(item, str | int | float)]
            if choices and not any("{{" in choice for choice in choices) and str(value) not in choices:
                raise InvalidAnswer(f"{name}: {shortened(str(value))} is none of {', '.join(choices)}")
