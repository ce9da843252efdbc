"""What is the embedded host's own: protection by a hook, and merging."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from scaffolder.errors import Collision, InvalidAnswer
from scaffolder.git import Author, push
from scaffolder.hosts import EmbeddedHost
from scaffolder.hosts.base import BranchProtection, Checks, HostedRepository, NewPullRequest, PullState

from .conftest import NEW, Clone

ADA = Author("Ada", "ada@example.org")


@pytest.fixture
def host(tmp_path: Path) -> EmbeddedHost:
    return EmbeddedHost(tmp_path / "git")


@pytest.fixture
def repository(host: EmbeddedHost, clone: Clone) -> HostedRepository:
    made = host.create(NEW)
    push(clone.folder, host.access(made))
    return made


def changed(host: EmbeddedHost, repository: HostedRepository, clone: Clone, **files: str) -> int:
    clone.branch("change")
    clone.commit(**(files or {"model": "new"}))
    push(clone.folder, host.access(repository), "refs/heads/change")
    return host.open_pull(repository, NewPullRequest("change", "Take v2", "")).number


@pytest.mark.parametrize("refspec", ["main", "+main", ":main", "main:refs/platform/pulls/1", "main:refs/pull/1/head"])
def test_a_protected_branch_takes_no_push(
    host: EmbeddedHost, repository: HostedRepository, clone: Clone, refspec: str
) -> None:
    before = host.branches(repository)
    host.protect(repository, BranchProtection())
    clone.commit(model="new")
    said = clone.git("push", repository.clone_url, refspec, check=False)
    assert "rejected" in said
    assert host.branches(repository) == before
    clone.git("push", "--quiet", repository.clone_url, "main:topic")
    assert set(host.branches(repository)) == {"main", "topic"}
    clone.git("push", "--quiet", repository.clone_url, ":topic")


def test_the_refusal_says_how_it_is_done(host: EmbeddedHost, repository: HostedRepository, clone: Clone) -> None:
    host.protect(repository, BranchProtection())
    clone.commit(model="new")
    assert "platform pr create" in clone.git("push", repository.clone_url, "main", check=False)


def test_an_unprotected_branch_keeps_its_history(
    host: EmbeddedHost, repository: HostedRepository, clone: Clone
) -> None:
    clone.commit(model="new")
    clone.git("push", "--quiet", repository.clone_url, "main")
    clone.git("commit", "--quiet", "--amend", "--message", "other")
    assert "can't be rewritten" in clone.git("push", "--force", repository.clone_url, "main", check=False)


def test_merging_makes_a_merge_commit_by_who_merged(
    host: EmbeddedHost, repository: HostedRepository, clone: Clone
) -> None:
    host.protect(repository, BranchProtection())
    before = host.head(repository)
    number = changed(host, repository, clone)
    merged = host.merge_pull(repository, number, ADA)
    assert merged.state is PullState.MERGED
    assert host.head(repository) == merged.merge_commit
    assert host.read_file(repository, "model") == b"new"
    bare = ["-C", repository.clone_url]
    shown = clone.git(*bare, "log", "-1", "--format=%an %P %s", "main")
    assert shown == f"Ada {before} {merged.head_commit} Merge pull request #1: Take v2"
    assert host.merge_pull(repository, number, ADA) == merged
    assert clone.git(*bare, "fsck", "--no-dangling").strip() in {"", "notice: HEAD points to an unborn branch (main)"}


def test_the_commits_outlive_the_branch(host: EmbeddedHost, repository: HostedRepository, clone: Clone) -> None:
    number = changed(host, repository, clone)
    head = host.branches(repository)["change"]
    host.close_pull(repository, number)
    clone.git("push", "--quiet", repository.clone_url, ":change")
    pull = host.pull(repository, number)
    assert pull is not None
    assert (pull.head_commit, pull.state) == (head, PullState.CLOSED)


def test_a_conflict_a_draft_a_closed_one_and_a_red_check_are_not_merged(
    host: EmbeddedHost, repository: HostedRepository, clone: Clone
) -> None:
    number = changed(host, repository, clone, readme="theirs")
    host.update_pull(repository, number, draft=True)
    with pytest.raises(Collision, match="draft"):
        host.merge_pull(repository, number, ADA)
    host.update_pull(repository, number, draft=False)
    host.protect(repository, BranchProtection(checks=["tests"]))
    with pytest.raises(Collision, match="waits for tests"):
        host.merge_pull(repository, number, ADA)
    host.report_check(repository, host.branches(repository)["change"], "tests", Checks.GREEN)
    host.close_pull(repository, number)
    with pytest.raises(Collision, match="closed"):
        host.merge_pull(repository, number, ADA)


def test_a_conflict_is_seen(host: EmbeddedHost, repository: HostedRepository, clone: Clone) -> None:
    number = changed(host, repository, clone, readme="theirs")
    clone.git("switch", "--quiet", "main")
    clone.commit(readme="ours")
    push(clone.folder, host.access(repository))
    pull = host.pull(repository, number)
    assert pull is not None
    assert pull.mergeable is False
    with pytest.raises(Collision, match="conflicts with main"):
        host.merge_pull(repository, number, ADA)


def test_many_at_once_get_numbers_of_their_own(host: EmbeddedHost, repository: HostedRepository, clone: Clone) -> None:
    for index in range(6):
        clone.git("push", "--quiet", repository.clone_url, f"main:topic-{index}")
    with ThreadPoolExecutor(6) as pool:
        asked = [NewPullRequest(f"topic-{index}", f"Topic {index}", "") for index in range(6)]
        numbers = list(pool.map(lambda one: host.open_pull(repository, one).number, asked))
    assert sorted(numbers) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("org", ["../up", "", "a/b", "-x", ".git"])
def test_an_organisation_is_no_way_out(host: EmbeddedHost, org: str) -> None:
    with pytest.raises(InvalidAnswer):
        host.find(org, "churn")


@pytest.mark.parametrize("ref", ["--output=x", "HEAD:../x"])
def test_a_reference_is_no_option(host: EmbeddedHost, repository: HostedRepository, ref: str) -> None:
    with pytest.raises(InvalidAnswer):
        host.read_file(repository, "readme", ref)


def test_what_a_killed_process_left_is_in_nobody_s_way(host: EmbeddedHost) -> None:
    left = host.root / "acme" / f".new-churn-{NEW.claim}"
    left.mkdir(parents=True)
    (left / "half").touch()
    host.create(NEW)
    assert [path.name for path in (host.root / "acme").iterdir()] == ["churn.git"]
