"""Merge requests of GitLab projects."""

from collections.abc import Sequence

from scaffolder.errors import HostError
from scaffolder.hosts.base import Checks, HostedRepository, NewPullRequest, PullRequest, PullState
from scaffolder.hosts.gitlab.api import Json
from scaffolder.hosts.gitlab.repositories import GitLabRepositories
from scaffolder.hosts.marks import mark, marked

_DRAFT = "Draft: "
_STATUS = {Checks.GREEN: "success", Checks.FAILING: "failed", Checks.PENDING: "pending", Checks.NONE: "pending"}
_PIPELINE = {"success": Checks.GREEN, "skipped": Checks.GREEN, "failed": Checks.FAILING, "canceled": Checks.FAILING}
_STATE = {"opened": PullState.OPEN, "locked": PullState.OPEN, "merged": PullState.MERGED, "closed": PullState.CLOSED}


class GitLabHost(GitLabRepositories):
    """A GitLab server: gitlab.com or one's own."""

    def open_pull(self, repository: HostedRepository, new: NewPullRequest) -> PullRequest:
        """Open a merge request, or bring the open one of the same branch up to date."""
        title = _titled(new.title, draft=new.draft)
        present = self._open(repository, new.head)
        if present is None:
            body: Json = {
                "source_branch": new.head,
                "target_branch": new.base,
                "title": title,
                "description": new.body,
                "labels": list(new.labels),
                "remove_source_branch": True,
            }
            path = f"{self._path(repository)}/merge_requests"
            present = self._api.send("post", path, json=body, look=lambda: self._open(repository, new.head))
        number = int(present["iid"])
        if (present["title"], present["description"] or "") != (title, new.body):
            self._put(repository, number, {"title": title, "description": new.body})
        if set(new.labels) - set(present["labels"]):
            self.label(repository, number, new.labels)
        return self._required(repository, number)

    def update_pull(
        self,
        repository: HostedRepository,
        number: int,
        *,
        title: str | None = None,
        body: str | None = None,
        draft: bool | None = None,
    ) -> PullRequest:
        """Change what is given; a draft is one by the beginning of its title."""
        present = self._required(repository, number)
        changes: Json = {}
        if title is not None or draft is not None:
            is_draft = present.draft if draft is None else draft
            changes["title"] = _titled(present.title if title is None else title, draft=is_draft)
        if body is not None:
            changes["description"] = body
        if changes:
            self._put(repository, number, changes)
        return self._required(repository, number)

    def comment(self, repository: HostedRepository, number: int, body: str, *, key: str) -> None:
        """Comment on a merge request; a comment of the same key is replaced."""
        notes = f"{self._path(repository)}/merge_requests/{number}/notes"

        def present() -> Json | None:
            return next((note for note in self._api.pages(notes) if mark(key) in note["body"]), None)

        text = marked(body, key)
        found = present()
        if found is None:
            found = self._api.send("post", notes, json={"body": text}, look=present)
        if found["body"] != text:
            self._api.send("put", f"{notes}/{found['id']}", json={"body": text})

    def label(self, repository: HostedRepository, number: int, labels: Sequence[str]) -> None:
        """Add labels; GitLab makes those that the project does not have."""
        self._put(repository, number, {"add_labels": list(labels)})

    def close_pull(self, repository: HostedRepository, number: int) -> PullRequest:
        """Close a merge request that is open."""
        pull = self._required(repository, number)
        if pull.state is PullState.OPEN:
            self._put(repository, number, {"state_event": "close"})
        return self._required(repository, number)

    def pull(self, repository: HostedRepository, number: int) -> PullRequest | None:
        """Return a merge request with its checks."""
        found = self._api.get(f"{self._path(repository)}/merge_requests/{number}", missing=True)
        return None if found is None else self._shown(found)

    def find_pull(self, repository: HostedRepository, head: str) -> PullRequest | None:
        """Return the newest merge request from a branch, an open one before others."""
        found = self._open(repository, head) or next(iter(self._from(repository, head, "all")), None)
        return None if found is None else self.pull(repository, int(found["iid"]))

    def report_check(
        self, repository: HostedRepository, commit: str, name: str, checks: Checks, description: str = ""
    ) -> None:
        """Say how a check of a commit went; the same again is fine."""
        body = {"state": _STATUS[checks], "name": name, "description": description[:255]}
        self._api.send("post", f"{self._path(repository)}/statuses/{commit}", json=body)

    def _open(self, repository: HostedRepository, head: str) -> Json | None:
        return next(iter(self._from(repository, head, "opened")), None)

    def _from(self, repository: HostedRepository, head: str, state: str) -> list[Json]:
        found: list[Json] = self._api.get(
            f"{self._path(repository)}/merge_requests",
            state=state,
            source_branch=head,
            order_by="created_at",
            sort="desc",
            per_page=10,
        )
        return found

    def _put(self, repository: HostedRepository, number: int, changes: Json) -> None:
        self._api.send("put", f"{self._path(repository)}/merge_requests/{number}", json=changes)

    def _required(self, repository: HostedRepository, number: int) -> PullRequest:
        pull = self.pull(repository, number)
        if pull is None:
            raise HostError(f"{repository.path} has no merge request !{number}")
        return pull

    def _shown(self, found: Json) -> PullRequest:
        state = _STATE[found["state"]]
        pipeline = found.get("head_pipeline")
        checks = Checks.NONE if pipeline is None else _PIPELINE.get(pipeline["status"], Checks.PENDING)
        return PullRequest(
            number=int(found["iid"]),
            title=found["title"].removeprefix(_DRAFT) if found["draft"] else found["title"],
            body=found["description"] or "",
            head=found["source_branch"],
            base=found["target_branch"],
            head_commit=found["sha"] or "",
            state=state,
            draft=bool(found["draft"]),
            labels=tuple(found["labels"]),
            checks=checks,
            mergeable=_mergeable(found) if state is PullState.OPEN else None,
            web_url=found["web_url"],
            merge_commit=found.get("merge_commit_sha") if state is PullState.MERGED else None,
        )


def _titled(title: str, *, draft: bool) -> str:
    plain = title.removeprefix(_DRAFT)
    return f"{_DRAFT}{plain}" if draft else plain


def _mergeable(found: Json) -> bool | None:
    """Say whether the branches merge; ``None`` while GitLab is finding out."""
    if found.get("has_conflicts"):
        return False
    unsure = {"unchecked", "checking", "preparing", "approvals_syncing"}
    return None if found.get("detailed_merge_status", "unchecked") in unsure else True
