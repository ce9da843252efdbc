"""Pull requests of the embedded host.

A pull request is a JSON document in its own repository, under ``refs/platform/pulls/<number>``; checks of a commit are under
``refs/platform/checks/<commit>``. So they are copied and moved with the repository, and git's own compare-and-swap of a
reference keeps two writers apart. ``refs/pull/<number>/head`` keeps the commits when the branch is gone.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scaffolder.errors import Collision, HostError, InvalidAnswer
from scaffolder.git import Author, git_in, read_blob, said, write_blob
from scaffolder.hosts.base import (
    Checks,
    HostedRepository,
    NewPullRequest,
    PullRequest,
    PullState,
)
from scaffolder.hosts.embedded.repositories import BareRepositories

_ZERO = "0" * 40
_ATTEMPTS = 20
_BRANCH_LENGTH = 200

Document = dict[str, Any]


class EmbeddedHost(BareRepositories):
    """See the package's docstring."""

    def __init__(
        self,
        root: Path,
        *,
        name: str = "local",
        org: str = "models",
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        super().__init__(root, name=name, org=org)
        self._now = now

    def open_pull(self, repository: HostedRepository, new: NewPullRequest) -> PullRequest:
        """Open a pull request, or bring the open one of the same branch up to date."""
        for branch in (new.head, new.base):
            self._commit_of(repository, branch)
        if new.head == new.base:
            raise InvalidAnswer("a pull request needs two different branches")
        present = self.find_pull(repository, new.head)
        if present is not None and present.state is PullState.OPEN:

            def changed(document: Document) -> Document:
                labels = sorted({*document["labels"], *new.labels})
                return {**document, "title": new.title, "body": new.body, "draft": new.draft, "labels": labels}

            return self._change(repository, present.number, changed)
        for _attempt in range(_ATTEMPTS):
            number = max(self._numbers(repository), default=0) + 1
            document: Document = {
                "title": new.title,
                "body": new.body,
                "head": new.head,
                "base": new.base,
                "draft": new.draft,
                "labels": sorted(set(new.labels)),
                "state": PullState.OPEN,
                "comments": [],
                "opened_at": self._now().isoformat(),
            }
            if self._store(repository, _pull_ref(number), document, _ZERO):
                self._keep_commits(repository, number, new.head)
                return self._required(repository, number)
        raise HostError(f"too many pull requests are being opened in {repository.path}", fix="Try again.")

    def update_pull(
        self,
        repository: HostedRepository,
        number: int,
        *,
        title: str | None = None,
        body: str | None = None,
        draft: bool | None = None,
    ) -> PullRequest:
        """Change what is given."""
        given = {"title": title, "body": body, "draft": draft}
        values = {key: value for key, value in given.items() if value is not None}
        return self._change(repository, number, lambda document: {**document, **values})

    def comment(self, repository: HostedRepository, number: int, body: str, *, key: str) -> None:
        """Comment on a pull request; a comment of the same key is replaced."""
        comment = {"key": key, "body": body, "at": self._now().isoformat()}

        def changed(document: Document) -> Document:
            others = [one for one in document["comments"] if one["key"] != key]
            return {**document, "comments": [*others, comment]}

        self._change(repository, number, changed)

    def comments(self, repository: HostedRepository, number: int) -> list[Document]:
        """Return the comments of a pull request: ``key``, ``body`` and ``at``, oldest first."""
        _, document = self._load(repository, _pull_ref(number))
        return list(document["comments"]) if document else []

    def label(self, repository: HostedRepository, number: int, labels: Sequence[str]) -> None:
        """Add labels to a pull request."""
        self._change(
            repository, number, lambda document: {**document, "labels": sorted({*document["labels"], *labels})}
        )

    def close_pull(self, repository: HostedRepository, number: int) -> PullRequest:
        """Close a pull request that is open."""
        pull = self._required(repository, number)
        if pull.state is not PullState.OPEN:
            return pull
        self._keep_commits(repository, number, pull.head)
        return self._change(repository, number, lambda document: {**document, "state": PullState.CLOSED})

    def pull(self, repository: HostedRepository, number: int) -> PullRequest | None:
        """Return a pull request with its checks."""
        _, document = self._load(repository, _pull_ref(number))
        return None if document is None else self._shown(repository, number, document)

    def pulls(self, repository: HostedRepository) -> list[PullRequest]:
        """Return all pull requests, newest first."""
        numbers = sorted(self._numbers(repository), reverse=True)
        return [pull for number in numbers if (pull := self.pull(repository, number)) is not None]

    def find_pull(self, repository: HostedRepository, head: str) -> PullRequest | None:
        """Return the newest pull request from a branch, an open one before others."""
        found = [pull for pull in self.pulls(repository) if pull.head == head]
        return next((pull for pull in found if pull.state is PullState.OPEN), found[0] if found else None)

    def report_check(
        self, repository: HostedRepository, commit: str, name: str, checks: Checks, description: str = ""
    ) -> None:
        """Say how a check of a commit went."""
        for _attempt in range(_ATTEMPTS):
            before, document = self._load(repository, _checks_ref(commit))
            entry = {"state": checks, "description": description, "at": self._now().isoformat()}
            if self._store(repository, _checks_ref(commit), {**(document or {}), name: entry}, before):
                return
        raise HostError(f"too many checks are being reported for {commit[:12]}", fix="Try again.")

    def merge_pull(self, repository: HostedRepository, number: int, by: Author) -> PullRequest:
        """Merge a pull request by a merge commit; a merged one is returned as it is.

        Raises:
            Collision: it is closed, a draft or in conflict, or a required check is not green.
        """
        from git import GitCommandError

        pull = self._required(repository, number)
        if pull.state is PullState.MERGED:
            return pull
        self._check_mergeable(repository, pull)
        git = git_in(self.path(repository.org, repository.name))
        base = self._commit_of(repository, pull.base)
        identity = {"GIT_AUTHOR_NAME": by.name, "GIT_AUTHOR_EMAIL": by.email}
        identity |= {"GIT_COMMITTER_NAME": "ML platform", "GIT_COMMITTER_EMAIL": "ml-platform@localhost"}
        try:
            tree = str(git.merge_tree("--write-tree", base, pull.head_commit)).splitlines()[0]
            with git.custom_environment(**identity):
                message = f"Merge pull request #{number}: {pull.title}"
                merged = str(git.commit_tree(tree, "-p", base, "-p", pull.head_commit, "-m", message))
            git.update_ref(f"refs/heads/{pull.base}", merged, base)
        except GitCommandError as fault:
            raise HostError(f"#{number} could not be merged: {said(fault)}", fix="Try again.") from fault
        self._keep_commits(repository, number, pull.head)
        return self._change(
            repository,
            number,
            lambda document: {**document, "state": PullState.MERGED, "merge_commit": merged},
        )

    def _check_mergeable(self, repository: HostedRepository, pull: PullRequest) -> None:
        if pull.state is PullState.CLOSED:
            raise Collision(f"#{pull.number} is closed", fix="open a new pull request")
        if pull.draft:
            raise Collision(f"#{pull.number} is a draft", fix="mark it as ready first")
        if not pull.mergeable:
            raise Collision(
                f"#{pull.number} conflicts with {pull.base}", fix=f"merge {pull.base} into {pull.head} and push"
            )
        checks = self._checks(repository, pull.head_commit)
        unmet = [
            name for name in self.required_checks(repository) if checks.get(name, {}).get("state") != Checks.GREEN.value
        ]
        if unmet:
            raise Collision(f"#{pull.number} waits for {', '.join(unmet)}", fix="have these checks pass first")

    def _shown(self, repository: HostedRepository, number: int, document: Document) -> PullRequest:
        branches = self.branches(repository)
        kept = self._ref(repository, f"refs/pull/{number}/head")
        open_now = document["state"] == PullState.OPEN
        head = (branches.get(document["head"]) if open_now else None) or kept or _ZERO
        pull = PullRequest(
            number=number,
            title=document["title"],
            body=document["body"],
            head=document["head"],
            base=document["base"],
            head_commit=head,
            state=PullState(document["state"]),
            draft=document["draft"],
            labels=tuple(document["labels"]),
            checks=_together(self._checks(repository, head)),
            mergeable=None,
            web_url=None,
            merge_commit=document.get("merge_commit"),
        )
        base = branches.get(pull.base)
        return replace(pull, mergeable=self._merges(repository, base, head)) if open_now and base else pull

    def _merges(self, repository: HostedRepository, base: str, head: str) -> bool:
        from git import GitCommandError

        try:
            git_in(self.path(repository.org, repository.name)).merge_tree("--write-tree", base, head)
        except GitCommandError:
            return False
        return True

    def _checks(self, repository: HostedRepository, commit: str) -> Document:
        _, document = self._load(repository, _checks_ref(commit))
        return document or {}

    def _commit_of(self, repository: HostedRepository, branch: str) -> str:
        commit = self.branches(repository).get(branch) if len(branch) <= _BRANCH_LENGTH else None
        if commit is None:
            raise InvalidAnswer(f"{repository.path} has no branch {branch[:_BRANCH_LENGTH]!r}", fix="push it first")
        return commit

    def _keep_commits(self, repository: HostedRepository, number: int, branch: str) -> None:
        if (commit := self.branches(repository).get(branch)) is not None:
            git_in(self.path(repository.org, repository.name)).update_ref(f"refs/pull/{number}/head", commit)

    def _numbers(self, repository: HostedRepository) -> list[int]:
        git = git_in(self.path(repository.org, repository.name))
        listed = str(git.for_each_ref("--format=%(refname:strip=3)", "refs/platform/pulls"))
        return [int(line) for line in listed.splitlines()]

    def _required(self, repository: HostedRepository, number: int) -> PullRequest:
        pull = self.pull(repository, number)
        if pull is None:
            raise HostError(f"{repository.path} has no pull request #{number}")
        return pull

    def _change(
        self, repository: HostedRepository, number: int, changed: Callable[[Document], Document]
    ) -> PullRequest:
        for _attempt in range(_ATTEMPTS):
            before, document = self._load(repository, _pull_ref(number))
            if document is None:
                raise HostError(f"{repository.path} has no pull request #{number}")
            after = changed(document)
            if after == document or self._store(repository, _pull_ref(number), after, before):
                return self._required(repository, number)
        raise HostError(f"#{number} of {repository.path} is being changed by others", fix="Try again.")

    def _ref(self, repository: HostedRepository, ref: str) -> str | None:
        from git import GitCommandError

        try:
            return str(git_in(self.path(repository.org, repository.name)).rev_parse("--verify", "--quiet", ref))
        except GitCommandError:
            return None

    def _load(self, repository: HostedRepository, ref: str) -> tuple[str, Document | None]:
        """Return what a reference points to, for :meth:`_store`, and the document there."""
        name = self._ref(repository, ref)
        if name is None:
            return _ZERO, None
        content = read_blob(self.path(repository.org, repository.name), name)
        return name, json.loads(content) if content is not None else None

    def _store(self, repository: HostedRepository, ref: str, document: Document, before: str) -> bool:
        """Write a document unless somebody else has written there since ``before``; say whether it was written."""
        from git import GitCommandError

        path = self.path(repository.org, repository.name)
        name = write_blob(path, json.dumps(document, ensure_ascii=False, sort_keys=True).encode())
        try:
            git_in(path).update_ref(ref, name, before)
        except GitCommandError:
            return False
        return True


def _pull_ref(number: int) -> str:
    return f"refs/platform/pulls/{number}"


def _checks_ref(commit: str) -> str:
    return f"refs/platform/checks/{commit}"


def _together(checks: Document) -> Checks:
    states = {entry["state"] for entry in checks.values()}
    for state in (Checks.FAILING, Checks.PENDING, Checks.GREEN):
        if state.value in states:
            return state
    return Checks.NONE
