"""What people are told of access reviews that are overdue."""

from collections.abc import Mapping

from backend.access.models import Review
from backend.core.config import Settings
from backend.notifications.service import Notice


def waiting_notices(settings: Settings, platform: str, review: Review, waiting: Mapping[str, int]) -> list[Notice]:
    """Return what reviewers are told who have decided too little; once it is escalated, what administrators are told.

    ``waiting`` is how many permissions wait for each reviewer: a group, or the administrators by the name of their role.
    """
    escalated = review.escalated_at is not None
    groups: dict[str, int] = {}
    for owner, number in waiting.items():
        group = owner if owner.startswith("group:") and not escalated else platform
        groups[group] = groups.get(group, 0) + number
    return [
        _notice(
            settings,
            review,
            event="escalated" if escalated else "reminded",
            owner=group,
            title=f"{number} permissions wait in the access review {review.name}",
            lines=[
                f"Due: {review.due_at:%Y-%m-%d}; what nobody confirms by then expires.",
                "Administrators may decide about all of them."
                if escalated
                else "Decide: platform access review list --mine",
            ],
        )
        for group, number in sorted(groups.items())
        if number
    ]


def expired_notice(settings: Settings, platform: str, review: Review, expired: int) -> Notice:
    """Return what administrators are told of a review that was due."""
    return _notice(
        settings,
        review,
        event="expired",
        owner=platform,
        title=f"the access review {review.name} was due",
        lines=[f"Nobody decided about {expired} permissions, which expire; its result names what people have to end."],
    )


def _notice(settings: Settings, review: Review, *, event: str, owner: str, title: str, lines: list[str]) -> Notice:
    return Notice(
        kind="access-review",
        subject=f"access-review:{review.id}",
        event=event,
        owner=owner,
        severity="ticket",
        title=title,
        lines=[*lines, f"Reviews: {settings.portal.url}/access", f"This one: platform access review show {review.id}"],
    )
