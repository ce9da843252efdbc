"""The story of a broken promise, with a real Prometheus and a real Alertmanager beside the platform, configured as the manual
says: a version turns slow after it was promoted, an alert fires, an incident opens, and the platform goes back by itself."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from demo.shell import Person, wait_until
from tests.journeys.conftest import ROOT, RunningPlatform
from tests.journeys.overload import enriched, urgent
from tests.journeys.story import ENVIRONMENT, Model
from tests.monitoring import Server, alertmanager, prometheus
from tests.ports import free_ports
from tests.tools import tool

pytestmark = [pytest.mark.journey, pytest.mark.timeout(900)]

MANUAL = ROOT / "techdocs/docs/operate/prometheus-and-alertmanager.md"
TOKEN = "ml-platform-token"


@dataclass
class Watched:
    """A model whose objectives Prometheus records, and whose alerts Alertmanager sends."""

    model: Model
    prometheus: Server
    alertmanager: Server
    overloaded: Path
    """While this file is there, the service that the second version asks is slow."""

    def slos(self) -> dict[str, dict[str, Any]]:
        """What `platform slo` says, by objective; its exit status is 1 when a budget is gone."""
        found = self.model.author.platform("slo", expect=None)
        assert found.status == int(found.document["state"] == "breached")
        return {one["slo"]: one for one in found.document["slos"]}

    def incidents(self, **query: str) -> list[dict[str, Any]]:
        """What `platform incidents list` shows of the model."""
        options = [part for name, value in query.items() for part in (f"--{name}", value)]
        found = self.model.author.platform("incidents", "list", "--model", self.model.name, *options)
        items: list[dict[str, Any]] = found.document["items"]
        return items


def blocks() -> dict[str, str]:
    """Return the YAML of the manual, by the name of the file that it is to be."""
    found = re.findall(r'```yaml title="[^"]*?([a-z-]+\.yml)"\n(.*?)```', MANUAL.read_text(encoding="utf-8"), re.DOTALL)
    return dict(found)


def keep_token(person: Person, folder: Path) -> None:
    """Write a person's token where the manual wants it."""
    shown = person.platform("login", "--show-token").document["token"]
    (folder / TOKEN).write_text(shown, encoding="utf-8")


@pytest.fixture(scope="module")
def watched(running_platform: RunningPlatform) -> Iterator[Watched]:
    """A model of tier 1, its first version live, with Prometheus and Alertmanager set up by the manual."""
    for name in ("prometheus", "prometheus-alertmanager", "promtool", "amtool"):
        tool(name, "Debian packages prometheus and prometheus-alertmanager")
    model = Model(running_platform, "promise")
    model.change(urgent, "Wake somebody, and roll out in one step")
    model.author.platform("generate")
    model.author.commit("Derive the alerts of tier 1")
    folder = running_platform.work / "monitoring"
    homes = {name: folder / name for name in ("prometheus", "alertmanager")}
    (alerts,) = free_ports(1)
    there = {
        "https://ml-platform.example.org": running_platform.url,
        "/srv/models/*": str(model.folder),
        "127.0.0.1:9093": f"127.0.0.1:{alerts}",
    }
    for name, home in homes.items():
        home.mkdir(parents=True)
        keep_token(running_platform.signed_in(name), home)
        text = blocks()[f"{name}.yml"]
        for written, real in there.items():
            text = text.replace(written, real)
        (home / f"{name}.yml").write_text(text, encoding="utf-8")
    configs = [home / f"{name}.yml" for name, home in homes.items()]
    port = urlsplit(running_platform.prometheus).port
    with prometheus(configs[0], port=port) as metrics, alertmanager(configs[1], port=alerts) as pager:
        requested = model.ship()
        assert model.ended(requested["id"])["outcome"] == "promoted"
        yield Watched(model, metrics, pager, folder / "overloaded")
    shutil.rmtree(folder, ignore_errors=True)


class TestBrokenPromise:
    """The tests build on one another, as a story does; each is a chapter."""

    def test_the_configuration_is_that_of_the_platform(self, watched: Watched, tmp_path: Path) -> None:
        home = watched.model.platform.work / "monitoring"
        for program, arguments in (
            ("promtool", ("check", "config", str(home / "prometheus/prometheus.yml"))),
            ("amtool", ("check-config", str(home / "alertmanager/alertmanager.yml"))),
        ):
            done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
        watched.model.author.platform("dashboards", "generate", "--dest", str(tmp_path))
        written = yaml.safe_load((tmp_path / "prometheus/scrape.yaml").read_text(encoding="utf-8"))
        configured = yaml.safe_load((home / "prometheus/prometheus.yml").read_text(encoding="utf-8"))
        assert configured["scrape_configs"] == written["scrape_configs"]

    def test_an_alert_opens_an_incident_and_its_end_ends_it(self, watched: Watched) -> None:
        """The drill of the manual: it shows that an alert arrives, before one has to."""
        amtool = [
            tool("amtool", "Debian package prometheus-alertmanager"),
            f"--alertmanager.url={watched.alertmanager.url}",
        ]
        labels = ["alertname=Drill", "severity=ticket", f"model={watched.model.name}", f"environment={ENVIRONMENT}"]
        subprocess.run(
            [*amtool, "alert", "add", *labels, "--annotation=summary=a drill"], check=True, capture_output=True
        )
        (incident,) = wait_until(
            lambda: watched.incidents(state="open"), seconds=60, what=f"the drill; {watched.alertmanager.said()}"
        )
        assert (incident["title"], incident["severity"], incident["owner"]) == (
            "a drill",
            "ticket",
            "group:default/risk",
        )
        assert incident["alerts"][0]["source"] == "alertmanager"
        resolved = watched.model.author.platform(
            "incidents", "resolve", incident["id"], "--cause", "false-alarm", "--resolution", "it was a drill"
        )
        assert resolved.document["state"] == "resolved"

    def test_a_slow_version_is_found_told_and_taken_back(self, watched: Watched) -> None:
        model = watched.model
        model.change(enriched(watched.overloaded), "Look each request up")
        requested = model.ship()
        with model.users(rate=20, seconds=600):
            rollout = model.ended(requested["id"])
            assert rollout["outcome"] == "promoted", rollout["reason"]
            wait_until(self._all_from_prometheus(watched), seconds=120, what="objectives that Prometheus has recorded")
            assert "fast" not in watched.slos()["latency"]["firing"]
            watched.overloaded.touch()
            wait_until(lambda: model.weights() == {1: 100}, seconds=240, what="the way back to the first version")
            wait_until(lambda: self._fires(watched), seconds=120, what=f"the alert; {watched.prometheus.said()}")
            (listed,) = wait_until(lambda: watched.incidents(state="open"), seconds=60, what="the incident")
        back = model.get(f"/deployments?model={model.name}")["items"][0]
        assert (back["kind"], back["version"], back["requestedBy"]) == ("rollback", 1, "service:ml-platform")
        assert "latency" in back["reason"]

        assert (listed["severity"], listed["environment"]) == ("page", ENVIRONMENT)
        assert listed["onCall"] == {
            "group": "group:default/risk", "name": "risk", "who": "user:default/grace", "email": "risk@example.org"
        }  # fmt: skip
        assert listed["runbook"].endswith(f"/docs/default/component/{model.name}/runbook/#latencybudgetburn")
        suspect = listed["suspects"][0]
        assert (suspect["kind"], suspect["version"], suspect["deployment"]) == ("rollout", 2, rollout["id"])
        assert "LatencyBudgetBurn/latency/fast" in {one["name"] for one in listed["alerts"]}
        assert "rolled_back" in {one["kind"] for one in self._whole(watched, listed["id"])["timeline"]}

    @staticmethod
    def _all_from_prometheus(watched: Watched) -> Any:
        return lambda: {one["source"] for one in watched.slos().values()} == {"prometheus"}

    @staticmethod
    def _fires(watched: Watched) -> bool:
        """Whether Prometheus fires, Alertmanager has it, and everything that it sent was taken."""
        found = watched.prometheus.query(f'ALERTS{{alertname="LatencyBudgetBurn", model="{watched.model.name}"}}')
        sent = [one["labels"]["alertname"] for one in watched.alertmanager.get("/api/v2/alerts")]
        return bool(found) and "LatencyBudgetBurn" in sent

    @staticmethod
    def _whole(watched: Watched, incident: str) -> dict[str, Any]:
        return watched.model.author.platform("incidents", "show", incident).document

    def test_alertmanager_told_the_same_and_all_of_it_was_taken(self, watched: Watched) -> None:
        name = "LatencyBudgetBurn/latency/fast"
        (listed,) = watched.incidents(state="open")

        def told() -> bool:
            whole = self._whole(watched, listed["id"])
            found = next(one for one in whole["alerts"] if one["name"] == name)
            return "alertmanager" in found["sources"]

        wait_until(told, seconds=120, what=f"Alertmanager's word; {watched.alertmanager.said()}")
        assert len(watched.incidents(state="open")) == 1, "what is said twice is one incident"

    def test_the_budget_is_the_one_that_prometheus_has_recorded(self, watched: Watched) -> None:
        found = watched.slos()["latency"]
        assert (found["state"], found["source"], found["note"]) == ("breached", "prometheus", None)
        selector = f'{{model="{watched.model.name}", slo="latency", environment="{ENVIRONMENT}"}}'
        answer = watched.prometheus.get(
            "/api/v1/query", query=f"slo:error_budget:remaining{selector}", time=found["evaluatedAt"]
        )
        (recorded,) = answer["data"]["result"]
        assert found["remaining"] == pytest.approx(float(recorded["value"][1]))
        row = watched.model.get(f"/overview/models/{watched.model.name}")
        assert row["slo"]["state"] == "breached"

    def test_a_person_ends_it_and_the_same_alert_opens_no_other(self, watched: Watched) -> None:
        model = watched.model
        (listed,) = watched.incidents(state="open")
        model.approver.platform("incidents", "ack", listed["id"], "--comment", "v2 was taken back")
        words = ("--cause", "change", "--resolution", "v2 asks a service that can't keep up")
        resolved = model.approver.platform("incidents", "resolve", listed["id"], *words).document
        assert (resolved["state"], resolved["cause"]) == ("resolved", "change")
        before = watched.slos()["latency"]["evaluatedAt"]
        # Both the platform and Prometheus go on firing for as long as the windows remember.
        wait_until(lambda: watched.slos()["latency"]["evaluatedAt"] > before, seconds=60, what="the next judgement")
        assert watched.slos()["latency"]["firing"]
        assert watched.incidents(state="open") == []
        page = model.author.platform("incidents", "postmortem", listed["id"]).document["markdown"]
        assert "v2 asks a service that can't keep up" in page

    def test_figures_cost_and_the_audit_log_have_it(self, watched: Watched) -> None:
        model = watched.model
        incident = watched.incidents(severity="page", state="resolved")[0]
        restored = model.author.platform("metrics", "restore-minutes-median").document
        assert f"incident:{incident['id']}" in {one["subject"] for one in restored["evidence"]}
        failed = model.author.platform("metrics", "change-failure-rate").document
        mine = [one for one in failed["evidence"] if one["subject"].startswith(f"model:{model.name}/")]
        assert {one["note"].partition(" ")[0]: one["value"] for one in mine} == {"v1": 0, "v2": 1}
        cost = wait_until(
            lambda: model.author.platform("cost", "--model", model.name).document["groups"],
            seconds=120,
            what="its cost",
        )
        assert {one["version"] for one in cost} >= {1, 2}

        events = model.events()
        kinds = {one["type"].removeprefix("ml-platform.") for one in events}
        assert kinds >= {
            "observability.slo.breached",
            "observability.incident.opened",
            "observability.incident.acknowledged",
            "observability.incident.resolved",
        }
        opened = [one for one in events if one["type"].endswith("incident.opened")]
        assert len(opened) == 2, "the drill and the slow version"
        assert opened[-1]["data"]["suspects"][0]["version"] == 2
        assert model.author.platform("audit", "verify").document["valid"] is True

    def test_without_prometheus_the_own_samples_stand_in(self, watched: Watched) -> None:
        watched.prometheus.stop()
        wait_until(
            lambda: watched.slos()["latency"]["source"] == "samples",
            seconds=60,
            what="a judgement by the platform's own samples",
        )
        found = watched.slos()["latency"]
        assert found["state"] == "breached"
        assert "can't be reached" in found["note"]
