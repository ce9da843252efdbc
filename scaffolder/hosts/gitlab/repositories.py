"""Projects of a GitLab group."""

from collections.abc import Iterator
from typing import ClassVar

from scaffolder.errors import Collision, HostError
from scaffolder.git import BRANCH, GitAccess, http_access
from scaffolder.hosts.base import BranchProtection, HostedRepository, NewRepository
from scaffolder.hosts.gitlab.api import GitLabApi, GitLabRefused, Json, encoded
from scaffolder.hosts.marks import carries, claimed, shortened_description
from scaffolder.names import ANSWERS_FILE

_NOBODY, _DEVELOPERS = 0, 30
_RULE = "ML platform"


class GitLabRepositories:
    """See the module's docstring."""

    kind: ClassVar[str] = "gitlab"

    def __init__(self, api: GitLabApi, *, org: str) -> None:
        self._api, self.name, self.org = api, api.name, org

    def find(self, org: str, name: str) -> HostedRepository | None:
        """Return the project of that path."""
        found = self._get(org, name)
        return None if found is None else self._hosted(found)

    def create(self, new: NewRepository) -> HostedRepository:
        """Create an empty project, or return the one with the claim."""

        def mine() -> Json | None:
            found = self._get(new.org, new.name)
            return found if found is not None and carries(found["description"], new.claim) else None

        if (found := mine()) is not None:
            return self._hosted(found)
        group = self._api.get(f"/groups/{encoded(new.org)}", missing=True, with_projects=False)
        if group is None:
            raise HostError(
                f"{self.name} has no group {new.org}, or the platform may not see it",
                fix="Name another group, or make the token's user a member.",
            )
        body: Json = {
            "name": new.name,
            "path": new.name,
            "namespace_id": group["id"],
            "description": claimed(new),
            "visibility": "private" if new.private else "internal",
            "initialize_with_readme": False,
            "remove_source_branch_after_merge": True,
        }
        try:
            made = self._api.send("post", "/projects", json=body, look=mine)
        except GitLabRefused as refused:
            if refused.status in {400, 409} and self._get(new.org, new.name) is not None:
                raise Collision(
                    f"there is a project {new.org}/{new.name} on {self.name} already", fix="choose another name"
                ) from refused
            raise
        return self._hosted(made)

    def settle(self, repository: HostedRepository, new: NewRepository) -> None:
        """Take the claim off the description."""
        self._api.send("put", self._path(repository), json={"description": shortened_description(new)})

    def remove(self, org: str, name: str, claim: str) -> bool:
        """Delete the project if it carries the claim.

        Where deletion is delayed the project only gets a mark first, and a second request deletes it.
        """
        found = self._get(org, name)
        if found is None or not carries(found["description"], claim):
            return False
        path = f"/projects/{found['id']}"
        self._api.send("delete", path, missing=True)
        left = self._api.get(path, missing=True)
        if left is not None and left.get("marked_for_deletion_on"):
            query = {"permanently_remove": True, "full_path": left["path_with_namespace"]}
            try:
                self._api.send("delete", path, query=query, missing=True)
            except GitLabRefused as refused:
                if refused.status not in {400, 403}:  # the host deletes it in its own time
                    raise
        return True

    def protect(self, repository: HostedRepository, protection: BranchProtection) -> None:
        """Let developers merge into the default branch and nobody push; ask for approvals and a green pipeline."""
        project = self._path(repository)
        branches = f"{project}/protected_branches"
        present = self._api.get(f"{branches}/{BRANCH}", missing=True)
        if present is None or not _is_closed(present):
            if present is not None:
                self._api.send("delete", f"{branches}/{BRANCH}", missing=True)
            body = {
                "name": BRANCH,
                "push_access_level": _NOBODY,
                "merge_access_level": _DEVELOPERS,
                "allow_force_push": False,
            }
            self._api.send(
                "post", branches, json=body, look=lambda: self._api.get(f"{branches}/{BRANCH}", missing=True)
            )
        changes = {
            "default_branch": BRANCH,
            "only_allow_merge_if_pipeline_succeeds": bool(protection.checks),
        }
        self._api.send("put", project, json=changes)
        if protection.approvals:
            self._require_approvals(project, repository, protection.approvals)

    def access(self, repository: HostedRepository) -> GitAccess:
        """Return how git reaches the project with the token."""
        return http_access(repository.clone_url, "oauth2", self._api.token)

    def branches(self, repository: HostedRepository) -> dict[str, str]:
        """Return the commit of each branch."""
        found = self._api.pages(f"{self._path(repository)}/repository/branches")
        return {branch["name"]: branch["commit"]["id"] for branch in found}

    def head(self, repository: HostedRepository) -> str | None:
        """Return the commit of the default branch."""
        branch = encoded(repository.default_branch)
        found = self._api.get(f"{self._path(repository)}/repository/branches/{branch}", missing=True)
        return None if found is None else str(found["commit"]["id"])

    def read_file(self, repository: HostedRepository, path: str, ref: str | None = None) -> bytes | None:
        """Return a file's content."""
        at = ref or repository.default_branch
        return self._api.raw(f"{self._path(repository)}/repository/files/{encoded(path)}/raw", ref=at)

    def templated(self, org: str) -> Iterator[HostedRepository]:
        """Yield the projects of the group and its subgroups that hold an answers file."""
        projects = self._api.pages(
            f"/groups/{encoded(org)}/projects", include_subgroups=True, archived=False, order_by="path", sort="asc"
        )
        for found in projects:
            repository = self._hosted(found)
            if not found.get("empty_repo") and self.read_file(repository, ANSWERS_FILE) is not None:
                yield repository

    def _require_approvals(self, project: str, repository: HostedRepository, approvals: int) -> None:
        rules = f"{project}/approval_rules"

        def present() -> Json | None:
            return next((rule for rule in self._api.pages(rules) if rule["name"] == _RULE), None)

        try:
            rule = present()
            if rule is None:
                body = {"name": _RULE, "approvals_required": approvals}
                rule = self._api.send("post", rules, json=body, look=present)
            if rule["approvals_required"] != approvals:
                changes = {"name": _RULE, "approvals_required": approvals}
                self._api.send("put", f"{rules}/{rule['id']}", json=changes)
        except GitLabRefused as refused:
            if refused.status not in {403, 404}:
                raise
            raise HostError(
                f"{self.name} can't ask for approvals in {repository.path}: {refused.message}",
                fix="Approval rules need a plan that has them; set branchProtection.approvals to 0 for this host.",
            ) from refused

    def _get(self, org: str, name: str) -> Json | None:
        found: Json | None = self._api.get(f"/projects/{encoded(f'{org}/{name}')}", missing=True)
        if found is None or found["path_with_namespace"].lower() != f"{org}/{name}".lower():
            return None
        return found

    def _path(self, repository: HostedRepository) -> str:
        return f"/projects/{encoded(repository.path)}"

    def _hosted(self, found: Json) -> HostedRepository:
        org, _, name = found["path_with_namespace"].rpartition("/")
        return HostedRepository(
            host=self.name,
            org=org,
            name=name,
            clone_url=found["http_url_to_repo"],
            web_url=found["web_url"],
            default_branch=found.get("default_branch") or BRANCH,
            description=found["description"] or "",
        )


def _is_closed(protected: Json) -> bool:
    pushes = {level["access_level"] for level in protected["push_access_levels"]}
    return pushes == {_NOBODY} and not protected.get("allow_force_push")
