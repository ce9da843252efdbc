"""The log as one, whether its events are in the table or in sealed segments.

Sealing moves the border between both while others read. A reader looks where it is before and after, and reads again if it has
moved: so no event is missed, and none is there twice.
"""

from collections.abc import Callable, Collection, Sequence
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from backend.audit import repository
from backend.audit.models import AuditRow
from backend.audit.repository import EventFilter
from backend.audit.sealed import Lookup, SealedSegments, mark
from backend.audit.segment_repository import spans
from backend.core.schemas import utc

Found = TypeVar("Found")


def find_events(
    session: Session,
    sealed: SealedSegments,
    wanted: EventFilter,
    *,
    after: int | None,
    limit: int,
    newest_first: bool = False,
) -> Sequence[AuditRow]:
    """Return the events that match, as :func:`backend.audit.repository.find_events` does, from wherever they are.

    Raises:
        SegmentUnreadable: some may be in a segment that can't be read.
    """

    def found(horizon: int) -> Sequence[AuditRow]:
        in_table = repository.find_events
        if newest_first:
            rows = in_table(session, wanted, after=after, limit=limit, newest_first=True, above=horizon)
            last = horizon if after is None else min(horizon, after - 1)
            if len(rows) < limit and last > 0:
                old = sealed.search(session, _lookup(wanted), 1, last, newest_first=True)
                return [*rows, *islice(old, limit - len(rows))]
            return rows
        first = (after or 0) + 1
        old_rows: list[AuditRow] = []
        if first <= horizon:
            old_rows = list(islice(sealed.search(session, _lookup(wanted), first, horizon), limit))
            if len(old_rows) == limit:
                return old_rows
        rest = limit - len(old_rows)
        return [*old_rows, *in_table(session, wanted, after=max(first - 1, horizon), limit=rest)]

    return _steadily(session, sealed, found)


def texts(session: Session, sealed: SealedSegments, first: int, last: int) -> list[str]:
    """Return the canonical texts of the events from ``first`` to ``last``, in order; fewer where some are missing."""

    def found(horizon: int) -> list[str]:
        old = [one.decode() for one in sealed.texts(session, first, min(last, horizon))] if first <= horizon else []
        rest = repository.texts(session, max(first, horizon + 1), last) if last > horizon else []
        return old + rest

    return _steadily(session, sealed, found)


def first_time(session: Session) -> str | None:
    """Return the time of the first event."""
    oldest = next(iter(spans(session, 1, 1)), None)
    return repository.first_time(session) if oldest is None else oldest.since


def first_from(session: Session, sealed: SealedSegments, time: str) -> int | None:
    """Return the number of the first event in the log that is dated at or after a time."""

    def found(horizon: int) -> int | None:
        if horizon:
            old = next(sealed.search(session, Lookup(since=time), 1, horizon), None)
            if old is not None:
                return old.seq
        return repository.first_from(session, time, horizon)

    return _steadily(session, sealed, found)


def last_before(session: Session, sealed: SealedSegments, time: str) -> int:
    """Return the number of the last event in the log that is dated before a time; 0 if there is none."""

    def found(horizon: int) -> int:
        last = repository.last_before(session, time, horizon)
        if last or not horizon:
            return last
        old = next(sealed.search(session, Lookup(until=time), 1, horizon, newest_first=True), None)
        return 0 if old is None else old.seq

    return _steadily(session, sealed, found)


def texts_of_types(
    session: Session, sealed: SealedSegments, types: Collection[str], after: int, last: int, limit: int
) -> list[tuple[int, str]]:
    """Return numbers and canonical texts of the next events of some types, in order."""
    wanted = Lookup(
        types=lambda type: type in types,
        matches=lambda event: event["type"] in types,
        marks=[mark("type", one) for one in types],
    )

    def found(horizon: int) -> list[tuple[int, str]]:
        old: list[tuple[int, str]] = []
        if after < horizon:
            rows = islice(sealed.search(session, wanted, after + 1, min(last, horizon)), limit)
            old = [(one.seq, one.event) for one in rows]
        rest = limit - len(old)
        if not rest or last <= horizon:
            return old
        return [*old, *repository.texts_of_types(session, types, max(after, horizon), last, rest)]

    return _steadily(session, sealed, found)


def texts_about(
    session: Session, sealed: SealedSegments, subjects: Collection[str], types: Collection[str], before: int
) -> list[tuple[int, str]]:
    """Return numbers and canonical texts of the events about exactly these subjects before a number, in order."""
    wanted = Lookup(
        types=(lambda type: type in types) if types else None,
        matches=lambda event: event["subject"] in subjects and (not types or event["type"] in types),
        marks=[mark("subject", one) for one in subjects],
    )

    def found(horizon: int) -> list[tuple[int, str]]:
        rows = sealed.search(session, wanted, 1, min(before - 1, horizon)) if horizon and subjects else ()
        old = [(one.seq, one.event) for one in rows]
        return [*old, *repository.texts_about(session, subjects, types, before, horizon)]

    return _steadily(session, sealed, found)


def _lookup(wanted: EventFilter) -> Lookup:
    marks: list[bytes] = []
    of_domain = wanted.type is not None and wanted.type.endswith(".")

    def of_type(type: str) -> bool:
        return wanted.type is None or (type.startswith(wanted.type) if of_domain else type == wanted.type)

    def matches(event: dict[str, Any]) -> bool:
        subject, above = str(event["subject"]), wanted.subject
        return (
            of_type(event["type"])
            and (above is None or subject == above or subject.startswith(f"{above}/"))
            and (wanted.actor is None or event["actor"] == wanted.actor)
        )

    # The one that is likely to be rarest.
    if wanted.subject is not None:
        marks.append(mark("subject", wanted.subject, whole=False))
    elif wanted.actor is not None:
        marks.append(mark("actor", wanted.actor))
    elif wanted.type is not None:
        marks.append(mark("type", wanted.type, whole=not of_domain))
    return Lookup(
        types=None if wanted.type is None else of_type,
        matches=matches,
        since=None if wanted.since is None else utc(wanted.since),
        until=None if wanted.until is None else utc(wanted.until),
        marks=marks,
    )


def _steadily(session: Session, sealed: SealedSegments, found: Callable[[int], Found]) -> Found:
    while True:
        horizon = sealed.horizon(session)
        result = found(horizon)
        if sealed.horizon(session) == horizon:
            return result
