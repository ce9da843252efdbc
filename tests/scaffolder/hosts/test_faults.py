"""Hosts that are slow, busy, broken or gone: what passes is waited for, nothing is made twice, the rest is said clearly."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scaffolder.errors import HostError, HostUnavailable
from scaffolder.git import push
from scaffolder.hosts.base import HostedRepository, NewPullRequest
from scaffolder.hosts.retry import RetryBudget

from . import github
from .conftest import PLACES, Clone, Place, github_place, remote

pytestmark = pytest.mark.slow
CREATE = r"/(orgs/acme/repos|projects)$"
PULLS = r"/(pulls|merge_requests)$"
COMMENTS = r"/(comments|notes)$"


def with_branch(place: Place, clone: Clone) -> HostedRepository:
    repository = place.made()
    push(clone.folder, place.host.access(repository))
    clone.branch("change")
    clone.commit(model="new")
    push(clone.folder, place.host.access(repository), "refs/heads/change:refs/heads/change")
    return repository


@remote
@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_server_error_passes(place: Place, status: int) -> None:
    assert place.server is not None
    place.server.fail("POST", CREATE, status=status, times=2)
    assert place.made().name == "churn"
    assert place.server.count("POST", CREATE) == 3
    assert len(place.pauses) == 2
    assert place.pauses[1] > place.pauses[0] / 2


@remote
@pytest.mark.parametrize("how", [{"status": 502}, {"status": 0}, {"delay": 2.5, "status": 502}])
@pytest.mark.parametrize("what", ["repository", "pull request", "comment"])
def test_what_took_effect_although_the_answer_was_lost_is_recognised(
    place: Place, clone: Clone, what: str, how: dict[str, float]
) -> None:
    """The connection breaks, times out or errs after the effect: the next attempt finds it and makes no second one."""
    server = place.server
    assert server is not None
    repository = None if what == "repository" else with_branch(place, clone)
    number = 0
    if what == "comment":
        assert repository is not None
        number = place.host.open_pull(repository, NewPullRequest("change", "Take v2", "")).number
    path = {"repository": CREATE, "pull request": PULLS, "comment": COMMENTS}[what]
    server.fail("POST", path, after_effect=True, **how)
    before = server.count("POST", path)
    if repository is None:
        assert place.made().name == "churn"
    elif what == "comment":
        place.host.comment(repository, number, "hello", key="greeting")
        assert len(getattr(server, "comments", None) or getattr(server, "notes", {})) == 1
    else:
        assert place.host.open_pull(repository, NewPullRequest("change", "Take v2", "")).number == 1
    assert server.count("POST", path) == before + 1
    assert len(place.pauses) == 1


@remote
def test_a_retry_after_is_waited_for(place: Place) -> None:
    assert place.server is not None
    place.server.fail("POST", CREATE, status=429, headers={"Retry-After": "17"}, times=2)
    place.made()
    assert place.pauses == [17.0, 17.0]


@pytest.mark.parametrize("place", ["github"], indirect=True)
class TestGitHubRateLimits:
    def test_a_primary_limit_is_waited_out(self, place: Place) -> None:
        assert place.server is not None
        headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(time.time()) + 40)}
        place.server.fail("GET", "/repos/acme/churn", status=403, headers=headers, body={"message": "API rate limit"})
        place.made()
        assert 35 < place.pauses[0] <= 41

    def test_a_secondary_limit_without_a_time_takes_a_minute(self, place: Place) -> None:
        assert place.server is not None
        body = {"message": "You have exceeded a secondary rate limit. Please wait."}
        place.server.fail("POST", CREATE, status=403, body=body)
        place.made()
        assert place.pauses == [60.0]

    def test_a_limit_beyond_the_budget_says_when_to_come_back(self, place: Place) -> None:
        assert place.server is not None
        headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(time.time()) + 3000)}
        place.server.fail("POST", CREATE, status=403, headers=headers)
        with pytest.raises(HostUnavailable, match="rate limit is used up") as refused:
            place.made()
        assert refused.value.fix is not None
        assert "UTC" in refused.value.fix
        assert refused.value.retry_after is not None
        assert refused.value.retry_after > 2900

    def test_a_refusal_is_final(self, place: Place) -> None:
        assert place.server is not None
        body = {"message": "Resource not accessible by integration"}
        place.server.fail("POST", CREATE, status=403, body=body)
        with pytest.raises(HostError, match="Resource not accessible") as refused:
            place.made()
        assert "permissions" in str(refused.value.fix)
        assert place.pauses == []


@remote
def test_a_host_that_stays_down_is_given_up_within_the_budget(place: Place) -> None:
    assert place.server is not None
    place.server.fail("GET", ".", status=503, times=1000)
    with pytest.raises(HostUnavailable, match="tried 8 times"):
        place.made()
    assert place.server.count("POST", ".") == 0


@pytest.mark.parametrize("kind", ["github", "gitlab"])
def test_nobody_there(tmp_path: Path, kind: str) -> None:
    place = PLACES[kind](tmp_path, [], budget=RetryBudget(attempts=3))
    assert place.server is not None
    place.server.close()
    with pytest.raises(HostUnavailable, match="connection failed"):
        place.made()


@pytest.mark.parametrize("place", ["github"], indirect=True)
def test_a_wrong_token_is_said_and_not_repeated(place: Place) -> None:
    assert place.server is not None
    place.server.tokens.clear()
    with pytest.raises(HostError, match="401") as refused:
        place.made()
    assert "valid" in str(refused.value.fix)
    assert github.TOKEN not in str(refused.value)
    assert place.pauses == []


class TestAppTokens:
    @pytest.fixture
    def app(self, tmp_path: Path) -> Iterator[Place]:
        made = github_place(tmp_path, [], app=True, timeout=5.0)
        yield made
        assert made.server is not None
        made.server.close()
        assert made.server.invalid == []

    def test_git_gets_a_token_for_this_repository_alone(self, app: Place) -> None:
        assert isinstance(app.server, github.GitHubServer)
        app.host.access(app.made())
        last = app.server.issued[-1]
        assert last["repositories"] == ["churn"]
        assert last["permissions"] == {"contents": "write", "workflows": "write"}

    def test_a_token_that_was_revoked_is_replaced(self, app: Place) -> None:
        assert isinstance(app.server, github.GitHubServer)
        app.made()
        first = app.server.issued[-1]["token"]
        app.server.tokens.clear()
        assert app.host.find("acme", "churn") is not None
        assert app.server.issued[-1]["token"] != first


@remote
def test_no_secret_stands_where_others_read(place: Place, clone: Clone, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    repository = place.made()
    access = place.host.access(repository)
    secret = next(iter(place.server.tokens)) if place.server else ""
    push(clone.folder, access)
    assert secret not in access.url + repr(access) + repr(repository)
    texts = [path.read_text(errors="replace") for path in (clone.folder / ".git").rglob("*") if path.is_file()]
    assert not any(secret in text or "Authorization" in text for text in texts)
    place.host.remove("acme", "churn", "x")
    with pytest.raises(HostError) as refused:
        push(clone.folder, type(access)(access.url.replace("churn", "gone"), access.environment))
    assert secret not in str(refused.value.message) + str(refused.value.__cause__)
    assert "basic" not in str(refused.value.__cause__).lower()
    assert secret not in caplog.text
