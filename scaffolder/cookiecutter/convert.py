"""Convert a Cookiecutter template into a Copier template that renders the same project."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from scaffolder.cookiecutter import builtins
from scaffolder.cookiecutter.context import Context, read_context
from scaffolder.cookiecutter.files import (
    PARTIALS,
    SUBDIRECTORY,
    Converted,
    FileConverter,
    choose_suffix,
    find_project,
    list_sources,
    will_render,
)
from scaffolder.cookiecutter.hooks import HookPlan, read_hooks
from scaffolder.cookiecutter.limits import DEFAULT, Limits
from scaffolder.cookiecutter.names import copier_names
from scaffolder.cookiecutter.questions import Questionnaire, write_yaml
from scaffolder.cookiecutter.report import Kind, Report
from scaffolder.cookiecutter.rewrite import MAPPING, Rewriter
from scaffolder.cookiecutter.source import CONTEXT_FILE
from scaffolder.cookiecutter.syntax import ENVIRONMENT_OPTIONS, Syntax
from scaffolder.errors import Collision, ScaffoldError, TemplateRefused

REPORT_FILE = "IMPORTED.md"
COPIER_VERSION = "9.19.0"
"""The oldest Copier that has all that a converted template uses."""
_ANSWERS = "# Written by Copier; `copier update` needs it as it is.\n"
_NESTING = 4


@dataclass(frozen=True)
class Import:
    """A template that was converted: where it is, and what there is to say about it."""

    folder: Path
    report: Report
    original: Path
    """The Cookiecutter template, while it is there."""


@dataclass
class _Parts:
    """What a converted template consists of, before anything is written."""

    report: Report
    config: str
    files: list[Converted] = field(default_factory=list)


def convert(
    folder: Path,
    out: Path,
    *,
    source: str,
    commit: str | None = None,
    context_file: str = CONTEXT_FILE,
    with_hooks: bool = True,
    name: str | None = None,
    limits: Limits = DEFAULT,
) -> list[Import]:
    """Convert the template in ``folder`` into a new folder ``out``; several where it only chooses among others.

    Nothing of the template is run or rendered. It all appears or nothing does. ``name`` is what the template is called where
    its folder's name says nothing.

    Raises:
        Collision: ``out`` holds something.
        TemplateRefused: the template is broken in a way that Cookiecutter can't render it either, or hostile.
        ScaffoldError: it is no Cookiecutter template.
    """
    with _beside(out) as staging:
        job = _Job(commit, context_file, with_hooks, limits)
        made = _convert_into(job, folder, staging, name or folder.name, source, depth=0)
        found = [Import(out / place, report, original) for place, report, original in made]
        try:
            staging.rename(out)
        except OSError as fault:
            raise Collision(f"{out} was made by somebody else meanwhile: {fault.strerror}") from fault
    return found


@dataclass(frozen=True)
class _Job:
    """What is the same for all templates of one conversion."""

    commit: str | None
    context_file: str
    with_hooks: bool
    limits: Limits


def _convert_into(
    job: _Job, folder: Path, out: Path, name: str, source: str, depth: int
) -> list[tuple[PurePosixPath, Report, Path]]:
    context = read_context(folder, job.context_file, job.limits)
    if not context.nested:
        parts = _converted(job, folder, context, Report(name, source, job.commit))
        _write(parts, folder, out)
        return [(PurePosixPath(), parts.report, folder)]
    if depth >= _NESTING:
        raise TemplateRefused(f"{job.context_file} chooses among templates more than {_NESTING} levels deep")
    made = []
    for label, place in context.nested.items():
        below = (folder / place).resolve()
        if not below.is_dir():
            raise TemplateRefused(f"{job.context_file} names the template {place}, which is not there")
        branch = PurePosixPath(_folder_name(label))
        inner = _convert_into(job, below, out / branch, label, f"{source}#{place}", depth + 1)
        made += [(branch / path, report, original) for path, report, original in inner]
    return made


def _folder_name(name: str) -> str:
    word = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in name).strip("-.")
    return word or "template"


def _converted(job: _Job, folder: Path, context: Context, report: Report) -> _Parts:
    syntax = Syntax.of(context.settings.get("_jinja2_env_vars", {}))
    names = copier_names(variable.name for variable in context.variables)
    report.renamed = {old: new for old, new in names.items() if old != new}
    _note_settings(context, report)
    rewriter = Rewriter(syntax, names, report)

    project = find_project(folder, syntax, report)
    sources = list_sources(project, context, report)
    message = f"the project folder `{project.name}` is the folder that one copies into; name it so when copying"
    report.add(Kind.CONVERTED, project.name, None, message)
    questionnaire = Questionnaire(rewriter, context)
    questions = questionnaire.build()
    plan = read_hooks(folder, sources, context, rewriter) if job.with_hooks else HookPlan()

    suffix = choose_suffix(part for source in sources for part in source.path.parts)
    files = FileConverter(rewriter, context, report, suffix, job.limits)
    placed = files.names(sources, plan.renamed)
    _refuse_collisions(placed)
    partials = {
        str(file.path): f"{SUBDIRECTORY}/{placed[file.path]}{suffix if will_render(file, syntax) else ''}"
        for file in sources
    }
    included = sorted(path for path in (folder / PARTIALS).rglob("*") if path.is_file())
    partials |= {
        path.relative_to(folder / PARTIALS).as_posix(): path.relative_to(folder).as_posix() for path in included
    }
    rewriter.partials = partials
    converted = [files.convert(file, placed[file.path]) for file in sources]
    answers = PurePosixPath(f"{syntax.variable('_copier_conf.answers_file')}{suffix}")
    answered = f"{_ANSWERS}{syntax.variable('_copier_answers | to_nice_yaml -').replace('- ', '-', 1)}\n"
    converted.append(Converted(answers, answered.encode(), 0o644))
    report.add(
        Kind.DIFFERENT, CONTEXT_FILE, None, "a project has an answers file more, `.copier-answers.yml`, for updates"
    )
    whole = [Converted(PurePosixPath(SUBDIRECTORY) / file.path, file.content, file.mode) for file in converted]
    whole += [files.partial(PurePosixPath(path.relative_to(folder / PARTIALS).as_posix()), path) for path in included]

    for name in rewriter.stored.keys() - questions.keys():
        questions[name] = questionnaire.remembered(name)
    for name, template in plan.computed.items():
        questions[name] = {"type": "str", "default": template, "when": False}
    if rewriter.uses_mapping:
        questions[MAPPING] = questionnaire.mapping()
    for name, validator in plan.validators.items():
        questions[name]["validator"] = validator
    config = write_yaml(_settings(syntax, context, suffix, plan), questions, _head(report))
    return _Parts(report, config, whole)


def _settings(syntax: Syntax, context: Context, suffix: str, plan: HookPlan) -> dict[str, Any]:
    environment = {name: value for name, value in syntax.options.items() if name in ENVIRONMENT_OPTIONS}
    # Cookiecutter fails on what is not defined; so does the copy, unless another front end was lenient about it.
    undefined = "jinja2.Undefined" if context.extended else "jinja2.StrictUndefined"
    settings: dict[str, Any] = {
        "_min_copier_version": COPIER_VERSION,
        "_subdirectory": SUBDIRECTORY,
        "_templates_suffix": suffix,
        "_envops": {**environment, "keep_trailing_newline": True, "undefined": undefined},
    }
    if plan.excluded:
        settings["_exclude"] = plan.excluded
    if plan.messages:
        settings["_message_after_copy"] = "".join(plan.messages)
    return settings


def _head(report: Report) -> list[str]:
    return [
        f"{report.template}, converted from a Cookiecutter template. {REPORT_FILE} says what differs and what needs you."
    ]


def _note_settings(context: Context, report: Report) -> None:
    for name in context.settings.get("_extensions", ()):
        if name not in builtins.EXTENSIONS:
            message = f"the Jinja extension `{name}` is not taken over: Copier runs none without --trust"
            fix = "rewrite what uses it; the files that do are named here"
            report.add(Kind.NEEDS_YOU, context.file, None, message, fix)
    for name in context.settings.get("_jinja2_env_vars", {}):
        if name not in ENVIRONMENT_OPTIONS:
            message = f"`{name}` of _jinja2_env_vars has no counterpart"
            report.add(Kind.NEEDS_YOU, context.file, None, message, "look at what the files come out as without it")


def _refuse_collisions(placed: dict[PurePosixPath, PurePosixPath]) -> None:
    by_place: dict[PurePosixPath, PurePosixPath] = {}
    for path, place in placed.items():
        if place in by_place:
            raise TemplateRefused(f"{path} and {by_place[place]} would have the same name in the Copier template")
        by_place[place] = path


def _write(parts: _Parts, folder: Path, out: Path) -> None:
    for file in parts.files:
        path = out / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
        path.chmod(file.mode | 0o600)
    out.mkdir(parents=True, exist_ok=True)
    (out / "copier.yml").write_text(parts.config, encoding="utf-8")
    for name in ("LICENSE", "LICENSE.md", "LICENSE.txt", "LICENSE.rst", "COPYING", "NOTICE"):
        if (folder / name).is_file():
            shutil.copyfile(folder / name, out / name)
            parts.report.add(Kind.CONVERTED, name, None, "the template's own licence goes with it")
    (out / REPORT_FILE).write_text(parts.report.as_markdown(), encoding="utf-8")


@contextmanager
def _beside(out: Path) -> Iterator[Path]:
    """A folder to be made whole beside its place; what is left of it goes away."""
    try:
        if out.is_symlink() or (out.exists() and (not out.is_dir() or any(out.iterdir()))):
            raise Collision(f"{out} is there already and not empty", fix="choose another folder with --out")
        out.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(dir=out.parent, prefix=".import-"))
    except OSError as fault:
        raise ScaffoldError(
            f"{out.parent} can't be written to: {fault.strerror}", fix="choose another with --out"
        ) from fault
    try:
        yield staging / "template"
    finally:
        shutil.rmtree(staging, ignore_errors=True)
