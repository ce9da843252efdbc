"""Render a released template with Copier, in this process.

Copier changes the process's working folder while it clones, so renders take turns. Where others' work is done in the same
process, or others' templates are rendered, :mod:`scaffolder.sandbox` calls this in a process of its own.
"""

import difflib
import os
import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scaffolder.errors import InvalidAnswer, ScaffoldError, TemplateRefused
from scaffolder.names import shortened
from scaffolder.release import Release

ANSWERS_FILE = ".copier-answers.yml"
_ANSWER_LENGTH = 2_000
_COPIER_VALIDATION = re.compile(r"^Validation error for question '(?P<question>[^']+)': (?P<reason>.*)$", re.DOTALL)
_turn = threading.Lock()


def render(release: Release, folder: Path, data: Mapping[str, Any], *, defaults: bool) -> dict[str, Any]:
    """Render the release into ``folder`` (which must not exist) and return all answers, computed ones included.

    Raises:
        InvalidAnswer: an answer is unknown, too long or not acceptable.
        TemplateRefused: the template has tasks, migrations or Jinja extensions, or reaches out of its folder.
        ScaffoldError: the template can't be rendered.
    """
    _check_lengths(data)
    import copier
    from copier.errors import CopierError, ForbiddenPathError, UnsafeTemplateError

    try:
        with _turn:
            worker = copier.run_copy(
                str(release.repository),
                folder,
                data=dict(data),
                vcs_ref=release.tag,
                settings=copier.Settings(),  # the same for everybody, whatever their own Copier settings say
                defaults=defaults,
                quiet=True,
                unsafe=False,
            )
    except UnsafeTemplateError as fault:
        raise TemplateRefused(
            f"the template has {_unsafe(fault)}, which would run code of its own",
            fix="Use a template without them; the platform never trusts one.",
        ) from fault
    except ForbiddenPathError as fault:
        raise TemplateRefused(f"the template reaches out of its folder: {fault}") from fault
    except CopierError as fault:
        raise ScaffoldError(f"the template can't be rendered: {fault}") from fault
    except ValueError as fault:
        raise _invalid(fault) from fault
    if worker.template.config_data.get("migrations"):  # Copier itself minds them at an update only
        raise TemplateRefused(
            "the template has migrations, which would run code of its own",
            fix="Use a template without them; the platform never trusts one.",
        )
    _check_known(data, worker.template.questions_data)
    _name_source(folder / ANSWERS_FILE, release)
    return dict(worker.answers.combined)


def read_questions(release: Release) -> dict[str, dict[str, Any]]:
    """Return the template's questions as ``copier.yml`` has them, in order.

    Raises:
        ScaffoldError: the template can't be read.
    """
    from copier._template import Template
    from copier.errors import CopierError

    template = Template(url=str(release.repository), ref=release.tag)
    try:
        with _turn:
            found = {name: dict(details) for name, details in template.questions_data.items()}
            template._cleanup()
    except (CopierError, ValueError, TypeError) as fault:
        raise ScaffoldError(f"the template's questions can't be read: {fault}") from fault
    return found


def _name_source(path: Path, release: Release) -> None:
    """Let the answers file name the template by its address instead of by this machine's path."""
    if not path.is_file():
        raise ScaffoldError(
            f"the template makes no {path.name}, so nobody would know where the repository came from",
            fix="Add it to the template, as Copier's documentation shows.",
        )
    text = path.read_text(encoding="utf-8")
    named = re.sub(r"^_src_path:.*(?:\n .*)*$", lambda _: f"_src_path: {release.url}", text, flags=re.MULTILINE)
    if str(release.repository) in named or release.url not in named:
        raise ScaffoldError(f"the template's answers file does not say where it came from: {os.fspath(path.name)}")
    path.write_text(named, encoding="utf-8")


def _check_lengths(data: Mapping[str, Any]) -> None:
    for question, answer in data.items():
        if len(str(answer)) > _ANSWER_LENGTH:
            raise InvalidAnswer(
                f"the answer to {shortened(question)} has {len(str(answer))} characters; at most {_ANSWER_LENGTH} are possible"
            )


def _check_known(data: Mapping[str, Any], questions: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse answers to questions that the template doesn't ask: misspelt ones, and those that it computes."""
    asked = [question for question, details in questions.items() if details.get("when") is not False]
    for question in data:
        if question not in asked:
            near = difflib.get_close_matches(question, asked, n=1)
            raise InvalidAnswer(
                f"the template has no question {shortened(question)}",
                fix=f"did you mean {near[0]}?" if near else f"its questions are {', '.join(asked)}",
            )


def _unsafe(fault: Exception) -> str:
    """Return which unsafe features Copier found, as it names them."""
    found = re.search(r"unsafe features?: ([^.\n]+)", str(fault))
    return found[1].strip() if found else "tasks, migrations or Jinja extensions"


def _invalid(fault: ValueError) -> InvalidAnswer:
    match = _COPIER_VALIDATION.match(str(fault))
    if match:
        return InvalidAnswer(f"{match['question']}: {match['reason']}")
    return InvalidAnswer(str(fault)[:500])
