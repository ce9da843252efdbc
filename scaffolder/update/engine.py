"""Update model repositories to a later version of their template, without a worktree.

    engine = UpdateEngine(TemplateStore(template, cache=cache, addresses={SOURCE_URL}))
    update = engine.update(repository, head="main", target="v0.2.0")
    if update.outcome in (Outcome.CLEAN, Outcome.CONFLICTS):
        commit = engine.commit(repository, update, branch="update/v0.2.0", message="Update to v0.2.0")

The tree is the one that ``copier update --defaults --conflict inline --vcs-ref v0.2.0`` leaves in a clean worktree, byte by
byte (:mod:`scaffolder.update.merge` says where not, and why). Instances may be used by several threads at once; for many
repositories use :class:`scaffolder.update.pool.UpdatePool`, which renders in several processes.
"""

import posixpath
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scaffolder.names import ANSWERS_FILE, shortened
from scaffolder.update.answers import LARGEST_FILE, SOURCE, VERSION, read_answers
from scaffolder.update.errors import (
    AnswersMissing,
    AnswersUnreadable,
    Downgrade,
    OtherTemplate,
    RepositoryFault,
    TemplateFault,
)
from scaffolder.update.jobs import Renderer, RenderJob, Renders
from scaffolder.update.merge import Merge, Merged
from scaffolder.update.models import Drift, Outcome, Update
from scaffolder.update.plumbing import EXECUTABLE, FILE, Entry, ObjectStore, git_folder
from scaffolder.update.render import InProcessRenderer
from scaffolder.update.store import TemplateStore, TemplateVersion
from scaffolder.update.suggest import DERIVED

_MOST_ROUNDS = 5
"""How often external data may name further external data."""


class UpdateEngine:
    """Computes updates from one template.

    Args:
        template: Where its versions are.
        renderer: Who renders them; in this process if not said otherwise, which is for templates of our own. For others it is a
            :class:`~scaffolder.sandbox.BoxedRenderer`.
        answers_file: Where repositories have their answers file, if not at Copier's usual place.
        derived: Files that a command makes again, by pattern of their path, with the command; suggested where they conflict.
    """

    def __init__(
        self,
        template: TemplateStore,
        *,
        renderer: Renderer | None = None,
        answers_file: str | None = None,
        derived: Mapping[str, str] = DERIVED,
    ) -> None:
        self.template = template
        self._renderer = renderer or InProcessRenderer()
        self._answers_file = answers_file
        self._derived = derived

    def update(
        self,
        repository: Path,
        head: str,
        target: str,
        *,
        data: Mapping[str, Any] | None = None,
        name: str | None = None,
    ) -> Update:
        """Compute the update of a repository; nothing but objects is written to it.

        Args:
            repository: The repository on this machine, bare or not.
            head: The commit to start from: an id, or the name of a branch or tag.
            target: The template's version to update to, a tag.
            data: Answers to give instead of the answers file's, by question.
            name: What templates see as ``_folder_name``; the repository's folder's name if not said otherwise.

        Raises:
            RepositoryFault: the repository or the commit is not there.
            AnswersMissing, AnswersUnreadable, AnswerInvalid, OtherTemplate: the answers file is not one to update from.
            UnknownVersion, Downgrade: there is no such version, or it is an earlier one.
            UnsafeTemplate, TemplateFault: the template can't be rendered for this repository.
        """
        with self._open(repository, head, target, data or {}, name) as work:
            if work.old.commit == work.new.commit and not data:
                tree = work.head_tree()
                return Update(Outcome.CURRENT, work.head, work.old.ref, work.new.ref, tree, tree)
            renders = self._render(work)
            work_tree = work.folder / "files"
            work_tree.mkdir()
            merged = Merge(work.store, work.project, renders, work_tree, work.objects).run()
            return _describe(work, renders, merged, self._derived)

    def commit(
        self, repository: Path, update: Update, *, branch: str, message: str, author: str, expected: str | None = None
    ) -> str:
        """Commit an update to a branch, touching no worktree, and return the commit.

        Args:
            repository: The repository that the update was computed for.
            update: The update.
            branch: Name of the branch; made if it is not there.
            message: The commit's message.
            author: Who it is by, ``Name <address>``.
            expected: The commit that the branch is at now; None where it must not exist yet.

        Raises:
            RepositoryFault: the name can't be one of a branch, or a worktree has it checked out.
            Moved: the branch is somewhere else than ``expected``.
        """
        from scaffolder.update.commit import commit_tree, move_branch

        folder = git_folder(repository)
        with _workspace() as workspace:
            store = ObjectStore(workspace / "git", folder / "objects")
            commit = commit_tree(store, folder / "objects", update.tree, update.head, message, author)
        move_branch(folder, branch, commit, expected)
        return commit

    def drift(self, repository: Path, head: str, *, name: str | None = None) -> list[Drift]:
        """Return the files that the template owns and the repository has otherwise, by path.

        The answers file, and files that the template only writes once (``_skip_if_exists``), are the repository's own.

        Raises:
            As :meth:`update`.
        """
        from scaffolder.update.drift import find_drift

        with self._open(repository, head, None, {}, name) as work:
            renders = self._renderer.old_only(work.job)
            return find_drift(work.store, work.project, renders, self._answers_file or ANSWERS_FILE)

    @contextmanager
    def _open(
        self, repository: Path, head: str, target: str | None, data: Mapping[str, Any], name: str | None
    ) -> Iterator["_Work"]:
        folder = git_folder(repository)
        with _workspace() as workspace:
            store = ObjectStore(workspace / "git", folder / "objects")
            commit = _resolve(store, folder, head)
            project = store.tree(commit)
            answers = self._answers(store, project)
            old = self.template.version(answers[VERSION])
            new = old if target is None else self.template.version(target)
            if target is not None:
                _check_order(old, new)
            job = RenderJob(
                old, new, answers, data, self._answers_file, name or _folder_name(repository), workspace / "renders"
            )
            yield _Work(store, folder / "objects", commit, project, old, new, job, workspace)

    def _answers(self, store: ObjectStore, project: Mapping[str, Entry]) -> dict[str, Any]:
        path = self._answers_file or ANSWERS_FILE
        entry = project.get(path)
        if entry is None:
            raise AnswersMissing(
                f"the repository has no {path}, so nobody knows which template and answers it was made from",
                fix="restore the file from the repository's history",
            )
        if entry.mode not in (FILE, EXECUTABLE) or store.sizes([entry.oid])[entry.oid] > LARGEST_FILE:
            fix = "restore it from the repository's history"
            raise AnswersUnreadable(f"{path} is not a file of at most {LARGEST_FILE} bytes", fix=fix)
        answers = read_answers(store.blobs([entry.oid])[entry.oid], path)
        if not self.template.knows(answers[SOURCE]):
            raise OtherTemplate(
                f"{path} says that the repository was made from {shortened(answers[SOURCE])}, which is another template",
                fix=f"update it from that template, or put {SOURCE} back if somebody edited it",
            )
        return answers

    def _render(self, work: "_Work") -> Renders:
        """Render, handing over files of the repository as the template asks for them."""
        job = work.job
        for attempt in range(_MOST_ROUNDS):
            renders = self._renderer.renders(replace(job, workspace=job.workspace / str(attempt)))
            if not renders.needs:
                return renders
            job = replace(job, files={**job.files, **{path: work.read(path) for path in renders.needs}})
        raise TemplateFault("the template's external data names further external data without end")


@dataclass(frozen=True)
class _Work:
    """An update under way."""

    store: ObjectStore
    objects: Path
    head: str
    project: Mapping[str, Entry]
    old: TemplateVersion
    new: TemplateVersion
    job: RenderJob
    folder: Path

    def read(self, path: str) -> bytes | None:
        """Return a file of the repository that the template wants to read; None if it is not a file there."""
        entry = self.project.get(posixpath.normpath(path))
        if entry is None or entry.mode not in (FILE, EXECUTABLE):
            return None
        if self.store.sizes([entry.oid])[entry.oid] > LARGEST_FILE:
            raise TemplateFault(f"the template reads {path}, which has more than {LARGEST_FILE} bytes here")
        return self.store.blobs([entry.oid])[entry.oid]

    def head_tree(self) -> str:
        """Return the id of the tree that the repository has now."""
        return self.store.run("rev-parse", f"{self.head}^{{tree}}").out.decode().strip()

    def write_tree(self, changed: Mapping[str, Entry | None], *, index: str) -> str:
        """Write the repository's tree with some entries changed, and return its id."""
        self.store.run("read-tree", self.head, index=index)
        if changed:
            self.store.fill_index(index, changed)
        return self.store.run("write-tree", index=index, into=self.objects).out.decode().strip()


def _describe(work: _Work, renders: Renders, merged: Merged, derived: Mapping[str, str]) -> Update:
    from scaffolder.update.changelog import crossed
    from scaffolder.update.conflicts import find_conflicts
    from scaffolder.update.describe import answer_changes, file_changes

    changed: dict[str, Entry | None] = {
        path: merged.tree.get(path)
        for path in work.project.keys() | merged.tree.keys()
        if merged.tree.get(path) != work.project.get(path)
    }
    recorded = work.write_tree(changed, index="result")
    conflicts = find_conflicts(work.store, work.project, renders, merged, derived)
    answers = answer_changes(work.job, renders)
    sections = crossed(work.new.folder, work.old.version, work.new.version)
    update = Update(
        Outcome.CONFLICTS if conflicts else Outcome.CLEAN,
        work.head,
        work.old.ref,
        work.new.ref,
        tree=recorded,
        recorded_tree=recorded,
        conflicts=conflicts,
        sections=sections,
        answers=answers,
        files=file_changes(work.project, changed),
        preserved=tuple(merged.preserved),
    )
    if conflicts or answers or changed.keys() - {renders.answers_path}:
        return update
    return replace(update, outcome=Outcome.UNCHANGED, tree=work.head_tree(), files=())


def _resolve(store: ObjectStore, folder: Path, head: str) -> str:
    """Return the id of the commit that ``head`` names."""
    from scaffolder.update.commit import resolve_ref

    commit = head if len(head) == 40 and set(head) <= set("0123456789abcdef") else resolve_ref(folder, head)
    if store.run("cat-file", "-t", commit, check=False).out.strip() != b"commit":
        raise RepositoryFault(f"the repository has no commit {shortened(head)}")
    return commit


def _check_order(old: TemplateVersion, new: TemplateVersion) -> None:
    from packaging.version import Version

    for version in (old, new):
        if version.version is None:
            fix = "give the template's releases tags like v1.2.0"
            raise TemplateFault(f"the template's {version.ref} is not a version", fix=fix)
    if Version(str(old.version)) > Version(str(new.version)):
        raise Downgrade(
            f"the repository is at {old.ref}, which is later than {new.ref}", fix=f"update to {old.ref} or later"
        )


def _folder_name(repository: Path) -> str:
    path = repository.absolute()
    return (path.parent if path.name == ".git" else path).name.removesuffix(".git") or "repository"


@contextmanager
def _workspace() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="update-", ignore_cleanup_errors=True) as folder:
        yield Path(folder).resolve()
