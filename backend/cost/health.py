"""How the models of a team did in a month: incidents, error budgets, drift. Ten seconds of a report about cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from backend.cost.periods import Month, start_of
from backend.drift.models import DriftOutcome
from backend.drift.service import worst
from backend.observability.models import Incident, SloState
from backend.observability.slos import UNKNOWN_BUDGET

if TYPE_CHECKING:
    from backend.core.container import Services

_NONE = "—"


@dataclass(frozen=True)
class ModelHealth:
    """How a model did: incidents of the month, and how its objectives and its data stand now."""

    model: str
    incidents: int
    paged: int
    slo: str
    budget: str
    drift: str


@dataclass(frozen=True)
class Told:
    """An incident in short."""

    day: str
    model: str
    title: str
    minutes: str
    """From its beginning until its alerts were over, or it was resolved."""


@dataclass(frozen=True)
class Health:
    """How a team's models did."""

    said: str
    """In one sentence."""
    models: list[ModelHealth]
    incidents: list[Told]


def health_of(services: "Services", session: Session, month: Month, models: Sequence[str]) -> Health:
    """Return how models did in a month; objectives and drift are as they stand now, which is all that is kept."""
    names = sorted(set(models) - {""})
    incidents = services.incidents.of_models(session, names, start_of(month.first), start_of(month.end))
    objectives = services.slos.summaries(session, names)
    reports = services.drift.standings(session, names)
    rows = []
    for name in names:
        own = [one for one in incidents if one.model == name]
        standing = objectives.get(name)
        known = standing is not None and standing.budget != UNKNOWN_BUDGET
        rows.append(
            ModelHealth(
                model=name,
                incidents=len(own),
                paged=sum(one.severity == "page" for one in own),
                slo=_words(standing.state) if standing is not None else _NONE,
                budget=f"{standing.budget / 100:g} %" if standing is not None and known else _NONE,
                drift=_words(worst(reports.get(name, {}).values())) or _NONE,
            )
        )
    return Health(_said(rows), rows, [_told(one) for one in incidents])


def _said(rows: Sequence[ModelHealth]) -> str:
    count, paged = (sum(getattr(one, name) for one in rows) for name in ("incidents", "paged"))
    used_up = [one.model for one in rows if one.slo == _words(SloState.BREACHED)]
    drifted = [one.model for one in rows if one.drift == _words(DriftOutcome.DRIFTED)]
    parts = [f"{count} incident{'' if count == 1 else 's'}, {paged} of which paged" if count else "No incidents"]
    parts.append(f"error budget used up: {', '.join(used_up)}" if used_up else "no error budget is used up")
    parts.append(f"drifted: {', '.join(drifted)}" if drifted else "no model is known to have drifted")
    return "; ".join(parts) + "."


def _told(one: Incident) -> Told:
    ended = one.recovered_at or one.resolved_at
    minutes = _NONE if ended is None else f"{(ended - one.began_at).total_seconds() / 60:.0f}"
    return Told(f"{one.opened_at:%Y-%m-%d}", str(one.model), one.title, minutes)


def _words(state: str) -> str:
    return str(state).replace("_", " ")
