"""Making a repository through the API: from the wish to a protected, registered repository, or to nothing at all."""

import json
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from git import Repo

from catalog.models import EntityRow
from scaffolder.errors import HostError, HostUnavailable
from scaffolder.hosts.embedded import EmbeddedHost
from tests.waiting import wait_until

from .conftest import Platform, running, scaffolding_settings

API = "/api/ml-platform"
STEPS = ["check", "reserve", "render", "commit", "create", "push", "protect", "register", "finish"]


def done(scaffold: dict[str, Any]) -> list[str]:
    return [event["step"] for event in scaffold["events"] if event["state"] == "done"]


def test_a_repository_is_made_pushed_protected_and_registered(platform: Platform, name: str) -> None:
    made = platform.make(name, answers={"owner": "group:default/risk", "description": "Who leaves."})
    assert made["state"] == "done", made
    assert done(made) == STEPS
    assert [event["seq"] for event in made["events"]] == list(range(1, len(made["events"]) + 1))
    wait_until(lambda: platform.left(name) == [f"{name}.git"], 20)

    repository = Repo(made["cloneUrl"])
    head = repository.heads["main"].commit
    assert head.hexsha == made["commit"]
    assert not head.parents
    assert (head.author.name, head.committer.name) == ("ada", "ML platform")
    answers = repository.git.show("main:.copier-answers.yml")
    assert f"_commit: {made['templateVersion']}\n" in answers
    assert "description: Who leaves." in answers
    assert repository.git.config("--get", "mlplatform.protected") == "true"
    assert repository.git.config("--default", "", "--get", "mlplatform.claim") == "", "the claim is off"

    entity = platform.ada.get(f"/catalog/entities/by-ref/component:default/{name}").json()
    assert entity["owner"] == "group:default/risk"
    assert entity["location"] == made["location"]
    types = [event["type"].removeprefix("ml-platform.") for event in platform.events(name)]
    assert [one for one in types if one.startswith(("scaffolds", "catalog"))] == [
        "scaffolds.scaffold.requested",
        "catalog.location.registered",
        "scaffolds.scaffold.completed",
    ]
    assert [one["id"] for one in platform.scaffolds(name)] == [made["id"]]


@pytest.mark.postgres
def test_postgres_holds_it_as_well(
    postgres_url: str, tmp_path: Path, empty_mlflow: Path, home: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_given: object) -> None:
        raise HostError("the host said no")

    with running(scaffolding_settings(tmp_path / "home", postgres_url, empty_mlflow, home)) as platform:
        assert done(platform.make(name)) == STEPS
        assert platform.ask(name).status_code == 409
        monkeypatch.setattr(EmbeddedHost, "protect", refuse)
        failed = platform.make(f"{name}-2")
        assert (failed["state"], failed["cleanedUp"]) == ("failed", True)
        changed = platform.ada.get("/catalog/changes").json()["items"]
        assert {f"component:default/{name}", "user:default/ada"} <= {one["ref"] for one in changed}


def test_progress_is_streamed_and_taken_up_again(platform: Platform, name: str) -> None:
    made = platform.make(name)
    text = platform.ada.http.get(f"{API}/scaffolds/{made['id']}/events", headers=platform.ada.headers).text
    events = [dict(line.split(": ", 1) for line in block.splitlines()) for block in text.strip().split("\n\n")]
    assert [one["event"] for one in events] == ["progress"] * len(made["events"]) + ["end"]
    assert [json.loads(one["data"]) for one in events[:-1]] == made["events"]
    assert json.loads(events[-1]["data"])["state"] == "done"
    headers = {**platform.ada.headers, "Last-Event-ID": events[-3]["id"]}
    later = platform.ada.http.get(f"{API}/scaffolds/{made['id']}/events", headers=headers).text
    assert later.count("event: progress") == 1


def test_following_what_is_not_there(platform: Platform, name: str) -> None:
    missing = "00000000-0000-7000-8000-000000000000"
    answer = platform.ada.get(f"/scaffolds/{missing}/events")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


def test_questions_come_as_a_form_with_what_is_known(platform: Platform, name: str) -> None:
    asked = platform.ada.get("/scaffolds/questions").json()
    pages = asked["parameters"]
    assert [page["title"] for page in pages] == ["The model", "The repository", "More"]
    first = pages[0]["properties"]
    assert list(first) == ["type", "name", "description", "owner", "system"]
    assert pages[0]["required"] == ["name"]
    assert first["type"]["enum"] == ["realtime", "batch", "streaming"]
    assert first["owner"]["ui:field"] == "OwnerPicker"
    assert first["owner"]["default"] == "group:default/risk"
    assert pages[1]["properties"]["host"]["enum"] == ["local"]
    assert {"cost_centre", "tier", "replicas"} <= set(pages[2]["properties"])
    assert pages[2]["properties"]["tier"]["enumNames"][0].startswith("1:")
    assert not {"package", "reserved_names", "org", "advanced"} & {*first, *pages[2]["properties"]}


class TestRefusals:
    """Everything that can be refused is refused before anything is written."""

    @pytest.mark.parametrize(
        ("body", "said"),
        [
            ({"name": "../evil"}, "can't be a model's name"),
            ({"name": "UPPER"}, "can't be a model's name"),
            ({"name": "json"}, "already use"),
            ({"type": "quantum"}, "no golden path"),
            ({"answers": {"ownr": "x"}}, "no question 'ownr'"),
            ({"answers": {"replicas": 1000}}, "replicas"),
            ({"answers": {"description": "{{ 7 }}"}}, "template expressions"),
            ({"answers": {"name": "other"}}, "name is given twice"),
            ({"answers": {"description": "x" * 100_000}}, "100000 characters"),
            ({"host": "elsewhere"}, "no git host"),
            ({"template": "unknown"}, "no template"),
            ({"templateVersion": "v9.9.9"}, "no version"),
            ({"org": "../up"}, "org"),
        ],
    )
    def test_a_wrong_wish(self, platform: Platform, name: str, body: dict[str, Any], said: str) -> None:
        answer = platform.ada.post("/scaffolds", {"name": name, "type": "realtime", **body})
        assert answer.status_code == 422, answer.text
        assert said in answer.json()["detail"]
        assert platform.scaffolds(name) == []
        assert platform.left(name) == []

    def test_ten_megabytes_of_answers(self, platform: Platform, name: str) -> None:
        answer = platform.ask(name, answers={"description": "x" * 10_000_000})
        assert answer.status_code == 413

    def test_a_group_that_one_is_not_in(self, platform: Platform, name: str) -> None:
        answer = platform.ask(name, answers={"owner": "group:default/search"})
        assert answer.status_code == 403
        assert "group:default/risk" in answer.json()["fix"]
        refused = [event for event in platform.events(name) if event["type"].endswith("scaffold.refused")]
        assert (refused[0]["actor"], refused[0]["data"]["owner"]) == ("user:default/ada", "group:default/search")

    def test_administrators_may_for_everybody(self, platform: Platform, name: str) -> None:
        operator = platform.backend.someone("operator")
        body = {"name": name, "type": "realtime", "answers": {"owner": "group:default/search"}}
        assert operator.post("/scaffolds", body).status_code == 201

    def test_without_a_token(self, platform: Platform, name: str) -> None:
        assert platform.ada.http.post(f"{API}/scaffolds", json={"name": name}).status_code == 401


class TestCollisions:
    def test_a_repository_on_the_host(self, platform: Platform, name: str) -> None:
        assert platform.make(name)["state"] == "done"
        answer = platform.ask(name)
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:ml-platform:problem:name-taken")
        assert answer.json()["suggestion"] == f"{name}-risk"
        assert len(platform.scaffolds(name)) == 1

    def test_another_scaffold_under_way(self, platform: Platform, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        goes_on, protect = threading.Event(), EmbeddedHost.protect

        def slow(*given: Any) -> None:
            assert goes_on.wait(100)
            protect(*given)

        monkeypatch.setattr(EmbeddedHost, "protect", slow)
        first = platform.ask(name).json()
        answer = platform.ask(name)
        goes_on.set()
        assert answer.status_code == 409
        assert "being made already" in answer.json()["detail"]
        assert platform.over(first["id"])["state"] == "done"

    def test_a_component_in_the_catalog(self, platform: Platform, name: str) -> None:
        now = platform.services.clock.now()
        with platform.services.database.write() as session:
            session.add(
                EntityRow(
                    ref=f"component:default/{name}", kind="Component", namespace="default", name=name, document={"a": 1},
                    digest="x", seq=10_000, changed_at=now,
                )
            )  # fmt: skip
        assert "in the catalog already" in platform.ask(name).json()["detail"]

    def test_the_same_wish_again_with_its_key_is_the_same_scaffold(self, platform: Platform, name: str) -> None:
        body = {"name": name, "type": "realtime"}
        first = platform.ada.post("/scaffolds", body, **{"Idempotency-Key": "one"})
        platform.over(first.json()["id"])
        again = platform.ada.post("/scaffolds", body, **{"Idempotency-Key": "one"})
        assert again.status_code == 201
        assert again.json()["id"] == first.json()["id"]


class TestFailures:
    """After a failure nothing half-made is left, and it says what failed."""

    @pytest.mark.parametrize("step", ["create", "protect", "access"])
    def test_a_host_that_says_no(
        self, platform: Platform, name: str, monkeypatch: pytest.MonkeyPatch, step: str
    ) -> None:
        def refuse(*_given: object, **_options: object) -> None:
            raise HostError("the host said no", fix="ask the host")

        monkeypatch.setattr(EmbeddedHost, step, refuse)
        monkeypatch.setitem(platform.services.settings.scaffolds.__dict__, "patience", timedelta())
        made = platform.make(name)
        assert (made["state"], made["cleanedUp"], made["reason"], made["fix"]) == (
            "failed", True, "the host said no", "ask the host",
        )  # fmt: skip
        assert made["step"] == {"access": "push"}.get(step, step)
        assert platform.left(name) == []
        assert platform.ada.get("/catalog/entities", kind="Component", q=name).json()["items"] == []
        assert platform.events(name)[-1]["type"] == "ml-platform.scaffolds.scaffold.failed"
        monkeypatch.undo()
        assert platform.make(name)["state"] == "done", "the name is free again"

    def test_a_file_the_catalog_refuses(self, platform: Platform, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        read = EmbeddedHost.read_file

        def tampered(self: EmbeddedHost, repository: Any, path: str, ref: str | None = None) -> bytes | None:
            content = read(self, repository, path, ref)
            return b"kind: Component\n" if path == "catalog-info.yaml" else content

        monkeypatch.setattr(EmbeddedHost, "read_file", tampered)
        made = platform.make(name)
        assert (made["state"], made["step"], made["cleanedUp"]) == ("failed", "register", True)
        assert "no entity that is right" in made["reason"]
        assert platform.left(name) == []

    def test_what_nobody_expected_is_cleaned_up_too(
        self, platform: Platform, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def stumble(*_given: object) -> None:
            raise RuntimeError("out of luck")

        monkeypatch.setattr(EmbeddedHost, "protect", stumble)
        made = platform.make(name)
        assert (made["state"], made["cleanedUp"]) == ("failed", True)
        assert "out of luck" in made["reason"]
        assert platform.left(name) == []

    def test_cleaning_up_goes_on_until_the_host_is_back(
        self, platform: Platform, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        calls: list[int] = []
        remove = EmbeddedHost.remove

        def refuse(*_given: object) -> None:
            raise HostError("the host said no")

        def down(self: EmbeddedHost, *given: str) -> bool:
            calls.append(1)
            if len(calls) < 3:
                raise HostUnavailable("the host is down")
            return remove(self, *given)

        monkeypatch.setattr(EmbeddedHost, "protect", refuse)
        monkeypatch.setattr(EmbeddedHost, "remove", down)
        made = platform.make(name)
        assert (made["state"], made["cleanedUp"], len(calls)) == ("failed", True, 3)
        assert [e["message"] for e in made["events"] if e["state"] == "waiting"] == ["the host is down; trying again"]
        assert platform.left(name) == []

    def test_what_can_not_be_taken_back_is_said(
        self, platform: Platform, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_given: object) -> None:
            raise HostError("the host said no")

        monkeypatch.setattr(EmbeddedHost, "protect", refuse)
        monkeypatch.setattr(EmbeddedHost, "remove", refuse)
        monkeypatch.setitem(platform.services.settings.scaffolds.__dict__, "clean_up_patience", timedelta())
        made = platform.make(name)
        assert (made["state"], made["cleanedUp"]) == ("failed", False)
        assert f"models/{name} on local is still there" in made["events"][-1]["message"]


class TestCancelling:
    def test_what_was_made_is_taken_back(self, platform: Platform, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        create = EmbeddedHost.create

        def slow(self: EmbeddedHost, new: Any) -> Any:
            made = create(self, new)
            answer = platform.ada.post(f"/scaffolds/{new.claim}/cancel")
            assert answer.status_code == 200, answer.text
            return made

        monkeypatch.setattr(EmbeddedHost, "create", slow)
        made = platform.make(name)
        assert (made["state"], made["cleanedUp"]) == ("cancelled", True)
        assert "user:default/ada" in made["reason"]
        assert platform.left(name) == []
        assert platform.events(name)[-1]["type"] == "ml-platform.scaffolds.scaffold.cancelled"

    def test_not_what_is_over_and_not_by_strangers(self, platform: Platform, name: str) -> None:
        made = platform.make(name)
        assert platform.ada.post(f"/scaffolds/{made['id']}/cancel").status_code == 409
        assert platform.backend.someone("edsger").post(f"/scaffolds/{made['id']}/cancel").status_code == 403


class TestPullRequests:
    def change(self, platform: Platform, name: str, folder: Path) -> str:
        made = platform.make(name)
        clone = Repo.clone_from(made["cloneUrl"], folder / "clone")
        clone.git.switch("--create", "change")
        (folder / "clone" / "README.md").write_text("new\n")
        clone.git.execute(["git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qam", "change"])
        clone.git.push("--quiet", "origin", "change")
        return str(made["cloneUrl"])

    def test_open_look_merge(self, platform: Platform, name: str, tmp_path: Path) -> None:
        url, place = self.change(platform, name, tmp_path), f"/git/local/models/{name}/pull-requests"
        opened = platform.ada.post(place, {"head": "change", "title": "Say it better"})
        assert opened.status_code == 200, opened.text
        assert opened.json()["mergeable"] is True
        stranger = platform.backend.someone("edsger")
        assert stranger.post(f"{place}/1/decision", {"decision": "merge"}).status_code == 403
        merged = platform.ada.post(f"{place}/1/decision", {"decision": "merge"}).json()
        assert merged["state"] == "merged"
        assert Repo(url).heads["main"].commit.hexsha == merged["mergeCommit"]
        assert [one["state"] for one in platform.ada.get(place).json()] == ["merged"]
        types = [event["type"] for event in platform.events(name)]
        assert types[-1] == "ml-platform.scaffolds.pull_request.merged"
        assert platform.ada.get(f"{place}/7").status_code == 404
        assert platform.ada.post(place, {"head": "nowhere", "title": "x"}).status_code == 422
