"""The figures that the platform is held to, counted from its own records."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import median, quantiles
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from backend.deployments.models import Outcome
from backend.deployments.views import Past
from backend.overview import repository
from scaffolder.release import TEMPLATE

if TYPE_CHECKING:
    from backend.core.container import Services

_CALLED_OFF = frozenset({Outcome.ABORTED, Outcome.REJECTED, Outcome.REFUSED})


@dataclass(frozen=True)
class Figure:
    """A figure: its value, what it is to reach, what it was counted from and what it means."""

    name: str
    value: float | None
    unit: str
    target: float | None
    count: int
    meaning: str


class Figures:
    """See the module's docstring."""

    def __init__(self, services: "Services") -> None:
        self._services = services

    def all(self, session: Session, days: int) -> list[Figure]:
        """Return all figures of the last days."""
        since = self._services.clock.now() - timedelta(days=days)
        past = self._services.deployments.past(session, since)
        judged = [one for one in past if one.outcome not in _CALLED_OFF]
        promoted = [one for one in judged if one.outcome == Outcome.PROMOTED]
        minutes = [(one.finished_at - one.requested_at).total_seconds() / 60 for one in promoted]
        back = [
            (one.finished_at - one.breached_at).total_seconds()
            for one in past
            if one.outcome == Outcome.ROLLED_BACK and one.breached_at is not None
        ]
        helped = sum(self._by_platform_team(session, past))
        models = repository.count(session, repository.Filter())
        on_path = repository.on_template(session, TEMPLATE)
        return [
            Figure("deployments", float(len(past)), "count", None, len(past), "Rollouts that were over in this time."),
            Figure(
                "deployment-success-rate",
                _percent(len(promoted), len(judged)),
                "percent",
                99,
                len(judged),
                "Rollouts that were promoted, of those that nobody called off.",
            ),
            Figure(
                "deployment-minutes-median",
                median(minutes) if minutes else None,
                "minutes",
                30,
                len(minutes),
                "Time from the request to the end of a rollout that was promoted; half took longer.",
            ),
            Figure(
                "deployment-minutes-p90",
                _p90(minutes),
                "minutes",
                None,
                len(minutes),
                "As before; one of ten took longer.",
            ),
            Figure(
                "platform-team-share",
                _percent(helped, len(past)),
                "percent",
                5,
                len(past),
                "Rollouts with broken glass, or in which a platform administrator acted who is not in the owner group.",
            ),
            Figure(
                "rollback-seconds-median",
                median(back) if back else None,
                "seconds",
                300,
                len(back),
                "Time from the breach to the end of a rollout that was rolled back; half took longer.",
            ),
            Figure(
                "golden-path-share",
                _percent(on_path, models),
                "percent",
                90,
                models,
                "Models whose repository came from the golden path.",
            ),
        ]

    def _by_platform_team(self, session: Session, past: Sequence[Past]) -> list[bool]:
        """Say of each deployment whether it needed the platform's people, as far as the catalog knows who that is."""
        admins = {one.lower() for one in self._services.settings.permissions.platform_admins}
        groups = self._services.catalog.groups_of(session, {actor for one in past for actor in one.actors})
        registered = self._services.registry.registered(session, sorted({one.model for one in past}))
        owners = {name: row.owner.lower() for name, (row, *_) in registered.items()}
        return [
            one.broke_glass
            or any(groups[actor] & admins and owners.get(one.model) not in groups[actor] for actor in one.actors)
            for one in past
        ]


def _percent(part: int, whole: int) -> float | None:
    return 100 * part / whole if whole else None


def _p90(values: list[float]) -> float | None:
    if len(values) < 2:
        return values[0] if values else None
    return quantiles(values, n=10, method="inclusive")[8]
