"""Queries on evidence packs."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.evidence.models import ENDED, EvidencePack, PackState


def find(session: Session, *, before: str | None, limit: int) -> Sequence[EvidencePack]:
    """Return packs, newest first."""
    query = select(EvidencePack).order_by(EvidencePack.id.desc()).limit(limit)
    if before is not None:
        query = query.where(EvidencePack.id < before)
    return session.execute(query).scalars().all()


def written(session: Session, since: datetime) -> Sequence[EvidencePack]:
    """Return the packs that were written since a time, oldest first."""
    query = select(EvidencePack).where(EvidencePack.state == PackState.DONE, EvidencePack.finished_at >= since)
    return session.execute(query.order_by(EvidencePack.finished_at)).scalars().all()


def to_work_on(session: Session) -> Sequence[str]:
    """Return the ids of packs that are not over, oldest first."""
    query = select(EvidencePack.id).where(EvidencePack.state.not_in(ENDED)).order_by(EvidencePack.id)
    return session.execute(query).scalars().all()
