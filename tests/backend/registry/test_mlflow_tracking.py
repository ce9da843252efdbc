"""What people may write through MLflow: their own, and nothing that the platform sets."""

import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.backend.registry.conftest import METRIC, REFUSED, Server, Things, ref, state

pytestmark = pytest.mark.slow

TRACE_HEX = "0af7651916cd43dd8448eb211c80319c"


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
