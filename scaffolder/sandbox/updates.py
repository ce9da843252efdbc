"""Updates from templates of others: what :class:`scaffolder.update.engine.UpdateEngine` renders, rendered in the box."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scaffolder.sandbox.box import RenderRefused, Sandbox
from scaffolder.sandbox.jobs import Update
from scaffolder.sandbox.limits import check_answers, check_output
from scaffolder.update.answers import read_answers
from scaffolder.update.errors import TemplateFault, UnsafeTemplate
from scaffolder.update.jobs import RenderJob, Renders, place_of

_RENDERS = 3


class BoxedRenderer:
    """The update engine's :class:`~scaffolder.update.jobs.Renderer` for templates that others wrote.

    An update renders up to three times, and may use three times what one render may.
    """

    def __init__(self, box: Sandbox) -> None:
        self._box = box

    def renders(self, job: RenderJob) -> Renders:
        """Render what an update needs (see :class:`~scaffolder.update.jobs.Renderer`)."""
        return self._done(job, whole=True)

    def old_only(self, job: RenderJob) -> Renders:
        """Render the old version only (see :class:`~scaffolder.update.jobs.Renderer`)."""
        return self._done(job, whole=False)

    def _done(self, job: RenderJob, *, whole: bool) -> Renders:
        check_answers(job.data, self._box.limits)
        limits = self._box.limits.times(_RENDERS)

        def take(output: Path) -> None:
            for which in output.iterdir():
                check_output(which / job.name, limits)
            job.workspace.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(job.workspace, ignore_errors=True)
            shutil.move(output, job.workspace)

        try:
            return _believed(job, self._box.run(Update(job, whole), limits, take))
        except RenderRefused as refused:
            kind = UnsafeTemplate if refused.unsafe else TemplateFault
            raise kind(refused.message, fix=refused.fix) from refused


def _believed(job: RenderJob, result: Mapping[str, Any]) -> Renders:
    old, current, new = (place_of(job, which) for which in ("old", "current", "new"))
    unanswered, remembered = result["skip_unanswered"], result["remembered"]
    return Renders(
        old,
        current,
        current if result["same"] else new,
        answers_path=str(result["answers_path"]),
        skip=tuple(map(str, result["skip"])),
        skip_unanswered=None if unanswered is None else tuple(map(str, unanswered)),
        # Whatever a template made of the answers, they are measured like those of a file that anybody may have edited.
        remembered={} if remembered is None else read_answers(str(remembered).encode(), str(result["answers_path"])),
        needs=tuple(map(str, result["needs"])),
    )
