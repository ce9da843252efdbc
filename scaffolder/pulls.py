"""Pull requests of the embedded git host, which has no pages of its own: looked at and merged through the platform."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from backend.access.engine import Decision
from backend.access.resources import Action, ProjectResource
from backend.core.errors import Conflict, NotFound
from backend.identity.principal import Principal
from scaffolder.git import Author
from scaffolder.hosts.base import HostedRepository, NewPullRequest, PullRequest
from scaffolder.hosts.embedded import EmbeddedHost
from scaffolder.service import EVENT, translated

if TYPE_CHECKING:
    from backend.core.container import Services


@dataclass(frozen=True)
class Pulls:
    """Pull requests of one repository, as the caller may see and change them."""

    services: "Services"
    host: EmbeddedHost
    repository: HostedRepository

    @classmethod
    def of(cls, services: "Services", host: str, org: str, name: str) -> "Pulls":
        """Return the pull requests of a repository of an embedded host.

        Raises:
            NotFound: there is no such repository.
            Conflict: the host has its own pages for them.
        """
        with translated():
            found = services.hosts.host(host, patience=10.0)
            if not isinstance(found, EmbeddedHost):
                raise Conflict(
                    f"{host} shows and merges its pull requests itself", fix="Use its own pages or command line."
                )
            repository = found.find(org, name)
        if repository is None:
            raise NotFound(f"{host} has no repository {org}/{name}")
        return cls(services, found, repository)

    def all(self) -> list[PullRequest]:
        """Return all pull requests, newest first."""
        return self.host.pulls(self.repository)

    def get(self, number: int) -> PullRequest:
        """Return one.

        Raises:
            NotFound: there is none of that number.
        """
        found = self.host.pull(self.repository, number)
        if found is None:
            raise NotFound(f"{self.repository.path} has no pull request #{number}")
        return found

    def open(self, session: Session, caller: Principal, new: NewPullRequest) -> PullRequest:
        """Open a pull request, or bring the open one of its branch up to date."""
        decision = self._check(session, caller, "open")
        with translated():
            pull = self.host.open_pull(self.repository, new)
        self._record(session, caller, "opened", pull, decision)
        return pull

    def decide(self, session: Session, caller: Principal, number: int, decision: str) -> PullRequest:
        """Merge or close a pull request, or mark a draft as ready. Members of the owner group may."""
        permitted = self._check(session, caller, decision)
        self.get(number)
        with translated():
            if decision == "merge":
                name = caller.ref.rpartition("/")[2].rpartition(":")[2]
                pull = self.host.merge_pull(self.repository, number, Author(name, f"{name}@localhost"))
            elif decision == "close":
                pull = self.host.close_pull(self.repository, number)
            else:
                pull = self.host.update_pull(self.repository, number, draft=False)
        event = {"merge": "merged", "close": "closed", "ready": "marked_ready"}[decision]
        self._record(session, caller, event, pull, permitted)
        return pull

    def _check(self, session: Session, caller: Principal, verb: str) -> Decision:
        """Let through members of the group that owns the repository's component, and platform administrators."""
        row = self.services.catalog.component(session, self.repository.name)
        owner = row.owner if row is not None else None
        return self.services.access.require(
            session,
            caller,
            Action.MANAGE_PULL_REQUESTS,
            ProjectResource(f"repository:{self.repository.path}", () if owner is None else (owner,)),
            detail=f"{caller.ref} may not {verb} pull requests of {self.repository.path}",
            fix=f"Members of {owner or 'the group that owns it in the catalog'} may.",
            event=f"{EVENT}.pull_request.refused",
            verb=verb,
        )

    def _record(self, session: Session, caller: Principal, event: str, pull: PullRequest, by: Decision) -> None:
        self.services.audit.append(
            session,
            type=f"{EVENT}.pull_request.{event}",
            subject=f"repository:{self.repository.path}",
            actor=caller,
            data={
                "number": pull.number,
                "head": pull.head,
                "commit": pull.merge_commit or pull.head_commit,
                "access": by.as_json(),
            },
        )
