"""Put an existing repository on the golden path: a branch with one commit that adds what is missing."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scaffolder.adopt.answers import NOBODY, Answers, Ask, decide
from scaffolder.adopt.entry import make_entry
from scaffolder.adopt.errors import AdoptionRefused
from scaffolder.adopt.locking import lock
from scaffolder.adopt.plan import Content, Plan, Planner
from scaffolder.adopt.report import Action, Decision, as_markdown, commit_message
from scaffolder.adopt.repository import LOCK_BYTES, Repository
from scaffolder.adopt.survey import survey
from scaffolder.adopt.survey.facts import Survey
from scaffolder.home import platform_home
from scaffolder.names import ANSWERS_FILE

BRANCH = "platform/adopt"


@dataclass(frozen=True)
class Adoption:
    """What an adoption did, or would do."""

    survey: Survey
    answers: Answers
    decisions: list[Decision]
    faults: list[str]
    """What ``platform check`` says about the result; nothing if it passes."""
    template_version: str
    files: Mapping[str, Content] = field(repr=False)
    """Files of the commit."""
    base: str
    """Branch that it is made from."""
    branch: str
    commit: str | None
    """Nothing for a dry run."""
    title: str
    body: str
    """For a pull request."""


def adopt(
    folder: Path,
    *,
    data: Mapping[str, Any] | None = None,
    type: str | None = None,
    branch: str = BRANCH,
    dry_run: bool = False,
    with_lock: bool = True,
    ask: Ask | None = None,
    progress: Callable[[str], None] = lambda _message: None,
    home: Path | None = None,
) -> Adoption:
    """Find out about a repository, and commit on a branch of its own what the golden path needs besides.

    Nothing of the repository is imported, built or run, and the checkout is not touched; deleting the branch undoes it.
    ``ask`` is called for what neither the repository nor ``data`` says. A caller that has a git host pushes the branch and opens
    a pull request with ``title`` and ``body``.

    Raises:
        AdoptionRefused: the repository is not at rest, is a folder of a larger one, or is on a template already.
        AnswersNeeded: nobody says who owns the model.
        InvalidAnswer: an answer is unknown or not acceptable.
        ScaffoldError: the template can't be rendered, or the commit can't be made.
    """
    repository = Repository.open(folder)
    _check_free(repository)
    if not dry_run:
        repository.check_branch(branch)
    progress(f"Reading {len(repository.entries)} files")
    found = survey(repository)
    answers = decide(found, data or {}, type, ask, required=not dry_run)
    progress("Rendering the golden path")
    version, rendered = _rendered(answers, home)
    entry = make_entry(found, answers, frozenset(repository.entries))
    plan = Planner(repository, found, answers, rendered, entry).make()
    if answers.template["owner"] == NOBODY:
        why = "nobody says which group owns the model: --data owner=group:default/TEAM"
        plan.decisions.append(Decision(Action.NEEDS_YOU, "model.yaml", why))
    if with_lock:
        progress("Locking the environment")
    _lock(repository, plan, with_lock=with_lock)
    faults = _check(repository, plan)
    title = f"Put {answers.name} on the golden path"
    commit = None
    if not dry_run:
        progress(f"Committing on {branch}")
        commit = repository.commit(branch, plan.files, commit_message(title, plan.decisions))
    return Adoption(
        survey=found,
        answers=answers,
        decisions=plan.decisions,
        faults=faults,
        template_version=version,
        files=plan.files,
        base=repository.branch,
        branch=branch,
        commit=commit,
        title=title,
        body=as_markdown(found, plan.decisions, faults, version),
    )


def _check_free(repository: Repository) -> None:
    if ANSWERS_FILE in repository.entries:
        answers = repository.text(ANSWERS_FILE) or ""
        from scaffolder.release import SOURCE_URL

        if SOURCE_URL in answers:
            raise AdoptionRefused(
                "the repository is on the golden path already", fix="bring it up to date: copier update"
            )
        raise AdoptionRefused(
            f"the repository is kept by another Copier template (see {ANSWERS_FILE})",
            fix="one file can't follow two templates; remove that file if the other template is given up",
        )
    if "model.yaml" in repository.entries:
        raise AdoptionRefused(
            "the repository has a model.yaml already",
            fix="if it is the platform's, `platform check` says what is missing; otherwise give it another name first",
        )


def _rendered(answers: Answers, home: Path | None) -> tuple[str, dict[str, Content]]:
    """Return the template's version and its files, rendered with the answers."""
    from scaffolder.engine import render
    from scaffolder.release import ensure_released

    release = ensure_released(platform_home(home))
    with tempfile.TemporaryDirectory(prefix="adopt-") as temporary:
        folder = Path(temporary, "golden")
        render(release, folder, answers.template, defaults=True)
        files = {
            path.relative_to(folder).as_posix(): (path.read_bytes(), bool(path.stat().st_mode & 0o100))
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
    return release.tag, files


def _lock(repository: Repository, plan: Plan, *, with_lock: bool) -> None:
    """Put the lock that fits the project file into the plan, or say why there is none."""
    if "pyproject.toml" not in plan.files:
        return
    before = repository.text("uv.lock", most=LOCK_BYTES)
    if not with_lock or (before is None and "uv.lock" in repository.entries):
        plan.decisions.append(Decision(Action.NEEDS_YOU, "uv.lock", "run `uv lock` and commit the result"))
        return
    wanted = {
        path: content
        for path, (content, _) in plan.files.items()
        if path == "pyproject.toml" or path.startswith("vendor/")
    }
    wanted |= repository.read_many(
        path for path in ("README.md", "README.rst", "LICENSE") if path in repository.entries
    )
    made = lock(wanted, before)
    if made.text is None:
        why = f"`uv lock` did not find one: {made.why}. Correct the dependencies, run it, and commit the result"
        plan.decisions.append(Decision(Action.NEEDS_YOU, "uv.lock", why))
    elif made.moved:
        why = f"locking again would move {', '.join(made.moved[:5])}; run `uv lock` and look at it"
        plan.decisions.append(Decision(Action.NEEDS_YOU, "uv.lock", why))
    elif made.text != before:
        plan.files["uv.lock"] = (made.text.encode(), False)
        action = Action.MERGED if before is not None else Action.ADDED
        why = "with the platform's packages; no version of yours moved" if before is not None else "pins every package"
        plan.decisions.append(Decision(action, "uv.lock", why))


def _check(repository: Repository, plan: Plan) -> list[str]:
    """Return what ``platform check`` says about the result: it is laid out beside, as far as the check looks at it."""
    from mlplatform.pipeline.check import check
    from mlplatform.pipeline.errors import StageRefused
    from mlplatform.pipeline.workspace import Workspace
    from mlplatform.spec.faults import SpecError, describe

    with tempfile.TemporaryDirectory(prefix="check-") as temporary:
        folder = Path(temporary)
        looked_at = [
            path
            for path in repository.entries
            if path.endswith(".py") or path in {"pyproject.toml", "catalog-info.yaml", "README.md"}
        ]
        contents = repository.read_many(looked_at) | repository.read_many(["uv.lock"], most=LOCK_BYTES)
        contents |= {path: content for path, (content, _) in plan.files.items()}
        for path, content in contents.items():
            place = folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        try:
            report = check(Workspace(folder))
        except SpecError as error:
            return [describe(error.file.name, fault) for fault in error.faults]
        except StageRefused as error:
            return [f"{error.message}: {error.fix}" if error.fix else error.message]
        return [describe(file, fault) for file, fault in report.faults]
