"""Dashboards of every kind against the schemas of those who show them, and their queries against what is exported."""

import copy
import json
import re
from typing import Any

import promql_parser
import pytest
from datadog_api_client.v1.model.dashboard import Dashboard as DatadogDashboard
from datadog_api_client.v1.model.monitor import Monitor
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from backend.batch.metrics import BatchMetrics
from backend.core.metrics import Metrics as BackendMetrics
from backend.dashboards.datadog import datadog, monitors, query
from backend.dashboards.exported import _families
from backend.dashboards.grafana import grafana
from backend.dashboards.panels import Board, Measure, of_model, of_platform, of_team, promql
from mlplatform.generate.objectives import objectives
from mlplatform.generate.render import render
from mlplatform.serving.metrics import Metrics
from mlplatform.streaming.metrics import StreamMetrics
from tests.mlplatform.generate.specs import CASES, as_spec, minimal
from tests.mlplatform.generate.test_dashboard import lost

from .datadog_judge import faults

PLACES = ["production", "staging"]
ENVOY = {"envoy_http_downstream_rq_xx", "envoy_http_downstream_rq_time_bucket"}
"""Asked of a real Envoy in tests/backend/targets/test_traces.py."""
OUTSIDE = {
    "seldon_model_infer_total", "seldon_model_infer_seconds_total",
    "nv_inference_request_success", "nv_inference_request_failure", "nv_inference_request_duration_us",
}  # fmt: skip
"""What Seldon's agent and Triton document."""


def boards() -> dict[str, Board]:
    found = {name: of_model(as_spec(spec), PLACES) for name, spec in CASES.items()}
    return found | {
        "team": of_team("group:default/risk", ["wine", "churn"], PLACES),
        "nobody's models": of_team("group:other/Team.X", [], PLACES),
        "platform": of_platform(PLACES),
    }


BOARDS = boards()


def queries(board: Board) -> list[str]:
    """Return its queries as they are when Grafana has put values in the place of variables."""
    values = {"$__rate_interval": "5m", "$environment": "production", "$model": "wine|churn"}
    found = [target.expr for panel in board.panels for target in panel.targets]
    for name, value in values.items():
        found = [one.replace(name, value) for one in found]
    return found


@pytest.fixture(scope="module")
def exported() -> set[str]:
    """The names of all series that the model servers, the workers, the backend and the recording rules give."""
    server = Metrics("wine", "1", "production")
    StreamMetrics(server)
    backend = BackendMetrics()
    BatchMetrics(backend, None)  # type: ignore[arg-type]
    found = {
        name
        for registry in (server.registry, backend.registry)
        for names in registry._collector_to_names.values()
        for name in names
    }
    found |= {family.name for family in _families()}
    rules = render(as_spec(minimal("realtime", slos=[{"name": "a", "indicator": "availability", "objective": 99}])))
    found |= set(re.findall(r"record: (\S+)", rules["observability/rules.yaml"]))
    return found


@pytest.mark.parametrize("name", BOARDS)
def test_grafana_knows_every_member(name: str) -> None:
    register_default_plugins()
    given = grafana(BOARDS[name])
    assert lost(given, json.loads(JSONEncoder(sort_keys=True).encode(Dashboard.from_json(copy.deepcopy(given))))) == []
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,40}", given["uid"])
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in given["panels"]]
    assert len(set(places)) == len(places) == len({panel["id"] for panel in given["panels"]})


@pytest.mark.parametrize("name", CASES)
def test_a_model_shows_the_same_here_and_in_its_repository(name: str) -> None:
    here = grafana(BOARDS[name])
    there = json.loads(render(as_spec(CASES[name]))["observability/dashboard.json"])

    def shown(document: dict[str, Any]) -> list[Any]:
        return [
            (panel["id"], panel["type"], panel["title"], panel["description"], panel["fieldConfig"]["defaults"]["unit"],
             [(target["refId"], target["expr"], target["legendFormat"]) for target in panel["targets"]])
            for panel in document["panels"]
        ]  # fmt: skip

    assert shown(here) == shown(there)
    assert here["uid"] == there["uid"]
    assert here["templating"]["list"][1]["query"] == there["templating"]["list"][1]["query"]


@pytest.mark.parametrize("name", BOARDS)
def test_queries_are_promql_over_series_that_are_exported(name: str, exported: set[str]) -> None:
    asked = queries(BOARDS[name])
    assert len(asked) >= 2
    for one in asked:
        promql_parser.parse(one)
        metrics = set(re.findall(r"([a-zA-Z_:][\w:]*)\{", one))
        assert metrics, one
        assert metrics <= exported | ENVOY | OUTSIDE, (metrics - exported, one)
    assert "$" not in "".join(asked)


@pytest.mark.parametrize("name", BOARDS)
def test_datadog_takes_the_same_panels(name: str) -> None:
    board = BOARDS[name]
    document = datadog(board)
    assert faults(document, DatadogDashboard) == []
    assert [one["definition"]["title"] for one in document["widgets"]] == [panel.title for panel in board.panels]
    text = json.dumps(document)
    assert "slo:" not in re.sub(r"slo:\w+[,}\"]", "", text)  # recording rules are unknown there
    named = set(re.findall(r":mlplatform\.([a-z_0-9]+?)(?:\.count|\.sum)?\{", text))
    families = board.families()
    assert named - {"ml_platform_batch_last_success_age_seconds"} <= families
    assert named


def test_the_judge_sees_what_is_wrong() -> None:
    document = datadog(BOARDS["platform"])
    document["widgets"][1]["definition"]["requests"][0]["display_type"] = "curve"
    assert faults(document, DatadogDashboard)
    document = datadog(BOARDS["platform"])
    document["widgets"][1]["definition"]["legend"] = True
    assert faults(document, DatadogDashboard) == [".widgets[1].definition.legend is unknown"]


@pytest.mark.parametrize("name", CASES)
def test_each_alert_by_burn_rate_is_a_monitor(name: str) -> None:
    spec = as_spec(CASES[name])
    found = monitors(spec, "https://portal.example.com")
    assert [fault for one in found for fault in faults(one, Monitor)] == []
    expected = [(each.name, alert.burn, alert.severity) for each in objectives(spec) for alert in each.alerts]
    assert len(found) == len(expected)
    for monitor, (slo, burn, severity) in zip(found, expected, strict=True):
        assert f"{{model:{spec.name},slo:{slo},burn:{burn}}}" in monitor["query"]
        assert f"severity:{severity}" in monitor["tags"]
        assert "https://portal.example.com/docs/default/component/" in monitor["message"]
        assert "{share}" not in monitor["message"]
        assert "?" not in monitor["message"]


def test_a_model_without_objectives_has_dashboards_and_no_monitor() -> None:
    spec = as_spec(minimal())
    assert monitors(spec, None) == []
    titles = [panel.title for panel in of_model(spec, PLACES).panels]
    assert "Requests" in titles
    assert "Error budget left" not in titles


@pytest.mark.parametrize(
    "value", ['a"b', "a\\", "a\nb", "{x=~'.*'}", '",model=~".*', "a}b{c", "$model", "naïve 模型 🙂", ""]
)
def test_whatever_a_label_holds_stays_in_its_label(value: str) -> None:
    measure = Measure("rate", "model_server_requests_total", ("version",), (("code", "=", value),))
    asked = promql(measure, 'environment="lab"').replace("$__rate_interval", "5m")
    matchers = promql_parser.parse(asked).expr.args[0].vector_selector.matchers.matchers
    assert [(one.name, one.value) for one in matchers] == [("environment", "lab"), ("code", value)]
    ((_, said),), _ = query(measure, ["environment:lab"])
    begin, end = "sum:mlplatform.model_server_requests.count{environment:lab,code:", "} by {version}.as_rate()"
    assert said.startswith(begin)
    assert said.endswith(end)
    assert not set('{},"$ \\\n') & set(said.removeprefix(begin).removesuffix(end))


def test_names_of_teams_become_uids_that_differ() -> None:
    owners = ["group:default/a.b", "group:default/a-b", "group:default/A-b", "group:default/" + "x" * 150]
    found = {of_team(owner, [], []).uid for owner in owners} | {of_platform([]).uid}
    assert len(found) == 5
    assert all("_" in uid for uid in found)  # no model's has one
