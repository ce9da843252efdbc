"""Who renders which template: what this platform released is rendered in this process, all others in the box."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scaffolder import engine
from scaffolder.release import Release, repository_of
from scaffolder.sandbox import Sandbox
from scaffolder.sandbox.limits import check_answers


class Rendering:
    """Renders templates as :class:`~scaffolder.sandbox.Sandbox` does, the platform's own without the detour; thread-safe."""

    def __init__(self, home: Path, box: Sandbox) -> None:
        self._own = repository_of(home)
        self._box = box

    def questions(self, release: Release) -> Mapping[str, Mapping[str, Any]]:
        """Return the template's questions as ``copier.yml`` has them, in order.

        Raises:
            ScaffoldError: the template can't be read.
        """
        return engine.read_questions(release) if self._is_own(release) else self._box.questions(release)

    def answers(self, release: Release, answers: Mapping[str, Any]) -> dict[str, Any]:
        """Return all answers as a render would use them; nothing of it is kept.

        Raises:
            ScaffoldError: as :meth:`render`.
        """
        if not self._is_own(release):
            return self._box.answers(release, answers)
        with tempfile.TemporaryDirectory(prefix="render-") as folder:
            return self._here(release, answers, Path(folder) / "repository")

    def render(self, release: Release, answers: Mapping[str, Any], folder: Path) -> dict[str, Any]:
        """Render into ``folder``, which must not exist, with the default answers where none is given; return all answers.

        Raises:
            InvalidAnswer: an answer is not acceptable.
            TemplateRefused: the template uses too much, or something it may not.
            ScaffoldError: the template can't be rendered.
        """
        if not self._is_own(release):
            return self._box.render(release, answers, folder).answers
        return self._here(release, answers, folder)

    def close(self) -> None:
        """End the box's process."""
        self._box.close()

    def _is_own(self, release: Release) -> bool:
        return release.repository == self._own

    def _here(self, release: Release, answers: Mapping[str, Any], folder: Path) -> dict[str, Any]:
        check_answers(answers, self._box.limits)
        return engine.render(release, folder, answers, defaults=True)
