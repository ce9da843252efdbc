"""What every host does for the platform, each behind the same interface; GitHub and GitLab over real HTTP."""

from dataclasses import replace

import pytest

from scaffolder.errors import Collision, HostError
from scaffolder.git import push
from scaffolder.hosts.base import BranchProtection, Checks, HostedRepository, NewPullRequest, PullState

from .conftest import CLAIM, NEW, Clone, Place, every

pytestmark = pytest.mark.slow
OTHER = replace(NEW, claim="0198c0de-0000-7000-8000-000000000002")


def pushed(place: Place, clone: Clone, branch: str = "main") -> HostedRepository:
    repository = place.host.find("acme", "churn") or place.made()
    push(clone.folder, place.host.access(repository), f"refs/heads/{branch}:refs/heads/{branch}")
    return repository


def with_change(place: Place, clone: Clone, branch: str = "change") -> tuple[HostedRepository, str]:
    """A repository with a branch that differs from main."""
    repository = pushed(place, clone)
    clone.branch(branch)
    commit = clone.commit(model="new")
    pushed(place, clone, branch)
    return repository, commit


@every
def test_a_repository_from_its_beginning_to_its_end(place: Place, clone: Clone) -> None:
    host = place.host
    assert host.find("acme", "churn") is None
    repository = place.made()
    assert (repository.org, repository.name, repository.host) == ("acme", "churn", host.name)
    assert host.head(repository) is None
    assert host.branches(repository) == {}
    commit = clone.git("rev-parse", "HEAD")
    pushed(place, clone)
    assert host.head(repository) == commit
    assert host.branches(repository) == {"main": commit}
    assert host.read_file(repository, "readme") == b"first"
    assert host.read_file(repository, "readme", commit) == b"first"
    assert host.read_file(repository, "deep/er", "main") is None
    host.settle(repository, NEW)
    found = host.find("acme", "churn")
    assert found is not None
    assert found.description == NEW.description
    assert host.remove("acme", "churn", CLAIM) is False, "complete repositories are nobody's to take back"
    assert host.find("acme", "churn") is not None


@every
def test_making_it_again_is_fine_for_who_made_it(place: Place) -> None:
    assert place.made() == place.made()
    with pytest.raises(Collision, match="already"):
        place.made(OTHER)
    assert place.host.remove("acme", "churn", OTHER.claim) is False
    assert place.host.remove("acme", "churn", CLAIM) is True
    assert place.host.remove("acme", "churn", CLAIM) is False
    assert place.host.find("acme", "churn") is None
    assert place.made(OTHER).name == "churn"


@every
def test_only_repositories_from_templates_are_listed(place: Place, clone: Clone) -> None:
    pushed(place, clone)
    place.host.create(replace(NEW, name="empty"))
    plain = place.host.create(replace(NEW, name="plain"))
    clone.git("rm", "--quiet", ".copier-answers.yml")
    clone.commit(readme="plain")
    push(clone.folder, place.host.access(plain))
    assert [one.name for one in place.host.templated("acme")] == ["churn"]


@every
def test_pushing_what_is_there_changes_nothing_and_another_history_is_refused(place: Place, clone: Clone) -> None:
    repository = pushed(place, clone)
    pushed(place, clone)
    clone.git("commit", "--quiet", "--amend", "--message", "other")
    with pytest.raises(HostError, match="not taken"):
        push(clone.folder, place.host.access(repository))


@every
def test_protection_is_asked_for_as_often_as_one_likes(place: Place, clone: Clone) -> None:
    repository = pushed(place, clone)
    place.host.protect(repository, BranchProtection(approvals=1, checks=("check",)))
    place.host.protect(repository, BranchProtection(approvals=2))


@every
def test_a_pull_request_from_its_beginning_to_its_end(place: Place, clone: Clone) -> None:
    host = place.host
    repository, commit = with_change(place, clone)
    assert host.find_pull(repository, "change") is None
    asked = NewPullRequest("change", "Take v2", "Because.", draft=True, labels=("template",))
    pull = host.open_pull(repository, asked)
    assert (pull.title, pull.body, pull.head, pull.base) == ("Take v2", "Because.", "change", "main")
    assert (pull.draft, pull.labels, pull.state, pull.head_commit) == (True, ("template",), PullState.OPEN, commit)
    assert pull.mergeable is True
    assert pull.checks is Checks.NONE

    again = host.open_pull(repository, replace(asked, title="Take v3", draft=False, labels=("template", "fleet")))
    assert (again.number, again.title, again.draft) == (pull.number, "Take v3", False)
    assert set(again.labels) == {"template", "fleet"}
    assert host.update_pull(repository, pull.number, body="Really.", draft=True).body == "Really."
    found = host.find_pull(repository, "change")
    assert found is not None
    assert (found.number, found.draft, found.title) == (pull.number, True, "Take v3")

    later = clone.commit(model="newer")
    pushed(place, clone, "change")
    found = host.pull(repository, pull.number)
    assert found is not None
    assert found.head_commit == later

    assert host.close_pull(repository, pull.number).state is PullState.CLOSED
    assert host.close_pull(repository, pull.number).state is PullState.CLOSED
    second = host.open_pull(repository, asked)
    assert second.number != pull.number
    newest = host.find_pull(repository, "change")
    assert newest is not None
    assert newest.number == second.number
    assert host.pull(repository, 4711) is None


@every
def test_checks_add_up(place: Place, clone: Clone) -> None:
    host = place.host
    repository, commit = with_change(place, clone)
    number = host.open_pull(repository, NewPullRequest("change", "Take v2", "")).number
    for state in (Checks.PENDING, Checks.FAILING, Checks.GREEN):
        host.report_check(repository, commit, "template checks", state, "as they ran")
        pull = host.pull(repository, number)
        assert pull is not None
        assert pull.checks is state


@every
def test_a_comment_of_the_same_key_is_replaced(place: Place, clone: Clone) -> None:
    repository, _ = with_change(place, clone)
    number = place.host.open_pull(repository, NewPullRequest("change", "Take v2", "")).number
    for body in ("one conflict", "one conflict", "no conflict"):
        place.host.comment(repository, number, body, key="conflicts")
    place.host.comment(repository, number, "else", key="other")
    server = place.server
    if server is None:
        bodies = [one["body"] for one in place.host.comments(repository, number)]  # type: ignore[attr-defined]
    else:
        kept = getattr(server, "comments", None) or getattr(server, "notes", {})
        bodies = [one["body"].partition("\n")[0] for one in kept.values()]
    assert bodies == ["no conflict", "else"]


@every
def test_a_pull_request_of_nothing_is_refused(place: Place, clone: Clone) -> None:
    repository = pushed(place, clone)
    with pytest.raises(Exception, match=r"no branch|refused"):
        place.host.open_pull(repository, NewPullRequest("nowhere", "Take v2", ""))
