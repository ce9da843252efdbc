"""A pull request that changes no file: merged, it is a new commit, and the repository's pipeline makes a new version of it."""

from dataclasses import dataclass

from scaffolder.errors import HostError
from scaffolder.fleet.clones import Clones
from scaffolder.hosts.base import NewPullRequest, PullRequest, PullState
from scaffolder.hosts.configured import Hosts

_PATIENCE = 60.0


@dataclass(frozen=True)
class Rerun:
    """What the request says, and on which branch."""

    branch: str
    title: str
    body: str
    label: str


def propose_rerun(hosts: Hosts, clones: Clones, host_name: str, org: str, name: str, wish: Rerun) -> PullRequest:
    """Open the request, or return the one that is there; one that somebody closed or merged stays so.

    Raises:
        HostUnavailable: the host does not answer now.
        HostError: there is no such repository, or it does not take the request.
    """
    host = hosts.host(host_name, patience=_PATIENCE)
    hosted = host.find(org, name)
    if hosted is None:
        raise HostError(f"{host_name} has no repository {org}/{name} any more")
    present = host.find_pull(hosted, wish.branch)
    if present is not None and present.state is not PullState.OPEN:
        return present
    with clones.fetched(host, hosted) as clone:
        head = clone.commit_of(hosted.default_branch)
        if head is None:
            raise HostError(f"{hosted.path} has no branch {hosted.default_branch} any more")
        if clone.commit_of(wish.branch) is None:
            commit = clone.commit_without_change(head, f"{wish.title}\n\n{wish.body}", wish.branch)
            clone.push(commit, wish.branch, None)
    new = NewPullRequest(wish.branch, wish.title, wish.body, hosted.default_branch, labels=(wish.label,))
    return host.open_pull(hosted, new)
