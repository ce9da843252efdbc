"""What follows the clock: metering, making lines anew, watching budgets, closing months."""

import logging
import time
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, ClassVar

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from backend.audit.service import PLATFORM
from backend.core.ids import new_id
from backend.core.workflows import Steps
from backend.cost import open_cost, repository
from backend.cost.bills import OPEN_COST
from backend.cost.metering import Metering
from backend.cost.models import CostJob, CostMonth
from backend.cost.periods import DAY, Month, start_of
from backend.cost.report import Reports

if TYPE_CHECKING:
    from backend.core.container import Services

CLOSE, ASK, STORAGE = "close", "opencost", "storage"
_LOOK_SECONDS = 5.0
_AT_ONCE = 5
_ASK_SECONDS = 3600.0
_PRUNE_SECONDS = 600.0

_log = logging.getLogger(__name__)


class CostWork:
    """The :class:`~backend.core.workflows.Work` of the cost domain."""

    name: ClassVar[str] = "cost"
    most: ClassVar[int | None] = 1

    def __init__(self, services: "Services") -> None:
        self._services = services
        self.metering = Metering(services)
        self.reports = Reports(services)
        self._looked = self._sampled = self._asked = self._pruned = self._watched = float("-inf")
        self._today: date | None = None
        self._remade: dict[date, float] = {}
        services.runtime.add(self)

    def waiting(self, session: Session) -> Sequence[str]:
        """Return the jobs that are not finished."""
        return repository.open_jobs(session)

    def run(self, steps: Steps, id: str) -> None:
        """Work one job off."""
        kind, period = steps.run("read", self._read, id) or ("", "")
        if kind == CLOSE:
            steps.run("lines", self.make_lines, period)
            steps.run("freeze", self.freeze, period)
            steps.run("files", self.reports.write, period)
            steps.run("tell", self._tell_reports, period)
        elif kind == ASK:
            steps.run("ask", self._ask, period)
        elif kind == STORAGE:
            steps.run("measure", self._measure, period)
        steps.run("finish", self._finish, id, None)

    def give_up(self, id: str, reason: str) -> None:
        """End a job that can't go on; the next look begins another."""
        _log.error("a job of the cost domain came to nothing", extra={"job": id, "reason": reason})
        self._finish(id, reason)

    def beat(self, *, changed: bool) -> None:
        """Meter, and see to what is due."""
        now = time.monotonic()
        if now - self._looked < _LOOK_SECONDS:
            return
        self._looked = now
        if now - self._sampled >= self._services.settings.cost.sample_interval.total_seconds():
            self._sampled = now
            self._quietly("metering", self.metering.sample)
        self._quietly("making the lines of days", self.look)
        self._quietly("looking for what is due", self.begin_due)
        if now - self._pruned >= _PRUNE_SECONDS:
            self._pruned = now
            self._quietly("dropping old usage", self._prune)

    def close(self) -> None:
        """There is nothing to let go of."""

    def look(self) -> None:
        """Make the lines of some days anew, look at the day that is over, and tell whoever has to know."""
        today = self._services.clock.now().date()
        if today != self._today:
            self._begin_day(today)
        with self._services.database.read() as session:
            days = list(repository.dirty(session))
        patience = self._services.settings.cost.sample_interval.total_seconds()
        # One that was just made and changes again, as today does all the time, and a day whose storage is being measured.
        self._remade = {day: at for day, at in self._remade.items() if time.monotonic() - at < patience}
        days = [day for day in days if day not in self._remade]
        # A budget may have been set meanwhile, and a process may have been killed between lines and notices.
        if not days and time.monotonic() - self._watched < patience:
            return
        self._watched = time.monotonic()
        for day in days[:_AT_ONCE]:
            with self._services.database.write() as session:
                self._services.cost.refresh(session, day)
            self._remade[day] = time.monotonic()
        with self._services.database.write() as session:
            # Not before its lines are complete, as far as they are known.
            if not any(day < today for day in repository.dirty(session)):
                self._services.cost.anomalies.look(session, today - DAY)
            messages = self._services.cost.budgets.watch(session)
        for message in messages:
            _log.warning("%s", message)

    def begin_due(self) -> None:
        """Begin the jobs whose time has come."""
        now = self._services.clock.now()
        wanted = [(STORAGE, str(now.date() - DAY))]
        if self._services.settings.cost.open_cost is not None and time.monotonic() - self._asked >= _ASK_SECONDS:
            self._asked = time.monotonic()
            wanted.append((ASK, str(Month.of(now))))
        with self._services.database.read() as session:
            wanted += [(CLOSE, str(month)) for month in self.due(session, now)]
            wanted = [one for one in wanted if self._is_new(session, *one)]
        for kind, period in wanted:
            with self._services.database.write() as session:
                session.add(CostJob(id=new_id(), kind=kind, period=period, started_at=now))

    def due(self, session: Session, now: datetime) -> list[Month]:
        """Return the months that can be closed: nothing of them can come in any more."""
        oldest = repository.oldest_day(session)
        found: list[Month] = []
        month = Month.of(oldest) if oldest is not None else Month.of(now)
        while start_of(month.end) + self._services.cost.usage.kept <= now:
            if repository.month_row(session, str(month)) is None:
                found.append(month)
            month = month.plus(1)
        return found[:1]

    def make_lines(self, period: str) -> None:
        """Make all lines of a month anew for the last time."""
        for day in Month.parse(period):
            with self._services.database.write() as session:
                self._services.cost.refresh(session, day)

    def freeze(self, period: str) -> None:
        """Close a month: what is in its lines now stays."""
        month = Month.parse(period)
        with self._services.database.write() as session:
            if repository.month_row(session, period) is not None:
                return
            summary = self._services.cost.summary(session, month, "team")
            row = CostMonth(
                month=period, currency=summary.currency, total=summary.total, closed_at=self._services.clock.now()
            )
            session.add(row)
            self._services.audit.append(
                session,
                type="ml-platform.cost.month.closed",
                subject=f"month:{period}",
                actor=PLATFORM,
                data={
                    "total": str(summary.total),
                    "currency": summary.currency,
                    "teams": {group.key[0] or "nobody": str(group.cost) for group in summary.groups},
                    "unpriced": [f"{one.resource} {one.sku}".strip() for one in summary.unpriced],
                },
            )

    def _read(self, id: str) -> tuple[str, str]:
        with self._services.database.read() as session:
            row = repository.job(session, id)
            return (row.kind, row.period) if row is not None and row.finished_at is None else ("", "")

    def _finish(self, id: str, reason: str | None) -> None:
        with self._services.database.write() as session:
            row = repository.job(session, id)
            if row is not None and row.finished_at is None:
                row.finished_at, row.reason = self._services.clock.now(), reason

    def _is_new(self, session: Session, kind: str, period: str) -> bool:
        before = repository.last_job(session, kind, period)
        if before is None:
            return True
        return before.finished_at is not None and (kind == ASK or before.reason is not None)

    def _begin_day(self, today: date) -> None:
        """Have the days of all open months made anew: shared cost is due without usage, and prices may have changed."""
        month = Month.of(today)
        with self._services.database.write() as session:
            oldest = repository.oldest_day(session)
            first = max(month.plus(-1).first, oldest or today)
            days = {first + index * DAY for index in range((today - first).days + 1)}
            closed = set(repository.closed(session, {str(Month.of(day)) for day in days}))
            repository.mark_dirty(session, {day for day in days if str(Month.of(day)) not in closed})
        self._today = today

    def _ask(self, period: str) -> None:
        settings = self._services.settings.cost.open_cost
        if settings is None:
            return
        month = Month.parse(period)
        read = open_cost.read_month(settings, month, self._services.clock.now().date())
        with self._services.database.write() as session:
            self._services.cost.bills.keep(
                session, PLATFORM, month=month, provider=OPEN_COST, origin=OPEN_COST, read=read
            )

    def _measure(self, period: str) -> None:
        self.metering.measure_storage(date.fromisoformat(period))

    def _prune(self) -> None:
        with self._services.database.write() as session:
            self._services.cost.usage.prune(session)

    def _tell_reports(self, period: str) -> None:
        with self._services.database.write() as session:
            for notice in self.reports.notices(session, Month.parse(period)):
                self._services.notifications.tell(session, notice, once=True)

    def _quietly(self, what: str, work: Callable[[], object]) -> None:
        try:
            work()
        except OperationalError:
            raise
        except Exception:
            _log.exception("%s failed; the next look tries again", what)
