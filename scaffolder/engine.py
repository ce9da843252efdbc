"""Render released templates with Copier, in this process, with whatever was compiled before.

All that a template can do here is Jinja in Copier's own sandbox, but Jinja can loop for ever and eat memory. So this is for the
platform's own template, and :mod:`scaffolder.sandbox` calls it in a process of its own for those of others;
:class:`scaffolder.rendering.Rendering` knows which is which.
"""

import difflib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaffolder.errors import InvalidAnswer, ScaffoldError
from scaffolder.names import ANSWERS_FILE, shortened
from scaffolder.release import Release

if TYPE_CHECKING:
    from scaffolder.update.render import InProcessRenderer
    from scaffolder.update.store import TemplateStore, TemplateVersion

_ANSWER_LENGTH = 2_000


def render(release: Release, folder: Path, data: Mapping[str, Any], *, defaults: bool) -> dict[str, Any]:
    """Render the release into ``folder`` (which must not exist) and return all answers, computed ones included.

    Raises:
        InvalidAnswer: an answer is unknown, too long or not acceptable; nothing was written.
        TemplateRefused: the template would run code of its own; nothing was written.
        ScaffoldError: the template can't be rendered, or makes no answers file.
    """
    return render_version(_version(release), folder, data, source=release.url, defaults=defaults)


def render_version(
    version: "TemplateVersion", folder: Path, data: Mapping[str, Any], *, source: str, defaults: bool
) -> dict[str, Any]:
    """Render a version that is checked out, as :func:`render`; the answers file says that it is from ``source``."""
    _check_lengths(data)
    renderer = in_process()
    _check_known(data, renderer.questions(version))
    _check_migrations(renderer, version)
    answers = renderer.render(version, folder, data, source=source, defaults=defaults)
    if not (folder / ANSWERS_FILE).is_file():
        raise ScaffoldError(
            f"the template makes no {ANSWERS_FILE}, so nobody would know where the repository came from",
            fix="add it to the template, as Copier's documentation shows",
        )
    return answers


def read_questions(release: Release) -> dict[str, Mapping[str, Any]]:
    """Return the template's questions as ``copier.yml`` has them, in order.

    Raises:
        ScaffoldError: the template can't be read.
    """
    return in_process().questions(_version(release))


def template_store(release: Release) -> "TemplateStore":
    """Return the checked-out versions of a template, which lie beside its repository."""
    from scaffolder.update.store import TemplateStore

    return TemplateStore(release.repository, cache=release.repository.parent / "versions", addresses={release.url})


@cache
def in_process() -> "InProcessRenderer":
    """Return the one renderer of this process: what it has compiled is what makes the next render fast."""
    from scaffolder.update.render import InProcessRenderer

    return InProcessRenderer()


@cache
def _version(release: Release) -> "TemplateVersion":
    """Return a version of the platform's own template, whose tags never move."""
    return template_store(release).version(release.tag)


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


def _check_migrations(renderer: "InProcessRenderer", version: "TemplateVersion") -> None:
    """Refuse what Copier refuses at a later update only: then a repository could never be kept current."""
    from scaffolder.update.errors import UnsafeTemplate

    if renderer.settings(version).get("migrations"):
        raise UnsafeTemplate(
            "the template would run code of its own: migrations",
            fix="use a version of the template without them; the platform never trusts one",
        )
