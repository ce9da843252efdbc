"""Render a released template with Copier, in this process, with whatever was compiled before."""

import difflib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaffolder.errors import InvalidAnswer
from scaffolder.names import shortened
from scaffolder.release import SOURCE_URL, Release

if TYPE_CHECKING:
    from scaffolder.update.render import InProcessRenderer
    from scaffolder.update.store import TemplateStore

ANSWERS_FILE = ".copier-answers.yml"
_ANSWER_LENGTH = 2_000


def render(release: Release, folder: Path, data: Mapping[str, Any], *, defaults: bool) -> dict[str, Any]:
    """Render the release into ``folder`` (which must not exist) and return all answers, computed ones included.

    Raises:
        InvalidAnswer: an answer is unknown, too long or not acceptable; nothing was written.
        ScaffoldError: the template can't be rendered.
    """
    from scaffolder.update.errors import AnswerInvalid

    _check_lengths(data)
    version = template_store(release.repository).version(release.tag)
    renderer = _renderer()
    _check_known(data, renderer.questions(version))
    try:
        return renderer.render(version, folder, data, source=SOURCE_URL, defaults=defaults)
    except AnswerInvalid as fault:
        raise InvalidAnswer(fault.message, fix=fault.fix) from fault


@cache
def template_store(repository: Path) -> "TemplateStore":
    """Return the checked-out versions of a released template, which lie beside its repository."""
    from scaffolder.update.store import TemplateStore

    return TemplateStore(repository, cache=repository.parent / "versions", addresses={SOURCE_URL})


@cache
def _renderer() -> "InProcessRenderer":
    """The one renderer of this process: what it has compiled is what makes the next render fast."""
    from scaffolder.update.render import InProcessRenderer

    return InProcessRenderer()


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
