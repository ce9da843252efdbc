"""Usage as meters report it: checked, written down once, and added up by the hour in the same transaction."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from backend.audit.service import PLATFORM
from backend.core.database import lock_for_transaction
from backend.core.errors import Conflict, Forbidden, InvalidInput
from backend.cost import repository
from backend.cost.fixed import QUANTITY_PLACES, scaled, unscaled
from backend.cost.money import divide
from backend.cost.periods import HOUR, Month, hour_of
from backend.cost.resources import KINDS, Activity, Resource
from backend.identity.principal import Principal, may_act_for
from mlplatform.spec.quantities import format_duration

if TYPE_CHECKING:
    from backend.core.container import Services

LONGEST = timedelta(days=31)
LOCK = "cost"
_MICROSECOND = timedelta(microseconds=1)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Usage:
    """What a meter said: so much of a resource, in a time, for a model."""

    id: str
    model: str
    resource: Resource
    quantity: Decimal
    started_at: datetime
    ended_at: datetime
    activity: Activity
    version: int = 0
    environment: str = ""
    sku: str = ""


@dataclass(frozen=True)
class Taken:
    """How many records were new, and how many were there already."""

    accepted: int
    repeated: int


class UsageService:
    """See the module's docstring."""

    def __init__(self, services: "Services") -> None:
        self._services = services
        self._settings = services.settings.cost

    @property
    def kept(self) -> timedelta:
        """How long records are kept. What could be repeated is no older: a record older than ``lateness`` is refused."""
        return self._settings.lateness + self._settings.clock_skew + HOUR

    def report(self, session: Session, caller: Principal, records: Sequence[Usage]) -> Taken:
        """Take records of somebody else's meters: all of them, or none.

        Raises:
            Forbidden: one is for a model that the caller may not act for.
            NotFound: there is no such model.
            InvalidInput: one is not plausible.
            Conflict: one has the id of another that said something else, or its month is closed.
        """
        for model in sorted({one.model for one in records}):
            row = self._services.registry.get_model(session, model)
            permissions = self._services.settings.permissions
            if not may_act_for(caller, owner=row.owner, repository=row.repository, permissions=permissions):
                raise Forbidden(
                    f"{caller.ref} may not report usage of {model}",
                    fix=f"Members of {row.owner} and the repository {row.repository} may.",
                ).audited(type="ml-platform.cost.usage.refused", subject=f"model:{model}", actor=caller.ref)
        for position, one in enumerate(records):
            self._check(session, f"records[{position}]", one)
        return self.take(session, caller.ref, records, lambda position: f"records[{position}]")

    def take(
        self,
        session: Session,
        source: str,
        records: Sequence[Usage],
        where: Callable[[int], str] = lambda position: f"record {position}",
    ) -> Taken:
        """Write records down and add the new ones up; the same record again changes nothing.

        Raises:
            Conflict: one has the id of another that said something else, or its month is closed.
        """
        # Also against whoever makes the lines of a day anew from the hours as they were before.
        lock_for_transaction(session, LOCK)
        rows: dict[str, dict[str, Any]] = {}
        for position, one in enumerate(records):
            row = _row(source, one, self._services.clock.now())
            if (other := rows.setdefault(one.id, row)) is not row and not _same(other, row):
                raise _differs(where(position), one.id)
        there = repository.records(session, source, list(rows))
        for position, one in enumerate(records):
            if (before := there.get(one.id)) is not None and not _same(before, rows[one.id]):
                raise _differs(where(position), one.id)
        new = [row for id, row in rows.items() if id not in there]
        if closed := self._in_closed(session, new):
            if source != PLATFORM:
                month = Month.of(closed[0]["started_at"])
                raise Conflict(f"{month} is closed", fix="Usage of a closed month is not taken any more.")
            # Of the platform's own there is none in time to repeat, and the rest must not wait for it.
            _log.warning("usage of a closed month is left out", extra={"records": [row["id"] for row in closed[:20]]})
            new = [row for row in new if row not in closed]
        repository.add_records(session, new)
        hours = added_up(new)
        repository.add_to_hours(session, hours)
        repository.mark_dirty(session, {key[0].date() for key in hours})
        return Taken(len(new), len(records) - len(new))

    def prune(self, session: Session) -> None:
        """Drop records that nobody can repeat any more, and hours that are older than they are kept."""
        now = self._services.clock.now()
        repository.drop_records(session, now - self.kept)
        repository.drop_hours(session, now - max(self._settings.hours_kept, LONGEST + self.kept))
        repository.drop_meters(session, now - LONGEST)

    def _check(self, session: Session, where: str, one: Usage) -> None:
        now = self._services.clock.now()
        seconds = Decimal((one.ended_at - one.started_at) // _MICROSECOND) / 1_000_000
        if seconds < 0:
            raise InvalidInput(f"{where}.end: lies before its start", fix="Swap them, or look at the meter's clock.")
        if one.ended_at - one.started_at > LONGEST:
            raise InvalidInput(f"{where}: covers more than {LONGEST.days} days", fix="Report it in several records.")
        ahead = one.ended_at - now
        if ahead > self._settings.clock_skew:
            raise InvalidInput(
                f"{where}.end: is {_rough(ahead)} ahead of the platform's clock ({now:%Y-%m-%dT%H:%M:%SZ})",
                fix="Usage is reported when it is over; if it is, set the reporter's clock right.",
            )
        late = now - one.ended_at
        if late > self._settings.lateness:
            raise InvalidInput(
                f"{where}.end: is {_rough(late)} ago; usage is taken for {format_duration(self._settings.lateness)}",
                fix="Report sooner; mlPlatform.cost.lateness says how late it may be.",
            )
        most = KINDS[one.resource].most_per_second * max(seconds, Decimal(1))
        if one.quantity > most:
            unit = KINDS[one.resource].unit
            raise InvalidInput(
                f"{where}.quantity: {one.quantity} {unit}s of {one.resource} in {seconds.normalize():f} s is not possible",
                fix=f"It is counted in {unit}s, and at most {most.normalize():f} of them fit into that time.",
            )
        if one.environment and one.environment not in self._services.settings.environments:
            known = ", ".join(self._services.settings.environments)
            raise InvalidInput(f"{where}.environment: there is no {one.environment[:63]!r}", fix=f"There are: {known}.")
        if one.version:
            self._services.registry.get_version(session, one.model, one.version)

    def _in_closed(self, session: Session, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        moments = {row[name] for row in rows for name in ("started_at", "ended_at")}
        months = {moment: str(Month.of(moment)) for moment in moments}
        closed = set(repository.closed(session, set(months.values()))) if rows else set()
        if not closed:
            return []
        return [row for row in rows if months[row["started_at"]] in closed or months[row["ended_at"]] in closed]


def added_up(rows: Sequence[Mapping[str, Any]]) -> dict[tuple[Any, ...], Decimal]:
    """Add records up by the hour; one that covers several gives each its share, and all shares add up to the record."""
    found: dict[tuple[Any, ...], int] = {}
    for row in rows:
        rest = tuple(row[name] for name in repository.DIMENSIONS)
        for hour, quantity in _by_hour(row["started_at"], row["ended_at"], scaled(row["quantity"], QUANTITY_PLACES)):
            key = (hour, *rest)
            found[key] = found.get(key, 0) + quantity
    return {key: unscaled(quantity, QUANTITY_PLACES) for key, quantity in found.items()}


def _by_hour(start: datetime, end: datetime, quantity: int) -> list[tuple[datetime, int]]:
    first = hour_of(start)
    if end <= first + HOUR:
        return [(first, quantity)]
    hours, weights = [], []
    hour = first
    while hour < end:
        hours.append(hour)
        weights.append((min(end, hour + HOUR) - max(start, hour)) // _MICROSECOND)
        hour += HOUR
    return list(zip(hours, divide(quantity, weights), strict=True))


def _row(source: str, one: Usage, now: datetime) -> dict[str, Any]:
    return {
        "source": source,
        "id": one.id,
        "model": one.model,
        "version": one.version,
        "environment": one.environment,
        "activity": one.activity.value,
        "resource": one.resource.value,
        "sku": one.sku,
        "quantity": unscaled(scaled(one.quantity, QUANTITY_PLACES), QUANTITY_PLACES),
        "started_at": one.started_at,
        "ended_at": one.ended_at,
        "received_at": now,
    }


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(one[name] == other[name] for name in one if name != "received_at")


def _differs(where: str, id: str) -> Conflict:
    return Conflict(
        f"{where}.id: {id[:80]!r} was reported before, and said something else",
        fix="A record is never changed; give each its own id, such as the CI job's with a number.",
    )


def _rough(span: timedelta) -> str:
    return format_duration(timedelta(minutes=max(round(span.total_seconds() / 60), 1)))
