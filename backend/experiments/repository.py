"""All queries on the experiments domain's tables."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from backend.experiments.models import Experiment, Pair, Phase, Prediction, Unit, WaitingAnswer

_AT_ONCE = 500


def find(session: Session, id: str) -> Experiment | None:
    """Return an experiment."""
    return session.get(Experiment, id, populate_existing=True)


def lock(session: Session, id: str) -> Experiment | None:
    """Return an experiment for changing it: as it is now, and nobody else's until the transaction ends."""
    query = select(Experiment).where(Experiment.id == id).with_for_update()
    return session.execute(query.execution_options(populate_existing=True)).scalar_one_or_none()


def page(
    session: Session,
    *,
    model: str | None,
    environment: str | None,
    phase: str | None,
    kind: str | None,
    after: str | None,
    limit: int,
) -> Sequence[Experiment]:
    """Return experiments, newest first, one more than ``limit`` if there are."""
    query = select(Experiment).order_by(Experiment.id.desc()).limit(limit + 1)
    for column, value in (
        (Experiment.model, model),
        (Experiment.environment, environment),
        (Experiment.phase, phase),
        (Experiment.kind, kind),
    ):
        if value is not None:
            query = query.where(column == value)
    if after is not None:
        query = query.where(Experiment.id < after)
    return session.execute(query).scalars().all()


def in_progress(session: Session, environment: str, model: str) -> Experiment | None:
    """Return the one experiment there that has not ended."""
    query = select(Experiment).where(
        Experiment.environment == environment, Experiment.model == model, Experiment.phase != Phase.ENDED
    )
    return session.execute(query.execution_options(populate_existing=True)).scalar_one_or_none()


def to_work_on(session: Session) -> Sequence[str]:
    """Return the ids of experiments that need a workflow."""
    query = select(Experiment.id).where(Experiment.phase.in_((Phase.STARTING, Phase.RUNNING)))
    return session.execute(query.order_by(Experiment.id)).scalars().all()


def phase_of(session: Session, id: str) -> str:
    """Return where an experiment is."""
    return session.execute(select(Experiment.phase).where(Experiment.id == id)).scalar_one()


def waiting(session: Session, experiment: str, requests: Collection[str]) -> dict[tuple[str, int], WaitingAnswer]:
    """Return the answers to these requests that wait for the other version's."""
    found: dict[tuple[str, int], WaitingAnswer] = {}
    for some in _pieces(requests):
        query = select(WaitingAnswer).where(WaitingAnswer.experiment_id == experiment, WaitingAnswer.request.in_(some))
        found |= {(row.request, row.version): row for row in session.execute(query).scalars()}
    return found


def compared(session: Session, experiment: str, requests: Collection[str]) -> set[str]:
    """Return which of these requests' answers were compared already."""
    found: set[str] = set()
    for some in _pieces(requests):
        query = select(Pair.request).where(Pair.experiment_id == experiment, Pair.request.in_(some))
        found |= set(session.execute(query).scalars())
    return found


def drop_beyond(session: Session, experiment: str, *, answers: int, pairs: int) -> int:
    """Delete the oldest answers and pairs of an experiment until there are at most so many; return how many answers."""
    mine = WaitingAnswer.experiment_id == experiment
    count = session.execute(select(func.count()).select_from(WaitingAnswer).where(mine)).scalar_one()
    if count > answers:
        oldest = select(WaitingAnswer.request, WaitingAnswer.version).where(mine).order_by(WaitingAnswer.at)
        for request, version in session.execute(oldest.limit(count - answers)).all():
            session.execute(
                delete(WaitingAnswer).where(mine, WaitingAnswer.request == request, WaitingAnswer.version == version)
            )
    newest = select(Pair.seq).where(Pair.experiment_id == experiment).order_by(Pair.seq.desc()).offset(pairs).limit(1)
    if (last := session.execute(newest).scalar_one_or_none()) is not None:
        session.execute(delete(Pair).where(Pair.experiment_id == experiment, Pair.seq <= last))
    return max(count - answers, 0)


def pairs(session: Session, experiment: str, *, differing: bool, before: int | None, limit: int) -> Sequence[Pair]:
    """Return compared answers, newest first, one more than ``limit`` if there are."""
    query = select(Pair).where(Pair.experiment_id == experiment).order_by(Pair.seq.desc()).limit(limit + 1)
    if differing:
        query = query.where(Pair.agrees.is_(False))
    if before is not None:
        query = query.where(Pair.seq < before)
    return session.execute(query).scalars().all()


def units(session: Session, experiment: str, hashes: Collection[str]) -> dict[str, Unit]:
    """Return units by their hash."""
    found: dict[str, Unit] = {}
    for some in _pieces(hashes):
        query = select(Unit).where(Unit.experiment_id == experiment, Unit.unit.in_(some))
        found |= {row.unit: row for row in session.execute(query).scalars()}
    return found


def split(session: Session, experiment: str, until: datetime) -> dict[int, int]:
    """Return how many keys met each version first, up to a time."""
    query = select(Unit.version, func.count()).where(Unit.experiment_id == experiment, Unit.at <= until)
    return {row[0]: row[1] for row in session.execute(query.group_by(Unit.version))}


def predictions(session: Session, ids: Collection[str]) -> dict[str, Prediction]:
    """Return predictions by their id."""
    found: dict[str, Prediction] = {}
    for some in _pieces(ids):
        found |= {row.id: row for row in session.execute(select(Prediction).where(Prediction.id.in_(some))).scalars()}
    return found


def ended_before(session: Session, moment: datetime) -> Sequence[str]:
    """Return experiments that ended long ago and of which there is still more than the experiment itself."""
    has_more = (
        select(Pair.request).where(Pair.experiment_id == Experiment.id).exists()
        | select(Unit.unit).where(Unit.experiment_id == Experiment.id).exists()
        | select(WaitingAnswer.request).where(WaitingAnswer.experiment_id == Experiment.id).exists()
    )
    query = select(Experiment.id).where(Experiment.phase == Phase.ENDED, Experiment.ended_at < moment, has_more)
    return session.execute(query.order_by(Experiment.id).limit(_AT_ONCE)).scalars().all()


def forget(session: Session, experiment: str) -> None:
    """Delete single answers, keys and predictions of an experiment."""
    for table in (WaitingAnswer, Pair, Prediction, Unit):
        session.execute(delete(table).where(table.experiment_id == experiment))


def forget_answers(session: Session, experiment: str) -> int:
    """Delete the answers that no other will be compared with any more; return how many."""
    mine = WaitingAnswer.experiment_id == experiment
    count = session.execute(select(func.count()).select_from(WaitingAnswer).where(mine)).scalar_one()
    session.execute(delete(WaitingAnswer).where(mine))
    return count


def _pieces(values: Collection[str]) -> list[list[str]]:
    whole = sorted(set(values))
    return [whole[start : start + _AT_ONCE] for start in range(0, len(whole), _AT_ONCE)]
