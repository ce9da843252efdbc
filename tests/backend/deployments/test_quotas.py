"""Quotas: what a team may take up in an environment, held where a rollout is admitted."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import ValidationError

from backend.app import create_app
from backend.core.config import Settings
from backend.deployments.engine import RolloutEngine
from tests.marks import on_one_database

from ..conftest import SPEC, Backend, make_settings
from ..versions import put_version
from .conftest import OPEN, ROLLOUT, Lab, add_version
from .scripted import ScriptedTarget

RISK = "group:default/risk"
QUOTAS: list[dict[str, Any]] = [
    {"replicas": 100, "models": 2, "memory": "5Gi"},
    {"team": RISK, "environment": "lab", "replicas": 3},
    {"environment": "guarded", "models": 1},
]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return make_settings(
        settings.home,
        settings.database.url,
        environments={"lab": OPEN, "guarded": {**OPEN, "approval": {"required": True}}},
        rollouts={"pollInterval": "0.05s", "reconcileInterval": "0.1s"},
        quotas=QUOTAS,
    )


@pytest.fixture
def lab(settings: Settings, tmp_path: Path) -> Iterator[Lab]:
    """Versions of four models; wine, whose figures the scripted target has, has one that asks for two replicas."""
    app = create_app(settings)
    services = app.state.services
    target = ScriptedTarget(tmp_path / "target")
    services.engine = RolloutEngine(services, target)
    rollout = {"steps": [100], "interval": "0.1s"}
    for number, serving in ((1, {}), (2, {}), (3, {"replicas": 2})):
        add_version(services, number, rollout=rollout, serving=serving)
    model = tmp_path / "model"
    model.mkdir()
    for number, (name, serving) in enumerate({"xinomavro": {"replicas": 2}, "yuzu": {}, "zinfandel": {}}.items(), 10):
        (model / "MLmodel").write_text(name)
        put_version(
            services, number, {**SPEC, "name": name, "rollout": {**ROLLOUT, **rollout}, "serving": serving}, model
        )
    with TestClient(app, raise_server_exceptions=False) as http:
        backend = Backend(http, services)
        yield Lab(backend, services, target, backend.someone("ada"))


def ask(lab: Lab, model: str, version: int, environment: str = "lab", **more: Any) -> Any:
    body = {"model": model, "version": version, "environment": environment, **more}
    return lab.ada.post("/deployments", body)


def deployed(lab: Lab, model: str, version: int) -> None:
    answer = ask(lab, model, version)
    assert answer.status_code == 201, answer.text
    assert lab.until(answer.json()["id"], "completed")["outcome"] == "promoted"


def used(lab: Lab, environment: str = "lab") -> dict[str, str]:
    items = lab.ada.get("/quotas", environment=environment, team=RISK).json()
    return {one["resource"]: f"{float(one['used']):g} of {float(one['limit']):g} by {one['setting']}" for one in items}


@pytest.mark.slow
@on_one_database
def test_what_would_go_beyond_a_quota_is_refused_with_what_is_in_use(lab: Lab) -> None:
    deployed(lab, "wine", 1)
    deployed(lab, "xinomavro", 10)
    assert used(lab) == {
        "memory": "3 of 5 by mlPlatform.quotas[0]",
        "replicas": "3 of 3 by mlPlatform.quotas[1]",
        "models": "2 of 2 by mlPlatform.quotas[0]",
    }
    deployed(lab, "wine", 2)  # asks for no more than what it replaces
    answer = ask(lab, "wine", 3)
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (403, "admission-refused")
    (quota,) = [one for one in answer.json()["requirements"] if one["state"] == "failed"]
    assert (quota["requirement"], quota["message"]) == (
        "quota",
        f"replicas: 2 of 3 replicas are in use by {RISK} in lab, and this version asks for 2 (mlPlatform.quotas[1]); "
        "group:default/platform may raise it",
    )
    assert "have the quota raised" in answer.json()["fix"]
    answer = ask(lab, "yuzu", 11)
    assert answer.status_code == 403
    assert f"models: 2 of 2 models are in use by {RISK} in lab" in answer.json()["detail"]
    refused = lab.events("deployment.refused")
    assert [one["subject"] for one in refused] == ["model:wine/versions/3", "model:yuzu/versions/11"]
    assert "in use by" in str(refused[0]["data"]["requirements"])

    operator = lab.backend.someone("operator")
    body = {"model": "wine", "version": 3, "environment": "lab", "breakGlass": {"reason": "the queue is long"}}
    answer = operator.post("/deployments", body)
    assert answer.status_code == 201, answer.text
    lab.until(answer.json()["id"], "completed")
    (broke,) = lab.events("deployment.broke_glass")
    assert [one["requirement"] for one in broke["data"]["overridden"]] == ["quota"]
    assert used(lab)["replicas"] == "4 of 3 by mlPlatform.quotas[1]"
    # The way back is always open.
    back = lab.ada.post("/environments/lab/models/wine/rollback", {"reason": "it was not worth it"})
    assert back.status_code in (200, 201), back.text
    # And so is what is smaller than what is there.
    lab.until(back.json()["id"], "completed")
    assert used(lab)["replicas"] == "3 of 3 by mlPlatform.quotas[1]"


@pytest.mark.slow
@on_one_database
def test_a_quota_is_looked_at_again_when_somebody_approves(lab: Lab) -> None:
    grace = lab.backend.someone("grace")
    ids = {}
    for model, version in (("wine", 1), ("yuzu", 11)):
        answer = ask(lab, model, version, "guarded")
        assert answer.json()["phase"] == "awaiting_approval", answer.text  # what waits takes up nothing
        ids[model] = answer.json()["id"]
    approved = {}
    for model, id in ids.items():
        approved[model] = grace.post(f"/deployments/{id}/approval", {"decision": "approve", "comment": "good"}).json()
    assert approved["wine"]["phase"] != "completed"
    assert approved["yuzu"]["outcome"] == "refused"
    assert "approved, but by now: quota failed (models: 1 of 1 models are in use" in approved["yuzu"]["reason"]


@pytest.mark.slow
def test_of_those_who_ask_at_once_only_as_many_get_in_as_there_is_room_for(lab: Lab) -> None:
    wishes = [("wine", 1), ("xinomavro", 10), ("yuzu", 11), ("zinfandel", 12)]
    with ThreadPoolExecutor(len(wishes)) as pool:
        answers = list(pool.map(lambda wish: ask(lab, *wish), wishes))
    assert sorted(one.status_code for one in answers) == [201, 201, 403, 403]
    for one in answers:
        if one.status_code == 201:
            lab.until(one.json()["id"], "completed")
    assert used(lab)["models"] == "2 of 2 by mlPlatform.quotas[0]"


@pytest.mark.parametrize(
    ("quotas", "said"),
    [
        ([{"team": RISK}], "at least one of cpu, memory, gpu, replicas, models"),
        ([{"environment": "mars", "models": 1}], "there is no environment mars; configured are lab"),
        ([{"models": 1}, {"gpu": 1}], "one for the same team and environment before it"),
        ([{"replicas": -1}], "greater than or equal to 0"),
        ([{"cpu": "lots"}], "not a CPU quantity"),
    ],
)
def test_quotas_that_hold_nowhere_or_say_nothing_are_refused(
    quotas: list[dict[str, Any]], said: str, tmp_path: Path
) -> None:
    with pytest.raises(ValidationError, match=said):
        Settings.model_validate({"home": str(tmp_path), "environments": {"lab": {}}, "quotas": quotas})
