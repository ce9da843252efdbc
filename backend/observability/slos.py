"""Objectives: what they are for each live model, and how they stand."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from backend.audit.service import PLATFORM
from backend.deployments.targets.base import VersionKey
from backend.observability import repository
from backend.observability.burn import Judged
from backend.observability.models import SloStanding, SloState
from mlplatform.generate.objectives import Objective, objectives
from mlplatform.spec.model import ModelSpec
from mlplatform.spec.quantities import format_duration

if TYPE_CHECKING:
    from backend.core.container import Services

EVENT = "ml-platform.observability.slo"
LOW = 0.1
"""An objective is at risk when less than this part of its budget is left, or when the budget burns too fast."""
UNKNOWN_BUDGET = 20_000
"""What a model without any judged objective is sorted by: behind all others."""
_WORST = (SloState.BREACHED, SloState.AT_RISK, SloState.MET, SloState.NO_DATA)


@dataclass(frozen=True)
class Evaluated:
    """An objective of a live version, judged."""

    key: VersionKey
    objective: Objective
    judged: Judged
    source: str
    note: str | None = None


@dataclass(frozen=True)
class Alert:
    """An alert that began, goes on, or is over."""

    key: VersionKey
    objective: Objective
    burn: str
    severity: str
    since: datetime
    ended: bool
    ratio: float | None


@dataclass(frozen=True)
class Summary:
    """How a model's objectives stand together: by the worst of them."""

    state: str
    budget: int
    """Of the objective with the least left, in hundredths of a percent."""


class SloService:
    """See the module's docstring."""

    def __init__(self, services: "Services") -> None:
        self._services = services
        self._known: dict[tuple[str, int], tuple[ModelSpec, list[Objective]]] = {}

    def live(self, session: Session) -> list[tuple[VersionKey, ModelSpec, list[Objective]]]:
        """Return every live version with its objectives."""
        live = self._services.deployments.live_everywhere(session)
        known = {}
        for _, model, version in live:
            # A version's model.yaml never changes.
            known[model, version] = self._known.get((model, version)) or self._load(session, model, version)
        self._known = known
        found = [(VersionKey(*one), *known[one[1:]]) for one in live]
        return [one for one in found if one[2]]

    def of_version(self, session: Session, model: str, version: int) -> list[Objective]:
        """Return the objectives of a version of a model.

        Raises:
            NotFound: there is no such version.
        """
        return (self._known.get((model, version)) or self._load(session, model, version))[1]

    def of_model(self, session: Session, model: str) -> Sequence[SloStanding]:
        """Return how the objectives of a model stand, in every environment in which it is live.

        Raises:
            NotFound: there is no such model.
        """
        self._services.registry.get_model(session, model)
        return repository.standings(session, [model])

    def everywhere(self, session: Session) -> Sequence[SloStanding]:
        """Return how the objectives of all models stand."""
        return repository.all_standings(session)

    def summaries(self, session: Session, models: Sequence[str]) -> dict[str, Summary]:
        """Return how the objectives of models stand together; models without any are left out."""
        found: dict[str, list[SloStanding]] = {}
        for row in repository.standings(session, models):
            found.setdefault(row.model, []).append(row)
        return {model: _summary(rows) for model, rows in found.items()}

    def exhausted(self, session: Session, environment: str, model: str) -> list[SloStanding]:
        """Return the objectives of a model in an environment that have no budget left."""
        rows = repository.standings(session, [model])
        return [row for row in rows if row.environment == environment and row.state == SloState.BREACHED]

    def keep(self, session: Session, evaluated: Sequence[Evaluated], now: datetime) -> list[Alert]:
        """Write down how objectives stand; return the alerts that fire, and those that have just ended.

        A change of state is an event, and the overview follows it.
        """
        before = {
            (row.environment, row.model, row.slo): row
            for row in repository.standings(session, sorted({one.key.model for one in evaluated}))
        }
        alerts: list[Alert] = []
        for one in evaluated:
            key = one.key.environment, one.key.model, one.objective.name
            row = before.get(key)
            if row is None:
                row = SloStanding(environment=key[0], model=key[1], slo=key[2], firing={}, since=now, state="")
                session.add(row)
            shown = row.state, _hundredths(row)
            alerts += self._alerts(row, one, now)
            self._write(session, row, one, now)
            if shown[0] != row.state or abs((shown[1] or 0) - (_hundredths(row) or 0)) >= 100:
                self._services.overview.changed(session, row.model)
        return alerts

    def drop(self, session: Session, live: set[tuple[str, str, str]]) -> None:
        """Forget objectives that no live version has any more."""
        gone = repository.standing_keys(session) - live
        repository.drop_standings(session, sorted(gone))
        for _, model, _ in gone:
            self._services.overview.changed(session, model)

    def _load(self, session: Session, model: str, version: int) -> tuple[ModelSpec, list[Objective]]:
        spec = ModelSpec.model_validate(self._services.registry.get_version(session, model, version).spec)
        return spec, objectives(spec) if spec.slos else []

    def _alerts(self, row: SloStanding, one: Evaluated, now: datetime) -> list[Alert]:
        firing = dict(row.firing)
        found = []
        for burn in sorted(set(firing) | one.judged.firing):
            ended = burn not in one.judged.firing
            since = datetime.fromisoformat(firing.setdefault(burn, now.astimezone(UTC).isoformat()))
            if ended:
                del firing[burn]
            severity = next((alert.severity for alert in one.objective.alerts if alert.burn == burn), "ticket")
            ratio = max((each.long_ratio or 0.0 for each in one.judged.burning if each.pair.name == burn), default=None)
            found.append(Alert(one.key, one.objective, burn, severity, since, ended, ratio))
        row.firing = firing
        return found

    def _write(self, session: Session, row: SloStanding, one: Evaluated, now: datetime) -> None:
        objective, judged = one.objective, one.judged
        row.version, row.indicator, row.meaning = one.key.version, objective.indicator, objective.meaning
        row.objective, row.window_seconds = objective.percent, int(objective.window.total_seconds())
        row.remaining, row.total, row.bad = judged.remaining, judged.total, judged.bad
        row.burns = burns_json(objective, judged)
        row.source, row.note, row.evaluated_at = one.source, one.note, now
        state = state_of(judged)
        if state == row.state:
            return
        if row.state or state is not SloState.NO_DATA:
            self._services.audit.append(
                session,
                type=f"{EVENT}.{state}",
                subject=f"model:{row.model}/slos/{row.slo}",
                actor=PLATFORM,
                data={
                    "environment": row.environment,
                    "version": row.version,
                    "before": row.state or None,
                    "remaining": row.remaining,
                    "objective": row.objective,
                    "source": row.source,
                },
            )
        row.state, row.since = state.value, now


def state_of(judged: Judged) -> SloState:
    """Return how an objective stands."""
    if judged.remaining is None:
        return SloState.NO_DATA
    if judged.remaining <= 0:
        return SloState.BREACHED
    return SloState.AT_RISK if judged.firing or judged.remaining < LOW else SloState.MET


def burns_json(objective: Objective, judged: Judged) -> list[dict[str, Any]]:
    """Return the pairs of windows as they are stored: how many times as fast as it may the budget burns in each."""
    return [
        {
            "alert": one.pair.name,
            "long": format_duration(one.pair.long),
            "short": format_duration(one.pair.short),
            "threshold": one.pair.rate,
            "longRate": _rate(one.long_ratio, objective),
            "shortRate": _rate(one.short_ratio, objective),
            "firing": one.fires,
        }
        for one in judged.burning
    ]


def _rate(ratio: float | None, objective: Objective) -> float | None:
    return None if ratio is None else ratio / objective.budget


def _hundredths(row: SloStanding) -> int | None:
    return None if row.remaining is None else max(min(int(row.remaining * 10_000), 10_000), -10_000)


def _summary(rows: Sequence[SloStanding]) -> Summary:
    states = {row.state for row in rows}
    worst = next(state for state in _WORST if state in states)
    left = [value for row in rows if (value := _hundredths(row)) is not None]
    return Summary(worst.value, min(left, default=UNKNOWN_BUDGET))
