"""What the backend exports for dashboards: which models there are, and how their objectives stand.

All of it is looked up at each scrape, so that every process says the same and nothing is forgotten at a restart. Whoever has no
Prometheus that evaluates recording rules finds error budgets here.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from backend.dashboards.panels import FIRING, INFO, LIVE, RATIO, REMAINING

if TYPE_CHECKING:
    from backend.core.container import Services

_PLACE = ("environment", "model")


class Exported(Collector):
    """See the module's docstring."""

    def __init__(self, services: "Services") -> None:
        self._services = services

    def describe(self) -> Iterator[Metric]:
        """Name the metrics without asking the database."""
        yield from _families()

    def collect(self) -> Iterator[Metric]:
        """Yield what the database says; a database that does not answer is a gap in these series and no error."""
        families = _families()
        try:
            with self._services.database.read() as session:
                self._fill(session, *families)
        except SQLAlchemyError:
            return
        yield from families

    def _fill(
        self,
        session: Session,
        info: GaugeMetricFamily,
        live: GaugeMetricFamily,
        remaining: GaugeMetricFamily,
        ratio: GaugeMetricFamily,
        firing: GaugeMetricFamily,
    ) -> None:
        for row in self._services.overview.labelled(session):
            info.add_metric([row.name, row.owner, row.type, str(row.tier)], 1)
        for environment, model, version in self._services.deployments.live_everywhere(session):
            live.add_metric([environment, model], version)
        for standing in self._services.slos.everywhere(session):
            place = [standing.environment, standing.model, standing.slo]
            if standing.remaining is not None:
                remaining.add_metric(place, standing.remaining)
            allowed = (100 - standing.objective) / 100
            for window, rate in sorted(_rates(standing.burns).items()):
                ratio.add_metric([*place, window], rate * allowed)
            for burn in sorted({str(one["alert"]) for one in standing.burns}):
                firing.add_metric([*place, burn], float(burn in standing.firing))


def _rates(burns: list[dict[str, object]]) -> dict[str, float]:
    """Return how fast the budget burns by window."""
    found = {}
    for burn in burns:
        for window, rate in ((burn["long"], burn["longRate"]), (burn["short"], burn["shortRate"])):
            if isinstance(rate, int | float):
                found[str(window)] = float(rate)
    return found


def _families() -> tuple[GaugeMetricFamily, ...]:
    place = [*_PLACE, "slo"]
    return (
        GaugeMetricFamily(
            INFO, "A registered model; the value is always 1.", labels=["model", "owner", "type", "tier"]
        ),
        GaugeMetricFamily(LIVE, "The version of a model that is live.", labels=list(_PLACE)),
        GaugeMetricFamily(REMAINING, "Part of an error budget that is left.", labels=place),
        GaugeMetricFamily(RATIO, "Share of bad events in a window.", labels=[*place, "window"]),
        GaugeMetricFamily(FIRING, "Whether the alert fires.", labels=[*place, "burn"]),
    )
