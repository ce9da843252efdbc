"""Prometheus metrics of batch runs. Trials publish nothing and are not counted."""

from collections.abc import Iterator

from prometheus_client import Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from backend.batch import repository
from backend.batch.models import BatchRun, Cause
from backend.core.database import Database
from backend.core.metrics import Metrics

_SECONDS = (1, 5, 15, 60, 300, 900, 3600, 4 * 3600)


class BatchMetrics:
    """What this process has seen, and when each model was last scored well."""

    def __init__(self, metrics: Metrics, database: Database) -> None:
        place = ["environment", "model"]
        self._runs = Counter(
            "ml_platform_batch_runs", "Batch runs that are over.", [*place, "outcome"], registry=metrics.registry
        )
        self._rows = Counter(
            "ml_platform_batch_rows",
            "Rows of batch runs that ended well, scored or rejected.",
            [*place, "outcome"],
            registry=metrics.registry,
        )
        self._seconds = Histogram(
            "ml_platform_batch_run_duration_seconds",
            "Time from the first attempt to the end of a batch run.",
            place,
            buckets=_SECONDS,
            registry=metrics.registry,
        )
        metrics.look_up(_LastSuccess(database))

    def over(self, run: BatchRun) -> None:
        """Count a run that has just ended."""
        if run.cause == Cause.TRIAL:
            return
        place = (run.environment, run.model)
        self._runs.labels(*place, run.state).inc()
        if run.started_at is not None and run.finished_at is not None:
            self._seconds.labels(*place).observe((run.finished_at - run.started_at).total_seconds())
        if run.state == "succeeded":
            self._rows.labels(*place, "scored").inc(run.rows or 0)
            self._rows.labels(*place, "rejected").inc(run.rejected or 0)


class _LastSuccess(Collector):
    """Read from the database at each scrape: an alert on staleness must survive restarts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def describe(self) -> Iterator[Metric]:
        """Name the metric without asking the database."""
        yield _family()

    def collect(self) -> Iterator[Metric]:
        """Yield when each model in each environment was last scored well."""
        family = _family()
        try:
            with self._database.read() as session:
                for environment, model, at in repository.last_successes(session):
                    family.add_metric([environment, model], at.timestamp())
        except SQLAlchemyError:
            return  # a gap in the series says it; the other metrics are still to be had
        yield family


def _family() -> GaugeMetricFamily:
    return GaugeMetricFamily(
        "ml_platform_batch_last_success_timestamp_seconds",
        "When a day of the model was last scored well, or found unchanged.",
        labels=["environment", "model"],
    )
