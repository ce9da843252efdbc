"""Campaigns through the API: what is proposed, in which order, and what becomes of it."""

import shutil

import pytest

from scaffolder.fleet.proposing import CHECK, branch_of
from scaffolder.git import Author
from scaffolder.hosts.base import Checks, PullState
from tests.backend.conftest import Someone
from tests.marks import on_one_database
from tests.scaffolder.template_repositories import git
from tests.waiting import wait_until

from .conftest import LONGEST, SECOND, TEMPLATE, THIRD, Fleet, same_files

CONFLICTING = {"settings.ini": "[service]\nretries = 1\ntimeout = 99\n\n[logging]\nlevel = info\n"}
OWN = {"own.py": "print('mine')\n", "README.md": "# mine\n\nWritten by hand.\n"}
BRANCH = branch_of(TEMPLATE)


def test_each_repository_gets_one_request_with_what_copier_would_do(fleet: Fleet) -> None:
    fleet.add("plain")
    fleet.add("changed", OWN)
    fleet.add("conflicting", CONFLICTING)
    fleet.release(SECOND, "v2.0.0")
    fleet.add("current", version="v2.0.0")

    campaign = fleet.start("v2.0.0", waves=[10])
    members = fleet.proposed(campaign["id"])
    assert {name: one["state"] for name, one in members.items()} == {
        "plain": "open", "changed": "open", "conflicting": "conflicts",
    }  # fmt: skip
    assert [(one["fromVersion"], one["number"]) for one in members.values()] == [("v1.0.0", 1)] * 3

    (pull,) = fleet.pulls("plain")
    assert (pull.title, pull.draft, pull.labels) == ("Update from house v1.0.0 to v2.0.0", False, ("template-update",))
    assert "Requests may take 30 s, thanks to @\u2060nobody." in pull.body
    assert "| `region` |  | `eu` |" in pull.body
    assert "timeout = 30" in fleet.show("plain", "settings.ini")
    assert git(fleet.host.path("models", "plain"), "log", "-1", "--format=%an %s", BRANCH) == (
        "ML platform Update from house v1.0.0 to v2.0.0"
    )
    for name, one in members.items():
        assert same_files(fleet.clone(name, BRANCH), fleet.by_copier(name, "v2.0.0")), name
        assert one["headCommit"] == git(fleet.host.path("models", name), "rev-parse", BRANCH)

    (draft,) = fleet.pulls("conflicting")
    assert draft.draft
    for shown in ("## Conflicts", "timeout = 99", "timeout = 10", "timeout = 30", "`settings.ini`"):
        assert shown in draft.body
    assert members["conflicting"]["conflicts"] == [
        {"path": "settings.ini", "kind": "content", "hunks": 1, "suggestions": []}
    ]
    types = {event["type"].rpartition(".")[2] for event in fleet.events("update")}
    assert types == {"open", "conflicts"}


@on_one_database
def test_the_rest_waits_for_the_first_wave(fleet: Fleet) -> None:
    for name in ("a", "b", "c", "d"):
        fleet.add(name)
    fleet.release(SECOND, "v2.0.0")
    campaign = fleet.start("v2.0.0", waves=[2])
    members = fleet.proposed(campaign["id"])
    # The template has no model.yaml, so `platform check` fails on it: red, hence not through.
    assert [members[name]["checks"] for name in ("a", "b")] == ["failing", "failing"]
    assert [members[name]["state"] for name in "abcd"] == ["open", "open", "pending", "pending"]
    wait_until(
        lambda: "waits for a (checks failing), b (checks failing)" in (fleet.campaign(campaign["id"])["message"] or ""),
        LONGEST,
    )

    fleet.merge("a")
    hosted = fleet.host.find("models", "b")
    assert hosted is not None
    fleet.host.report_check(hosted, members["b"]["headCommit"], CHECK, Checks.GREEN)
    members = fleet.until(campaign["id"], lambda _campaign, now: all(now[name]["state"] == "open" for name in "cd"))
    assert (members["a"]["state"], members["c"]["state"]) == ("merged", "open")
    for name in ("b", "c", "d"):
        fleet.merge(name)
    ended = fleet.over(campaign["id"])
    assert (ended["state"], ended["counts"], ended["message"]) == ("completed", {"merged": 4}, "4 merged")
    assert fleet.show("d", "settings.ini", "main").count("timeout = 30") == 1


@on_one_database
def test_somebody_may_let_the_next_wave_begin(fleet: Fleet) -> None:
    for name in ("a", "b"):
        fleet.add(name)
    fleet.release(SECOND, "v2.0.0")
    campaign = fleet.start("v2.0.0", waves=[1])
    fleet.proposed(campaign["id"])
    assert fleet.decide(campaign["id"], "advance").status_code == 422
    assert fleet.decide(campaign["id"], "advance", reason="looked at it").status_code == 200
    fleet.until(campaign["id"], lambda _campaign, now: now["b"]["state"] == "open")


@on_one_database
def test_a_later_release_takes_open_requests_over(fleet: Fleet) -> None:
    for name in ("a", "b"):
        fleet.add(name)
    fleet.release(SECOND, "v2.0.0")
    first = fleet.start("v2.0.0")
    fleet.proposed(first["id"])
    assert fleet.operator.post("/fleet/campaigns", {"template": TEMPLATE, "version": "v2.0.0"}).status_code == 409

    fleet.release(THIRD, "v3.0.0")
    second = fleet.start("v3.0.0")
    assert fleet.over(first["id"])["state"] == "superseded"
    members = fleet.proposed(second["id"])
    for name in ("a", "b"):
        (pull,) = fleet.pulls(name)
        assert pull.title == "Update from house v1.0.0 to v3.0.0"
        assert "### 3.0.0" in pull.body
        assert "### 2.0.0" in pull.body
        assert members[name]["number"] == pull.number
        assert same_files(fleet.clone(name, BRANCH), fleet.by_copier(name, "v3.0.0"))


def test_running_again_makes_no_second_request(fleet: Fleet) -> None:
    fleet.add("a")
    fleet.add("closed")
    fleet.release(SECOND, "v2.0.0")
    first = fleet.start("v2.0.0")
    before = fleet.proposed(first["id"])
    hosted = fleet.host.find("models", "closed")
    assert hosted is not None
    fleet.host.close_pull(hosted, 1)
    assert fleet.decide(first["id"], "abort", reason="start again", keepRequests=True).status_code == 200
    assert fleet.over(first["id"])["state"] == "aborted"

    again = fleet.start("v2.0.0")
    members = fleet.proposed(again["id"])
    assert (members["a"]["state"], members["closed"]["state"]) == ("open", "closed")
    assert members["a"]["headCommit"] == before["a"]["headCommit"]
    assert [len(fleet.pulls(name)) for name in ("a", "closed")] == [1, 1]


@on_one_database
def test_a_branch_that_somebody_works_on_is_left_alone(fleet: Fleet) -> None:
    fleet.add("a", CONFLICTING)
    fleet.release(SECOND, "v2.0.0")
    first = fleet.start("v2.0.0")
    fleet.proposed(first["id"])
    folder = fleet.clone("a", BRANCH)
    (folder / "settings.ini").write_text(
        "[service]\nretries = 1\ntimeout = 99\n\n[logging]\nlevel = info\nregion = eu\n"
    )
    git(folder, "commit", "--quiet", "--all", "-m", "Keep our timeout")
    git(folder, "push", "--quiet", "origin", BRANCH)
    mine = git(folder, "rev-parse", "HEAD")
    members = fleet.until(first["id"], lambda _campaign, now: now["a"]["state"] == "taken_over")
    assert members["a"]["headCommit"] == mine

    fleet.release(THIRD, "v3.0.0")
    second = fleet.start("v3.0.0")
    members = fleet.proposed(second["id"])
    assert members["a"]["state"] == "taken_over"
    assert git(fleet.host.path("models", "a"), "rev-parse", BRANCH) == mine
    hosted = fleet.host.find("models", "a")
    assert hosted is not None
    (comment,) = fleet.host.comments(hosted, 1)
    assert "v3.0.0 is wanted here" in comment["body"]
    fleet.host.update_pull(hosted, 1, draft=False)
    fleet.host.merge_pull(hosted, 1, Author("ada", "ada@example.org"))
    assert fleet.over(second["id"])["counts"] == {"merged": 1}


@on_one_database
def test_what_was_merged_meanwhile_is_computed_again(fleet: Fleet) -> None:
    fleet.add("a")
    fleet.release(SECOND, "v2.0.0")
    campaign = fleet.start("v2.0.0")
    before = fleet.proposed(campaign["id"])["a"]
    # Straight into the default branch: what an engineer's own pull request comes to.
    folder = fleet.clone("a", "main")
    (folder / "settings.ini").write_text(CONFLICTING["settings.ini"])
    git(folder, "commit", "--quiet", "--all", "-m", "Another timeout")
    git(fleet.host.path("models", "a"), "fetch", "--quiet", str(folder), "+main:main")
    members = fleet.until(campaign["id"], lambda _campaign, now: now["a"]["state"] == "conflicts")
    assert members["a"]["headCommit"] != before["headCommit"]
    (pull,) = fleet.pulls("a")
    assert pull.draft


def test_pause_resume_and_abort(fleet: Fleet) -> None:
    for name in ("a", "b"):
        fleet.add(name)
    fleet.release(SECOND, "v2.0.0")
    campaign = fleet.start("v2.0.0", waves=[1])
    fleet.proposed(campaign["id"])
    assert fleet.decide(campaign["id"], "pause").json()["state"] == "paused"
    fleet.merge("a")
    assert fleet.decide(campaign["id"], "pause").status_code == 409
    assert fleet.campaign(campaign["id"])["counts"] == {"open": 1, "pending": 1}
    assert fleet.decide(campaign["id"], "resume").json()["state"] == "running"
    fleet.until(campaign["id"], lambda _campaign, now: now["b"]["state"] == "open")

    assert fleet.decide(campaign["id"], "abort", reason="the release was wrong").status_code == 200
    ended = fleet.over(campaign["id"])
    assert (ended["state"], ended["counts"]) == ("aborted", {"closed": 1, "merged": 1})
    assert [pull.state for pull in fleet.pulls("b")] == [PullState.CLOSED]


@on_one_database
def test_what_goes_wrong_with_one_repository_stops_no_other(fleet: Fleet) -> None:
    for name in ("broken", "fine", "gone"):
        fleet.add(name, {".copier-answers.yml": "_src_path: [\n"} if name == "broken" else None)
    edited = f"_src_path: {fleet.template}\n_commit: v1.0.0\nretries: not a number\n"
    fleet.add("edited", {".copier-answers.yml": edited})
    fleet.release(SECOND, "v2.0.0")
    planned = fleet.operator.post("/fleet/campaigns/plan", {"template": TEMPLATE, "version": "v2.0.0"}).json()
    assert [one["name"] for one in planned] == ["edited", "fine", "gone"]
    campaign = fleet.start("v2.0.0", waves=[1])
    members = fleet.proposed(campaign["id"])
    assert members["edited"]["state"] in {"failed", "open", "conflicts"}
    shutil.rmtree(fleet.host.path("models", "gone"))
    fleet.decide(campaign["id"], "advance", reason="seen")
    fleet.until(campaign["id"], lambda _campaign, now: (now["gone"]["state"], now["fine"]["state"]) == ("gone", "open"))


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"template": TEMPLATE, "version": "v9.9.9"}, 422),
        ({"template": "no-such", "version": "v1.0.0"}, 422),
        ({"template": TEMPLATE, "version": "v1.0.0; rm -rf /"}, 422),
        ({"template": TEMPLATE, "version": "v1.0.0", "waves": [0]}, 422),
        ({"template": TEMPLATE, "version": "v1.0.0", "parallelism": 99}, 422),
        ({"template": TEMPLATE, "version": "v1.0.0", "owner": "risk"}, 422),
    ],
)
@on_one_database
def test_wrong_wishes_are_answered_with_a_problem(fleet: Fleet, body: dict[str, object], status: int) -> None:
    answer = fleet.operator.post("/fleet/campaigns", body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert fleet.ada.get("/fleet/campaigns").json()["items"] == []


def test_only_administrators_start_campaigns(fleet: Fleet) -> None:
    answer = fleet.ada.post("/fleet/campaigns", {"template": TEMPLATE, "version": "v1.0.0"})
    assert answer.status_code == 403
    assert [event["type"] for event in fleet.events("campaign")] == ["ml-platform.fleet.campaign.refused"]


@on_one_database
def test_people_are_told_what_they_may_do(fleet: Fleet) -> None:
    def told(someone: Someone) -> dict[str, dict[str, object]]:
        return {one["action"]: one for one in someone.get("/fleet/actions").json()["items"]}

    mine = told(fleet.ada)
    assert [name for name, one in mine.items() if one["allowed"]] == ["takeInventory"]
    refused = fleet.ada.post("/fleet/campaigns", {"template": TEMPLATE, "version": "v1.0.0"}).json()
    assert (refused["detail"], refused["fix"]) == (mine["startCampaign"]["reason"], mine["startCampaign"]["fix"])
    assert [name for name, one in told(fleet.operator).items() if one["allowed"]] == ["startCampaign", "takeInventory"]
    assert "no campaign is under way" in str(told(fleet.operator)["decideCampaign"]["reason"])

    fleet.add("plain")
    fleet.release(SECOND, "v2.0.0")
    campaign = fleet.start("v2.0.0")
    assert told(fleet.operator)["decideCampaign"]["allowed"]
    assert not told(fleet.ada)["decideCampaign"]["allowed"]
    decision = {"decision": "abort", "reason": "for a test"}
    assert fleet.operator.post(f"/fleet/campaigns/{campaign['id']}/decision", decision).status_code == 200
    fleet.over(campaign["id"])
    assert not told(fleet.operator)["decideCampaign"]["allowed"]
