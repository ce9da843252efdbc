"""All queries on the compliance domain's tables."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from backend.compliance.models import CheckRow, ComplianceRun, FailingModel, Waiver, WaiverState

_KEPT_RUNS = 50


def waiver(session: Session, id: str) -> Waiver | None:
    """Return a waiver."""
    return session.get(Waiver, id, populate_existing=True)


def waivers(
    session: Session, *, model: str | None, state: str | None, after: tuple[str] | None, limit: int
) -> Sequence[Waiver]:
    """Return waivers, newest first."""
    query = select(Waiver)
    for column, value in ((Waiver.model, model), (Waiver.state, state)):
        if value is not None:
            query = query.where(column == value)
    if after is not None:
        query = query.where(Waiver.id < after[0])
    return session.execute(query.order_by(Waiver.id.desc()).limit(limit)).scalars().all()


def active_waivers(session: Session, model: str, now: datetime) -> Sequence[Waiver]:
    """Return the waivers of a model that hold."""
    query = select(Waiver).where(
        Waiver.model == model, Waiver.state == WaiverState.ACTIVE.value, Waiver.expires_at > now
    )
    return session.execute(query.order_by(Waiver.id)).scalars().all()


def checks(session: Session) -> dict[str, CheckRow]:
    """Return what each check last came to."""
    return {row.check: row for row in session.execute(select(CheckRow)).scalars()}


def evaluated(session: Session) -> dict[str, tuple[str, datetime]]:
    """Return the state of each check and when it last ran, without what it found."""
    rows = session.execute(select(CheckRow.check, CheckRow.state, CheckRow.evaluated_at))
    return {check: (state, at) for check, state, at in rows}


def failing(session: Session, models: Sequence[str]) -> dict[str, list[str]]:
    """Return, by model, the checks that found something about it; models without any are left out."""
    found: dict[str, list[str]] = {}
    query = select(FailingModel).where(FailingModel.model.in_(models))
    for row in session.execute(query.order_by(FailingModel.model, FailingModel.check)).scalars():
        found.setdefault(row.model, []).append(row.check)
    return found


def failing_of(session: Session, check: str) -> Sequence[FailingModel]:
    """Return the models that a check finds something about, by name."""
    query = select(FailingModel).where(FailingModel.check == check).order_by(FailingModel.model)
    return session.execute(query).scalars().all()


def replace_failing(
    session: Session, check: str, found: Mapping[str, str], now: datetime
) -> tuple[list[str], list[FailingModel]]:
    """Put what a check found, by model, in the place of what it had found; return the models that are new, and the rows gone."""
    before = {row.model: row for row in failing_of(session, check)}
    gone = [row for model, row in before.items() if model not in found]
    for row in gone:
        session.delete(row)
    new = sorted(found.keys() - before.keys())
    session.add_all(FailingModel(model=model, check=check, since=now, message=found[model]) for model in new)
    session.flush()
    return new, gone


def open_runs(session: Session) -> Sequence[str]:
    """Return the evaluations that are not finished."""
    query = select(ComplianceRun.id).where(ComplianceRun.finished_at.is_(None)).order_by(ComplianceRun.id)
    return session.execute(query).scalars().all()


def run(session: Session, id: str) -> ComplianceRun | None:
    """Return an evaluation."""
    return session.get(ComplianceRun, id, populate_existing=True)


def drop_old_runs(session: Session) -> None:
    """Keep the newest evaluations; the audit log has what came of all of them."""
    kept = select(ComplianceRun.id).order_by(ComplianceRun.id.desc()).limit(_KEPT_RUNS)
    session.execute(delete(ComplianceRun).where(ComplianceRun.id.not_in(kept), ComplianceRun.finished_at.is_not(None)))


def decided_waivers(session: Session) -> Sequence[Waiver]:
    """Return all waivers that were granted, whether or not they hold still."""
    granted = (WaiverState.ACTIVE.value, WaiverState.REVOKED.value)
    query = select(Waiver).where(Waiver.state.in_(granted), Waiver.decided_at.is_not(None)).order_by(Waiver.id)
    return session.execute(query).scalars().all()
