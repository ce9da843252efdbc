"""All queries on the batch domain's tables."""

from collections.abc import Collection, Sequence
from datetime import date, datetime

from sqlalchemy import case, func, or_, select
from sqlalchemy.orm import Session

from backend.batch.models import ACTIVE, GOOD, Backfill, BackfillState, BatchRun, BatchSchedule, Cause, RunState

_PIECE = 500
_TURN = case({Cause.TRIAL: 0, Cause.MANUAL: 1, Cause.SCHEDULE: 1}, value=BatchRun.cause, else_=2)
"""People and rollouts wait for trials and runs by hand; a backfill has time."""


def find(session: Session, run_id: str) -> BatchRun | None:
    """Return a run."""
    return session.get(BatchRun, run_id, populate_existing=True)


def lock(session: Session, run_id: str) -> BatchRun:
    """Return a run for changing it: as it is now, and nobody else's until the transaction ends."""
    query = select(BatchRun).where(BatchRun.id == run_id).with_for_update()
    return session.execute(query.execution_options(populate_existing=True)).scalar_one()


def state_of(session: Session, run_id: str) -> str:
    """Return where a run is."""
    return session.execute(select(BatchRun.state).where(BatchRun.id == run_id)).scalar_one()


def page(
    session: Session,
    *,
    environment: str | None,
    model: str | None,
    day: date | None,
    state: str | None,
    cause: str | None,
    backfill_id: str | None,
    after: str | None,
    limit: int,
) -> Sequence[BatchRun]:
    """Return runs, newest first, one more than ``limit`` if there are."""
    query = select(BatchRun).order_by(BatchRun.id.desc()).limit(limit + 1)
    for column, value in (
        (BatchRun.environment, environment),
        (BatchRun.model, model),
        (BatchRun.day, day),
        (BatchRun.state, state),
        (BatchRun.cause, cause),
        (BatchRun.backfill_id, backfill_id),
    ):
        if value is not None:
            query = query.where(column == value)
    if after is not None:
        query = query.where(BatchRun.id < after)
    return session.execute(query).scalars().all()


def to_work_on(session: Session, now: datetime) -> Sequence[str]:
    """Return the ids of runs that are under way, then of those whose turn has come."""
    due = or_(BatchRun.not_before.is_(None), BatchRun.not_before <= now)
    query = (
        select(BatchRun.id)
        .where(or_(BatchRun.state == RunState.RUNNING, (BatchRun.state == RunState.PENDING) & due))
        .order_by(BatchRun.state == RunState.PENDING, _TURN, BatchRun.id)
    )
    return session.execute(query).scalars().all()


def versions_at_work(session: Session) -> set[tuple[str, int]]:
    """Return the models and versions with runs or backfills that are not over."""
    runs = select(BatchRun.model, BatchRun.version).where(BatchRun.state.in_(ACTIVE))
    backfills = select(Backfill.model, Backfill.version).where(Backfill.state == BackfillState.RUNNING)
    return {(row[0], row[1]) for query in (runs, backfills) for row in session.execute(query)}


def active(
    session: Session,
    environment: str,
    model: str,
    *,
    day: date | None = None,
    version: int | None = None,
    backfill_id: str | None = None,
) -> Sequence[BatchRun]:
    """Return the runs there that publish and are not over."""
    query = select(BatchRun).where(
        BatchRun.environment == environment,
        BatchRun.model == model,
        BatchRun.state.in_(ACTIVE),
        BatchRun.cause != Cause.TRIAL,
    )
    for column, value in (
        (BatchRun.day, day),
        (BatchRun.version, version),
        (BatchRun.backfill_id, backfill_id),
    ):
        if value is not None:
            query = query.where(column == value)
    return session.execute(query.order_by(BatchRun.id)).scalars().all()


def trials(session: Session, deployment_id: str) -> Sequence[BatchRun]:
    """Return a rollout's trials, oldest first."""
    query = select(BatchRun).where(BatchRun.deployment_id == deployment_id).order_by(BatchRun.id)
    return session.execute(query.execution_options(populate_existing=True)).scalars().all()


def active_trials(session: Session) -> Sequence[BatchRun]:
    """Return all trials that are not over."""
    query = select(BatchRun).where(BatchRun.cause == Cause.TRIAL, BatchRun.state.in_(ACTIVE))
    return session.execute(query).scalars().all()


def days_touched_by(session: Session, environment: str, model: str, version: int) -> Sequence[date]:
    """Return the days that a version has begun to score, rising."""
    query = (
        select(BatchRun.day)
        .where(
            BatchRun.environment == environment,
            BatchRun.model == model,
            BatchRun.version == version,
            BatchRun.cause != Cause.TRIAL,
            BatchRun.attempts > 0,
        )
        .distinct()
        .order_by(BatchRun.day)
    )
    return session.execute(query).scalars().all()


def last(session: Session, environment: str, model: str, *, good: bool = False) -> BatchRun | None:
    """Return the newest run that publishes, or the one that ended well last."""
    query = select(BatchRun).where(
        BatchRun.environment == environment, BatchRun.model == model, BatchRun.cause != Cause.TRIAL
    )
    if good:
        query = query.where(BatchRun.state.in_(GOOD)).order_by(BatchRun.finished_at.desc())
    return session.execute(query.order_by(BatchRun.id.desc()).limit(1)).scalar_one_or_none()


def last_successes(session: Session) -> Sequence[tuple[str, str, datetime]]:
    """Return when each model in each environment was last scored well."""
    query = (
        select(BatchRun.environment, BatchRun.model, func.max(BatchRun.finished_at))
        .where(BatchRun.state.in_(GOOD), BatchRun.cause != Cause.TRIAL)
        .group_by(BatchRun.environment, BatchRun.model)
    )
    return [(row[0], row[1], row[2]) for row in session.execute(query) if row[2] is not None]


def ended(session: Session, environment: str, model: str, since: datetime) -> list[tuple[datetime, bool]]:
    """Return when runs that failed or went well ended since a time, and which; trials are left out."""
    query = select(BatchRun.finished_at, BatchRun.state).where(
        BatchRun.environment == environment,
        BatchRun.model == model,
        BatchRun.cause != Cause.TRIAL,
        BatchRun.state.in_([*GOOD, RunState.FAILED]),
        BatchRun.finished_at >= since,
    )
    rows = session.execute(query.order_by(BatchRun.finished_at))
    return [(at, state in GOOD) for at, state in rows if at is not None]


def scored(session: Session, environment: str, model: str, days: Collection[date]) -> set[date]:
    """Return which of these days were scored well, by whichever version."""
    wanted, found = sorted(days), set[date]()
    for start in range(0, len(wanted), _PIECE):
        query = select(BatchRun.day).where(
            BatchRun.environment == environment,
            BatchRun.model == model,
            BatchRun.day.in_(wanted[start : start + _PIECE]),
            BatchRun.state.in_(GOOD),
            BatchRun.cause != Cause.TRIAL,
        )
        found.update(session.execute(query.distinct()).scalars())
    return found


def replaced(
    session: Session, environment: str, model: str, version: int, since: datetime, until: datetime
) -> Sequence[date]:
    """Return the days whose partitions a version has replaced in a time, rising."""
    query = select(BatchRun.day).where(
        BatchRun.environment == environment,
        BatchRun.model == model,
        BatchRun.version == version,
        BatchRun.state == RunState.SUCCEEDED,
        BatchRun.cause != Cause.TRIAL,
        BatchRun.finished_at >= since,
        BatchRun.finished_at < until,
    )
    return session.execute(query.distinct().order_by(BatchRun.day)).scalars().all()


def find_backfill(session: Session, backfill_id: str) -> Backfill | None:
    """Return a backfill."""
    return session.get(Backfill, backfill_id, populate_existing=True)


def lock_backfill(session: Session, backfill_id: str) -> Backfill:
    """Return a backfill for changing it."""
    query = select(Backfill).where(Backfill.id == backfill_id).with_for_update()
    return session.execute(query.execution_options(populate_existing=True)).scalar_one()


def page_backfills(
    session: Session, *, environment: str | None, model: str | None, state: str | None, after: str | None, limit: int
) -> Sequence[Backfill]:
    """Return backfills, newest first, one more than ``limit`` if there are."""
    query = select(Backfill).order_by(Backfill.id.desc()).limit(limit + 1)
    for column, value in ((Backfill.environment, environment), (Backfill.model, model), (Backfill.state, state)):
        if value is not None:
            query = query.where(column == value)
    if after is not None:
        query = query.where(Backfill.id < after)
    return session.execute(query).scalars().all()


def running_backfills(
    session: Session, environment: str | None = None, model: str | None = None, version: int | None = None
) -> Sequence[Backfill]:
    """Return backfills that are not over, oldest first."""
    query = select(Backfill).where(Backfill.state == BackfillState.RUNNING).order_by(Backfill.id)
    for column, value in (
        (Backfill.environment, environment),
        (Backfill.model, model),
        (Backfill.version, version),
    ):
        if value is not None:
            query = query.where(column == value)
    return session.execute(query).scalars().all()


def counts(session: Session, backfill_ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return how many runs of each backfill are in each state."""
    query = (
        select(BatchRun.backfill_id, BatchRun.state, func.count())
        .where(BatchRun.backfill_id.in_(backfill_ids))
        .group_by(BatchRun.backfill_id, BatchRun.state)
    )
    found: dict[str, dict[str, int]] = {backfill_id: {} for backfill_id in backfill_ids}
    for backfill_id, state, count in session.execute(query):
        found[str(backfill_id)][state] = count
    return found


def schedules(session: Session) -> dict[tuple[str, str], datetime]:
    """Return how far each schedule has been followed, by environment and model."""
    rows = session.execute(select(BatchSchedule)).scalars()
    return {(row.environment, row.model): row.followed_until for row in rows}


def lock_schedule(session: Session, environment: str, model: str) -> BatchSchedule | None:
    """Return how far a schedule has been followed, for changing it."""
    query = select(BatchSchedule).where(BatchSchedule.environment == environment, BatchSchedule.model == model)
    query = query.with_for_update().execution_options(populate_existing=True)
    return session.execute(query).scalar_one_or_none()


def finished_since(session: Session, since: datetime, limit: int) -> Sequence[BatchRun]:
    """Return the runs that ended, well or not, at a time or after it, in the order in which they did."""
    query = select(BatchRun).where(BatchRun.finished_at >= since, BatchRun.started_at.is_not(None))
    return session.execute(query.order_by(BatchRun.finished_at, BatchRun.id).limit(limit)).scalars().all()
