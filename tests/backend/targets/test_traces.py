"""One request is one trace: from a real Envoy through a real model server into a collector and into the log."""

import http.client
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import mlflow.pyfunc
import pandas as pd
import pytest
from mlflow.models import infer_signature

from backend.deployments.targets.base import ReplicaSetSpec, VersionKey
from backend.deployments.targets.local.target import LocalTarget, server_settings
from backend.deployments.targets.log_filter import LogFilter
from mlplatform.spec.model import ModelSpec
from tests.backend.targets.machine import SPEC, Machine, route, serving_machine, wait_for
from tests.collector import Collector, collecting

pytestmark = pytest.mark.slow
ALL_ZERO = "0" * 32


@dataclass
class Traced:
    machine: Machine
    collector: Collector
    target: LocalTarget
    key: VersionKey

    def ask(self, alcohol: float = 12.5, **headers: str) -> int:
        port = self.machine.settings.ingress.port
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
        body = {"inputs": [{"name": "alcohol", "shape": [1, 1], "datatype": "FP64", "data": [alcohol]}]}
        connection.request("POST", "/production/wine/v2/models/wine/infer", json.dumps(body), headers)
        response = connection.getresponse()
        response.read()
        connection.close()
        return response.status

    def lines(self) -> list[dict[str, object]]:
        texts = [line.partition(" ")[2] for line in self.target.logs([self.key], 1000, False)]
        return [json.loads(text) for text in texts if text.startswith("{")]


def save_talkative(folder: Path) -> None:
    class Talkative(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
            values = list(model_input["alcohol"])
            print(f"asked about {values}")  # noqa: T201 - models do
            if 13.0 in values:
                raise RuntimeError("thirteen is too many")
            return [float(value > 12) for value in values]

    frame = pd.DataFrame({"alcohol": [12.5, 11.0]})
    signature = infer_signature(frame, [1.0, 0.0])
    mlflow.pyfunc.save_model(
        folder, python_model=Talkative(), signature=signature, input_example=frame, pip_requirements=["pandas"]
    )


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traced]:
    folder = tmp_path_factory.mktemp("talkative")
    save_talkative(folder / "model")
    document = SPEC.model_dump(mode="json", by_alias=True)
    document["serving"] |= {"requestTimeout": "10s", "startupTimeout": "1m"}
    (folder / "environment").mkdir()
    (folder / "environment" / "model.yaml").write_text(json.dumps(document))
    (folder / "environment" / "uv.lock").write_text("version = 1\n")
    key = VersionKey("production", "wine", 7)
    spec = ReplicaSetSpec(key, "7" * 64, folder, ModelSpec.model_validate(document), 1)
    with collecting() as collector:
        telemetry = {"otlp": {"endpoint": collector.endpoint}, "sampleRatio": 1}
        with serving_machine(telemetry=telemetry) as machine:
            machine.target.close()
            servers = replace(server_settings(machine.settings), python=Path(sys.executable))
            target = LocalTarget(machine.folders, servers, admin_port=machine.settings.ingress.admin_port)
            try:
                target.start(spec)
                wait_for(lambda: [one for one in target.replicas(key) if one.state == "ready"], 60)
                target.apply([route((7, 100))])
                yield Traced(machine, collector, target, key)
            finally:
                target.close()


def test_a_request_is_one_trace_from_envoy_to_the_model(traced: Traced) -> None:
    assert traced.ask(12.25) == 200
    wait_for(lambda: [one for one in traced.collector.spans if one.name == "predict"], 20)
    (trace,) = {one.trace for one in traced.collector.spans}
    spans = traced.collector.until(trace, 3)
    assert set(spans) == {"ml-platform-ingress: ingress", "wine: POST v2", "wine: predict"}
    assert spans["ml-platform-ingress: ingress"].parent == ""
    assert spans["wine: POST v2"].parent == spans["ml-platform-ingress: ingress"].span
    assert spans["wine: predict"].parent == spans["wine: POST v2"].span
    (line,) = [one for one in traced.lines() if one["message"] == "asked about [12.25]"]
    assert (line["trace_id"], line["span_id"]) == (trace, spans["wine: POST v2"].span)
    # The same line, sent.
    sent = wait_for(lambda: [one for one in traced.collector.lines if one.body == "asked about [12.25]"], 20)
    assert [(one.service, one.trace, one.span, one.severity) for one in sent] == [
        ("wine", trace, line["span_id"], line["level"])
    ]
    assert (sent[0].resource["service.version"], sent[0].resource["deployment.environment.name"]) == ("7", "production")


def test_a_trace_goes_on_and_its_sampling_is_its_callers(traced: Traced) -> None:
    trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    assert traced.ask(12.0, traceparent=f"00-{trace}-{parent}-01") == 200
    spans = traced.collector.until(trace, 3)
    assert spans["ml-platform-ingress: ingress"].parent == parent

    quiet = "5" * 32
    assert traced.ask(11.75, traceparent=f"00-{quiet}-{parent}-00") == 200
    last = "6" * 32
    assert traced.ask(11.5, traceparent=f"00-{last}-{parent}-01") == 200
    traced.collector.until(last, 3)
    assert traced.collector.of(quiet) == []
    (line,) = [one for one in traced.lines() if one["message"] == "asked about [11.75]"]
    assert line["trace_id"] == quiet


def test_a_failure_is_in_the_log_under_its_own_trace(traced: Traced) -> None:
    trace = "7" * 32
    assert traced.ask(13.0, traceparent=f"00-{trace}-{'8' * 16}-01") == 500
    spans = traced.collector.until(trace, 3)
    assert spans["wine: POST v2"].failed
    asked, line = [
        json.loads(one.partition(" ")[2]) for one in traced.target.logs([traced.key], 50, False, LogFilter(trace=trace))
    ]
    assert (asked["message"], line["message"]) == ("asked about [13.0]", "the model failed")
    assert "thirteen is too many" in str(line["exception"])


def test_malformed_headers_begin_new_traces(traced: Traced) -> None:
    one, zero = "1" * 32, "0" * 32
    headers = [
        "", "nonsense", f"00-{zero}-{'1' * 16}-01", f"00-{one}-{'0' * 16}-01", f"ff-{one}-{'1' * 16}-01",
        f"00-{'A' * 32}-{'1' * 16}-01", "00-1234-1234-01", f"00-{one}-{'1' * 16}-01" * 100,
    ]  # fmt: skip
    before = {one.trace for one in traced.collector.spans}
    for header in headers:
        assert traced.ask(12.75, traceparent=header) == 200

    def new() -> set[str]:
        found = [span for span in traced.collector.spans if span.trace not in before]
        return {span.trace for span in found if span.name == "predict"}

    wait_for(lambda: len(new()) == len(headers), 20)
    assert zero not in new()
    for trace in new():
        # What Envoy can't read either begins at the model server.
        services = [span.service for span in traced.collector.of(trace)]
        assert services.count("wine") == 2


def test_envoy_exports_what_dashboards_ask_it_for(traced: Traced) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", traced.machine.settings.ingress.admin_port, timeout=10)
    connection.request("GET", "/stats/prometheus")
    text = connection.getresponse().read().decode()
    for metric in ("envoy_http_downstream_rq_xx", "envoy_http_downstream_rq_time_bucket"):
        of_ours = [line for line in text.splitlines() if line.startswith(f"{metric}{{")]
        assert any('envoy_http_conn_manager_prefix="ingress"' in line for line in of_ours), metric
