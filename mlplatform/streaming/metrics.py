"""What a worker tells Prometheus about its stream, beside what the model server tells about itself."""

from collections.abc import Callable

from prometheus_client import Counter, Gauge, Histogram

from mlplatform.serving.metrics import LABELS, Metrics

ANSWERED, INVALID, DEAD_LETTER, REDELIVERED = "answered", "invalid", "dead_letter", "redelivered"
SHADOWED, SHADOW_FAILED, PASSED_OVER = "shadowed", "shadow_failed", "passed_over"
OUTCOMES = {
    ANSWERED: "the answer is published",
    INVALID: "it does not fit the schema; dead letter",
    REDELIVERED: "the model failed on it; it is delivered again",
    DEAD_LETTER: "the model failed on it for the last time; dead letter",
    SHADOWED: "scored, and the answer thrown away",
    SHADOW_FAILED: "the model failed on a mirrored one",
    PASSED_OVER: "another version answers for it",
}
"""What can become of one delivery of a message."""


def bounds(start: float = 0.0005, end: float = 60.0, ratio: float = 1.2) -> tuple[float, ...]:
    """Return bucket bounds in seconds that rise by a fixed ratio: rollouts are judged by percentiles of this histogram."""
    found: list[float] = []
    bound = start
    while bound < end:
        found.append(float(f"{bound:.3g}"))
        bound *= ratio
    return (*found, end)


class StreamMetrics:
    """Counters, gauges and the histogram of one worker."""

    def __init__(self, metrics: Metrics) -> None:
        labels, registry = metrics.labels, metrics.registry
        messages = Counter(
            "mlplatform_stream_messages",
            f"Deliveries of messages by outcome: {'; '.join(f'{name} - {said}' for name, said in OUTCOMES.items())}.",
            (*LABELS, "outcome"),
            registry=registry,
        )
        self._messages = {outcome: messages.labels(*labels, outcome) for outcome in OUTCOMES}
        self._processing = Histogram(
            "mlplatform_stream_processing_seconds",
            "Time from handing a message to the model to the broker's confirmation of its answer.",
            LABELS,
            buckets=bounds(),
            registry=registry,
        ).labels(*labels)
        self._lag_messages = _gauge(metrics, "lag_messages", "Messages of the input that the version has not done yet.")
        self._lag_seconds = _gauge(
            metrics, "lag_seconds", "Age of the oldest message that the version has not done yet."
        )
        self._in_flight = _gauge(metrics, "in_flight", "Messages that were fetched and are not answered yet.")
        self._connected = _gauge(metrics, "connected", "Whether the broker can be used.")
        self._share = _gauge(metrics, "share", "Percent of keys that the version answers for.")

    def count(self, outcome: str, messages: int = 1) -> None:
        """Count what became of a message."""
        self._messages[outcome].inc(messages)

    def took(self, seconds: float) -> None:
        """Take the time of a message that the model answered or failed on."""
        self._processing.observe(seconds)

    def lag(self, messages: int, seconds: float) -> None:
        """Take how far the version is behind."""
        self._lag_messages.set(messages)
        self._lag_seconds.set(seconds)

    def watch(self, in_flight: Callable[[], float], connected: Callable[[], float], share: Callable[[], float]) -> None:
        """Read these figures at each scrape."""
        self._in_flight.set_function(in_flight)
        self._connected.set_function(connected)
        self._share.set_function(share)


def _gauge(metrics: Metrics, name: str, help: str) -> Gauge:
    return Gauge(f"mlplatform_stream_{name}", help, LABELS, registry=metrics.registry).labels(*metrics.labels)
