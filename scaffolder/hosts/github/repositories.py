"""Repositories of a GitHub organisation."""

import base64
import re
from collections.abc import Iterator
from typing import ClassVar
from urllib.parse import quote

from scaffolder.errors import Collision, HostError, InvalidAnswer
from scaffolder.git import BRANCH, GitAccess, http_access
from scaffolder.hosts.base import BranchProtection, HostedRepository, NewRepository
from scaffolder.hosts.github.api import GitHubApi, GitHubRefused, Json
from scaffolder.hosts.marks import carries, claimed, shortened_description
from scaffolder.names import ANSWERS_FILE, shortened

_ORG = re.compile(r"[A-Za-z0-9]+([-_][A-Za-z0-9]+)*")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")


class GitHubRepositories:
    """See the module's docstring."""

    kind: ClassVar[str] = "github"

    def __init__(self, api: GitHubApi, *, org: str) -> None:
        self._api, self.name, self.org = api, api.name, org

    def find(self, org: str, name: str) -> HostedRepository | None:
        """Return the repository of that name."""
        found = self._get(org, name)
        return None if found is None else self._hosted(found)

    def create(self, new: NewRepository) -> HostedRepository:
        """Create an empty repository, or return the one with the claim."""

        def mine() -> Json | None:
            found = self._get(new.org, new.name)
            return found if found is not None and carries(found["description"], new.claim) else None

        if (found := mine()) is not None:
            return self._hosted(found)
        body: Json = {
            "name": new.name,
            "description": claimed(new),
            "private": new.private,
            "has_wiki": False,
            "auto_init": False,
            "delete_branch_on_merge": True,
        }
        try:
            made = self._api.send(new.org, "POST", f"/orgs/{new.org}/repos", json=body, look=mine)
        except GitHubRefused as refused:
            if refused.status == 422 and self._get(new.org, new.name) is not None:
                raise Collision(
                    f"there is a repository {new.org}/{new.name} on {self.name} already", fix="choose another name"
                ) from refused
            if refused.status == 404:
                raise HostError(
                    f"{self.name} has no organisation {new.org}, or the platform may not create repositories there",
                    fix="Name another organisation, or give the token or App that permission.",
                ) from refused
            raise
        return self._hosted(made)

    def settle(self, repository: HostedRepository, new: NewRepository) -> None:
        """Take the claim off the description."""
        self._patch(repository, {"description": shortened_description(new)})

    def remove(self, org: str, name: str, claim: str) -> bool:
        """Delete the repository if it carries the claim."""
        found = self._get(org, name)
        if found is None or not carries(found["description"], claim):
            return False
        self._api.send(org, "DELETE", f"/repos/{org}/{name}", missing=True)
        return True

    def protect(self, repository: HostedRepository, protection: BranchProtection) -> None:
        """Ask for a pull request, its approvals and checks; no forced pushes, no deletion."""
        if repository.default_branch != BRANCH:
            self._patch(repository, {"default_branch": BRANCH})
        checks = {"strict": False, "contexts": list(protection.checks)} if protection.checks else None
        body: Json = {
            "required_status_checks": checks,
            "enforce_admins": False,
            "required_pull_request_reviews": {"required_approving_review_count": protection.approvals},
            "restrictions": None,
            "allow_force_pushes": False,
            "allow_deletions": False,
        }
        try:
            self._api.send(repository.org, "PUT", f"{self._path(repository)}/branches/{BRANCH}/protection", json=body)
        except GitHubRefused as refused:
            if refused.status != 403:
                raise
            raise HostError(
                f"{self.name} does not let {BRANCH} of {repository.path} be protected: {refused.message}",
                fix="Give the App `administration: write`; where the plan has no protection of private repositories, "
                "set branchProtection.enabled to false for this host.",
            ) from refused

    def access(self, repository: HostedRepository) -> GitAccess:
        """Return how git reaches the repository: with the token, or an App's token for this repository alone."""
        token = self._api.installation_token(repository.org, repository.name)
        return http_access(repository.clone_url, "x-access-token", token)

    def branches(self, repository: HostedRepository) -> dict[str, str]:
        """Return the commit of each branch."""
        found = self._api.pages(repository.org, f"{self._path(repository)}/branches")
        return {branch["name"]: branch["commit"]["sha"] for branch in found}

    def head(self, repository: HostedRepository) -> str | None:
        """Return the commit of the default branch."""
        branch = quote(repository.default_branch, safe="")
        found = self._api.get(repository.org, f"{self._path(repository)}/branches/{branch}", missing=True)
        return None if found is None else str(found["commit"]["sha"])

    def read_file(self, repository: HostedRepository, path: str, ref: str | None = None) -> bytes | None:
        """Return a file's content, of at most 1 MB."""
        found = self._api.get(repository.org, f"{self._path(repository)}/contents/{quote(path)}", missing=True, ref=ref)
        if found is None:
            return None
        if not isinstance(found, dict) or found.get("encoding") != "base64":
            raise HostError(f"{path} of {repository.path} is no file, or larger than 1 MB")
        return base64.b64decode(found["content"])

    def templated(self, org: str) -> Iterator[HostedRepository]:
        """Yield the repositories that hold an answers file; one request each, since code search lags behind."""
        _check(org)
        for found in self._api.pages(org, f"/orgs/{org}/repos", type="all", sort="full_name"):
            if found["archived"] or found["size"] == 0:
                continue
            repository = self._hosted(found)
            if self.read_file(repository, ANSWERS_FILE) is not None:
                yield repository

    def _get(self, org: str, name: str) -> Json | None:
        _check(org, name)
        found: Json | None = self._api.get(org, f"/repos/{org}/{name}", missing=True)
        # A renamed repository is found under its old name too, where another may be made.
        if found is None or found["full_name"].lower() != f"{org}/{name}".lower():
            return None
        return found

    def _patch(self, repository: HostedRepository, changes: Json) -> None:
        self._api.send(repository.org, "PATCH", self._path(repository), json=changes)

    def _path(self, repository: HostedRepository) -> str:
        return f"/repos/{repository.org}/{repository.name}"

    def _hosted(self, found: Json) -> HostedRepository:
        org, _, name = found["full_name"].partition("/")
        return HostedRepository(
            host=self.name,
            org=org,
            name=name,
            clone_url=found["clone_url"],
            web_url=found["html_url"],
            default_branch=found.get("default_branch") or BRANCH,
            description=found["description"] or "",
        )


def _check(org: str, name: str = "x") -> None:
    """Refuse what is no name on GitHub: it becomes part of a request's path."""
    if not _ORG.fullmatch(org):
        raise InvalidAnswer(f"{shortened(org)} can't be an organisation on GitHub: letters, digits and single hyphens")
    if not _NAME.fullmatch(name) or name in {".", ".."}:
        raise InvalidAnswer(f"{shortened(name)} can't be a repository on GitHub")
