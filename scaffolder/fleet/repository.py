"""All queries on the fleet's tables."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import case, delete, func, select
from sqlalchemy.orm import Session

from scaffolder.fleet.models import Campaign, FleetRepository, Inventory, Member, MemberState

Place = tuple[str, str, str]
"""Host, organisation and name of a repository."""


def campaign(session: Session, campaign_id: str, *, lock: bool = False) -> Campaign | None:
    """Return a campaign; locked, it is as it is now and nobody else's until the transaction ends."""
    query = select(Campaign).where(Campaign.id == campaign_id)
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    return session.execute(query).scalar_one_or_none()


def under_way(session: Session, template: str, place: str = "") -> Campaign | None:
    """Return the campaign of a template that is not over, locked: through the fleet, or for one repository."""
    query = select(Campaign).where(
        Campaign.template == template, Campaign.repository == place, Campaign.finished_at.is_(None)
    )
    query = query.with_for_update()
    return session.execute(query).scalar_one_or_none()


def to_work_on(session: Session) -> Sequence[str]:
    """Return the ids of all campaigns that are not over, oldest first."""
    query = select(Campaign.id).where(Campaign.finished_at.is_(None)).order_by(Campaign.id)
    return session.execute(query).scalars().all()


def campaigns(session: Session, *, template: str | None, after: str | None, limit: int) -> Sequence[Campaign]:
    """Return campaigns, newest first."""
    query = select(Campaign)
    if template is not None:
        query = query.where(Campaign.template == template)
    if after is not None:
        query = query.where(Campaign.id < after)
    return session.execute(query.order_by(Campaign.id.desc()).limit(limit)).scalars().all()


def members(
    session: Session,
    campaign_id: str,
    *,
    wave: int | None = None,
    states: Sequence[MemberState] | None = None,
    after: int = -1,
    limit: int | None = None,
) -> Sequence[Member]:
    """Return a campaign's repositories in their order."""
    query = select(Member).where(Member.campaign_id == campaign_id, Member.position > after)
    if wave is not None:
        query = query.where(Member.wave == wave)
    if states is not None:
        query = query.where(Member.state.in_(states))
    return session.execute(query.order_by(Member.position).limit(limit)).scalars().all()


def member(session: Session, campaign_id: str, position: int) -> Member:
    """Return a campaign's repository, locked."""
    query = select(Member).where(Member.campaign_id == campaign_id, Member.position == position)
    return session.execute(query.with_for_update().execution_options(populate_existing=True)).scalar_one()


def counts(session: Session, campaign_id: str) -> dict[str, int]:
    """Return how many of a campaign's repositories are in each state."""
    query = select(Member.state, func.count()).where(Member.campaign_id == campaign_id).group_by(Member.state)
    return {str(state): int(number) for state, number in session.execute(query)}


def inventory(session: Session, inventory_id: str) -> Inventory | None:
    """Return a pass."""
    return session.get(Inventory, inventory_id)


def inventories_to_do(session: Session) -> Sequence[Inventory]:
    """Return the passes that are not over, oldest first."""
    query = select(Inventory).where(Inventory.finished_at.is_(None)).order_by(Inventory.id)
    return session.execute(query).scalars().all()


def last_inventory(session: Session) -> Inventory | None:
    """Return the newest pass that is over."""
    query = select(Inventory).where(Inventory.finished_at.is_not(None)).order_by(Inventory.id.desc()).limit(1)
    return session.execute(query).scalar_one_or_none()


def forget_inventories(session: Session, before: datetime) -> None:
    """Delete passes that were over before a time."""
    session.execute(delete(Inventory).where(Inventory.finished_at < before))


def fleet_repository(session: Session, place: Place) -> FleetRepository | None:
    """Return what the last pass saw of a repository."""
    return session.get(FleetRepository, place)


def by_name(session: Session, names: Collection[str]) -> Sequence[FleetRepository]:
    """Return the repositories of these names, whatever their host and organisation."""
    query = (
        select(FleetRepository)
        .where(FleetRepository.name.in_(names))
        .order_by(FleetRepository.host, FleetRepository.org)
    )
    return session.execute(query.execution_options(populate_existing=True)).scalars().all()


def unseen(session: Session, hosts: Sequence[str], before: datetime) -> Sequence[str]:
    """Return the names of the repositories of these hosts that were not seen since a time."""
    query = select(FleetRepository.name).where(FleetRepository.host.in_(hosts), FleetRepository.seen_at < before)
    return session.execute(query).scalars().all()


def forget_unseen(session: Session, hosts: Sequence[str], before: datetime) -> int:
    """Delete the repositories of these hosts that were not seen since a time; return how many."""
    query = delete(FleetRepository).where(FleetRepository.host.in_(hosts), FleetRepository.seen_at < before)
    return int(session.execute(query).rowcount)  # type: ignore[attr-defined]


def fleet(
    session: Session,
    *,
    owner: str | None = None,
    template: str | None = None,
    behind: bool | None = None,
    after: Place | None = None,
    limit: int | None = None,
) -> Sequence[FleetRepository]:
    """Return repositories by host, organisation and name."""
    query = select(FleetRepository)
    if owner is not None:
        query = query.where(FleetRepository.owner == owner)
    if template is not None:
        query = query.where(FleetRepository.template == template)
    if behind is not None:
        query = query.where(FleetRepository.behind > 0 if behind else FleetRepository.behind == 0)
    key = (FleetRepository.host, FleetRepository.org, FleetRepository.name)
    if after is not None:
        host, org, name = after
        query = query.where(
            (key[0] > host)
            | ((key[0] == host) & (key[1] > org))
            | ((key[0] == host) & (key[1] == org) & (key[2] > name))
        )
    return session.execute(query.order_by(*key).limit(limit)).scalars().all()


def from_templates(session: Session) -> Sequence[FleetRepository]:
    """Return the repositories that came from a template that the platform knows, by host, organisation and name."""
    has = FleetRepository
    query = select(has).where(has.template.is_not(None)).order_by(has.host, has.org, has.name)
    return session.execute(query).scalars().all()


def currency(session: Session) -> tuple[int, int]:
    """Return how many repositories came from a template that the platform knows, and how many have its newest version."""
    has = FleetRepository
    query = select(func.count(), func.sum(case((has.behind == 0, 1), else_=0))).where(has.template.is_not(None))
    known, current = session.execute(query).one()
    return int(known), int(current or 0)


def summary(session: Session) -> Sequence[Any]:
    """Return, by owner and template: repositories, those behind, those with drift, with an open request, with a fault."""
    has = FleetRepository
    query = (
        select(
            has.owner,
            has.template,
            func.count().label("repositories"),
            func.sum(case((has.behind > 0, 1), else_=0)).label("behind"),
            func.sum(case((has.number.is_not(None), 1), else_=0)).label("open_requests"),
            func.sum(case((has.fault.is_not(None), 1), else_=0)).label("faults"),
        )
        .group_by(has.owner, has.template)
        .order_by(has.owner, has.template)
    )
    return session.execute(query).all()
