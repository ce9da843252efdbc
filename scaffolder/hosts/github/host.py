"""Pull requests of GitHub repositories."""

from collections.abc import Sequence

from scaffolder.errors import HostError
from scaffolder.hosts.base import Checks, HostedRepository, NewPullRequest, PullRequest, PullState
from scaffolder.hosts.github.api import Json
from scaffolder.hosts.github.repositories import GitHubRepositories
from scaffolder.hosts.marks import mark, marked

_TO_DRAFT = (
    """mutation ($id: ID!) { convertPullRequestToDraft(input: {pullRequestId: $id}) { pullRequest { isDraft } } }"""
)
_TO_READY = (
    """mutation ($id: ID!) { markPullRequestReadyForReview(input: {pullRequestId: $id}) { pullRequest { isDraft } } }"""
)
_STATUS = {Checks.GREEN: "success", Checks.FAILING: "failure", Checks.PENDING: "pending", Checks.NONE: "pending"}
_GOOD = {"success", "neutral", "skipped"}
_DESCRIPTION_LENGTH = 140


class GitHubHost(GitHubRepositories):
    """A GitHub server: github.com or GitHub Enterprise Server."""

    def open_pull(self, repository: HostedRepository, new: NewPullRequest) -> PullRequest:
        """Open a pull request, or bring the open one of the same branch up to date."""
        present = self._open(repository, new.head)
        if present is None:
            body = {"title": new.title, "body": new.body, "head": new.head, "base": new.base, "draft": new.draft}
            present = self._api.send(
                repository.org,
                "POST",
                f"{self._path(repository)}/pulls",
                json=body,
                look=lambda: self._open(repository, new.head),
            )
        number = int(present["number"])
        if (present["title"], present["body"] or "", present["draft"]) != (new.title, new.body, new.draft):
            self.update_pull(repository, number, title=new.title, body=new.body, draft=new.draft)
        if set(new.labels) - {label["name"] for label in present["labels"]}:
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
        """Change what is given."""
        given = {key: value for key, value in (("title", title), ("body", body)) if value is not None}
        path = f"{self._path(repository)}/pulls/{number}"
        present = (
            self._api.send(repository.org, "PATCH", path, json=given) if given else self._api.get(repository.org, path)
        )
        if draft is not None and present["draft"] != draft:
            self._api.graphql(repository.org, _TO_DRAFT if draft else _TO_READY, {"id": present["node_id"]})
        return self._required(repository, number)

    def comment(self, repository: HostedRepository, number: int, body: str, *, key: str) -> None:
        """Comment on a pull request; a comment of the same key is replaced."""

        def present() -> Json | None:
            comments = self._api.pages(repository.org, f"{self._path(repository)}/issues/{number}/comments")
            return next((one for one in comments if mark(key) in (one.get("body") or "")), None)

        text = {"body": marked(body, key)}
        found = present()
        if found is None:
            path = f"{self._path(repository)}/issues/{number}/comments"
            found = self._api.send(repository.org, "POST", path, json=text, look=present)
        if found["body"] != text["body"]:
            self._api.send(
                repository.org, "PATCH", f"{self._path(repository)}/issues/comments/{found['id']}", json=text
            )

    def label(self, repository: HostedRepository, number: int, labels: Sequence[str]) -> None:
        """Add labels; GitHub makes those that the repository does not have."""
        body = {"labels": list(labels)}
        self._api.send(repository.org, "POST", f"{self._path(repository)}/issues/{number}/labels", json=body)

    def close_pull(self, repository: HostedRepository, number: int) -> PullRequest:
        """Close a pull request that is open."""
        pull = self._required(repository, number)
        if pull.state is PullState.OPEN:
            path = f"{self._path(repository)}/pulls/{number}"
            self._api.send(repository.org, "PATCH", path, json={"state": "closed"})
        return self._required(repository, number)

    def pull(self, repository: HostedRepository, number: int) -> PullRequest | None:
        """Return a pull request with its checks."""
        found = self._api.get(repository.org, f"{self._path(repository)}/pulls/{number}", missing=True)
        return None if found is None else self._shown(repository, found)

    def find_pull(self, repository: HostedRepository, head: str) -> PullRequest | None:
        """Return the newest pull request from a branch, an open one before others."""
        found = self._open(repository, head) or next(iter(self._from(repository, head, "all")), None)
        return None if found is None else self.pull(repository, int(found["number"]))

    def report_check(
        self, repository: HostedRepository, commit: str, name: str, checks: Checks, description: str = ""
    ) -> None:
        """Say how a check of a commit went."""
        body = {"state": _STATUS[checks], "context": name, "description": description[:_DESCRIPTION_LENGTH]}
        self._api.send(repository.org, "POST", f"{self._path(repository)}/statuses/{commit}", json=body)

    def _open(self, repository: HostedRepository, head: str) -> Json | None:
        return next(iter(self._from(repository, head, "open")), None)

    def _from(self, repository: HostedRepository, head: str, state: str) -> list[Json]:
        found: list[Json] = self._api.get(
            repository.org,
            f"{self._path(repository)}/pulls",
            state=state,
            head=f"{repository.org}:{head}",
            sort="created",
            direction="desc",
            per_page=10,
        )
        return found

    def _required(self, repository: HostedRepository, number: int) -> PullRequest:
        pull = self.pull(repository, number)
        if pull is None:
            raise HostError(f"{repository.path} has no pull request #{number}")
        return pull

    def _shown(self, repository: HostedRepository, found: Json) -> PullRequest:
        state = PullState.MERGED if found.get("merged") else PullState(found["state"])
        return PullRequest(
            number=int(found["number"]),
            title=found["title"],
            body=found["body"] or "",
            head=found["head"]["ref"],
            base=found["base"]["ref"],
            head_commit=found["head"]["sha"],
            state=state,
            draft=bool(found["draft"]),
            labels=tuple(label["name"] for label in found["labels"]),
            checks=self._checks(repository, found["head"]["sha"]),
            mergeable=found["mergeable"] if state is PullState.OPEN else None,
            web_url=found["html_url"],
            merge_commit=found["merge_commit_sha"] if state is PullState.MERGED else None,
        )

    def _checks(self, repository: HostedRepository, commit: str) -> Checks:
        """Return what check runs (GitHub Actions, Apps) and commit statuses (everybody else) say together."""
        path = f"{self._path(repository)}/commits/{commit}"
        states = set()
        for run in self._api.pages(repository.org, f"{path}/check-runs", "check_runs", filter="latest"):
            if run["status"] != "completed":
                states.add(Checks.PENDING)
            else:
                states.add(Checks.GREEN if run["conclusion"] in _GOOD else Checks.FAILING)
        for status in self._api.pages(repository.org, f"{path}/status", "statuses"):
            words = {"success": Checks.GREEN, "pending": Checks.PENDING}
            states.add(words.get(status["state"], Checks.FAILING))
        return next((one for one in (Checks.FAILING, Checks.PENDING, Checks.GREEN) if one in states), Checks.NONE)
