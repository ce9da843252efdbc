"""All queries on the deployments domain's tables."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select, tuple_
from sqlalchemy.orm import Session, selectinload

from backend.core.database import lock_for_transaction
from backend.deployments.models import (
    ENDED,
    Approval,
    Deployment,
    DeploymentSample,
    DeploymentStep,
    Kind,
    Outcome,
    Phase,
    Traffic,
    TrafficState,
)

_AT_ONCE = 500
_WHOLE = (selectinload(Deployment.steps), selectinload(Deployment.approvals))


def find(session: Session, deployment_id: str) -> Deployment | None:
    """Return a deployment with its steps and approvals."""
    query = select(Deployment).where(Deployment.id == deployment_id).options(*_WHOLE)
    return session.execute(query).scalar_one_or_none()


def get(session: Session, deployment_id: str) -> Deployment:
    """Return a deployment that is known to be there."""
    return session.execute(select(Deployment).where(Deployment.id == deployment_id).options(*_WHOLE)).scalar_one()


def lock(session: Session, deployment_id: str) -> Deployment:
    """Return a deployment for changing it: as it is now, and nobody else's until the transaction ends."""
    query = select(Deployment).where(Deployment.id == deployment_id).options(*_WHOLE)
    query = query.with_for_update().execution_options(populate_existing=True)
    return session.execute(query).scalar_one()


def phase_of(session: Session, deployment_id: str) -> tuple[str, str | None]:
    """Return a deployment's phase, and who asked to promote it."""
    query = select(Deployment.phase, Deployment.promote_requested_by).where(Deployment.id == deployment_id)
    phase, promoted_by = session.execute(query).one()
    return phase, promoted_by


def page(
    session: Session,
    *,
    model: str | None,
    environment: str | None,
    phase: str | None,
    after: str | None,
    limit: int,
) -> Sequence[Deployment]:
    """Return deployments, newest first, one more than ``limit`` if there are."""
    query = select(Deployment).options(*_WHOLE).order_by(Deployment.id.desc()).limit(limit + 1)
    for column, value in (
        (Deployment.model, model),
        (Deployment.environment, environment),
        (Deployment.phase, phase),
    ):
        if value is not None:
            query = query.where(column == value)
    if after is not None:
        query = query.where(Deployment.id < after)
    return session.execute(query).scalars().all()


def in_progress(session: Session, environment: str, model: str) -> Deployment | None:
    """Return the one deployment there that is not over."""
    query = (
        select(Deployment)
        .where(
            Deployment.environment == environment,
            Deployment.model == model,
            Deployment.phase != Phase.COMPLETED,
        )
        .options(*_WHOLE)
    )
    return session.execute(query).scalar_one_or_none()


def to_work_on(session: Session) -> Sequence[str]:
    """Return the ids of all deployments that need a workflow."""
    idle = (Phase.AWAITING_APPROVAL, Phase.COMPLETED)
    return session.execute(select(Deployment.id).where(Deployment.phase.not_in(idle))).scalars().all()


def undecided(session: Session) -> set[str]:
    """Return the ids of deployments that are neither over nor going back."""
    return set(session.execute(select(Deployment.id).where(Deployment.phase.not_in(ENDED))).scalars())


def under_way(session: Session) -> set[tuple[str, int]]:
    """Return the models and versions of deployments that are neither over nor going back."""
    query = select(Deployment.model, Deployment.version).where(Deployment.phase.not_in(ENDED))
    return {(row[0], row[1]) for row in session.execute(query)}


def occupants(session: Session, environment: str) -> list[tuple[str, int, bool]]:
    """Return model and version of what is live in an environment or was admitted to become so, and the challengers of
    experiments, of which it says so.
    """
    up = select(Traffic.model, Traffic.version, Traffic.experiment.is_not(None)).where(
        Traffic.environment == environment,
        (Traffic.state == TrafficState.LIVE) | Traffic.experiment.is_not(None),
    )
    idle = (*ENDED, Phase.AWAITING_APPROVAL)
    admitted = select(Deployment.model, Deployment.version).where(
        Deployment.environment == environment, Deployment.phase.not_in(idle)
    )
    found = [(model, version, bool(extra)) for model, version, extra in session.execute(up)]
    return found + [(model, version, False) for model, version in session.execute(admitted)]


def last_promoted(
    session: Session, environment: str, model: str, *, version: int | None = None, other_than: int | None = None
) -> Deployment | None:
    """Return the newest deployment there that was promoted, of a version or of any other than one."""
    query = (
        select(Deployment)
        .where(
            Deployment.environment == environment,
            Deployment.model == model,
            Deployment.outcome == Outcome.PROMOTED,
        )
        .order_by(Deployment.id.desc())
        .options(*_WHOLE)
        .limit(1)
    )
    if version is not None:
        query = query.where(Deployment.version == version)
    if other_than is not None:
        query = query.where(Deployment.version != other_than)
    return session.execute(query).scalar_one_or_none()


def traffic(
    session: Session, environment: str | None = None, model: str | None = None, *, lock: bool = False
) -> list[Traffic]:
    """Return the desired traffic, of one model in one environment or all of it, versions rising.

    With ``lock`` nobody else changes these rows until the transaction ends.
    """
    query = select(Traffic).order_by(Traffic.environment, Traffic.model, Traffic.version)
    if environment is not None:
        query = query.where(Traffic.environment == environment)
    if model is not None:
        query = query.where(Traffic.model == model)
    query = query.with_for_update() if lock else query
    return list(session.execute(query.execution_options(populate_existing=True)).scalars())


def live_everywhere(session: Session) -> list[tuple[str, str, int]]:
    """Return environment, model and version of all that is live; as plain values, since it is asked for every second."""
    has = Traffic
    query = select(has.environment, has.model, has.version).where(has.state == TrafficState.LIVE)
    rows = session.execute(query.order_by(has.environment, has.model, has.version))
    return [(environment, model, version) for environment, model, version in rows]


def serving(session: Session) -> list[tuple[str, str, int]]:
    """Return environment, model and version of all that users' requests go to."""
    has = Traffic
    query = select(has.environment, has.model, has.version).where((has.weight > 0) | (has.served > 0))
    return [(environment, model, version) for environment, model, version in session.execute(query)]


def shares(session: Session) -> list[tuple[Any, ...]]:
    """Return the desired traffic as plain values, versions rising: environment, model, version, weight, served, mirror, state,
    whether it failed over, replicas, experiment and its key's header. Rows of thousands of models take much longer to be made
    than to be read.
    """
    has = Traffic
    columns = (has.environment, has.model, has.version, has.weight, has.served, has.mirror, has.state)
    more = (has.failed_over, has.replicas, has.experiment, has.key_header)
    query = select(*columns, *more).order_by(has.environment, has.model, has.version)
    return [tuple(row) for row in session.execute(query)]


def traffic_at(session: Session, places: Collection[tuple[str, str]]) -> list[Traffic]:
    """Return the desired traffic of models in environments, for changing it: nobody else does until the transaction ends."""
    wanted = sorted(places)
    found: list[Traffic] = []
    for first in range(0, len(wanted), _AT_ONCE):
        query = select(Traffic).where(tuple_(Traffic.environment, Traffic.model).in_(wanted[first : first + _AT_ONCE]))
        query = query.order_by(Traffic.environment, Traffic.model, Traffic.version).with_for_update()
        found += session.execute(query.execution_options(populate_existing=True)).scalars()
    return found


def traffic_of(session: Session, environment: str, model: str, version: int) -> Traffic | None:
    """Return one version's row."""
    return session.get(Traffic, (environment, model, version), populate_existing=True)


def live(session: Session, environment: str, model: str) -> Traffic | None:
    """Return the row of the version that is live there."""
    return next((row for row in traffic(session, environment, model) if row.state == TrafficState.LIVE), None)


def experiment(session: Session, environment: str, model: str) -> Traffic | None:
    """Return the row of the version that an experiment tries there."""
    return next((row for row in traffic(session, environment, model) if row.experiment is not None), None)


def lock_place(session: Session, environment: str, model: str) -> None:
    """Let nobody else begin anything there until the transaction ends."""
    lock_for_transaction(session, f"place:{environment}/{model}")


def expired(session: Session, now: datetime, *, lock: bool = False) -> list[Traffic]:
    """Return the versions that were kept warm long enough; with ``lock`` nobody changes them until the transaction ends."""
    query = select(Traffic).where(Traffic.state == TrafficState.WARM, Traffic.warm_until <= now)
    return list(session.execute(query.with_for_update() if lock else query).scalars())


def newest(session: Session, models: Sequence[str]) -> list[Any]:
    """Return the newest deployment of each model in each environment, without what belongs to it."""
    last = (
        select(func.max(Deployment.id))
        .where(Deployment.model.in_(models))
        .group_by(Deployment.model, Deployment.environment)
    )
    has = Deployment
    # Columns, not rows: others may have changed them since this session saw them first.
    query = select(has.id, has.model, has.environment, has.phase, has.requested_at, has.finished_at)
    return list(session.execute(query.where(has.id.in_(last)).order_by(has.model, has.environment)))


def roles(session: Session, environments: Collection[str], models: Sequence[str]) -> list[tuple[str, str, int, str]]:
    """Return environment, model, version and role of what is up, versions rising."""
    query = select(Traffic.environment, Traffic.model, Traffic.version, Traffic.state)
    query = query.where(Traffic.environment.in_(environments), Traffic.model.in_(models))
    rows = session.execute(query.order_by(Traffic.version))
    return [(environment, model, version, state) for environment, model, version, state in rows]


def promotions(session: Session, models: Sequence[str]) -> dict[tuple[str, str, int | None], datetime | None]:
    """Return when each version was last promoted, by model, environment and version."""
    has = Deployment
    query = select(has.model, has.environment, has.version, has.finished_at)
    query = query.where(has.model.in_(models), has.outcome == Outcome.PROMOTED).order_by(has.id)
    return {(model, environment, version): at for model, environment, version, at in session.execute(query)}


def finished(session: Session, since: datetime) -> Sequence[Deployment]:
    """Return the rollouts that were over since a time, with their steps and approvals."""
    query = select(Deployment).where(Deployment.kind == Kind.ROLLOUT, Deployment.finished_at >= since)
    return session.execute(query.order_by(Deployment.id).options(*_WHOLE)).scalars().all()


def rollbacks(session: Session, since: datetime) -> list[Any]:
    """Return rollbacks from a version that was live that were asked for since a time, without what belongs to them."""
    has = Deployment
    query = select(has.model, has.environment, has.previous_version, has.requested_at)
    query = query.where(has.kind == Kind.ROLLBACK, has.requested_at >= since, has.previous_version.is_not(None))
    return list(session.execute(query.order_by(has.id)))


def finished_of(session: Session, model: str, version: int) -> Sequence[Deployment]:
    """Return the rollouts of a version that are over, with their steps and approvals."""
    query = select(Deployment).where(
        Deployment.model == model,
        Deployment.version == version,
        Deployment.kind == Kind.ROLLOUT,
        Deployment.finished_at.is_not(None),
    )
    return session.execute(query.order_by(Deployment.id).options(*_WHOLE)).scalars().all()


def rollouts_between(session: Session, since: datetime, until: datetime) -> Sequence[Deployment]:
    """Return the rollouts that were asked for or approved in a period, oldest first, with their approvals."""
    approved = select(Approval.deployment_id).where(Approval.at >= since, Approval.at < until)
    asked = (Deployment.requested_at >= since) & (Deployment.requested_at < until)
    query = select(Deployment).where(Deployment.kind == Kind.ROLLOUT, asked | Deployment.id.in_(approved))
    return session.execute(query.order_by(Deployment.id).options(*_WHOLE)).scalars().all()


def step(deployment: Deployment, index: int) -> DeploymentStep:
    """Return a loaded deployment's step."""
    return next(one for one in deployment.steps if one.index == index)


def former_version(session: Session, environment: str, model: str) -> int | None:
    """Return the version that was live before the one that is.

    Promotions stack up, and a rollback takes off what it went back from. So going back twice goes back two
    versions, never forward again to what was rolled back.
    """
    query = (
        select(Deployment.kind, Deployment.version)
        .where(
            Deployment.environment == environment,
            Deployment.model == model,
            Deployment.outcome == Outcome.PROMOTED,
        )
        .order_by(Deployment.id)
    )
    stack: list[int] = []
    for kind, version in session.execute(query):
        if kind == Kind.ROLLBACK:
            while stack and stack[-1] != version:
                stack.pop()
        if not stack or stack[-1] != version:
            stack.append(version)
    return stack[-2] if len(stack) > 1 else None


def samples(session: Session, deployment_id: str, *, after: int, limit: int) -> Sequence[DeploymentSample]:
    """Return a deployment's samples after a sequence number, oldest first."""
    query = select(DeploymentSample).where(
        DeploymentSample.deployment_id == deployment_id, DeploymentSample.seq > after
    )
    return session.execute(query.order_by(DeploymentSample.seq).limit(limit)).scalars().all()


def sampled_at(session: Session, deployment_id: str, *, newest: bool) -> tuple[int, datetime] | None:
    """Return sequence number and time of a deployment's newest sample, or of its oldest."""
    order = DeploymentSample.seq.desc() if newest else DeploymentSample.seq
    query = select(DeploymentSample.seq, DeploymentSample.at).where(DeploymentSample.deployment_id == deployment_id)
    found = session.execute(query.order_by(order).limit(1)).one_or_none()
    return None if found is None else (found.seq, found.at)


def count_samples(session: Session, deployment_id: str) -> int:
    """Return how many samples there are of a deployment."""
    query = select(func.count()).where(DeploymentSample.deployment_id == deployment_id)
    return session.execute(query).scalar_one()


def thin_samples(session: Session, deployment_id: str) -> None:
    """Delete every second sample of a deployment; the oldest stays."""
    mine = DeploymentSample.deployment_id == deployment_id
    place = func.row_number().over(order_by=DeploymentSample.seq).label("place")
    numbered = select(DeploymentSample.seq, place).where(mine).subquery()
    second = select(numbered.c.seq).where(numbered.c.place % 2 == 0)
    # What the session has loaded of them is of no further use to it.
    session.execute(
        delete(DeploymentSample).where(mine, DeploymentSample.seq.in_(second)),
        execution_options={"synchronize_session": False},
    )
