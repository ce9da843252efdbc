"""What the server tells Prometheus. All series carry model, version and environment, bound once."""

from collections.abc import Callable
from http import HTTPStatus

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector, generate_latest

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
LABELS = ("model", "version", "environment")
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 1024, 4096)


class Metrics:
    """Counters and histograms of one model server."""

    def __init__(self, model: str, version: str, environment: str) -> None:
        self.registry = CollectorRegistry()
        self.labels = (model, version, environment)
        names = LABELS
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "model_server_requests",
            "Prediction requests by protocol and status.",
            (*names, "protocol", "code"),
            registry=self.registry,
        )
        self._latency = Histogram(
            "model_server_request_duration_seconds",
            "Time from the request's headers to its answer.",
            (*names, "protocol"),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._problems = Counter(
            "model_server_problems",
            "Prediction requests not answered, by problem.",
            (*names, "problem"),
            registry=self.registry,
        )
        call = Histogram(
            "model_server_call_duration_seconds",
            "Time in one call of the model.",
            names,
            buckets=_SECONDS,
            registry=self.registry,
        )
        batch = Histogram(
            "model_server_batch_rows", "Rows in one call of the model.", names, buckets=_ROWS, registry=self.registry
        )
        self._waiting = Gauge("model_server_waiting_rows", "Rows that wait for a call.", names, registry=self.registry)
        self._running = Gauge(
            "model_server_running_requests", "Prediction requests not yet answered.", names, registry=self.registry
        )
        self._ready = Gauge("model_server_ready", "Whether predictions are answered.", names, registry=self.registry)
        self._load = Gauge(
            "model_server_load_seconds", "Time that loading and warming up took.", names, registry=self.registry
        )
        self._info = Info("model_server_model", "How the model is called.", names, registry=self.registry)
        self._call, self._batch = call.labels(*self.labels), batch.labels(*self.labels)
        self._bound_latency = {protocol: self._latency.labels(*self.labels, protocol) for protocol in ("v1", "v2")}
        self._bound_fine = {protocol: self._requests.labels(*self.labels, protocol, "200") for protocol in ("v1", "v2")}

    def watch(self, waiting: Callable[[], float], running: Callable[[], float], ready: Callable[[], float]) -> None:
        """Read these figures at each scrape."""
        self._waiting.labels(*self.labels).set_function(waiting)
        self._running.labels(*self.labels).set_function(running)
        self._ready.labels(*self.labels).set_function(ready)

    def loaded(self, seconds: float, *, flavour: str, way: str, row_wise: bool) -> None:
        """Tell how the model was loaded."""
        self._load.labels(*self.labels).set(seconds)
        self._info.labels(*self.labels).info({"flavour": flavour, "way": way, "batched": str(row_wise).lower()})

    def answered(self, protocol: str, seconds: float) -> None:
        """Count a request that was answered."""
        self._bound_fine[protocol].inc()
        self._bound_latency[protocol].observe(seconds)

    def refused(self, protocol: str, status: HTTPStatus, slug: str, seconds: float) -> None:
        """Count a request that ended in a problem."""
        self._requests.labels(*self.labels, protocol, str(status.value)).inc()
        self._problems.labels(*self.labels, slug).inc()
        self._bound_latency[protocol].observe(seconds)

    def called(self, rows: int, seconds: float) -> None:
        """Count one call of the model."""
        self._batch.observe(rows)
        self._call.observe(seconds)

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry)
