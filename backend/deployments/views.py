"""What other domains are told about deployments."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from backend.deployments import repository
from backend.deployments.admission import APPROVAL
from backend.deployments.models import Deployment, StepKind, StepState, TrafficState
from backend.identity.principal import Actor


@dataclass(frozen=True)
class Place:
    """A model in an environment that it was deployed to."""

    model: str
    environment: str
    champion: int | None
    challenger: int | None
    phase: str
    deployment_id: str
    since: datetime | None
    """When the rollout of the live version was over."""
    changed_at: datetime
    """When the newest deployment was asked for, or was over."""

    def as_row(self) -> dict[str, Any]:
        """Return all members but the time of change."""
        values = asdict(self)
        del values["changed_at"]
        return values


@dataclass(frozen=True)
class Past:
    """A rollout that is over."""

    id: str
    model: str
    version: int
    environment: str
    outcome: str
    requested_by: str
    """Who asked for it; for a CI job who started it, as far as it says so."""
    approved_by: tuple[str, ...]
    hurried_by: str | None
    """Who had it promoted before its analysis was over."""
    judged: bool
    """Whether at least one step with users' requests, or a comparison, ended by what the version did there."""
    first: bool
    """Whether there was nothing live to compare it with."""
    requested_at: datetime
    finished_at: datetime
    breached_at: datetime | None
    broke_glass: bool
    actors: frozenset[str]
    """Who asked for it, approved it or hurried it."""


@dataclass(frozen=True)
class Said:
    """What an approver said."""

    by: str
    approved: bool
    at: datetime


@dataclass(frozen=True)
class Duties:
    """Who had which part in a rollout."""

    deployment: str
    model: str
    version: int
    environment: str
    requested_at: datetime
    requester: Actor
    hurried_by: str | None
    """Who had it skip the rest of its analysis."""
    break_glass: str | None
    outcome: str | None
    waited_for_approval: bool
    approvals: tuple[Said, ...]


def places(session: Session, models: Sequence[str]) -> dict[str, list[Place]]:
    """Return where models were deployed to."""
    newest = repository.newest(session, models)
    roles: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for environment, model, version, state in repository.roles(session, {one.environment for one in newest}, models):
        roles[model, environment][state] = version
    promoted = repository.promotions(session, models)
    found: dict[str, list[Place]] = defaultdict(list)
    for one in newest:
        now = roles[one.model, one.environment]
        champion = now.get(TrafficState.LIVE)
        found[one.model].append(
            Place(
                model=one.model,
                environment=one.environment,
                champion=champion,
                challenger=now.get(TrafficState.CANARY),
                phase=one.phase,
                deployment_id=one.id,
                since=promoted.get((one.model, one.environment, champion)),
                changed_at=one.finished_at or one.requested_at,
            )
        )
    return found


def duties(rows: Sequence[Deployment]) -> list[Duties]:
    """Return who had which part in rollouts."""
    return [
        Duties(
            deployment=row.id,
            model=row.model,
            version=row.version,
            environment=row.environment,
            requested_at=row.requested_at,
            requester=Actor(row.requested_by, row.on_behalf_of),
            hurried_by=row.promote_requested_by,
            break_glass=row.break_glass_reason,
            outcome=row.outcome,
            waited_for_approval=any(one["requirement"] == APPROVAL for one in row.requirements),
            approvals=tuple(Said(one.by, one.decision == "approve", one.at) for one in row.approvals),
        )
        for row in rows
    ]


def past(rows: Sequence[Deployment]) -> list[Past]:
    """Return rollouts that are over as other domains see them."""
    return [
        Past(
            id=row.id,
            model=row.model,
            version=row.version,
            environment=row.environment,
            outcome=row.outcome,
            requested_by=row.on_behalf_of or row.requested_by,
            approved_by=tuple(one.by for one in row.approvals if one.decision == "approve"),
            hurried_by=row.promote_requested_by,
            judged=any(
                step.kind in (StepKind.CANARY, StepKind.COMPARE)
                and step.state in (StepState.PASSED, StepState.BREACHED)
                for step in row.steps
            ),
            first=row.previous_version is None,
            requested_at=row.requested_at,
            finished_at=row.finished_at,
            breached_at=max(
                (step.finished_at for step in row.steps if step.state == StepState.BREACHED and step.finished_at),
                default=None,
            ),
            broke_glass=row.break_glass_reason is not None,
            actors=frozenset(
                one
                for one in (
                    row.on_behalf_of or row.requested_by,
                    row.promote_requested_by,
                    *(approval.by for approval in row.approvals),
                )
                if one is not None
            ),
        )
        for row in rows
        if row.finished_at is not None and row.outcome is not None
    ]
