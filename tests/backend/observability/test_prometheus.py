"""Error budgets as a real Prometheus records them by the generated rules, of series as they come in practice; and what the
platform says when that Prometheus is slow, down, back, or remembers little."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
import yaml

from backend.core.config_observability import PrometheusSettings
from backend.observability.evaluation import Evaluation
from backend.observability.prometheus import PrometheusClient, Recorded
from mlplatform.generate.objectives import objectives
from mlplatform.generate.render import render
from tests.marks import on_one_database
from tests.mlplatform.generate.specs import as_spec, minimal
from tests.monitoring import Server, prometheus
from tests.waiting import wait_until

from .conftest import SLOS, Ward

pytestmark = pytest.mark.slow

HALF = [{"name": "availability", "indicator": "availability", "objective": 50}]
SPEC = minimal(name="steady", slos=HALF)
WINDOW = next(one.window for one in objectives(as_spec(SPEC)))
RESTART = 7.0
"""Seconds after which the servers of some models begin to count anew, again and again."""
Counts = Callable[[float], list[tuple[str, float]]]
"""From the seconds since the start to labels besides those of the model, and what is counted."""


def answered(seconds: float, *, bad: float, **labels: str) -> list[tuple[str, float]]:
    """A server that answers a hundred requests a second, with a share of failures."""
    more = "".join(f', {name}="{value}"' for name, value in labels.items())
    good = f'code="200"{more}', 100 * seconds * (1 - bad)
    return [good, (f'code="500"{more}', 100 * seconds * bad)] if bad else [good]


def restarted(seconds: float) -> float:
    return seconds % RESTART


MODELS: dict[str, Counts] = {
    "steady": lambda at: answered(at, bad=0.1),
    "restarted": lambda at: answered(restarted(at), bad=0.1),
    "replicas": lambda at: [*answered(at, bad=0.2, pod="a"), *answered(restarted(at), bad=0.0, pod="b")],
    "unharmed": lambda at: answered(at, bad=0.0),
    "dead": lambda at: answered(at, bad=1.0)[1:],
    "wine": lambda at: answered(at, bad=0.1),
}
"""What the servers of each model count."""
DOUBLED = """\
slo:error_budget:remaining{environment="lab", model="doubled", slo="availability", replica="a"} 0.9
slo:error_budget:remaining{environment="lab", model="doubled", slo="availability", replica="b"} -0.2
"""


class Exporter:
    """What all servers say to whoever scrapes them."""

    def __init__(self) -> None:
        begun = time.monotonic()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                seconds = time.monotonic() - begun
                lines = [
                    f'model_server_requests_total{{model="{model}", environment="lab", {labels}}} {counted}'
                    for model, counts in MODELS.items()
                    for labels, counted in counts(seconds)
                    if self.path == "/metrics" or model == "steady"
                ]
                self.send_response(200)
                self.send_header("content-type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write(("\n".join(lines) + "\n" + DOUBLED).encode())

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self._server.serve_forever, args=[0.05], daemon=True).start()
        self.address = f"127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Prometheus that scrapes every second and evaluates the generated rules as often; one model it scrapes by two jobs."""
    folder = tmp_path_factory.mktemp("prometheus")
    for model in (*MODELS, "silent"):
        slos = SLOS if model == "wine" else HALF
        rules = render(as_spec(minimal(name=model, slos=slos)))["observability/rules.yaml"]
        assert "interval: 30s" in rules
        (folder / f"{model}.yaml").write_text(rules.replace("interval: 30s", "interval: 1s"), encoding="utf-8")
    exporter = Exporter()
    jobs = [
        {"job_name": name, "metrics_path": path, "static_configs": [{"targets": [exporter.address]}]}
        for name, path in (("servers", "/metrics"), ("again", "/again"))
    ]
    document = {"global": {"scrape_interval": "1s"}, "rule_files": ["*.yaml"], "scrape_configs": jobs}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(document), encoding="utf-8")
    with prometheus(folder / "prometheus.yml") as server:
        yield server
    exporter.close()


@dataclass
class Asked:
    """What the platform gets when it asks."""

    client: PrometheusClient

    def of(self, model: str) -> Recorded | None:
        window = next(pair.long for pair in objectives(as_spec(SPEC))[0].burns)
        found = self.client.recorded([window], time.time(), [WINDOW])
        return found.get(("lab", model, "availability"))


@pytest.fixture
def asked(measured: Server) -> Iterator[Asked]:
    client = PrometheusClient(PrometheusSettings(url=measured.url, timeout="5s"))
    found = Asked(client)
    wait_until(lambda: measured.query("min(resets(model_server_requests_total{model='restarted'}[1h])) > 0"), 60)
    wait_until(lambda: all(found.of(model) is not None for model in MODELS), 60, measured.said)
    yield found
    client.close()


@pytest.mark.parametrize(
    ("model", "left"),
    [
        ("steady", 0.8),  # scraped by two jobs, so that everything is counted twice
        ("restarted", 0.8),
        ("replicas", 0.8),
        ("unharmed", 1.0),  # no failure was ever counted, so there is no series of failures
        ("dead", -1.0),  # nor one of successes here
    ],
)
def test_budgets_are_right_whatever_servers_do(asked: Asked, measured: Server, model: str, left: float) -> None:
    def near() -> Recorded | None:
        found = asked.of(model)
        return found if found is not None and found.remaining == pytest.approx(left, abs=0.05) else None

    # On a machine with much to do it is some scrapes and evaluations until the rates are those of the servers.
    found = wait_until(near, 60, lambda: f"{asked.of(model)}; {measured.said()}")
    assert list(found.ratios.values()) == [pytest.approx((1 - left) / 2, abs=0.025)]
    assert not found.doubled


def test_of_what_nobody_counts_nothing_is_known(asked: Asked) -> None:
    assert asked.of("silent") is None


def test_of_two_records_the_worst_counts(asked: Asked) -> None:
    found = asked.of("doubled")
    assert found is not None
    assert (found.remaining, found.doubled) == (-0.2, True)


@on_one_database
def test_a_prometheus_that_is_slow_down_back_or_young(ward: Ward, measured: Server, asked: Asked) -> None:
    del asked  # by now there is a record
    ward.deploy(1)
    settings = PrometheusSettings(url=measured.url, timeout="2s")
    ward.watch.evaluation = Evaluation(ward.services, PrometheusClient(settings))
    ward.at = ward.services.clock.now().timestamp() - 120
    ward.pass_minutes(2, 1, requests=1000)

    def stands() -> tuple[str, str, str]:
        ward.at = ward.services.clock.now().timestamp()
        ward.judge()
        found = ward.slos()["availability"]
        return found["source"], found["state"], found["note"] or ""

    wait_until(lambda: stands() == ("prometheus", "breached", ""), 60)
    with measured.held_still():
        source, state, note = stands()
    assert (source, state) == ("samples", "met")
    assert "did not answer in time" in note
    measured.stop()
    source, state, note = stands()
    assert (source, state) == ("samples", "met")
    assert "can't be reached" in note
    measured.start()
    wait_until(lambda: stands() == ("prometheus", "breached", ""), 60)

    # The platform has seen three days, of which this Prometheus knows minutes.
    before = ward.services.clock.now().timestamp()
    ward.watch.evaluation = Evaluation(ward.services, PrometheusClient(settings))
    for hours in range(72, 0, -1):
        ward.hand.serve(1, 60_000)
        ward.watch.evaluation.sample(ward.hand.samples(), before - hours * 3600)
    wait_until(lambda: "remembers only" in stands()[2], 60)
    source, state, note = stands()
    assert (source, state) == ("samples", "met")
    assert " of the 2d" in note
