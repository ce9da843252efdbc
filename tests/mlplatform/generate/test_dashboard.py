"""The dashboard against Grafana's own types, and its queries against Prometheus' parser."""

import json
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from mlplatform.generate.render import render
from tests.mlplatform.generate.specs import CASES, SLOS, as_spec, minimal
from tests.mlplatform.generate.test_rules import promtool


def dashboard(spec: dict[str, Any]) -> dict[str, Any]:
    return json.loads(render(as_spec(spec))["observability/dashboard.json"])


def lost(given: Any, kept: Any, path: str = "") -> list[str]:
    """Return what Grafana's types did not take over."""
    if isinstance(given, dict) and isinstance(kept, dict):
        return [
            problem
            for key, value in given.items()
            for problem in (lost(value, kept[key], f"{path}.{key}") if key in kept else [f"{path}.{key} is unknown"])
        ]
    if isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        return [
            problem
            for index, pair in enumerate(zip(given, kept, strict=True))
            for problem in lost(*pair, f"{path}[{index}]")
        ]
    return [] if given == kept and type(given) is type(kept) else [f"{path}: {given!r} became {kept!r}"]


@pytest.mark.parametrize("case", CASES)
def test_every_member_is_known_to_grafana(case: str) -> None:
    register_default_plugins()
    given = dashboard(CASES[case])
    assert lost(given, json.loads(JSONEncoder(sort_keys=True).encode(Dashboard.from_json(given)))) == []
    assert len(given["uid"]) <= 40


def test_a_misspelt_member_is_seen() -> None:
    register_default_plugins()
    given = dashboard(CASES["plain"])
    given["panels"][0]["fieldConfig"]["defaults"]["unti"] = "s"
    kept = json.loads(JSONEncoder(sort_keys=True).encode(Dashboard.from_json(given)))
    assert lost(given, kept) == [".panels[0].fieldConfig.defaults.unti is unknown"]


@pytest.mark.parametrize(
    ("kind", "titles"),
    [
        ("realtime", "Error budget left|Bad events|Requests|Success rate|Latency|Replicas|Refusals|Rows in a call"),
        ("batch", "Error budget left|Bad events|Age of the answers|Runs|Rows"),
        ("streaming", "Error budget left|Bad events|Messages|Lag|Waiting time|Latency"),
    ],
)
def test_panels_of_each_type_lie_side_by_side(kind: str, titles: str) -> None:
    panels = dashboard(minimal(kind, slos=SLOS[kind]))["panels"]
    assert "|".join(panel["title"] for panel in panels) == titles
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    assert len(set(places)) == len(places)
    assert len({panel["id"] for panel in panels}) == len(panels)


@pytest.mark.slow
def test_queries_are_promql(tmp_path: Path) -> None:
    queries = {
        target["expr"].replace("$__rate_interval", "5m").replace("$environment", "production")
        for spec in CASES.values()
        for panel in dashboard(spec)["panels"]
        for target in panel["targets"]
    }
    assert len(queries) > 20
    rules = [{"record": f"q:{number}", "expr": query} for number, query in enumerate(sorted(queries))]
    (tmp_path / "queries.yaml").write_text(json.dumps({"groups": [{"name": "queries", "rules": rules}]}))
    done = promtool(tmp_path, "check", "rules", "queries.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
