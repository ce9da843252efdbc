"""What is somebody else's is not written through MLflow, however it is asked."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.backend.registry.conftest import METRIC, REFUSED, TRACK, Server, Things, state

pytestmark = pytest.mark.slow


def write(method: str, path: str, **body: Any) -> Any:
    return pytest.param(method, path, body, id=f"{method} {path}")


WRITES = [
    write("POST", "2.0/mlflow/experiments/update", experiment_id="<experiment>", new_name="<experiment> renamed"),
    write("POST", "2.0/mlflow/experiments/set-experiment-tag", experiment_id="<experiment>", key="a", value="b"),
    write("POST", "2.0/mlflow/experiments/delete-experiment-tag", experiment_id="<experiment>", key="a"),
    write("POST", "2.0/mlflow/experiments/delete", experiment_id="<experiment>"),
    write("POST", "2.0/mlflow/experiments/restore", experiment_id="<experiment>"),
    write("POST", "2.0/mlflow/runs/create", experiment_id="<experiment>", start_time=1),
    write("POST", "2.0/mlflow/runs/update", run_id="<run>", run_name="renamed"),
    write("POST", "2.0/mlflow/runs/update", run_uuid="<run>", status="FAILED"),
    write("POST", "2.0/mlflow/runs/set-tag", run_id="<run>", key="git.commit", value="forged"),
    write("POST", "2.0/mlflow/runs/set-tag", run_uuid="<run>", key="git.commit", value="forged"),
    write("POST", "2.0/mlflow/runs/delete-tag", run_id="<run>", key="git.commit"),
    write("POST", "2.0/mlflow/runs/log-metric", run_id="<run>", **METRIC),
    write("POST", "2.0/mlflow/runs/log-parameter", run_id="<run>", key="depth", value="4"),
    write("POST", "2.0/mlflow/runs/log-batch", run_id="<run>", tags=[{"key": "git.commit", "value": "forged"}]),
    write("POST", "2.0/mlflow/runs/log-batch", run_id="<run>", metrics=[METRIC], params=[{"key": "p", "value": "1"}]),
    write(
        "POST",
        "2.0/mlflow/runs/log-model",
        run_id="<run>",
        model_json='{"artifact_path":"m","utc_time_created":"x","run_id":"<run>","flavors":{"f":{}}}',
    ),
    write(
        "POST",
        "2.0/mlflow/runs/log-inputs",
        run_id="<run>",
        datasets=[{"dataset": {"name": "d", "digest": "1", "source_type": "local", "source": "x"}}],
    ),
    write("POST", "2.0/mlflow/runs/outputs", run_id="<run>", models=[{"model_id": "<model>", "step": 1}]),
    write("POST", "2.0/mlflow/logged-models", experiment_id="<experiment>", name="other"),
    write("PATCH", "2.0/mlflow/logged-models/<model>", model_id="<model>", status="LOGGED_MODEL_READY"),
    write(
        "POST", "2.0/mlflow/logged-models/<model>/params", model_id="<model>", params=[{"key": "width", "value": "1"}]
    ),
    write("PATCH", "2.0/mlflow/logged-models/<model>/tags", model_id="<model>", tags=[{"key": "a", "value": "b"}]),
    write("DELETE", "2.0/mlflow/logged-models/<model>/tags/a", model_id="<model>", tag_key="a"),
    write("PATCH", "2.0/mlflow/traces/<trace>/tags", request_id="<trace>", key="a", value="b"),
    write("PATCH", "3.0/mlflow/traces/<trace>/tags", trace_id="<trace>", key="a", value="b"),
    write("DELETE", "3.0/mlflow/traces/<trace>/tags", trace_id="<trace>", key="a"),
    write("POST", "2.0/mlflow/traces/link-to-run", trace_ids=["<trace>"], run_id="<run>"),
    write(
        "POST",
        "3.0/mlflow/traces/<trace>/assessments",
        assessment={
            "assessment_name": "bad",
            "trace_id": "<trace>",
            "source": {"source_type": "HUMAN", "source_id": "x"},
            "feedback": {"value": False},
        },
    ),
    write(
        "PATCH",
        "3.0/mlflow/traces/<trace>/assessments/<feedback>",
        assessment={"assessment_id": "<feedback>", "trace_id": "<trace>", "rationale": "none"},
        update_mask="rationale",
    ),
    write("DELETE", "3.0/mlflow/traces/<trace>/assessments/<feedback>"),
    write("POST", "3.0/mlflow/traces/delete-traces", experiment_id="<experiment>", request_ids=["<trace>"]),
    write(
        "POST",
        "2.0/mlflow/traces/delete-traces",
        experiment_id="<experiment>",
        max_timestamp_millis=9_999_999_999_999,
        max_traces=9,
    ),
    write("DELETE", "2.0/mlflow/logged-models/<model>", model_id="<model>"),
    write("POST", "2.0/mlflow/runs/delete", run_id="<run>"),
    write("POST", "2.0/mlflow/runs/restore", run_id="<run>"),
]


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
def test_what_is_somebody_elses_is_not_written(
    server: Server, of_ada: Things, method: str, path: str, body: dict[str, Any]
) -> None:
    name = server.newcomer()
    with server.mlflow(name) as stranger:
        before = state(stranger, of_ada)
        for prefix in ("api", "ajax-api"):
            answer = stranger.request(method, f"/{prefix}/{of_ada.fill(path)}", json=of_ada.fill(body))
            assert (answer.status_code, answer.json().get("error_code")) == (403, "PERMISSION_DENIED"), answer.text
            assert "user:default/ada" in answer.json()["message"]
        assert state(stranger, of_ada) == before
    first, second = server.events(REFUSED, actor=name)
    assert (first["data"]["method"], second["data"]["path"]) == (method, f"/ajax-api/{of_ada.fill(path)}")
    assert "user:default/ada" in first["data"]["reason"]


# All of the same requests, in this order, so that each is known to be one that MLflow would have carried out.
@pytest.mark.parametrize("name", ["grace", "operator"])
def test_the_owner_and_administrators_may(server: Server, tmp_path: Path, name: str) -> None:
    said = server.run_script("grace", TRACK.format(experiment=f"written by {name}"), tmp_path)
    things = Things(**json.loads(said.splitlines()[-1]))
    with server.mlflow(name) as http:
        for parameter in WRITES:
            method, path, body = parameter.values
            answer = http.request(method, f"/api/{things.fill(path)}", json=things.fill(body))
            assert answer.status_code == 200, f"{method} {path}: {answer.text}"
    assert server.events(REFUSED, actor=name) == []


@pytest.fixture(scope="module")
def of_platform(server: Server, wine_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Things:
    """A registered version's experiment and run; the other ids are ada's."""
    from tests.backend.conftest import SPEC, Trained

    trained = Trained(wine_model, json.loads(json.dumps(SPEC)))
    answer = server.someone("ada").register(trained)
    assert answer.status_code == 201, answer.text
    run = answer.json()["lineage"]["runId"]
    with server.mlflow("ada") as http:
        info = http.get("/api/2.0/mlflow/runs/get", params={"run_id": run}).json()["run"]["info"]
    return Things(info["experiment_id"], run, "m-none", "tr-none", "a-none")


@pytest.mark.parametrize("name", ["ada", "operator"])
def test_what_the_platform_made_nobody_writes(server: Server, of_platform: Things, name: str) -> None:
    with server.mlflow(name) as http:
        before = state(http, of_platform)
        for parameter in WRITES:
            method, path, body = parameter.values
            if (
                any(f"<{kind}>" in path + json.dumps(body) for kind in ("experiment", "run"))
                and "request_ids" not in body
            ):
                answer = http.request(method, f"/api/{of_platform.fill(path)}", json=of_platform.fill(body))
                assert (answer.status_code, answer.json().get("error_code")) == (403, "PERMISSION_DENIED"), (
                    f"{path} {answer.text}"
                )
                assert "the platform" in answer.json()["message"]
        assert state(http, of_platform) == before


def artefact_paths(things: Things, name: str = "note.txt") -> list[str]:
    own = f"{things.experiment}/{things.run}/artifacts/{name}"
    return [
        own,
        own.replace(name, f"new/{name}"),
        f"{things.experiment}/models/{things.model}/artifacts/{name}",
        f"{things.experiment}/traces/{things.trace}/artifacts/traces.json",
        f"0/../{own}",
        f"0/%2e%2e/{own}",
        f"0/..%2f{own}",
        f"0/%252e%252e/{own}",
        f"0/..%252f{own}",
        f"./{own}",
        f"/{own}",
        f"%2f{own}",
        own.replace("/artifacts/", "/artifacts/../artifacts/"),
        own.replace("/artifacts/", "/artifacts%2f..%2fartifacts%2f"),
        own.replace("/artifacts/", "//artifacts//"),
        own.replace("/", "%5c"),
        own.replace("/", "%2f"),
        own.replace("/", "%252f"),
        things.experiment,
        f"{things.experiment}/{things.run}",
        f"{things.experiment}/{things.run}/artifacts",
        f"{things.experiment}/{things.run}/other/{name}",
        "wine",
        ".",
        "%2e",
        "..",
        "%2e%2e%2fregistered%2fwine",
        "file:%2f%2f%2ftmp%2fnote.txt",
    ]


@pytest.mark.parametrize("whose", ["of_ada", "of_platform"])
@pytest.mark.parametrize("prefix", ["api", "ajax-api"])
def test_artefacts_of_others_are_neither_overwritten_nor_deleted(
    server: Server, whose: str, prefix: str, request: pytest.FixtureRequest
) -> None:
    things: Things = request.getfixturevalue(whose)
    mlflow = server.home / "mlflow"
    before = files(mlflow)
    with server.mlflow(server.newcomer()) as stranger:
        for path in artefact_paths(things):
            for method in ("PUT", "DELETE"):
                url = httpx.URL(f"{server.url}/mlflow/{prefix}/2.0/mlflow-artifacts/artifacts/{path}")
                answer = stranger.request(method, url, content=b"forged", follow_redirects=True)
                assert answer.status_code in {400, 403, 404, 405}, (
                    f"{method} {path}: {answer.status_code} {answer.text}"
                )
                assert files(mlflow) == before, f"{method} {path}: {answer.status_code}"


def files(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("mlflow.db"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_registering_goes_on_whatever_was_tried(server: Server, of_platform: Things, retrained: Any) -> None:
    answer = server.someone("ada").register(retrained("second"))
    assert (answer.status_code, answer.json()["version"]) == (201, 2)


# Other spellings of the same request. MLflow reads JSON twice over, and takes two names for each field.
SPELLINGS: list[Callable[[str], dict[str, Any]]] = [
    lambda run: {"content": json.dumps(json.dumps({"run_id": run}))},
    lambda run: {"content": json.dumps({"runId": run})},
    lambda run: {"content": f'{{"run_id": "none", "run_id": "{run}"}}'},
    lambda run: {"content": json.dumps({"run_id": run}).encode("utf-16")},
    lambda run: {"content": json.dumps({"run_id": run}), "headers": {"Content-Type": "text/plain"}},
    lambda run: {
        "content": gzip.compress(json.dumps({"run_id": run}).encode()),
        "headers": {"Content-Encoding": "gzip"},
    },
    lambda run: {"data": {"run_id": run}},
    lambda run: {"params": {"run_id": run}},
]


@pytest.mark.parametrize("spelling", range(len(SPELLINGS)))
def test_another_spelling_of_a_body_is_no_way_round(server: Server, of_ada: Things, spelling: int) -> None:
    with server.mlflow(server.newcomer()) as stranger:
        answer = stranger.post("/api/2.0/mlflow/runs/delete", **SPELLINGS[spelling](of_ada.run))
        assert answer.status_code in {400, 403, 404}, answer.text
        override = {"X-HTTP-Method-Override": "POST", "X-HTTP-Method": "POST"}
        stranger.request("GET", "/api/2.0/mlflow/runs/delete", json={"run_id": of_ada.run}, headers=override)
        run = stranger.get("/api/2.0/mlflow/runs/get", params={"run_id": of_ada.run}).json()["run"]
    assert run["info"]["lifecycle_stage"] == "active"
