"""The story of one real-time model: from an empty folder to production, a bad version rolled back, all on record."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from demo import repository
from demo.shell import Person
from tests.journeys.conftest import RunningPlatform
from tests.journeys.story import ENVIRONMENT, Model

pytestmark = [pytest.mark.journey, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def model(running_platform: RunningPlatform) -> Iterator[Model]:
    """One model that the tests of this module take through its life, in order."""
    return Model(running_platform, "screening")


def types(events: list[dict[str, object]]) -> list[str]:
    return [str(event["type"]).removeprefix("ml-platform.") for event in events]


class TestGoldenPath:
    """The tests build on one another, as a story does; each is a chapter."""

    def test_a_fresh_repository_passes_its_own_checks(self, model: Model) -> None:
        checked = model.author.platform("check").document
        assert checked["valid"] is True
        assert model.author.git("status", "--porcelain") == ""

    def test_the_first_version_goes_live_after_an_approval_by_somebody_else(self, model: Model) -> None:
        requested = model.ship()
        ended = model.ended(requested["id"])
        assert ended["outcome"] == "promoted", ended["reason"]
        assert model.weights() == {1: 100}
        assert {item["state"] for item in ended["requirements"]} == {"met"}
        answer = httpx.post(model.endpoint, json=repository.request_bodies()[0], timeout=10)
        assert answer.status_code == 200, answer.text
        assert answer.headers["x-model-version"] == "1"
        assert answer.json()["outputs"][0]["data"][0] in {0, 1}

    def test_the_author_may_not_approve(self, model: Model) -> None:
        requested = model.author.platform("deploy", "--env", ENVIRONMENT, "--version", "1", "--no-wait", expect=None)
        deployment = requested.document
        if deployment.get("phase") == "awaiting_approval":
            refused = model.author.platform("approve", deployment["id"], "--comment", "my own", expect=1)
            assert "author" in (refused.messages + str(refused.document)).lower()
            model.approver.platform("approve", deployment["id"], "--reject", "--comment", "only a test")
        else:
            assert requested.status == 1

    def test_a_better_version_is_promoted_step_by_step_without_a_failed_request(self, model: Model) -> None:
        model.change(repository.better_version, "Use all features")
        with model.users() as seen:
            requested = model.ship()
            ended = model.ended(requested["id"])
        assert ended["outcome"] == "promoted", ended["reason"]
        canary = [step for step in ended["steps"] if step["kind"] == "canary"]
        assert [step["weight"] for step in canary] == [5, 25, 50, 100]
        assert all(step["state"] == "passed" for step in canary)
        assert all(step["canary"]["requests"] >= 15 for step in canary)
        assert [request for request in seen if request.failed] == []
        assert {request.version for request in seen} == {"1", "2"}
        assert model.weights() == {2: 100}
        lineage = model.get(f"/registry/models/{model.name}/versions/champion")
        assert lineage["version"] == 2
        assert lineage["lineage"]["commit"] == model.author.git("rev-parse", "HEAD")

    def test_a_rollback_by_hand_takes_less_than_a_second_and_fails_no_request(self, model: Model) -> None:
        with model.users() as seen:
            result = model.author.platform("rollback", "--env", ENVIRONMENT, "--reason", "trying it out")
            assert result.status == 0
            assert model.weights() == {1: 100}
        assert [request for request in seen if request.failed] == []
        with model.users():
            again = model.ended(self._deploy(model, version=2)["id"])
        assert again["outcome"] == "promoted", again["reason"]

    @staticmethod
    def _deploy(model: Model, version: int) -> dict[str, str]:
        requested: dict[str, str] = model.author.platform(
            "deploy", "--env", ENVIRONMENT, "--version", str(version), "--no-wait"
        ).document
        model.approver.platform("approve", requested["id"], "--comment", "back to it")
        return requested

    def test_a_worse_version_is_stopped_by_its_gate_and_refused_by_the_backend(self, model: Model) -> None:
        model.change(repository.worse_version, "Keep one feature only")
        stopped = model.author.platform("run", "--env", ENVIRONMENT, expect=1)
        assert "roc_auc" in stopped.messages + str(stopped.document)
        model.author.platform("scan", expect=None)
        model.author.platform("register")
        refused = model.author.platform("deploy", "--env", ENVIRONMENT, "--no-wait", expect=1).document
        states = {item["requirement"]: item["state"] for item in refused["error"]["requirements"]}
        assert "failed" in states.values()
        assert model.weights() == {2: 100}
        assert "deployments.deployment.refused" in types(model.events())

    def test_a_version_that_errs_in_production_is_rolled_back_by_the_platform(self, model: Model) -> None:
        model.change(repository.broken_version, "Look each request up")
        with model.users() as seen:
            requested = model.ship()
            ended = model.ended(requested["id"])
            assert model.weights() == {2: 100}
        assert ended["outcome"] == "rolled_back"
        assert "e-value" in ended["reason"], "the reason gives the numbers it was judged by"
        version = str(ended["version"])
        failures = [request for request in seen if request.failed]
        first = min(request.sent_at for request in failures)
        last = max(request.sent_at for request in seen if request.version == version)
        assert (last - first).total_seconds() < 30
        assert len(failures) < 0.2 * len(seen)
        assert list((model.platform.home / "artefacts").rglob("__pycache__")) == [], "serving changes no artefact"

    def test_the_audit_trail_has_all_of_it_and_verifies(self, model: Model) -> None:
        found = types(model.events())
        for expected in (
            "registry.version.registered",
            "deployments.deployment.requested",
            "deployments.deployment.approved",
            "deployments.rollout.started",
            "deployments.traffic.shifted",
            "deployments.rollout.promoted",
            "deployments.deployment.refused",
            "deployments.rollout.rolled_back",
        ):
            assert expected in found, expected
        verified = model.author.platform("audit", "verify").document
        assert verified["valid"] is True
        assert verified["faults"] == []

    def test_logs_of_a_version_are_kept(self, model: Model) -> None:
        logs = model.author.platform("logs", "--env", ENVIRONMENT, "--version", "2", "--tail", "20")
        assert logs.status == 0
        assert "ready" in (logs.text + logs.messages)


class TestDoors:
    """Who may come in, and how the platform says no."""

    def test_nobody_writes_without_a_token(self, running_platform: RunningPlatform) -> None:
        api = f"{running_platform.url}/api/ml-platform"
        for method, path in (("POST", "/deployments"), ("POST", "/attestations"), ("GET", "/registry/models")):
            answer = httpx.request(method, f"{api}{path}", json={}, timeout=10)
            assert answer.status_code == 401, path
            assert answer.headers["content-type"].startswith("application/problem+json")

    def test_a_stranger_may_not_deploy(self, running_platform: RunningPlatform, model: Model) -> None:
        stranger: Person = running_platform.signed_in("edsger", folder=model.folder)
        refused = stranger.platform("deploy", "--env", ENVIRONMENT, "--no-wait", expect=1)
        assert "not" in (refused.messages + str(refused.document)).lower()

    def test_mlflow_does_not_let_aliases_move(self, running_platform: RunningPlatform, model: Model) -> None:
        answer = httpx.post(
            f"{running_platform.url}/mlflow/api/2.0/mlflow/registered-models/alias",
            json={"name": model.name, "alias": "champion", "version": "1"},
            headers={"authorization": f"Bearer {model.author.token()}"},
            timeout=10,
        )
        assert answer.status_code == 403

    @pytest.mark.parametrize("name", ["../evil", "with space", "a" * 300, "{{ 7*7 }}", "UPPER", "-dash", ""])
    def test_bad_names_write_nothing(self, running_platform: RunningPlatform, tmp_path: Path, name: str) -> None:
        someone = running_platform.person("nobody", folder=tmp_path)
        refused = someone.platform("new", name, "--type", "realtime", "--defaults", "--no-register", expect=None)
        assert refused.status in {1, 2}
        assert "Traceback" not in refused.messages
        assert list(tmp_path.iterdir()) == []
