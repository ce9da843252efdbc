"""Dashboards as users get them: listed, fetched, written into a folder; and what the backend exports for them."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families

from mlplatform.cli import session
from mlplatform.cli.app import cli
from mlplatform.client import PlatformClient
from tests.marks import on_one_database

from ..observability.conftest import Ward, notifications, observability, settings, ward

__all__ = ["notifications", "observability", "settings", "ward"]

pytestmark = [pytest.mark.slow, on_one_database]


def scraped(there: Ward) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    text = there.backend.http.get("/metrics").text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def labels(**given: str) -> frozenset[tuple[str, str]]:
    return frozenset(given.items())


def test_what_dashboards_read_is_exported_and_follows_the_objectives(ward: Ward) -> None:
    place = {"environment": "lab", "model": "wine"}
    ward.services.overview.rebuild()
    info = ("ml_platform_model_info", labels(model="wine", owner="group:default/risk", type="realtime", tier="2"))
    assert scraped(ward)[info] == 1
    assert ("ml_platform_model_live_version", labels(**place)) not in scraped(ward)

    ward.deploy(1)
    ward.pass_minutes(70, 1, requests=1000)
    ward.pass_minutes(1, 1, requests=1000, errors=500)
    ward.pass_minutes(6, 1, requests=1000)
    ward.judge()
    found, slo = scraped(ward), {**place, "slo": "availability"}
    assert found["ml_platform_model_live_version", labels(**place)] == 1
    stands = ward.slos()["availability"]
    assert found["ml_platform_slo_error_budget_remaining_ratio", labels(**slo)] == pytest.approx(stands["remaining"])
    assert found["ml_platform_slo_alert_firing", labels(**slo, burn="fast")] == 1
    assert found["ml_platform_slo_alert_firing", labels(**{**slo, "slo": "latency"}, burn="fast")] == 0
    rate = next(one["longRate"] for one in stands["burns"] if one["long"] == "1h")
    assert found["ml_platform_slo_error_ratio", labels(**slo, window="1h")] == pytest.approx(rate * 0.001)


def test_dashboards_are_listed_fetched_and_written(ward: Ward, tmp_path: Path, monkeypatch: Any) -> None:
    ward.services.overview.rebuild()
    ada = ward.ada
    first = ada.get("/dashboards", limit=2).json()
    rest = ada.get("/dashboards", limit=2, cursor=first["nextCursor"]).json()
    assert [(one["kind"], one["name"]) for one in [*first["items"], *rest["items"]]] == [
        ("model", "wine"), ("platform", "platform"), ("team", "group:default/risk")
    ]  # fmt: skip
    assert rest["nextCursor"] is None
    model = ada.get("/dashboards/model/wine").json()
    assert model["dashboard"]["uid"] == model["uid"] == "wine"
    assert model["monitors"] == []
    assert len(ada.get("/dashboards/model/wine", output="datadog").json()["monitors"]) == 4
    team = ada.get("/dashboards/team/group:default/risk", output="datadog").json()["dashboard"]
    assert team["template_variables"][1]["available_values"] == ["wine"]
    for path, status in {
        "/dashboards/model/nobody": 404,
        "/dashboards/team/group:default/nobody": 404,
        "/dashboards/team/%22%7D%0A": 404,
        "/dashboards/platform/other": 404,
        "/dashboards/house/wine": 422,
    }.items():
        answer = ada.get(path)
        assert answer.status_code == status, (path, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
    assert ada.get("/dashboards/model/wine", output="paper").status_code == 422
    targets = ada.get("/dashboards/scrape-targets").json()
    assert [one["labels"]["job"] for one in targets] == ["ml-platform-backend", "ml-platform-envoy"]

    def connected() -> PlatformClient:
        client = PlatformClient("http://testserver")
        headers = {"Authorization": f"Bearer {ada.token}"}
        inside = httpx.Client(transport=ward.backend.http._transport, base_url="http://testserver", headers=headers)
        client._transport._http = inside
        return client

    monkeypatch.setattr(session, "connected", connected)

    def platform(*arguments: str) -> tuple[int, Any]:
        done = CliRunner().invoke(cli, ["dashboards", "generate", "--json", *arguments], standalone_mode=False)
        return done.return_value or 0, json.loads(done.stdout) if done.stdout else done.stderr

    folder = tmp_path / "grafana"
    status, said = platform("--dest", str(folder))
    assert status == 0
    assert "dashboards/Models/wine.json" in said["written"]
    provider = yaml.safe_load((folder / "provisioning/dashboards/ml-platform.yaml").read_text())["providers"][0]
    assert provider["options"]["path"] == f"{folder}/dashboards"
    assert json.loads((folder / "dashboards/Models/wine.json").read_text()) == model["dashboard"]
    scrape = yaml.safe_load((folder / "prometheus/scrape.yaml").read_text())["scrape_configs"][0]
    assert scrape["http_sd_configs"][0]["url"] == "http://testserver/api/ml-platform/dashboards/scrape-targets"

    (folder / "dashboards/Models/mine.json").write_text("{}")
    (folder / "dashboards/Models/gone.json").write_text("{}")
    known = json.loads((folder / ".generated.json").read_text())
    (folder / ".generated.json").write_text(json.dumps([*known, "dashboards/Models/gone.json", "../outside"]))
    (tmp_path / "outside").write_text("kept")
    status, said = platform("--dest", str(folder))
    assert (said["written"], said["removed"]) == ([], ["dashboards/Models/gone.json"])
    assert (folder / "dashboards/Models/mine.json").exists()
    assert (tmp_path / "outside").exists()

    status, said = platform("--dest", str(tmp_path / "dd"), "--output", "datadog")
    agent = yaml.safe_load((tmp_path / "dd/agent/openmetrics.d/conf.yaml").read_text())["instances"][0]
    assert agent["openmetrics_endpoint"] == "http://testserver/metrics"
    assert "ml_platform_slo_alert_firing" in agent["metrics"]
    assert len(list((tmp_path / "dd/monitors").glob("wine-*.json"))) == 4
    assert platform("--dest", str(tmp_path / "none"), "--name", "nobody")[0] == 1
    (tmp_path / "file").write_text("")
    done = CliRunner().invoke(cli, ["dashboards", "generate", "--dest", str(tmp_path / "file")], standalone_mode=False)
    assert "is a file" in str(done.exception)
