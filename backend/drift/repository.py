"""All queries on the drift domain's tables."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime

from sqlalchemy import Select, delete, func, select
from sqlalchemy.orm import Session, undefer

from backend.drift.models import DriftReport, GroundTruth, ReportState

_PIECE = 500


def find(session: Session, id: str) -> DriftReport | None:
    """Return a report."""
    return session.get(DriftReport, id, populate_existing=True)


def whole(session: Session, id: str) -> DriftReport | None:
    """Return a report with its judgement and its dashboard."""
    query = select(DriftReport).where(DriftReport.id == id)
    return session.execute(
        query.options(undefer(DriftReport.judgement), undefer(DriftReport.dashboard))
    ).scalar_one_or_none()


def page(
    session: Session,
    *,
    model: str | None,
    environment: str | None,
    outcome: str | None,
    after: tuple[str] | None,
    limit: int,
) -> Sequence[DriftReport]:
    """Return reports, newest first."""
    query = select(DriftReport).order_by(DriftReport.id.desc()).limit(limit)
    wanted = ((DriftReport.model, model), (DriftReport.environment, environment), (DriftReport.outcome, outcome))
    for column, value in wanted:
        if value is not None:
            query = query.where(column == value)
    if after is not None:
        query = query.where(DriftReport.id < after[0])
    return session.execute(query).scalars().all()


def waiting(session: Session) -> Sequence[str]:
    """Return the reports that are not made yet."""
    query = select(DriftReport.id).where(DriftReport.state == ReportState.PENDING.value)
    return session.execute(query.order_by(DriftReport.id)).scalars().all()


def pending(session: Session, model: str, environment: str) -> DriftReport | None:
    """Return the report of a model in an environment that is not made yet."""
    query = _of(model, environment).where(DriftReport.state == ReportState.PENDING.value)
    return session.execute(query.limit(1)).scalar_one_or_none()


def newest(session: Session, model: str, environment: str, *, before: str | None = None) -> DriftReport | None:
    """Return the newest report that was made, whatever it says."""
    query = _of(model, environment).where(DriftReport.state == ReportState.DONE.value)
    if before is not None:
        query = query.where(DriftReport.id < before)
    return session.execute(query.order_by(DriftReport.id.desc()).limit(1)).scalar_one_or_none()


def judged(session: Session, model: str, environment: str, kind: str, *, before: str) -> DriftReport | None:
    """Return the newest report before another in which something (``data``, ``prediction``, ``performance``) was judged."""
    column = getattr(DriftReport, f"{kind}_drifted")
    query = _of(model, environment).where(
        DriftReport.state == ReportState.DONE.value, column.is_not(None), DriftReport.id < before
    )
    return session.execute(query.order_by(DriftReport.id.desc()).limit(1)).scalar_one_or_none()


def drifted_since(session: Session, model: str, environment: str, kind: str, *, before: str) -> datetime | None:
    """Return the end of the first window of the unbroken row of windows that drifted, up to a report; none if it is broken."""
    column = getattr(DriftReport, f"{kind}_drifted")
    own = _of(model, environment).where(DriftReport.state == ReportState.DONE.value, DriftReport.id < before)
    healthy = own.where(column.is_(False)).order_by(DriftReport.id.desc()).limit(1)
    last = session.execute(healthy).scalar_one_or_none()
    drifted = own.where(column.is_(True))
    if last is not None:
        drifted = drifted.where(DriftReport.id > last.id)
    first = session.execute(drifted.order_by(DriftReport.id).limit(1)).scalar_one_or_none()
    return None if first is None else first.until


def since(session: Session, model: str, environment: str, after: datetime) -> Sequence[DriftReport]:
    """Return the reports whose windows ended after a time, oldest first."""
    query = _of(model, environment).where(DriftReport.state == ReportState.DONE.value, DriftReport.until >= after)
    return session.execute(query.order_by(DriftReport.id)).scalars().all()


def newest_of(session: Session, models: Collection[str]) -> Sequence[DriftReport]:
    """Return the newest report that was made of each of these models in each environment."""
    last = (
        select(func.max(DriftReport.id))
        .where(DriftReport.model.in_(models), DriftReport.state == ReportState.DONE.value)
        .group_by(DriftReport.model, DriftReport.environment)
    )
    return session.execute(select(DriftReport).where(DriftReport.id.in_(last))).scalars().all()


def retrained_since(session: Session, model: str, version: int) -> DriftReport | None:
    """Return a report that has had a version trained again."""
    query = select(DriftReport).where(
        DriftReport.model == model, DriftReport.version == version, DriftReport.retraining.is_not(None)
    )
    return session.execute(query.order_by(DriftReport.id.desc()).limit(1)).scalar_one_or_none()


def drop_reports(session: Session, before: datetime) -> None:
    """Delete reports that were asked for before a time."""
    session.execute(delete(DriftReport).where(DriftReport.requested_at < before))


def truths(session: Session, model: str, environment: str, predictions: Collection[str]) -> dict[str, GroundTruth]:
    """Return the labels of these predictions."""
    found: dict[str, GroundTruth] = {}
    wanted = sorted(predictions)
    for start in range(0, len(wanted), _PIECE):
        query = select(GroundTruth).where(
            GroundTruth.model == model,
            GroundTruth.environment == environment,
            GroundTruth.prediction.in_(wanted[start : start + _PIECE]),
        )
        found |= {row.prediction: row for row in session.execute(query).scalars()}
    return found


def truths_received(
    session: Session, model: str, environment: str, after: datetime, before: datetime
) -> Iterator[Sequence[GroundTruth]]:
    """Yield the labels that came in a time, some at a time."""
    last = ""
    while True:
        query = select(GroundTruth).where(
            GroundTruth.model == model,
            GroundTruth.environment == environment,
            GroundTruth.received_at >= after,
            GroundTruth.received_at < before,
            GroundTruth.prediction > last,
        )
        rows = session.execute(query.order_by(GroundTruth.prediction).limit(_PIECE)).scalars().all()
        if not rows:
            return
        yield rows
        last = rows[-1].prediction


def any_truth(session: Session, model: str, environment: str, since: datetime, until: datetime) -> bool:
    """Say whether a label came in a time."""
    query = select(GroundTruth.prediction).where(
        GroundTruth.model == model,
        GroundTruth.environment == environment,
        GroundTruth.received_at >= since,
        GroundTruth.received_at < until,
    )
    return session.execute(query.limit(1)).first() is not None


def drop_truths(session: Session, before: datetime) -> None:
    """Delete labels that came before a time."""
    session.execute(delete(GroundTruth).where(GroundTruth.received_at < before))


def _of(model: str, environment: str) -> Select[DriftReport]:
    return select(DriftReport).where(DriftReport.model == model, DriftReport.environment == environment)
