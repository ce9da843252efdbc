"""Watches what is live: reads counters into the store, and judges objectives by it or by what a Prometheus recorded."""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

import numpy as np
from sqlalchemy.orm import Session

from backend.deployments.targets.base import Sample, VersionKey
from backend.observability.burn import Counts, Judged, burning, judge, ratio_of
from backend.observability.prometheus import Key, PrometheusClient, PrometheusUnavailable, Recorded, step
from backend.observability.slos import Alert, Evaluated
from backend.observability.store import REQUESTS, SampleStore, counts_of, moments
from mlplatform.generate.objectives import Objective
from mlplatform.spec.model import ModelSpec, ModelType
from mlplatform.spec.quantities import format_duration

if TYPE_CHECKING:
    from backend.core.container import Services

_AT_ONCE = 50
_MARGIN = 600.0
"""Seconds before a window of which counts are read too; the rules' own rate reaches back five minutes."""

_MOST_MISSING = 0.1
"""Part of the time with events that a Prometheus may lack and still be believed."""

_log = logging.getLogger(__name__)


class Judgements(Protocol):
    """Whoever judges quality and drift: at these times (seconds since the epoch) it was good, or not."""

    def __call__(
        self, session: Session, environment: str, model: str, indicator: str, since: datetime
    ) -> Sequence[tuple[float, bool]]:
        """Return the judgements since a time."""
        ...


class Evaluation:
    """One object per process; its methods are called by one thread."""

    def __init__(self, services: "Services", prometheus: PrometheusClient | None = None) -> None:
        self._services = services
        settings = services.settings.observability.prometheus
        self._prometheus = prometheus or (PrometheusClient(settings) if settings is not None else None)
        self._store = SampleStore()
        self._said = ""
        self.judgements: Judgements | None = None

    def forget(self) -> None:
        """Begin anew with what is stored: another process may have sampled meanwhile."""
        self._store = SampleStore()

    @property
    def sampled(self) -> bool:
        """Whether there is something to be written."""
        return self._store.loaded

    def close(self) -> None:
        """Close connections."""
        if self._prometheus is not None:
            self._prometheus.close()

    def sample(self, samples: Sequence[Sample], at: float) -> None:
        """Take a reading of all versions' counters, and of what is held against thresholds at this moment."""
        with self._services.database.read() as session:
            if not self._store.loaded:
                self._store.load(session)
            serving = self._services.deployments.serving(session)
            live = self._services.slos.live(session)
            fresh = dict(self._services.batch.last_successes(session)) if any(_is_batch(one) for one in live) else {}
        self._store.take(samples, at, serving)
        lags = {one.key: one.lag for one in samples}
        for key, _, own in live:
            for objective in own:
                value = self._moment(key, objective, lags, fresh, at)
                if value is not None and objective.threshold is not None:
                    self._store.moment(key, objective.name, at, bad=value > objective.threshold.total_seconds())

    def flush(self, now: float) -> None:
        """Write what was sampled."""
        with self._services.database.write() as session:
            self._store.flush(session, now)
        self._store.written(now)

    def evaluate(self, at: float) -> list[Alert]:
        """Judge all objectives of what is live, and write down how they stand; return what fires and what has ended."""
        now = datetime.fromtimestamp(at, UTC)
        with self._services.database.read() as session:
            live = self._services.slos.live(session)
        recorded, fault = self._recorded([objective for _, _, own in live for objective in own], at)
        alerts: list[Alert] = []
        for first in range(0, len(live), _AT_ONCE):
            evaluated = []
            with self._services.database.read() as session:
                for key, spec, own in live[first : first + _AT_ONCE]:
                    for objective in own:
                        found = recorded.get((key.environment, key.model, objective.name))
                        evaluated.append(self._judged(session, key, spec, objective, found, fault, at))
            with self._services.database.write() as session:
                some = self._services.slos.keep(session, evaluated, now)
                self._services.incidents.take_own(session, some)
            alerts += some
        keys = {(key.environment, key.model, one.name) for key, _, own in live for one in own}
        with self._services.database.write() as session:
            self._services.slos.drop(session, keys)
        return alerts

    def counts(
        self,
        session: Session,
        key: VersionKey,
        spec: ModelSpec,
        objective: Objective,
        at: float,
        *,
        alone: bool = False,
    ) -> Counts:
        """Return the events of an objective from the own store; ``alone`` for those of this version and no other."""
        window = max([objective.window, *(pair.long for pair in objective.burns)]).total_seconds() + _MARGIN
        place = key.environment, key.model
        since = datetime.fromtimestamp(at - window, UTC)
        if objective.indicator in ("quality", "drift"):
            told = self.judgements(session, *place, objective.indicator, since) if self.judgements is not None else ()
            return Counts.of([(when, 1, int(not good)) for when, good in told])
        if spec.type is ModelType.BATCH and objective.indicator == "availability":
            runs = self._services.batch.ended(session, *place, since)
            return Counts.of([(when.timestamp(), 1, int(not good)) for when, good in runs])
        held = objective.indicator in ("freshness", "lag")
        threshold = objective.threshold if objective.indicator == "latency" else None
        return counts_of(
            session,
            *place,
            moments(objective.name) if held else REQUESTS,
            now=at,
            seconds=window,
            threshold_ms=None if threshold is None else threshold.total_seconds() * 1000,
            version=key.version if alone else None,
        )

    def _judged(
        self,
        session: Session,
        key: VersionKey,
        spec: ModelSpec,
        objective: Objective,
        recorded: Recorded | None,
        fault: str | None,
        at: float,
    ) -> Evaluated:
        counts = self.counts(session, key, spec, objective, at)
        own = judge(objective, counts, at)
        lacking = _lacking(objective, counts, recorded, at)
        if recorded is not None and recorded.remaining is not None and lacking is None:
            judged = Judged(
                recorded.remaining,
                (1 - recorded.remaining) * objective.budget,
                own.total,
                own.bad,
                burning(objective, recorded.ratios),
            )
            note = "Prometheus has more than one series of it; the worst one counts" if recorded.doubled else None
            return Evaluated(key, objective, judged, "prometheus", note)
        note = fault
        if fault is None and self._prometheus is not None and objective.burns:
            note = f"Prometheus {lacking or 'has no series of it'}; these are the platform's own samples"
        return Evaluated(key, objective, own, "samples", note)

    def _recorded(self, own: Sequence[Objective], at: float) -> tuple[dict[Key, Recorded], str | None]:
        """Ask Prometheus, if there is one; say what was wrong where it does not answer."""
        if self._prometheus is None or not own:
            return {}, None
        windows = {window for one in own for pair in one.burns for window in (pair.long, pair.short)}
        budgets = {one.window for one in own if one.burns}
        try:
            found, said = self._prometheus.recorded(windows, at, budgets), ""
        except PrometheusUnavailable as error:
            found, said = {}, f"Prometheus: {error}; these are the platform's own samples"
        if said and said != self._said:
            _log.warning("%s", said)
        elif self._said and not said:
            _log.info("Prometheus answers again")
        self._said = said
        return found, said or None

    def _moment(
        self,
        key: VersionKey,
        objective: Objective,
        lags: dict[VersionKey, float | None],
        fresh: dict[tuple[str, str], datetime],
        at: float,
    ) -> float | None:
        """Return what is held against the threshold now, in seconds; ``None`` where events are counted, or nothing is known."""
        if objective.indicator == "lag":
            return lags.get(key)
        last = fresh.get((key.environment, key.model)) if objective.indicator == "freshness" else None
        return None if last is None else max(at - last.timestamp(), 0.0)


def _lacking(objective: Objective, counts: Counts, recorded: Recorded | None, at: float) -> str | None:
    """Say what a Prometheus lacks of what the platform knows of an objective; ``None`` if it knows enough, or nothing at all."""
    if recorded is None or recorded.remaining is None or not objective.burns:
        return None
    newest = min(pair.long for pair in objective.burns)
    if newest not in recorded.ratios and ratio_of(counts, at, newest) is not None:
        return f"has recorded nothing of it in the last {format_duration(newest)}"
    every = step(objective.window)
    inside = counts.at[counts.at > at - objective.window.total_seconds()]
    # Moments with events are compared: a model that nobody asked for a week has a record of it in neither.
    seen = len(np.unique(inside // every)) * every
    covered = recorded.covered.get(objective.window, 0.0)
    if covered >= (1 - _MOST_MISSING) * seen - 2 * every:
        return None
    known, all_of_it = (format_duration(timedelta(seconds=60 * round(one / 60))) for one in (covered, seen))
    return f"remembers only {known} of the {all_of_it} in which there was something to count"


def _is_batch(one: tuple[VersionKey, ModelSpec, list[Objective]]) -> bool:
    return one[1].type is ModelType.BATCH
