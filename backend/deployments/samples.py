"""What is kept of a rollout's figures for a graph: a sample now and then, evenly spread over the whole rollout."""

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from backend.deployments import repository
from backend.deployments.analysis import Judgement
from backend.deployments.figures import figures_of
from backend.deployments.models import DeploymentSample

SPACING = timedelta(seconds=2)
"""Least time between two samples."""
MOST = 2000
"""Samples that are kept of one deployment."""


def keep(session: Session, deployment_id: str, step: int, judgement: Judgement, now: datetime) -> bool:
    """Keep a tick's figures as a sample, if it is time for one; say whether it was.

    Belongs into the transaction that keeps the tick itself, under the deployment's lock. When there are :data:`MOST` samples,
    every second one is deleted, and in a rollout that takes longer than so many of them :data:`SPACING` apart, they come
    half as often from then on. So a graph shows all of it, and ``seq`` always rises, but not always by one.
    """
    if not judgement.canary.requests and not judgement.primary.requests:
        return False
    seq, last = repository.sampled_at(session, deployment_id, newest=True) or (0, None)
    if last is not None:
        if now - last < SPACING:
            return False  # most ticks end here, after one look-up
        _, first = repository.sampled_at(session, deployment_id, newest=False) or (0, last)
        if now - last < spacing(now - first):
            return False
        if repository.count_samples(session, deployment_id) >= MOST:
            repository.thin_samples(session, deployment_id)
    figures = figures_of(judgement)
    session.add(
        DeploymentSample(
            deployment_id=deployment_id,
            seq=seq + 1,
            at=now,
            step=step,
            canary=figures["canary"],
            primary=figures["primary"],
            limits={check.name: check.limit for check in judgement.checks if check.limit is not None},
        )
    )
    return True


def spacing(age: timedelta) -> timedelta:
    """Return how far apart samples are in a rollout of this age: doubled until they fit."""
    apart = SPACING
    while age >= MOST * apart:
        apart *= 2
    return apart
