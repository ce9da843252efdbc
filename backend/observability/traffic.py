"""What users of a model met over time: requests, errors and latency of each version, beside what is promised."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy.orm import Session

from backend.core.errors import InvalidInput
from backend.deployments.models import TrafficState
from backend.observability import repository
from backend.observability.points import Grid, grid, known, quantiles, rows_by_version
from backend.observability.series import TIERS, WIDTH, Rows
from backend.observability.store import REQUESTS, counts_of, moments
from mlplatform.generate.objectives import Objective
from mlplatform.spec.model import ModelType

if TYPE_CHECKING:
    from backend.core.container import Services

LONGEST = timedelta(seconds=TIERS[-1].keep)
"""As long as anything is kept."""
MOST_VERSIONS = 12
_MOMENT = 2
_HELD = ("freshness", "lag")
_OF_REQUESTS = ("availability", "latency")


@dataclass(frozen=True)
class TrafficPoint:
    """One point of a version: what began at ``at`` and ended a step later; latency in milliseconds."""

    at: datetime
    requests: int
    rate: float | None
    """Requests a second; ``None`` as long as less than the finest slot is known of the point."""
    error_ratio: float | None
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True)
class VersionTraffic:
    """What a version answered."""

    version: int
    live: bool
    points: list[TrafficPoint]


@dataclass(frozen=True)
class Limit:
    """What an objective allows at most: a share of errors, or a time (milliseconds) for ``objective`` percent of the answers."""

    slo: str
    indicator: str
    objective: float
    meaning: str
    error_ratio: float | None
    latency_ms: float | None


@dataclass(frozen=True)
class MomentPoint:
    """The share of moments since ``at`` at which an objective did not hold."""

    at: datetime
    moments: int
    bad_ratio: float


@dataclass(frozen=True)
class VersionMoments:
    """How an objective held that counts moments, such as freshness."""

    slo: str
    indicator: str
    version: int
    points: list[MomentPoint]


@dataclass(frozen=True)
class Traffic:
    """A model in an environment over a window."""

    model: str
    type: str
    environment: str
    begins_at: datetime
    ends_at: datetime
    step_seconds: int
    versions: list[VersionTraffic]
    left_out: list[int]
    limits: list[Limit]
    moments: list[VersionMoments]


class TrafficService:
    """See the module's docstring."""

    def __init__(self, services: "Services") -> None:
        self._services = services

    def of_model(
        self,
        session: Session,
        environment: str,
        model: str,
        *,
        since: datetime | None,
        until: datetime | None,
        window: timedelta,
    ) -> Traffic:
        """Return what the versions of a model did in an environment between two times, as far as the own store knows.

        Without ``since`` it is the ``window`` that ends with ``until``, and without that with now.

        Raises:
            NotFound: there is no such environment or model.
            InvalidInput: the window is empty, begins in the future, ends before anything is kept, or is longer than that.
        """
        place = self._services.deployments.place(session, environment, model)
        now = self._services.clock.now()
        until = now if until is None else min(until, now)
        if until <= now - LONGEST:
            raise InvalidInput("what was so long ago is not kept", fix="Let `to` be within the last 31 days.")
        since = until - window if since is None else since
        if not timedelta() < until - since <= LONGEST:
            raise InvalidInput(
                "the window has to begin before it ends, in the past, and to span 31 days at most",
                fix="Give `from` before `to`, or a `window` such as 6h.",
            )
        points = grid(since.timestamp(), until.timestamp(), now.timestamp())
        heard = {key: at.timestamp() for key, at in repository.heard(session, environment, model).items()}
        rows = rows_by_version(session, environment, model, REQUESTS, points, WIDTH)
        live = next((one.version for one in place["traffic"] if one.state == TrafficState.LIVE), None)
        batch = place["type"] == ModelType.BATCH  # Its availability counts runs.
        objectives = [] if live is None else self._services.slos.of_version(session, model, live)
        shown = sorted(rows)[-MOST_VERSIONS:]
        return Traffic(
            model=model,
            type=place["type"],
            environment=environment,
            begins_at=_time(points.start),
            ends_at=_time(points.end),
            step_seconds=points.step,
            versions=[
                VersionTraffic(one, one == live, _points(rows[one], heard.get((one, REQUESTS), 0.0), points))
                for one in shown
            ],
            left_out=sorted(rows)[:-MOST_VERSIONS],
            limits=[_limit(one) for one in objectives if one.indicator in _OF_REQUESTS and not batch],
            moments=_held(session, environment, model, objectives, points),
        )

    def share_within(
        self, session: Session, environment: str, model: str, version: int, threshold: timedelta, span: timedelta
    ) -> float | None:
        """Return which part of what a version answered in the last ``span`` surely took no longer than ``threshold``.

        ``None`` if it answered nothing.
        """
        counts = counts_of(
            session,
            environment,
            model,
            REQUESTS,
            now=self._services.clock.now().timestamp(),
            seconds=span.total_seconds(),
            threshold_ms=threshold.total_seconds() * 1000,
            version=version,
        )
        total = float(counts.total.sum())
        return 1 - float(counts.bad.sum()) / total if total else None


def _points(rows: Rows, heard: float, grid: Grid) -> list[TrafficPoint]:
    inside, seconds = known(rows, heard, grid)
    rows = rows[inside]
    latency = quantiles(rows[:, 2:])
    return [
        TrafficPoint(
            at=_time(at),
            requests=int(row[0]),
            rate=round(float(row[0]) / span, 6) if span >= TIERS[0].step else None,
            error_ratio=round(float(row[1] / row[0]), 6) if row[0] else None,
            p50_ms=_milliseconds(p50),
            p95_ms=_milliseconds(p95),
            p99_ms=_milliseconds(p99),
        )
        for at, row, span, (p50, p95, p99) in zip(
            grid.at[inside].tolist(), rows, seconds.tolist(), latency.tolist(), strict=True
        )
    ]


def _held(
    session: Session, environment: str, model: str, objectives: Sequence[Objective], grid: Grid
) -> list[VersionMoments]:
    found = []
    for objective in objectives:
        if objective.indicator not in _HELD:
            continue
        rows = rows_by_version(session, environment, model, moments(objective.name), grid, _MOMENT)
        for version in sorted(rows)[-MOST_VERSIONS:]:
            told = [
                MomentPoint(_time(at), all_of_them, round(bad / all_of_them, 6))
                for at, (all_of_them, bad) in zip(grid.at.tolist(), rows[version].tolist(), strict=True)
                if all_of_them
            ]
            found.append(VersionMoments(objective.name, objective.indicator, version, told))
    return found


def _limit(objective: Objective) -> Limit:
    milliseconds = None if objective.threshold is None else objective.threshold.total_seconds() * 1000
    latency = objective.indicator == "latency"
    return Limit(
        slo=objective.name,
        indicator=objective.indicator,
        objective=objective.percent,
        meaning=objective.meaning,
        error_ratio=None if latency else objective.budget,
        latency_ms=milliseconds if latency else None,
    )


def _milliseconds(value: float) -> float | None:
    return None if np.isnan(value) else round(value, 3)


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
