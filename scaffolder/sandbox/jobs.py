"""What is handed to the process that renders; it and the platform's side agree on it here."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scaffolder.sandbox.limits import Limits
from scaffolder.update.jobs import RenderJob
from scaffolder.update.store import TemplateVersion

OUTPUT, RESULT = "output", "result.json"
"""Where in a job's folder the process leaves what it rendered, and what it has to say."""


@dataclass(frozen=True)
class Questions:
    """Read a version's questions."""

    version: TemplateVersion


@dataclass(frozen=True)
class RenderNew:
    """Render a version for a new repository; the answers file calls the template ``source``."""

    version: TemplateVersion
    source: str
    answers: Mapping[str, Any]


@dataclass(frozen=True)
class Update:
    """Render what an update of a repository needs: the ``whole`` of it, or the old version only."""

    job: RenderJob
    whole: bool


@dataclass(frozen=True)
class Job:
    """A task, the folder that it is done in and what it may use."""

    task: Questions | RenderNew | Update
    folder: Path
    limits: Limits
