"""The figures that the platform is held to, counted from its own records, and the four keys of DORA beside them.

Source of the four keys: https://dora.dev/guides/dora-metrics-four-keys/.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from backend.core.errors import NotFound
from backend.deployments.models import Outcome
from backend.deployments.views import Past
from backend.overview import repository
from backend.overview.measures import (
    Figure,
    Measure,
    Month,
    Sample,
    middle,
    nine_of_ten,
    number,
    per_week,
    share,
)
from backend.overview.upkeep import upkeep
from scaffolder.release import TEMPLATE

if TYPE_CHECKING:
    from backend.core.container import Services

Made = Mapping[tuple[str, int], tuple[datetime | None, datetime]]
"""When versions were committed, as far as that is known, and registered."""
_CALLED_OFF = frozenset({Outcome.ABORTED, Outcome.REJECTED, Outcome.REFUSED})
_BLAMED = timedelta(days=1)
"""A rollout counts as a failed change when it was taken back, or is what an incident is put down to, within this time."""
_LONGEST_TREND = 36


class Figures:
    """See the module's docstring."""

    def __init__(self, services: "Services") -> None:
        self._services = services

    def all(self, session: Session, days: int, months: int = 0) -> list[tuple[Figure, list[Month]]]:
        """Return all figures of the last days, each with how it was in so many of the last months."""
        now = self._services.clock.now()
        since, months = now - timedelta(days=days), min(months, _LONGEST_TREND)
        measures = self._measures(session, min(since, _first_of(now, months)))
        return [(one.figure(since, days), one.trend(now, months)) for one in measures]

    def one(self, session: Session, name: str, days: int, months: int) -> tuple[Figure, list[Month], list[Sample]]:
        """Return a figure of the last days, how it was in each of the last months, and the events behind it, newest first.

        Raises:
            NotFound: there is no figure of that name.
        """
        now = self._services.clock.now()
        since, months = now - timedelta(days=days), min(months, _LONGEST_TREND)
        measures = self._measures(session, min(since, _first_of(now, months)))
        found = next((one for one in measures if one.name == name), None)
        if found is None:
            known = ", ".join(one.name for one in measures)
            raise NotFound(f"there is no figure {name[:63]!r}", fix=f"There are: {known}.")
        return found.figure(since, days), found.trend(now, months), found.events(since)

    def _measures(self, session: Session, since: datetime) -> list[Measure]:
        past = self._services.deployments.past(session, since)
        judged = [one for one in past if one.outcome not in _CALLED_OFF]
        promoted = [one for one in judged if one.outcome == Outcome.PROMOTED]
        made = self._services.registry.made_at(session, {(one.model, one.version) for one in promoted})
        minutes = [_sample(one, (one.finished_at - one.requested_at).total_seconds() / 60) for one in promoted]
        back = [
            _sample(one, (one.finished_at - one.breached_at).total_seconds())
            for one in past
            if one.outcome == Outcome.ROLLED_BACK and one.breached_at is not None
        ]
        helped = zip(past, self._by_platform_team(session, past), strict=True)
        on_path = [
            Sample(at, f"model:{name}", float(own), "" if own else "not from the golden path")
            for name, own, at in repository.by_template(session, TEMPLATE, self._services.clock.now())
        ]
        return [
            Measure(
                "deployments",
                "count",
                None,
                "Rollouts that were over in this time.",
                number,
                [_sample(one, 1) for one in past],
            ),
            Measure(
                "deployment-success-rate",
                "percent",
                99,
                "Rollouts that were promoted, of those that nobody called off.",
                share,
                [_sample(one, float(one.outcome == Outcome.PROMOTED)) for one in judged],
                at_least=True,
            ),
            Measure(
                "commit-to-traffic",
                "minutes",
                30,
                "Time from a version's commit to the end of the rollout that first gave it all traffic; half took longer.",
                middle,
                _from_commit(promoted, made),
            ),
            Measure(
                "deployment-minutes-median",
                "minutes",
                30,
                "Time from the request to the end of a rollout that was promoted; half took longer.",
                middle,
                minutes,
            ),
            Measure(
                "deployment-minutes-p90", "minutes", None, "As before; one of ten took longer.", nine_of_ten, minutes
            ),
            Measure(
                "platform-team-share",
                "percent",
                5,
                "Rollouts with broken glass, or in which a platform administrator acted who is not in the owner group.",
                share,
                [_sample(one, float(needed)) for one, needed in helped],
            ),
            Measure(
                "rollback-seconds-median",
                "seconds",
                300,
                "Time from the breach to the end of a rollout that was rolled back; half took longer.",
                middle,
                back,
            ),
            Measure(
                "golden-path-share",
                "percent",
                90,
                "Models whose repository came from the golden path.",
                share,
                on_path,
                at_least=True,
            ),
            *upkeep(self._services, session, since),
            *self._four_keys(session, since, promoted, made),
        ]

    def _four_keys(self, session: Session, since: datetime, promoted: Sequence[Past], made: Made) -> list[Measure]:
        lead = [
            _sample(one, (one.finished_at - made[one.model, one.version][1]).total_seconds() / 3600)
            for one in promoted
            if (one.model, one.version) in made
        ]
        incidents = [one for one in self._services.incidents.since(session, since) if one.severity == "page"]
        blamed = {
            suspect["deployment"]: one.opened_at
            for one in incidents
            for suspect in one.suspects[:1]
            if suspect["deployment"]
        }
        taken_back = self._services.deployments.taken_back(session, since)
        failures = []
        for one in promoted:
            back = [
                at for model, environment, version, at in taken_back if (model, environment, version) == _place(one)
            ]
            at = [*back, *([blamed[one.id]] if one.id in blamed else [])]
            failed = any(one.finished_at <= each <= one.finished_at + _BLAMED for each in at)
            failures.append(_sample(one, float(failed)))
        restored = [
            Sample(
                one.opened_at,
                f"incident:{one.id}",
                ((one.recovered_at or one.resolved_at or one.began_at) - one.began_at).total_seconds() / 60,
                one.title,
            )
            for one in incidents
            if one.recovered_at is not None or one.resolved_at is not None
        ]
        return [
            Measure(
                "deployment-frequency",
                "per week",
                None,
                "DORA: rollouts that were promoted, by week.",
                per_week,
                [_sample(one, 1) for one in promoted],
            ),
            Measure(
                "change-lead-hours-median",
                "hours",
                24,
                "DORA: time from a version's registration to all traffic; half took longer.",
                middle,
                lead,
            ),
            Measure(
                "change-failure-rate",
                "percent",
                15,
                "DORA: promoted rollouts that were taken back, or are what an incident is put down to, within a day.",
                share,
                failures,
            ),
            Measure(
                "restore-minutes-median",
                "minutes",
                60,
                "DORA: time from the beginning of an incident that paged to its alerts' end; half took longer.",
                middle,
                restored,
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


def _first_of(now: datetime, months: int) -> datetime:
    """Return when the first of the last months began; now if none is asked for."""
    if months == 0:
        return now
    number = now.year * 12 + now.month - months
    year, month = number // 12, number % 12 + 1
    return now.replace(year=year, month=month, day=1, hour=0, minute=0, second=0, microsecond=0)


def _from_commit(promoted: Sequence[Past], made: Made) -> list[Sample]:
    first: dict[tuple[str, str, int], Past] = {}
    for one in sorted(promoted, key=lambda one: one.finished_at):
        if (one.model, one.version) in made:
            first.setdefault(_place(one), one)
    found = []
    for one in first.values():
        committed, registered = made[one.model, one.version]
        sample = _sample(one, (one.finished_at - (committed or registered)).total_seconds() / 60)
        said = (
            sample.note if committed else f"{sample.note}; from its registration, since its commit's time is not known"
        )
        found.append(replace(sample, note=said))
    return found


def _sample(one: Past, value: float) -> Sample:
    note = f"v{one.version} in {one.environment}: {one.outcome}"
    return Sample(one.finished_at, f"model:{one.model}/deployments/{one.id}", value, note)


def _place(one: Past) -> tuple[str, str, int]:
    return one.model, one.environment, one.version
