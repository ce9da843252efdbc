"""How much rendering may use, and checks of what goes in and what came out."""

import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scaffolder.errors import InvalidAnswer
from scaffolder.names import shortened


@dataclass(frozen=True)
class Limits:
    """Limits of one render; names are those of the settings under ``mlPlatform.sandbox``."""

    cpu_seconds: int = 20
    wall_seconds: float = 60.0
    memory_bytes: int = 1 << 30
    output_bytes: int = 64 << 20
    output_files: int = 5_000
    answers_bytes: int = 64 << 10
    answers_depth: int = 8
    answers_count: int = 200

    def times(self, renders: int) -> "Limits":
        """Return the limits of a job that renders several times."""
        return replace(
            self,
            cpu_seconds=self.cpu_seconds * renders,
            wall_seconds=self.wall_seconds * renders,
            output_bytes=self.output_bytes * renders,
            output_files=self.output_files * renders,
        )


class OutputRefused(Exception):
    """What was rendered is larger than allowed, or reaches out of its folder; ``limit`` names the setting, if it is one."""

    def __init__(self, message: str, limit: str | None = None) -> None:
        super().__init__(message)
        self.limit = limit


def check_answers(answers: Mapping[str, Any], limits: Limits) -> None:
    """Refuse answers that no question needs, before anything is started for them.

    Raises:
        InvalidAnswer: too many, too long or nested too deeply.
    """
    if len(answers) > limits.answers_count:
        raise InvalidAnswer(f"{len(answers)} answers are given; at most {limits.answers_count} are possible")
    for question, answer in answers.items():
        length = len(answer) if isinstance(answer, str) else 0
        if length > limits.answers_bytes:
            raise InvalidAnswer(f"the answer to {shortened(question)} has {length} characters; far too many")
        if _deeper_than(answer, limits.answers_depth):
            raise InvalidAnswer(
                f"the answer to {shortened(question)} is nested more than {limits.answers_depth} levels deep"
            )
    size = len(json.dumps(dict(answers), ensure_ascii=False, default=str).encode("utf-8", "replace"))
    if size > limits.answers_bytes:
        raise InvalidAnswer(f"the answers have {size} bytes together; at most {limits.answers_bytes} are possible")


def _deeper_than(value: Any, levels: int) -> bool:
    """Say whether a value is nested deeper, without following it further down than that."""
    layer = [value]
    for _level in range(levels):
        layer = [
            inner
            for outer in layer
            if isinstance(outer, dict | list | tuple)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not layer:
            return False
    return True


def check_size(folder: Path, limits: Limits) -> None:
    """Refuse output that is over its limits; cheap enough to be called while it is being written.

    Raises:
        OutputRefused: too many files, or too many bytes.
    """
    files = size = 0
    waiting = [folder]
    while waiting:
        try:
            entries = list(os.scandir(waiting.pop()))
        except OSError:  # it is being written, and taken away, at this moment
            continue
        for entry in entries:
            files += 1
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            size += status.st_size
            if stat.S_ISDIR(status.st_mode):
                waiting.append(Path(entry.path))
        if files > limits.output_files:
            raise OutputRefused(f"the template makes more than {limits.output_files} files", "outputFiles")
        if size > limits.output_bytes:
            raise OutputRefused(f"the template makes more than {limits.output_bytes} bytes", "outputBytes")


def check_output(folder: Path, limits: Limits) -> None:
    """Refuse output that is over its limits, that links out of its folder or that brings a git repository.

    Raises:
        OutputRefused: saying what and where.
    """
    check_size(folder, limits)
    root = folder.resolve()
    for base, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(base, name)
            shown = path.relative_to(folder)
            if name.lower() in {".git", "git~1"}:
                raise OutputRefused(f"the template makes {shown}, which would be a git repository's own")
            if path.is_symlink() and not path.resolve().is_relative_to(root):
                raise OutputRefused(f"the template makes a link out of the repository: {shown}")
