"""What an update has rendered, and what comes of it: the border between the update engine and whoever renders."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from scaffolder.update.store import TemplateVersion


@dataclass(frozen=True)
class RenderJob:
    """What an update renders: plain values, so that it can cross to another process.

    Attributes:
        old: The version the repository was made from, or last updated to.
        new: The version to update to.
        answers: What the answers file holds, with ``_src_path`` and ``_commit``.
        data: Answers to give instead of those, by question.
        answers_file: Where the answers file is, where that is not the template's choice.
        name: The repository's name: Copier's ``_folder_name``.
        workspace: An empty folder to render into.
        files: Files of the repository that the template reads as external data; None for one that is not there.
    """

    old: TemplateVersion
    new: TemplateVersion
    answers: Mapping[str, Any]
    data: Mapping[str, Any]
    answers_file: str | None
    name: str
    workspace: Path
    files: Mapping[str, bytes | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Renders:
    """What came of a :class:`RenderJob`.

    Attributes:
        old: The folder with the old version and the answers of then.
        current: The new version as it goes over the repository's files.
        new: The new version by itself, with the answers that ``current`` came to.
        answers_path: Where the answers file goes.
        skip: Patterns of files that are not touched where they exist, with the answers in them.
        skip_unanswered: The same before anything was asked, as Copier sees them where files were removed on purpose; None where
            they can't be rendered then.
        remembered: The new answers file's answers, with ``_src_path`` and ``_commit``.
        needs: External files that were asked for and not given; when there are any, nothing else is to be believed.
    """

    old: Path
    current: Path
    new: Path
    answers_path: str = ""
    skip: tuple[str, ...] = ()
    skip_unanswered: tuple[str, ...] | None = None
    remembered: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()


class Renderer(Protocol):
    """Whoever renders: in this process for templates of our own, in a sandbox for others."""

    def renders(self, job: RenderJob) -> Renders:
        """Render what an update needs.

        Raises:
            AnswerInvalid: an answer is not acceptable.
            UnsafeTemplate: the template would run code of its own.
            TemplateFault: it can't be rendered.
        """
        ...

    def old_only(self, job: RenderJob) -> Renders:
        """Render the old version only; ``current`` and ``new`` are left empty."""
        ...


def place_of(job: RenderJob, which: str) -> Path:
    """Return the folder of a render, which has the repository's name: templates see it as ``_folder_name``."""
    return job.workspace / which / job.name
