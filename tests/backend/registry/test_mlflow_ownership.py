"""What people may write through MLflow: their own, and nothing of the platform's, however it is asked."""

import gzip
import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.backend.registry.conftest import Server, ref

pytestmark = pytest.mark.slow

REFUSED = "ml-platform.registry.mlflow_write.refused"
TRACE_HEX = "0af7651916cd43dd8448eb211c80319c"

TRACK = """import json, mlflow
mlflow.set_experiment({experiment!r})
with mlflow.start_run() as run:
    mlflow.log_metric("auc", 0.9)
    mlflow.log_text("hello", "note.txt")
    model = mlflow.initialize_logged_model("tree")
    mlflow.log_model_params({{"depth": "3"}}, model.model_id)
with mlflow.start_span("ask") as span:
    span.set_inputs({{"question": 1}})
feedback = mlflow.log_feedback(trace_id=span.trace_id, name="good", value=True)
print(json.dumps({{
    "experiment": run.info.experiment_id, "run": run.info.run_id, "model": model.model_id,
    "trace": span.trace_id, "feedback": feedback.assessment_id,
}}))
"""


@dataclass
class Things:
    """What somebody has in MLflow, by id."""

    experiment: str
    run: str
    model: str
    trace: str
    feedback: str

    def fill(self, value: Any) -> Any:
        """Put the ids into a path or body."""
        if isinstance(value, dict):
            return {key: self.fill(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.fill(item) for item in value]
        if isinstance(value, str):
            for name, id in vars(self).items():
                value = value.replace(f"<{name}>", id)
        return value


@pytest.fixture(scope="module")
def of_ada(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Things:
    """Ada's, made with MLflow's own client."""
    said = server.run_script("ada", TRACK.format(experiment="trees"), tmp_path_factory.mktemp("ada"))
    return Things(**json.loads(said.splitlines()[-1]))


def write(method: str, path: str, **body: Any) -> Any:
    return pytest.param(method, path, body, id=f"{method} {path}")


METRIC = {"key": "auc", "value": 0.1, "timestamp": 1, "step": 1}
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


def state(http: httpx.Client, things: Things) -> list[Any]:
    """Everything that the API says about somebody's things."""
    tracking = "/api/2.0/mlflow"
    answers = [
        http.get(f"{tracking}/experiments/get", params={"experiment_id": things.experiment}),
        http.get(f"{tracking}/runs/get", params={"run_id": things.run}),
        http.get(f"{tracking}/artifacts/list", params={"run_id": things.run}),
        http.get("/get-artifact", params={"run_uuid": things.run, "path": "note.txt"}),
        http.get(f"{tracking}/logged-models/{things.model}"),
        http.get(f"/api/3.0/mlflow/traces/{things.trace}"),
        http.post(f"{tracking}/runs/search", json={"experiment_ids": [things.experiment], "run_view_type": "ALL"}),
    ]
    return [(answer.status_code, answer.text) for answer in answers]


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


@pytest.mark.parametrize(
    "location", ["file:///tmp/elsewhere", "s3://bucket/elsewhere", "mlflow-artifacts:/0", "/tmp/elsewhere"]
)
@pytest.mark.parametrize("field", ["artifact_location", "artifactLocation"])
def test_nobody_says_where_artefacts_lie(server: Server, location: str, field: str) -> None:
    name = server.newcomer()
    with server.mlflow(name) as stranger:
        body = {"name": f"elsewhere of {name}", field: location}
        answer = stranger.post("/api/2.0/mlflow/experiments/create", json=body)
        assert (answer.status_code, answer.json()["error_code"]) == (403, "PERMISSION_DENIED")
        assert "artifact_location" in answer.json()["message"]
    assert len(server.events(REFUSED, actor=name)) == 1


@pytest.mark.parametrize("name", ["ml-platform/churn", "ML-Platform/churn", " ml-platform/churn", "ｍl-platform/churn"])
def test_nobody_takes_a_future_models_place(server: Server, name: str) -> None:
    with server.mlflow(server.newcomer()) as stranger:
        assert stranger.post("/api/2.0/mlflow/experiments/create", json={"name": name}).status_code == 403
        made = stranger.post("/api/2.0/mlflow/experiments/create", json={"name": f"x{name}"}).json()["experiment_id"]
        rename = {"experiment_id": made, "new_name": name}
        assert stranger.post("/api/2.0/mlflow/experiments/update", json=rename).status_code == 403


def test_an_experiment_may_have_a_models_name_and_the_model_is_registered_all_the_same(
    server: Server, trained: Any
) -> None:
    with server.mlflow(server.newcomer()) as stranger:
        made = stranger.post("/api/2.0/mlflow/experiments/create", json={"name": "cellar"})
        assert made.status_code == 200
    trained.spec["name"] = "cellar"
    trained.repository = "local/cellar"
    answer = server.someone("ada").register(trained)
    assert answer.status_code == 201, answer.text
    with server.mlflow("ada") as ada:
        run = ada.get("/api/2.0/mlflow/runs/get", params={"run_id": answer.json()["lineage"]["runId"]}).json()["run"]
    assert run["info"]["experiment_id"] != made.json()["experiment_id"]


def something_of(http: httpx.Client, name: str) -> tuple[str, str]:
    """Make an experiment and a run in it."""
    experiment = http.post("/api/2.0/mlflow/experiments/create", json={"name": f"of {name}"}).json()["experiment_id"]
    body = {"experiment_id": experiment, "start_time": 1}
    return experiment, http.post("/api/2.0/mlflow/runs/create", json=body).json()["run"]["info"]["run_id"]


@pytest.fixture
def mine(server: Server) -> Iterator[tuple[httpx.Client, str, str, str]]:
    """A newcomer's client, name, experiment and run."""
    name = server.newcomer()
    with server.mlflow(name) as http:
        yield http, name, *something_of(http, name)


def tags_of(http: httpx.Client, run: str) -> dict[str, str]:
    tags = http.get("/api/2.0/mlflow/runs/get", params={"run_id": run}).json()["run"]["data"].get("tags", [])
    return {tag["key"]: tag["value"] for tag in tags}


def test_the_owner_is_set_by_the_platform_and_forged_by_nobody(
    server: Server, mine: tuple[httpx.Client, str, str, str]
) -> None:
    http, name, experiment, run = mine
    post = "/api/2.0/mlflow"
    for key, value in {
        "mlplatform.owner": "service:ml-platform",
        "mlplatform.owner ": "user:default/ada",
        "MLplatform.owner": "user:default/ada",
        "mlplatform.upload": "x",
    }.items():
        tag = {"key": key, "value": value}
        attempts = [
            http.post(f"{post}/runs/set-tag", json={"run_id": run, **tag}),
            http.post(f"{post}/runs/log-batch", json={"run_id": run, "tags": [tag]}),
            http.post(f"{post}/runs/create", json={"experiment_id": experiment, "tags": [tag]}),
            http.post(f"{post}/experiments/set-experiment-tag", json={"experiment_id": experiment, **tag}),
            http.post(f"{post}/experiments/create", json={"name": f"forged {name}", "tags": [tag]}),
            http.post(f"{post}/logged-models", json={"experiment_id": experiment, "tags": [tag]}),
        ]
        assert [answer.status_code for answer in attempts] == [403] * len(attempts), key
    assert http.post(f"{post}/runs/delete-tag", json={"run_id": run, "key": "mlplatform.owner"}).status_code == 403
    gone = {"experiment_id": experiment, "key": "mlplatform.owner"}
    assert http.post(f"{post}/experiments/delete-experiment-tag", json=gone).status_code == 403
    assert tags_of(http, run)["mlplatform.owner"] == ref(name)


def test_an_experiment_is_shared_with_a_team_by_handing_it_over(server: Server) -> None:
    post = "/api/2.0/mlflow"
    with server.mlflow("edsger") as owner, server.mlflow("barbara") as colleague, server.mlflow("grace") as other:
        experiment, run = something_of(owner, "edsger")
        metric = {"run_id": run, **METRIC}
        assert colleague.post(f"{post}/runs/log-metric", json=metric).status_code == 403
        tag = {"experiment_id": experiment, "key": "mlplatform.owner", "value": "group:default/risk"}
        assert owner.post(f"{post}/experiments/set-experiment-tag", json=tag).status_code == 403
        tag["value"] = "group:default/search"
        assert owner.post(f"{post}/experiments/set-experiment-tag", json=tag).status_code == 200
        assert colleague.post(f"{post}/runs/log-metric", json=metric).status_code == 200
        assert colleague.post(f"{post}/runs/create", json={"experiment_id": experiment}).status_code == 200
        assert other.post(f"{post}/runs/log-metric", json=metric).status_code == 403


def test_the_default_experiment_takes_everybodys_runs_and_keeps_them_apart(server: Server) -> None:
    with server.mlflow(server.newcomer()) as one, server.mlflow(server.newcomer()) as other:
        made = one.post("/api/2.0/mlflow/runs/create", json={"experiment_id": "0", "start_time": 1}).json()["run"][
            "info"
        ]
        place = f"/api/2.0/mlflow-artifacts/artifacts/0/{made['run_id']}/artifacts/note.txt"
        assert made["artifact_uri"] == f"mlflow-artifacts:/0/{made['run_id']}/artifacts"
        assert one.put(place, content=b"mine").status_code == 200
        assert other.put(place, content=b"not mine").status_code == 403
        assert other.get(place).content == b"mine"
        assert other.post("/api/2.0/mlflow/runs/delete", json={"run_id": made["run_id"]}).status_code == 403
        assert one.post("/api/2.0/mlflow/runs/delete", json={"run_id": made["run_id"]}).status_code == 200
        for http in (one, other):
            assert http.post("/api/2.0/mlflow/experiments/delete", json={"experiment_id": "0"}).status_code == 403


def test_metrics_and_outputs_reach_no_logged_model_of_others(
    server: Server, of_ada: Things, mine: tuple[httpx.Client, str, str, str]
) -> None:
    http, _, experiment, run = mine
    post = "/api/2.0/mlflow"
    metric = {**METRIC, "model_id": of_ada.model}
    attempts = [
        http.post(f"{post}/runs/log-metric", json={"run_id": run, **metric}),
        http.post(f"{post}/runs/log-batch", json={"run_id": run, "metrics": [metric]}),
        http.post(f"{post}/runs/outputs", json={"run_id": run, "models": [{"model_id": of_ada.model, "step": 0}]}),
        http.post(f"{post}/logged-models", json={"experiment_id": experiment, "source_run_id": of_ada.run}),
        http.post(f"{post}/traces/link-to-run", json={"trace_ids": [of_ada.trace], "run_id": run}),
    ]
    assert [answer.status_code for answer in attempts] == [403] * len(attempts)


def spans(trace: str, **attributes: str) -> dict[str, Any]:
    now = time.time_ns()
    listed = [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()]
    span = {
        "traceId": trace,
        "spanId": "00f067aa0ba902b7",
        "name": "ask",
        "startTimeUnixNano": str(now),
        "endTimeUnixNano": str(now + 1000),
        "attributes": listed,
    }
    return {"resourceSpans": [{"resource": {}, "scopeSpans": [{"scope": {}, "spans": [span]}]}]}


def test_spans_reach_no_trace_and_no_experiment_of_others(
    server: Server, of_ada: Things, mine: tuple[httpx.Client, str, str, str]
) -> None:
    http, name, experiment, _ = mine
    to = {"x-mlflow-experiment-id": experiment}
    theirs = of_ada.trace.removeprefix("tr-")
    before = state(http, of_ada)
    assert http.post("/v1/traces", json=spans(theirs), headers=to).status_code == 403
    assert http.post("/v1/traces", json=spans(theirs), headers={"x-mlflow-experiment-id": "0"}).status_code == 403
    assert (
        http.post(
            "/v1/traces", json=spans(TRACE_HEX), headers={"x-mlflow-experiment-id": of_ada.experiment}
        ).status_code
        == 403
    )
    for tag in ("mlplatform.owner", "mlflow.artifactLocation", "mlflow.trace.archiveLocation"):
        forged = spans(TRACE_HEX, **{f"mlflow.traceTag.{tag}": "file:///tmp"})
        assert http.post("/v1/traces", json=forged, headers=to).status_code == 403, tag
    assert state(http, of_ada) == before
    assert http.post("/v1/traces", json=spans(TRACE_HEX), headers=to).status_code == 200
    info = http.get(f"/api/3.0/mlflow/traces/tr-{TRACE_HEX}").json()["trace"]["trace_info"]
    assert info["tags"]["mlplatform.owner"] == ref(name)
    for key in ("mlflow.artifactLocation", "mlflow.trace.archiveLocation"):
        body = {"key": key, "value": "file:///etc"}
        assert http.patch(f"/api/3.0/mlflow/traces/tr-{TRACE_HEX}/tags", json=body).status_code in {400, 403}


def test_a_trace_takes_nothing_over_that_is_others(
    server: Server, of_ada: Things, mine: tuple[httpx.Client, str, str, str]
) -> None:
    http, name, experiment, _ = mine
    trace = f"tr-{uuid.uuid4().hex}"

    def start(trace: str, **more: Any) -> httpx.Response:
        location = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}}
        info = {
            "trace_id": trace,
            "trace_location": location,
            "request_time": "2026-03-01T12:00:00Z",
            "state": "OK",
            **more,
        }
        return http.post("/api/3.0/mlflow/traces", json={"trace": {"trace_info": info}})

    before = state(http, of_ada)
    assert start(of_ada.trace).status_code == 403
    places = {"mlflow.artifactLocation": "file:///etc", "mlflow.trace.archiveLocation": "file:///etc"}
    assert start(trace, tags=places).status_code == 200
    feedback = {
        "assessment_id": of_ada.feedback,
        "assessment_name": "stolen",
        "trace_id": trace,
        "source": {"source_type": "HUMAN", "source_id": name},
        "feedback": {"value": False},
    }
    assert start(trace, assessments=[feedback]).status_code == 200
    info = http.get(f"/api/3.0/mlflow/traces/{trace}").json()["trace"]["trace_info"]
    assert info["tags"]["mlflow.artifactLocation"] == f"mlflow-artifacts:/{experiment}/traces/{trace}/artifacts"
    assert "mlflow.trace.archiveLocation" not in info["tags"]
    assert state(http, of_ada) == before


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "2.0/mlflow/traces"),
        ("POST", "3.0/mlflow/scorers/register"),
        ("POST", "3.0/mlflow/datasets/create"),
        ("POST", "3.0/mlflow/label-schemas/create"),
        ("POST", "3.0/mlflow/review-queues/get-or-create-user"),
        ("POST", "3.0/mlflow/issues"),
    ],
)
def test_what_has_no_rule_is_refused(server: Server, of_ada: Things, method: str, path: str) -> None:
    body = {
        "experiment_id": of_ada.experiment,
        "experiment_ids": [of_ada.experiment],
        "name": "x",
        "description": "x",
        "serialized_scorer": "{}",
        "user": "ada",
        "type": "FEEDBACK",
        "input": {"text": {}},
    }
    with server.mlflow("ada") as ada:
        answer = ada.request(method, f"/api/{path}", json=body)
    assert answer.status_code in {400, 403}, answer.text
    if answer.status_code == 403:
        assert "not offered" in answer.json()["message"]


def test_queries_of_graphql_only_read(server: Server, of_ada: Things) -> None:
    query = {"query": '{ mlflowGetRun(input: {runId: "%s"}) { run { info { runId } } } }' % of_ada.run}  # noqa: UP031
    with server.mlflow(server.newcomer()) as stranger:
        assert (
            stranger.post("/graphql", json=query).json()["data"]["mlflowGetRun"]["run"]["info"]["runId"] == of_ada.run
        )
        schema = stranger.post("/graphql", json={"query": "{ __schema { mutationType { fields { name } } } }"}).json()
    names = {field["name"] for field in schema["data"]["__schema"]["mutationType"]["fields"]}
    assert names == {"testMutation", "mlflowSearchDatasets", "mlflowSearchRuns"}


AUTOLOG = """import mlflow
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression

mlflow.set_experiment("autologged")
mlflow.autolog()
X, y = load_wine(return_X_y=True, as_frame=True)
with mlflow.start_run() as run:
    LogisticRegression(max_iter=50).fit(X, y)
    with mlflow.start_run(nested=True):
        mlflow.log_params({"a": 1})
    mlflow.log_input(mlflow.data.from_pandas(X, name="wine"))
    mlflow.set_tags({"team": "risk"})
    mlflow.log_metrics({"one": 1.0, "two": 2.0}, step=3)
client = mlflow.MlflowClient()
data = client.get_run(run.info.run_id).data
outputs = client.get_run(run.info.run_id).outputs.model_outputs
loaded = mlflow.sklearn.load_model(f"models:/{outputs[0].model_id}")
client.delete_run(run.info.run_id)
client.restore_run(run.info.run_id)
client.log_artifact(run.info.run_id, __file__, "code files/ü 50%")
print(mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/code files/ü 50%/script.py").splitlines()[0])
with mlflow.start_span("first"):
    pass
mlflow.set_experiment(experiment_id="0")
with mlflow.start_run():
    mlflow.log_metric("default", 1)
    mlflow.log_text("x", "note.txt")
with mlflow.start_span("second") as span:
    pass
print(data.params["max_iter"], data.tags["mlplatform.owner"], "training_accuracy_score" in data.metrics, len(loaded.predict(X)))
print(len(mlflow.get_trace(span.trace_id).data.spans))
"""


def test_peoples_own_tracking_works_with_mlflows_own_client(server: Server, tmp_path: Path) -> None:
    name = server.newcomer()
    said = server.run_script(name, AUTOLOG, tmp_path).splitlines()
    assert "import mlflow" in said
    assert said[-2:] == [f"50 {ref(name)} True 178", "1"]
    assert server.events(REFUSED, actor=name) == []


def test_refusals_are_recorded_as_often_as_is_useful(server: Server, of_ada: Things) -> None:
    name = server.newcomer()
    with server.mlflow(name) as stranger:
        for _ in range(40):
            answer = stranger.post("/api/2.0/mlflow/runs/delete", json={"run_id": of_ada.run})
            assert answer.status_code == 403
    assert 20 <= len(server.events(REFUSED, actor=name)) < 40


def test_a_large_body_is_not_held_in_memory(server: Server) -> None:
    with server.mlflow(server.newcomer()) as stranger:
        body = b'{"run_id": "' + b"x" * (17 << 20) + b'"}'
        answer = stranger.post("/api/2.0/mlflow/runs/delete", content=body)
    assert answer.status_code == 413
