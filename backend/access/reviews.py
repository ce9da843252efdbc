"""Access reviews: every standing permission, confirmed or revoked by its owner; the result is signed."""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import rfc8785
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from backend.access import repository
from backend.access.engine import Context, Decision
from backend.access.grants import Grants
from backend.access.models import GrantState, ItemState, Review, ReviewItem, ReviewState
from backend.access.resources import ROLE, Action, OwnedResource, PlatformResource
from backend.access.review_notices import expired_notice, waiting_notices
from backend.access.service import EVENT, AccessService
from backend.audit.service import PLATFORM
from backend.core.actions import ActionOut, tried
from backend.core.container import Services
from backend.core.errors import Conflict, NotFound
from backend.core.ids import new_id
from backend.core.schemas import utc
from backend.identity.principal import Principal
from mlplatform.attest import dsse
from mlplatform.attest.statement import STATEMENT_TYPE

PREDICATE_TYPE = "urn:ml-platform:access-review:v1"
"""What the signed result of a review says it is."""
_ADMINISTRATORS = f"{ROLE}administrator"


class Reviews:
    """What people do about reviews, and the steps that :mod:`backend.access.review_work` takes by itself."""

    def __init__(self, services: Services, access: AccessService, grants: Grants) -> None:
        self._services, self._access, self._grants = services, access, grants

    def get(self, session: Session, id: str, *, lock: bool = False) -> Review:
        """Return a review.

        Raises:
            NotFound: there is none with that id.
        """
        found = repository.review(session, id, lock=lock)
        if found is None:
            raise NotFound(f"there is no access review {id[:40]!r}")
        return found

    def open(
        self,
        session: Session,
        caller: Principal | str,
        name: str,
        *,
        scheduled_for: datetime | None = None,
    ) -> Review:
        """Begin a review; what is reviewed is collected in a moment.

        Raises:
            Forbidden: the caller may not.
            Conflict: there is one that is not closed.
        """
        more: dict[str, Any] = {}
        if isinstance(caller, Principal):
            more["access"] = self._may_run(session, caller, Action.OPEN_REVIEW, "open").as_json()
        settings, now = self._services.settings.access.reviews, self._access.now()
        review = Review(
            id=new_id(),
            name=name,
            state=ReviewState.COLLECTING,
            under_way=1,
            opened_by=caller if isinstance(caller, str) else caller.ref,
            opened_at=now,
            scheduled_for=scheduled_for,
            remind_at=now + settings.remind_after,
            escalate_at=now + settings.escalate_after,
            due_at=now + settings.expire_after,
            next_at=now,
        )
        try:
            with session.begin_nested():
                session.add(review)
                session.flush()
        except IntegrityError:
            running = repository.review_under_way(session)
            if running is None:
                raise
            raise Conflict(
                f"the access review {running.name} is under way; one at a time",
                fix="Close it first: `platform access review close`.",
                review=running.id,
            ) from None
        self._record(session, "review.opened", review, caller, f"the access review {name} is open", **more)
        return review

    def decide(self, session: Session, caller: Principal, item_id: str, *, confirmed: bool, comment: str) -> ReviewItem:
        """Confirm a permission or take it away.

        Raises:
            NotFound: there is no such item.
            Forbidden: the caller does not review it, or it is their own.
            Conflict: it is decided, or the review is over.
        """
        item = self.item(session, item_id, lock=True)
        review = self.get(session, item.review_id, lock=True)
        decision = self._may_review(session, caller, review, item)
        self._is_pending(review, item)
        item.state = ItemState.CONFIRMED if confirmed else ItemState.REVOKED
        item.decided_by, item.decided_at, item.comment = caller.ref, self._access.now(), comment
        verb = "confirms" if confirmed else "revokes"
        said = f"{caller.ref} {verb} {item.kind} of {item.principal} in {item.target}" + (
            f": {comment}" if comment else ""
        )
        if not confirmed:
            self._take_away(session, review, item, caller)
        event = "review.confirmed" if confirmed else "review.revoked"
        about = {"item": item.id, **_as_json(item)}
        self._record(session, event, review, caller, said, **about, access=decision.as_json())
        session.flush()
        return item

    def close(self, session: Session, caller: Principal, id: str, reason: str, *, expire_pending: bool) -> Review:
        """End a review before it is due.

        Raises:
            Forbidden: the caller may not.
            Conflict: it is closed, or something is undecided and ``expire_pending`` is not asked for.
        """
        review = self.get(session, id, lock=True)
        decision = self._may_run(session, caller, Action.CLOSE_REVIEW, "close")
        self._can_be_closed(review)
        pending = repository.items(session, id, state=ItemState.PENDING)
        if pending and not expire_pending:
            raise Conflict(
                f"{len(pending)} permissions are not decided about",
                fix="Decide about them, or let them expire: `--expire-pending`.",
            )
        self._expire(session, review)
        review.state, review.next_at = ReviewState.CLOSING, self._access.now()
        review.closed_by, review.close_reason = caller.ref, reason
        said = f"{caller.ref} closes the review: {reason}"
        self._record(session, "review.closing", review, caller, said, expired=len(pending), access=decision.as_json())
        session.flush()
        return review

    def item(self, session: Session, id: str, *, lock: bool = False) -> ReviewItem:
        """Return an item.

        Raises:
            NotFound: there is none with that id.
        """
        found = repository.item(session, id, lock=lock)
        if found is None:
            raise NotFound(f"there is no review item {id[:40]!r}")
        return found

    def mine(self, session: Session, caller: Principal) -> Sequence[ReviewItem]:
        """Return what this caller can decide about now."""
        running = repository.review_under_way(session)
        if running is None:
            return []
        owners = self._access.owners_of(caller)
        everything = running.escalated_at is not None and _ADMINISTRATORS in owners
        found = repository.pending_of(session, None if everything else owners)
        return [one for one in found if self.actions(session, caller, one)[0].allowed]

    def actions(self, session: Session, caller: Principal, item: ReviewItem) -> list[ActionOut]:
        """Return whether the caller may confirm and revoke an item, and why not."""
        review = self.get(session, item.review_id)
        return [
            tried(
                action,
                lambda: self._is_pending(review, item),
                lambda: self._may_review(session, caller, review, item),
            )
            for action in ("confirm", "revoke")
        ]

    def review_actions(self, session: Session, caller: Principal, review: Review) -> list[ActionOut]:
        """Return whether the caller may close a review, and why not."""
        return [
            tried(
                "close",
                lambda: self._can_be_closed(review),
                lambda: self._may_run(session, caller, Action.CLOSE_REVIEW, "close"),
            )
        ]

    def opening(self, session: Session, caller: Principal) -> ActionOut:
        """Return whether the caller may open a review, and why not."""
        return tried("open-review", lambda: self._may_run(session, caller, Action.OPEN_REVIEW, "open"))

    def advance(self, session: Session, id: str) -> bool:
        """Take the next step of a review if it is due; return whether there may be another.

        Each step and what it leaves are one transaction, so it may be called again at any time.
        """
        review, now = self.get(session, id, lock=True), self._access.now()
        if review.state == ReviewState.COLLECTING:
            self._collect(session, review)
        elif review.state == ReviewState.CLOSING:
            self._sign(session, review)
        elif review.state != ReviewState.OPEN:
            return False
        elif now >= review.due_at:
            expired = self._expire(session, review)
            review.state, review.closed_by, review.close_reason = ReviewState.CLOSING, PLATFORM, "it was due"
            said = f"the review was due; nobody decided about {expired} permissions, which expire"
            self._record(session, "review.expired", review, PLATFORM, said, expired=expired)
            notice = expired_notice(self._services.settings, self._services.notifications.platform, review, expired)
            self._services.notifications.tell(session, notice)
        elif now >= review.escalate_at and review.escalated_at is None:
            review.escalated_at, review.next_at = now, review.due_at
            self._tell(session, review, "review.escalated", "administrators may decide about what waits")
        elif now >= review.remind_at and review.reminded_at is None:
            review.reminded_at, review.next_at = now, review.escalate_at
            self._tell(session, review, "review.reminded", "reviewers are reminded of what waits for them")
        else:
            return False
        session.flush()
        return True

    def give_up(self, session: Session, id: str, reason: str) -> None:
        """End a review that can't go on."""
        review = self.get(session, id, lock=True)
        review.state, review.under_way, review.next_at = ReviewState.FAILED, 0, None
        review.closed_at, review.close_reason = self._access.now(), reason
        self._record(session, "review.failed", review, PLATFORM, reason)

    def _collect(self, session: Session, review: Review) -> None:
        number = 0
        for item in self._permissions(session, review):
            session.add(item)
            number += 1
        review.state, review.next_at = ReviewState.OPEN, review.remind_at
        said = f"{number} permissions are to be reviewed until {review.due_at:%Y-%m-%d}"
        self._record(session, "review.collected", review, PLATFORM, said, items=number)

    def _permissions(self, session: Session, review: Review) -> Iterator[ReviewItem]:
        """Yield everything that somebody may do until somebody takes it away."""
        members = self._services.catalog.members(session)
        for group, users in sorted(members.items()):
            for user in sorted(users):
                yield self._item(review, "membership", user, group, self._reviewer(session, group), [user])
        for role in self._access.roles.names:
            for holder in self._access.roles.holders(role):
                for one in sorted(members.get(holder) or [holder]):
                    persons = [one] if one.startswith("user:") else []
                    yield self._item(review, "role", one, f"{ROLE}{role} by {holder}", _ADMINISTRATORS, persons)
        for name, owner in self._owned(session):
            yield self._item(review, "ownership", owner, name, self._reviewer(session, owner), [])
        for grant in repository.active_grants(session):
            purpose = f" for {grant.purpose}" if grant.purpose else ""
            target = f"{grant.action} {grant.scope}{purpose} ({grant.id})"
            persons = [grant.person, grant.requested_by, *([grant.on_behalf_of] if grant.on_behalf_of else [])]
            yield self._item(review, "grant", grant.principal, target, grant.owner, persons, grant.id)

    def _owned(self, session: Session) -> Iterator[tuple[str, str]]:
        names = list(self._services.registry.names(session))
        for begin in range(0, len(names), 500):
            models = self._services.registry.registered(session, names[begin : begin + 500])
            yield from sorted((f"model:{name}", row.owner) for name, (row, _, _) in models.items())
        for entity in self._services.catalog.owned(session, ["dataset"]):
            yield f"dataset:{entity.ref.partition(':')[2]}", entity.owner or "nobody"

    def _reviewer(self, session: Session, owner: str) -> str:
        known = owner.startswith("group:") and self._services.catalog.is_group(session, owner)
        return owner.casefold() if known else _ADMINISTRATORS

    def _item(
        self,
        review: Review,
        kind: str,
        principal: str,
        target: str,
        owner: str,
        persons: Sequence[str],
        grant_id: str | None = None,
    ) -> ReviewItem:
        return ReviewItem(
            id=new_id(),
            review_id=review.id,
            kind=kind,
            principal=principal,
            target=target[:300],
            owner=owner,
            grant_id=grant_id,
            persons=sorted({self._access.people.person(one) for one in persons}),
            state=ItemState.PENDING,
        )

    def _expire(self, session: Session, review: Review) -> int:
        pending = repository.items(session, review.id, state=ItemState.PENDING)
        for item in pending:
            item.state, item.decided_by, item.decided_at = ItemState.EXPIRED, PLATFORM, self._access.now()
            self._take_away(session, review, item, PLATFORM)
        return len(pending)

    def _take_away(self, session: Session, review: Review, item: ReviewItem, actor: Principal | str) -> None:
        """End a grant; of everything else say who has to end it, since the platform can't."""
        if item.grant_id is not None:
            grant = self._grants.get(session, item.grant_id, lock=True)
            if grant.state == GrantState.ACTIVE:
                said = f"the access review {review.name} did not confirm it"
                self._grants.end(session, grant, GrantState.REVOKED, actor, said)
        elif item.kind == "membership":
            item.exception = f"take {item.principal} out of {item.target} where the organisation keeps its groups"
        elif item.kind == "role":
            item.exception = f"take {item.principal} out of {item.target}: in the settings, or out of that group"
        else:
            item.exception = f"give {item.target} another owner than {item.principal}, in its repository"

    def _sign(self, session: Session, review: Review) -> None:
        """Keep the result as evidence: an in-toto statement, signed with the key of the audit log."""
        items = [_as_json(one) for one in repository.items(session, review.id)]
        review.digest = hashlib.sha256(rfc8785.dumps(items)).hexdigest()
        review.closed_at = self._access.now()
        counts = repository.counts(session, [review.id])[review.id]
        statement = {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": f"access-review:{review.id}", "digest": {"sha256": review.digest}}],
            "predicateType": PREDICATE_TYPE,
            "predicate": {
                "name": review.name,
                "openedBy": review.opened_by,
                "openedAt": utc(review.opened_at),
                "remindedAt": review.reminded_at and utc(review.reminded_at),
                "escalatedAt": review.escalated_at and utc(review.escalated_at),
                "dueAt": utc(review.due_at),
                "closedBy": review.closed_by,
                "closedAt": utc(review.closed_at),
                "reason": review.close_reason,
                "policies": self._access.digest,
                "counts": counts,
                "items": items,
                "exceptions": [one for one in items if one["exception"]],
            },
        }
        review.result = dsse.sign(statement, self._services.audit.key)
        review.state, review.under_way, review.next_at = ReviewState.CLOSED, 0, None
        said = ", ".join(f"{number} {state}" for state, number in sorted(counts.items())) or "nothing to review"
        self._record(session, "review.closed", review, PLATFORM, said, sha256=review.digest, counts=counts)

    def _tell(self, session: Session, review: Review, event: str, said: str) -> None:
        waiting: dict[str, int] = {}
        for item in repository.items(session, review.id, state=ItemState.PENDING):
            waiting[item.owner] = waiting.get(item.owner, 0) + 1
        self._record(session, event, review, PLATFORM, f"{said}: {sum(waiting.values())} permissions", waiting=waiting)
        notifications = self._services.notifications
        for notice in waiting_notices(self._services.settings, notifications.platform, review, waiting):
            notifications.tell(session, notice)

    def _may_run(self, session: Session, caller: Principal, action: Action, verb: str) -> Decision:
        return self._access.require(
            session,
            caller,
            action,
            PlatformResource(),
            detail=f"{caller.ref} may not {verb} access reviews",
            fix="Platform administrators may.",
            event=f"{EVENT}.review.refused",
            subject="access:reviews",
            verb=verb,
        )

    def _may_review(self, session: Session, caller: Principal, review: Review, item: ReviewItem) -> Decision:
        return self._access.require(
            session,
            caller,
            Action.REVIEW,
            OwnedResource("ReviewItem", item.id, item.owner, frozenset(item.persons)),
            Context(escalated=review.escalated_at is not None),
            detail=f"{caller.ref} may not review this permission",
            fix=f"Members of {item.owner} may.",
            event=f"{EVENT}.review.refused",
            subject=f"access-review:{review.id}",
            item=item.id,
        )

    def _is_pending(self, review: Review, item: ReviewItem) -> None:
        if review.state != ReviewState.OPEN:
            raise Conflict(f"the review is not open; it is {review.state}")
        if item.state != ItemState.PENDING:
            raise Conflict(f"it is decided: {item.decided_by} {item.state} it")

    def _can_be_closed(self, review: Review) -> None:
        if review.state != ReviewState.OPEN:
            raise Conflict(f"the review is not open; it is {review.state}")

    def _record(
        self, session: Session, event: str, review: Review, actor: Principal | str, reason: str, **data: Any
    ) -> None:
        about = {"review": review.id, "name": review.name, "dueAt": review.due_at}
        self._services.audit.append(
            session,
            type=f"{EVENT}.{event}",
            subject=f"access-review:{review.id}",
            actor=actor,
            data={**about, "reason": reason, **data},
        )


def _as_json(item: ReviewItem) -> dict[str, Any]:
    return {
        "kind": item.kind,
        "principal": item.principal,
        "target": item.target,
        "owner": item.owner,
        "state": item.state,
        "decidedBy": item.decided_by,
        "decidedAt": item.decided_at and utc(item.decided_at),
        "comment": item.comment,
        "exception": item.exception,
    }
