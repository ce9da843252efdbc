"""One repository's update: computed, pushed to a branch, and proposed as a pull request.

Everything bears being done again, wherever the process was killed before: a branch that holds this very update is not pushed
again, a request that is open is brought up to date, and what somebody else has pushed is never touched.
"""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backend.core.ids import new_id
from mlplatform.redaction import redact
from scaffolder.errors import HostError
from scaffolder.fleet import text
from scaffolder.fleet.clones import PLATFORM, Clone, Clones
from scaffolder.fleet.models import MemberState
from scaffolder.hosts.base import Checks, GitHost, HostedRepository, NewPullRequest, PullRequest, PullState
from scaffolder.hosts.configured import Hosts
from scaffolder.update.engine import UpdateEngine
from scaffolder.update.models import Conflict, Outcome, Request, Update
from scaffolder.update.pool import UpdatePool

LABEL = "template-update"
CHECK = "platform check"
_COMMENT = "template-update"
_PATIENCE = 60.0
_CHECK_SECONDS = 120


@dataclass(frozen=True)
class Wanted:
    """What a campaign wants of a repository."""

    campaign_id: str
    template: str
    version: str
    host: str
    org: str
    name: str


@dataclass(frozen=True)
class Proposal:
    """What became of a repository's update, as the campaign's row keeps it."""

    state: MemberState
    message: str | None = None
    from_version: str | None = None
    base_commit: str | None = None
    head_commit: str | None = None
    number: int | None = None
    web_url: str | None = None
    draft: bool | None = None
    checks: str | None = None
    conflicts: list[dict[str, Any]] = field(default_factory=list)


class Proposer:
    """Proposes updates from one template; safe to use from several threads."""

    def __init__(self, hosts: Hosts, clones: Clones, pool: UpdatePool, engine: UpdateEngine) -> None:
        self._hosts, self._clones, self._pool, self._engine = hosts, clones, pool, engine

    def propose(self, wanted: Wanted) -> Proposal:
        """Compute the update and see to it that there is a request for it.

        Raises:
            HostUnavailable: the host does not answer now; asking again later may help.
            ScaffoldError: there can be no request; why is in the message.
        """
        host = self._hosts.host(wanted.host, patience=_PATIENCE)
        hosted = host.find(wanted.org, wanted.name)
        if hosted is None:
            return Proposal(MemberState.GONE, f"{wanted.host} has no repository {wanted.org}/{wanted.name} any more")
        with self._clones.fetched(host, hosted) as clone:
            head = clone.commit_of(hosted.default_branch)
            if head is None:
                return Proposal(MemberState.GONE, f"{hosted.path} has no branch {hosted.default_branch} any more")
            request = Request(str(clone.path), head, wanted.version, name=hosted.name)
            update = self._pool.update(request)
            return self._proposed(wanted, host, hosted, clone, update)

    def _proposed(
        self, wanted: Wanted, host: GitHost, hosted: HostedRepository, clone: Clone, update: Update
    ) -> Proposal:
        branch = branch_of(wanted.template)
        pull, present = host.find_pull(hosted, branch), clone.commit_of(branch)
        is_open = pull is not None and pull.state is PullState.OPEN
        if present is not None and not clone.is_ours(present):
            return self._taken_over(wanted, host, hosted, pull if is_open else None, update)
        if update.outcome in (Outcome.CURRENT, Outcome.UNCHANGED):
            if pull is not None and is_open:
                host.comment(hosted, pull.number, "There is nothing left to update, so this is closed.", key=_COMMENT)
                host.close_pull(hosted, pull.number)
            return Proposal(MemberState.CURRENT, _nothing(update), update.old_version, update.head)
        title = text.title(wanted.template, update)
        if pull is not None and pull.state is PullState.CLOSED and pull.title == title:
            said = f"#{pull.number} proposed this update and was closed by somebody; it is not opened again"
            return _of_pull(MemberState.CLOSED, pull, update, said)
        if present is None or not clone.is_update(present, update.head, update.tree):
            commit = self._commit(clone, wanted.template, update)
            clone.push(commit, branch, present)
        body = text.body(wanted.template, update, wanted.campaign_id)
        has_conflicts = update.outcome is Outcome.CONFLICTS
        new = NewPullRequest(branch, title, body, hosted.default_branch, draft=has_conflicts, labels=(LABEL,))
        opened = host.open_pull(hosted, new)
        checks = _checked(host, hosted, clone, opened.head_commit)
        state = MemberState.CONFLICTS if has_conflicts else MemberState.OPEN
        files = f"{len(update.conflicts)} files need a decision" if has_conflicts else None
        return _of_pull(state, opened, update, files, checks)

    def _commit(self, clone: Clone, template: str, update: Update) -> str:
        # A branch of the clone alone, so that the commit is kept until it is pushed; the next fetch removes it.
        scratch = f"computed-{new_id()}"
        message = text.commit_message(template, update)
        return self._engine.commit(clone.path, update, branch=scratch, message=message, author=PLATFORM)

    def _taken_over(
        self, wanted: Wanted, host: GitHost, hosted: HostedRepository, pull: PullRequest | None, update: Update
    ) -> Proposal:
        branch = branch_of(wanted.template)
        if pull is None:
            raise HostError(
                f"{hosted.path} has a branch {branch} that the platform did not make",
                fix="rename or delete that branch",
            )
        said = (
            f"`{wanted.template}` {wanted.version} is wanted here. This branch has commits of other people, so the platform "
            "leaves it alone. Merge or close this request, and the next campaign opens a new one."
        )
        host.comment(hosted, pull.number, said, key=_COMMENT)
        return _of_pull(MemberState.TAKEN_OVER, pull, update, f"somebody works on the branch of #{pull.number}")


def branch_of(template: str) -> str:
    """Return the branch that updates of a template are proposed on, one at a time."""
    return f"platform/update-{template}"


def run_check(host: GitHost, hosted: HostedRepository, clone: Clone, commit: str) -> Checks:
    """Run ``platform check`` on a commit, and report it on the commit. It runs no code of the repository."""
    program = Path(sys.executable).with_name("platform")
    # uv must not build anything either: a build backend is code of the repository.
    environment = {**_plain_environment(), "UV_NO_BUILD": "1", "NO_COLOR": "1"}
    try:
        with clone.files(commit) as folder:
            done = subprocess.run(
                [str(program), "check", "-C", str(folder)],
                env={**environment, "HOME": str(folder.parent)},
                cwd=folder.parent,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_CHECK_SECONDS,
                check=False,
            )
        passed, lines = done.returncode == 0, (done.stdout + done.stderr).strip().splitlines()
        said = "" if passed or not lines else redact(lines[-1].strip())[:200]
    except (OSError, subprocess.TimeoutExpired, HostError) as fault:
        passed, said = False, f"{type(fault).__name__}: it could not be run"
    found = Checks.GREEN if passed else Checks.FAILING
    host.report_check(hosted, commit, CHECK, found, said)
    return found


def _checked(host: GitHost, hosted: HostedRepository, clone: Clone, commit: str) -> Checks | None:
    """See to the checks where nothing else does: other hosts run the repository's own pipeline for each request."""
    return run_check(host, hosted, clone, commit) if host.kind == "embedded" else None


def _plain_environment() -> dict[str, str]:
    kept = ("PATH", "LANG", "LC_ALL", "TMPDIR", "UV_CACHE_DIR")
    return {name: os.environ[name] for name in kept if name in os.environ}


def _nothing(update: Update) -> str:
    if update.outcome is Outcome.CURRENT:
        return f"it is at {update.new_version} already"
    return f"{update.new_version} changes nothing for it"


def _of_pull(
    state: MemberState, pull: PullRequest, update: Update, message: str | None, checks: Checks | None = None
) -> Proposal:
    return Proposal(
        state,
        message,
        from_version=update.old_version,
        base_commit=update.head,
        head_commit=pull.head_commit,
        number=pull.number,
        web_url=pull.web_url,
        draft=pull.draft,
        checks=checks or pull.checks,
        conflicts=[_conflict(one) for one in update.conflicts],
    )


def _conflict(one: Conflict) -> dict[str, Any]:
    suggestions = [one.suggestion, *(hunk.suggestion for hunk in one.hunks)]
    rules = sorted({suggestion.rule for suggestion in suggestions if suggestion is not None})
    return {"path": one.path, "kind": one.kind.value, "hunks": len(one.hunks), "suggestions": rules}
