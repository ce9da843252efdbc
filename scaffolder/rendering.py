"""Who renders which template: what this platform released is rendered in this process, all others in the box."""

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaffolder import engine
from scaffolder.release import Release, repository_of
from scaffolder.sandbox import Sandbox
from scaffolder.sandbox.limits import check_answers

if TYPE_CHECKING:
    from scaffolder.update.engine import UpdateEngine
    from scaffolder.update.pool import EngineOptions


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

    def update_engine(self, release: Release) -> "UpdateEngine":
        """Return what computes updates of repositories that came from a template; it knows all of its versions."""
        from scaffolder.sandbox import BoxedRenderer
        from scaffolder.update.engine import UpdateEngine

        store = engine.template_store(release)
        return UpdateEngine(store, renderer=engine.in_process() if self._is_own(release) else BoxedRenderer(self._box))

    def pool_options(self, release: Release) -> "EngineOptions":
        """Return what a process needs to compute updates as :meth:`update_engine` does."""
        from scaffolder.update.pool import EngineOptions

        store = engine.template_store(release)
        options = EngineOptions(store.repository, store.cache, store.addresses)
        if self._is_own(release):
            return options
        return replace(options, box=self._box.folder / "updates", limits=self._box.limits)

    def close(self) -> None:
        """End the box's process."""
        self._box.close()

    def _is_own(self, release: Release) -> bool:
        return release.repository == self._own

    def _here(self, release: Release, answers: Mapping[str, Any], folder: Path) -> dict[str, Any]:
        check_answers(answers, self._box.limits)
        return engine.render(release, folder, answers, defaults=True)
