"""Render versions of a template with Copier's own code, compiled once per version.

Where a run of Copier clones the template, compiles it and starts some seventy processes, here the version is checked out
already, Jinja keeps what it compiled, and no process is started. Questions, validators, exclusions and paths go through
Copier's own methods. ``tests/scaffolder/update/test_copier.py`` says when a newer Copier changes what this relies on.
"""

import copy
import difflib
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from scaffolder.names import shortened
from scaffolder.update.answers import SOURCE
from scaffolder.update.errors import AnswerInvalid, TemplateFault, UnsafeTemplate
from scaffolder.update.jobs import RenderJob, Renders, place_of
from scaffolder.update.store import TemplateVersion
from scaffolder.update.worker import faults, remember_compiled, worker_class

if TYPE_CHECKING:
    from copier._jinja_ext import SandboxedEnvironment
    from copier._main import Worker
    from copier._template import Template


class InProcessRenderer:
    """Renders released templates here, with everything compiled kept per version.

    Thread-safe; one render at a time, as it is all one processor's work.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._compiled: dict[str, _Compiled] = {}

    def renders(self, job: RenderJob) -> Renders:
        """Render old, current and new as Copier's update does (see :class:`~scaffolder.update.jobs.Renderer`)."""
        with self._lock, _operation("update"):
            return self._renders(job)

    def old_only(self, job: RenderJob) -> Renders:
        """Render the old version only (see :class:`~scaffolder.update.jobs.Renderer`)."""
        with self._lock, _operation("update"):
            main = self._worker(job, job.new, place_of(job, "current"), data=job.data)
            _check_safe(main, self._template(job.old, _source(job)))
            worker = self._render_old(job, main)
            with faults(job.old):
                skip = _rendered(worker)
            return Renders(place_of(job, "old"), place_of(job, "current"), place_of(job, "new"), skip=skip)

    def render(
        self, version: TemplateVersion, folder: Path, data: Mapping[str, Any], *, source: str, defaults: bool
    ) -> dict[str, Any]:
        """Render a version into a folder that does not exist yet, and return all answers, computed ones included.

        Args:
            version: What to render.
            folder: Where to.
            data: Answers by question.
            source: What the answers file shall call the template.
            defaults: Whether questions without an answer get their default; otherwise they are asked on the terminal.

        Raises:
            AnswerInvalid: an answer is not acceptable; nothing was written.
            UnsafeTemplate: the template would run code of its own.
            TemplateFault: it can't be rendered; nothing was written.
        """
        with self._lock:
            worker = self._new_worker(
                version,
                source,
                dst_path=folder,
                data=dict(data),
                vcs_ref=version.ref,
                defaults=defaults,
                src_path=source,
            )
            _check_safe(worker, None)
            with faults(version):
                worker.run_copy()
            return dict(worker.answers.combined)

    def questions(self, version: TemplateVersion) -> dict[str, Mapping[str, Any]]:
        """Return a version's questions with their details, in their order."""
        with self._lock, faults(version):
            return dict(self._template(version, "").questions_data)

    def settings(self, version: TemplateVersion) -> dict[str, Any]:
        """Return a version's settings for Copier itself: what begins with ``_`` in ``copier.yml``, without that."""
        with self._lock, faults(version):
            return dict(self._template(version, "").config_data)

    def _renders(self, job: RenderJob) -> Renders:
        old, place, alone = (place_of(job, name) for name in ("old", "current", "new"))
        main = self._worker(job, job.new, place, data=job.data)
        _check_safe(main, self._template(job.old, _source(job)))
        _check_known(job, main)
        self._render_old(job, main)
        skip_unanswered = _rendered_unanswered(main)
        given = _write_external(place, job.files)
        current = self._worker(job, job.new, place, data=job.data)
        current.subproject.__dict__["last_answers"] = copy.deepcopy(dict(job.answers))
        needed: set[str] = current.__dict__.setdefault("needed", set())
        try:
            with faults(job.new):
                current.run_copy()
                skip = _rendered(current)
        except (AnswerInvalid, TemplateFault):
            if not needed - job.files.keys():
                raise
        if missing := needed - job.files.keys():
            return Renders(old, place, alone, needs=tuple(sorted(missing)))
        _remove_external(place, given)
        with faults(job.new):
            main.answers = current.answers
            main.answers.external = main._external_data()
            answers_path = main.answers_relpath.as_posix()
            new = self._worker(job, job.new, alone, data=_to_hand_on(current))
            if not self._same_render(current, new):
                new.run_copy()
            else:
                alone = place
            remembered = dict(current._answers_to_remember())
        return Renders(old, place, alone, answers_path, skip, skip_unanswered, remembered)

    def _same_render(self, current: "Worker", new: "Worker") -> bool:
        """Say whether the new version by itself is what was rendered already: it sees the same, and did not look at the rest.

        What it could see otherwise is the repository's own data, where it is rendered to, and which answers were given how.
        """
        from copier._types import Phase

        if current.__dict__.get("looked_around") or current.template.external_data:
            return False
        with Phase.use(Phase.PROMPT):
            new._ask()
        seen, sees = current.answers, new.answers
        if new.__dict__.get("looked_around") or seen.hidden != sees.hidden:
            return False
        before, after = dict(seen.combined), dict(sees.combined)
        for private in ("_external_data", "_commit", "_src_path"):
            before.pop(private, None), after.pop(private, None)
        return before == after and list(map(type, before.values())) == list(map(type, after.values()))

    def _render_old(self, job: RenderJob, main: "Worker") -> "Worker":
        # Files that the new version excludes are not seen as gone, and so stay.
        worker = self._worker(
            job, job.old, place_of(job, "old"), data=job.answers, exclude=tuple(main.template.exclude)
        )
        with faults(job.old):
            worker.run_copy()
        return worker

    def _worker(
        self,
        job: RenderJob,
        version: TemplateVersion,
        folder: Path,
        *,
        data: Mapping[str, Any],
        exclude: tuple[str, ...] = (),
    ) -> "Worker":
        return self._new_worker(
            version,
            _source(job),
            dst_path=folder,
            data=copy.deepcopy(dict(data)),
            vcs_ref=version.ref,
            answers_file=None if job.answers_file is None else Path(job.answers_file),
            exclude=list(exclude),
            defaults=True,
            overwrite=True,
        )

    def _new_worker(self, version: TemplateVersion, source: str, **options: Any) -> "Worker":
        from copier._settings import SettingsModel

        # The same for everybody, whatever their own Copier settings say.
        worker: Worker = worker_class()(settings=SettingsModel(), quiet=True, **options)
        worker.__dict__["template"] = self._template(version, source)
        compiled = self._compile(version)
        if compiled.environment is None:
            with faults(version):
                if worker.template.jinja_extensions:  # they would run as soon as the environment is made
                    raise _unsafe("jinja_extensions")
                compiled.environment = remember_compiled(worker.jinja_env)
        compiled.forget_state()
        worker.__dict__["jinja_env"] = compiled.environment
        return worker

    def _template(self, version: TemplateVersion, source: str) -> "Template":
        """Return Copier's view of a version, with everything known that it would start processes to find out."""
        from copier._template import Template
        from packaging.version import Version

        template = Template(url=source, ref=version.ref)
        template.__dict__.update(
            vcs="git",
            local_abspath=version.folder,
            commit=version.ref,
            commit_hash=version.commit,
            version=None if version.version is None else Version(version.version),
            git_index_modes=self._compile(version).modes,
        )
        compiled = self._compile(version)
        if compiled.config is None:
            with faults(version):
                compiled.config = template._raw_config
        template.__dict__["_raw_config"] = copy.deepcopy(compiled.config)
        return template

    def _compile(self, version: TemplateVersion) -> "_Compiled":
        key = f"{version.commit} {version.ref}"
        if key not in self._compiled:
            from pathlib import PurePosixPath

            self._compiled[key] = _Compiled({PurePosixPath(path): mode for path, mode in version.modes.items()})
        return self._compiled[key]


@dataclass
class _Compiled:
    """What is kept of a version between renders."""

    modes: Mapping[Any, int]
    config: dict[str, Any] | None = None
    environment: "SandboxedEnvironment | None" = None

    def forget_state(self) -> None:
        """Let nothing that one repository's render left in an imported module reach the next one's."""
        environment = self.environment
        if environment is not None and environment.cache is not None:
            for template in environment.cache.values():
                template._module = None


@contextmanager
def _operation(name: Literal["copy", "update"]) -> Iterator[None]:
    """Let templates see the operation that Copier would be in (``_copier_operation``)."""
    from copier._main import _operation as variable

    token = variable.set(name)
    try:
        yield
    finally:
        variable.reset(token)


def _check_safe(worker: "Worker", old: "Template | None") -> None:
    """Refuse what Copier refuses without ``--trust``: migrations only where the update would cross their version."""
    from copier.errors import UnsafeTemplateError

    if old is not None:
        worker.subproject.__dict__["template"] = old
    try:
        with _config_faults(UnsafeTemplateError, worker):
            worker._check_unsafe("copy" if old is None else "update")
    except UnsafeTemplateError as fault:
        raise _unsafe(str(fault).partition("features: ")[2].partition(".")[0] or str(fault)) from fault


def _unsafe(what: str) -> UnsafeTemplate:
    return UnsafeTemplate(
        f"the template would run code of its own: {what}",
        fix="release a version of the template without tasks, extensions and migrations that apply here",
    )


def _check_known(job: RenderJob, worker: "Worker") -> None:
    """Refuse answers to questions that the new version doesn't have, which Copier would silently drop."""
    with faults(job.new):
        questions = worker.template.questions_data
    for question in job.data:
        if question not in questions:
            near = difflib.get_close_matches(question, questions, n=1)
            raise AnswerInvalid(
                f"the template has no question {shortened(question)} at {job.new.ref}",
                question=question,
                fix=f"did you mean {near[0]}?" if near else None,
            )


@contextmanager
def _config_faults(passed: type[Exception], worker: "Worker") -> Iterator[None]:
    try:
        yield
    except passed:
        raise
    except Exception as fault:
        said = shortened(str(fault), 200)
        raise TemplateFault(f"the template's copier.yml is not valid at {worker.template.ref}: {said}") from fault


def _rendered(worker: "Worker") -> tuple[str, ...]:
    return tuple(worker._render_string(pattern) for pattern in worker.all_skip_if_exists)


def _rendered_unanswered(worker: "Worker") -> tuple[str, ...] | None:
    from jinja2 import TemplateError

    try:
        return _rendered(worker)
    except TemplateError:
        return None


def _to_hand_on(worker: "Worker") -> dict[str, Any]:
    """Return the answers that Copier's second render of the new version is given."""
    from copier._types import JSONSerializable

    return {
        key: value
        for key, value in worker.answers.combined.items()
        if not key.startswith("_") and key not in worker.answers.hidden and isinstance(value, JSONSerializable)
    }


def _source(job: RenderJob) -> str:
    return str(job.answers[SOURCE])


def _write_external(folder: Path, files: Mapping[str, bytes | None]) -> dict[Path, bytes]:
    """Put external data where the template's render will look for it."""
    written = {}
    for name, content in files.items():
        path = folder / name
        if content is not None and path.resolve().is_relative_to(folder.resolve()):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            written[path] = content
    return written


def _remove_external(folder: Path, written: Mapping[Path, bytes]) -> None:
    """Take away the external data that the template did not render over."""
    for path, content in written.items():
        if path.is_file() and not path.is_symlink() and path.read_bytes() == content:
            path.unlink()
    folder.mkdir(parents=True, exist_ok=True)
