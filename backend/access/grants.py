"""Access for a time: asked for, decided by the owner, taken in an emergency, and ended by itself."""

import logging
from datetime import timedelta
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from backend.access import repository
from backend.access.engine import Decision
from backend.access.models import Grant, GrantKind, GrantState
from backend.access.resources import (
    BREAKABLE,
    FOR_A_PURPOSE,
    GRANTABLE,
    ROLE,
    Action,
    DatasetResource,
    OwnedResource,
    PlatformResource,
    Resource,
)
from backend.access.service import EVENT, AccessService
from backend.access.wishes import Wish, Wishes
from backend.audit.service import PLATFORM
from backend.core.actions import ActionOut, tried
from backend.core.container import Services
from backend.core.errors import Conflict, InvalidInput, NotFound
from backend.core.ids import new_id
from backend.identity.principal import Principal
from mlplatform.spec.quantities import format_duration

_log = logging.getLogger(__name__)


class Grants:
    """See the module's docstring."""

    def __init__(self, services: Services, access: AccessService) -> None:
        self._services, self._access = services, access
        self._settings = services.settings.access
        self.wishes = Wishes(access, self._settings)

    def get(self, session: Session, id: str, *, lock: bool = False) -> Grant:
        """Return a grant.

        Raises:
            NotFound: there is none with that id.
        """
        found = repository.grant(session, id, lock=lock)
        if found is None:
            raise NotFound(f"there is no grant {id[:40]!r}")
        return found

    def request(self, session: Session, caller: Principal, wish: Wish) -> Grant:
        """Ask for access.

        Raises:
            InvalidInput: what is asked for can't be granted, or not for so long.
            Conflict: the same is asked for, or granted, already.
        """
        action, scope, resource = self.wishes.checked(session, wish, GRANTABLE)
        self.wishes.not_too_long("for", wish.duration, self._settings.grants.longest)
        now = self._access.now()
        grant = self._new(session, caller, wish, action, scope, resource, GrantKind.GRANT)
        grant.state, grant.ends_at = GrantState.REQUESTED, now + self._settings.grants.wait
        covering = repository.covering(
            session, person=grant.person, action=action, scopes=[scope], purpose=grant.purpose, now=now
        )
        if covering is not None:
            raise Conflict(
                f"{grant.principal} may {action} {scope} already, until {covering[2]:%Y-%m-%d %H:%M} UTC",
                grant=covering[0],
            )
        self._add(session, grant)
        asked = f"{caller.ref} asks that {grant.principal} may {action} {scope} for {format_duration(wish.duration)}"
        self._record(session, "grant.requested", grant, caller, f"{asked}: {wish.reason}")
        return grant

    def approve(self, session: Session, caller: Principal, id: str, comment: str) -> Grant:
        """Grant what was asked for, from now on.

        Raises:
            Forbidden: the caller does not decide about it, or is whom it is for.
            Conflict: it does not wait for a decision (any more).
        """
        grant, decision = self._decided(session, caller, id, Action.APPROVE_GRANT, "approve")
        now = self._access.now()
        grant.state, grant.starts_at, grant.ends_at = GrantState.ACTIVE, now, now + timedelta(seconds=grant.seconds)
        said = f"{caller.ref} grants {grant.principal} to {grant.action} {grant.scope} until {grant.ends_at:%Y-%m-%d %H:%M} UTC"
        self._close(session, "grant.approved", grant, caller, said, comment, decision)
        return grant

    def deny(self, session: Session, caller: Principal, id: str, comment: str) -> Grant:
        """Turn a request down.

        Raises:
            Forbidden: the caller does not decide about it.
            Conflict: it does not wait for a decision (any more).
        """
        grant, decision = self._decided(session, caller, id, Action.APPROVE_GRANT, "deny")
        grant.state, grant.ended_at = GrantState.DENIED, self._access.now()
        said = f"{caller.ref} does not grant {grant.principal} to {grant.action} {grant.scope}"
        self._close(session, "grant.denied", grant, caller, said, comment, decision)
        return grant

    def revoke(self, session: Session, caller: Principal, id: str, reason: str) -> Grant:
        """End a grant before its time, or withdraw a request.

        Raises:
            Forbidden: the caller may not.
            Conflict: it is over.
        """
        grant = self.get(session, id, lock=True)
        decision = self._may(session, caller, grant, Action.REVOKE_GRANT, "revoke")
        self._can_be_revoked(grant)
        self.end(session, grant, GrantState.REVOKED, caller, f"revoked by {caller.ref}: {reason}", decision)
        return grant

    def break_glass(self, session: Session, caller: Principal, wish: Wish) -> Grant:
        """Take access at once, in an emergency. It is short, everybody sees it, and somebody looks at it afterwards.

        Raises:
            Forbidden: the caller may not break the glass.
            InvalidInput: it can't be taken so, or not for so long.
        """
        action, scope, resource = self.wishes.checked(session, wish, BREAKABLE)
        if isinstance(resource, DatasetResource) and resource.name is None:
            raise InvalidInput("scope: the glass is broken for one dataset, not for a whole class")
        decision = self._may_break(session, caller, resource, scope)
        self.wishes.not_too_long("for", wish.duration, self._settings.grants.longest_break_glass)
        grant = self._new(session, caller, wish, action, scope, resource, GrantKind.BREAK_GLASS)
        now = self._access.now()
        grant.state, grant.starts_at, grant.ends_at = GrantState.ACTIVE, now, now + wish.duration
        self._add(session, grant)
        said = f"{caller.ref} broke the glass to {action} {scope} for {format_duration(wish.duration)}: {wish.reason}"
        self._record(session, "grant.broke_glass", grant, caller, said, severity="critical", access=decision.as_json())
        _log.critical("%s", said, extra={"grant": grant.id, "actor": caller.ref})
        return grant

    def look_at(self, session: Session, caller: Principal, id: str, *, justified: bool, comment: str) -> Grant:
        """Say afterwards whether breaking the glass was justified; what was not ends at once.

        Raises:
            Forbidden: the caller may not, or did it themselves.
            Conflict: it was looked at, or is no use of break-glass.
        """
        grant = self.get(session, id, lock=True)
        decision = self._may(session, caller, grant, Action.REVIEW_BREAK_GLASS, "look at")
        self._can_be_looked_at(grant)
        grant.looked_at_by, grant.looked_at = caller.ref, self._access.now()
        grant.looked_at_comment, grant.justified = comment, justified
        said = f"{caller.ref} finds that it was {'' if justified else 'not '}justified: {comment}"
        self._record(session, "grant.looked_at", grant, caller, said, access=decision.as_json(), justified=justified)
        if not justified and grant.state == GrantState.ACTIVE:
            self.end(session, grant, GrantState.REVOKED, caller, said)
        return grant

    def expire(self, session: Session, id: str) -> None:
        """End what has had its time; called again it does nothing."""
        grant = repository.grant(session, id, lock=True)
        if grant is None or grant.state not in (GrantState.ACTIVE, GrantState.REQUESTED):
            return
        if grant.ends_at > self._access.now():
            return
        waited = grant.state == GrantState.REQUESTED
        said = "nobody decided about the request in time" if waited else "its time is over"
        self.end(session, grant, GrantState.EXPIRED, PLATFORM, said)

    def end(
        self,
        session: Session,
        grant: Grant,
        state: GrantState,
        actor: Principal | str,
        said: str,
        decision: Decision | None = None,
    ) -> None:
        """End a grant or a request, with its audit event."""
        grant.state, grant.ended_at, grant.end_reason = state, self._access.now(), said
        grant.ended_by = actor if isinstance(actor, str) else actor.ref
        more = {} if decision is None else {"access": decision.as_json()}
        self._record(session, f"grant.{state}", grant, actor, said, **more)
        session.flush()

    def actions(self, session: Session, caller: Principal, id: str) -> list[ActionOut]:
        """Return what the caller may do about a grant, and why not.

        Raises:
            NotFound: there is none with that id.
        """
        grant = self.get(session, id)
        return [
            tried(
                "approve",
                lambda: self._may(session, caller, grant, Action.APPROVE_GRANT, "approve"),
                lambda: self._is_awaited(grant),
            ),
            tried(
                "deny",
                lambda: self._may(session, caller, grant, Action.APPROVE_GRANT, "deny"),
                lambda: self._is_awaited(grant),
            ),
            tried(
                "revoke",
                lambda: self._may(session, caller, grant, Action.REVOKE_GRANT, "revoke"),
                lambda: self._can_be_revoked(grant),
            ),
            tried(
                "look-at",
                lambda: self._can_be_looked_at(grant),
                lambda: self._may(session, caller, grant, Action.REVIEW_BREAK_GLASS, "look at"),
            ),
        ]

    def breaking(self, session: Session, caller: Principal, resource: Resource) -> ActionOut:
        """Return whether the caller may break the glass for something, and why not."""
        return tried("break-glass", lambda: self._may_break(session, caller, resource, resource.ref))

    def _may_break(self, session: Session, caller: Principal, resource: Resource, scope: str) -> Decision:
        groups = " or ".join(self._services.settings.permissions.break_glass)
        return self._access.require(
            session,
            caller,
            Action.BREAK_GLASS,
            resource,
            detail=f"{caller.ref} may not break the glass; members of {groups} may",
            fix="Ask for access: `platform access request`.",
            event=f"{EVENT}.break_glass.refused",
            subject=scope,
        )

    def _new(
        self,
        session: Session,
        caller: Principal,
        wish: Wish,
        action: Action,
        scope: str,
        resource: Resource,
        kind: GrantKind,
    ) -> Grant:
        principal = wish.principal or caller.ref
        return Grant(
            id=new_id(),
            kind=kind,
            principal=principal,
            person=self._access.people.person(principal),
            requested_by=caller.ref,
            on_behalf_of=caller.on_behalf_of,
            action=action,
            scope=scope,
            purpose=(wish.purpose or "") if action in FOR_A_PURPOSE else "",
            reason=wish.reason,
            seconds=int(wish.duration.total_seconds()),
            owner=self._owner(session, resource),
            requested_at=self._access.now(),
        )

    def _owner(self, session: Session, resource: Resource) -> str:
        """Return who decides: the owner group as far as somebody can be in it, else those responsible for all data."""
        if isinstance(resource, PlatformResource):
            return f"{ROLE}administrator"
        owner = resource.owner
        if owner is None or not self._services.catalog.is_group(session, owner):
            return self._access.data_protection()
        return owner.casefold()

    def _add(self, session: Session, grant: Grant) -> None:
        try:
            with session.begin_nested():
                session.add(grant)
                session.flush()
        except IntegrityError:
            twin = repository.waiting_twin(session, grant)
            if twin is None:
                raise
            raise Conflict(
                f"{grant.principal} has asked to {grant.action} {grant.scope} already",
                fix=f"It waits for {twin.owner}.",
                grant=twin.id,
            ) from None

    def _decided(
        self, session: Session, caller: Principal, id: str, action: Action, verb: str
    ) -> tuple[Grant, Decision]:
        grant = self.get(session, id, lock=True)
        decision = self._may(session, caller, grant, action, verb)
        self._is_awaited(grant)
        grant.decided_by, grant.decided_at = caller.ref, self._access.now()
        return grant, decision

    def _close(
        self, session: Session, event: str, grant: Grant, caller: Principal, said: str, comment: str, by: Decision
    ) -> None:
        grant.comment = comment
        self._record(session, event, grant, caller, f"{said}: {comment}" if comment else said, access=by.as_json())
        session.flush()

    def _may(self, session: Session, caller: Principal, grant: Grant, action: Action, verb: str) -> Decision:
        return self._access.require(
            session,
            caller,
            action,
            OwnedResource("Grant", grant.id, grant.owner, self._persons(grant)),
            detail=f"{caller.ref} may not {verb} this grant",
            fix=f"Members of {grant.owner} may.",
            event=f"{EVENT}.grant.refused",
            verb=verb,
        )

    def _persons(self, grant: Grant) -> frozenset[str]:
        return frozenset({grant.person, *self._access.people.behind(grant.requested_by, grant.on_behalf_of)})

    def _is_awaited(self, grant: Grant) -> None:
        if grant.state == GrantState.REQUESTED and not self._access.clock_is_right():
            raise Conflict(
                "the platform's clock is behind a time that was seen before, so nothing can be granted for a time",
                fix="Set the clock right; if that time was wrong, an administrator says so: POST access/clock.",
            )
        if grant.state != GrantState.REQUESTED or grant.ends_at <= self._access.now():
            state = "expired" if grant.state == GrantState.REQUESTED else grant.state
            raise Conflict(
                f"the request does not wait for a decision; it is {state}",
                fix="Ask anew with `platform access request`.",
            )

    def _can_be_revoked(self, grant: Grant) -> None:
        if grant.state not in (GrantState.ACTIVE, GrantState.REQUESTED):
            raise Conflict(f"the grant is over: it is {grant.state}")

    def _can_be_looked_at(self, grant: Grant) -> None:
        if grant.kind != GrantKind.BREAK_GLASS:
            raise Conflict("nobody broke the glass for this grant")
        if grant.looked_at is not None:
            raise Conflict(f"{grant.looked_at_by} has looked at it already")

    def _record(
        self, session: Session, event: str, grant: Grant, actor: Principal | str, reason: str, **data: Any
    ) -> None:
        about = {
            "grant": grant.id,
            "kind": grant.kind,
            "principal": grant.principal,
            "action": grant.action,
            "scope": grant.scope,
            "purpose": grant.purpose or None,
            "owner": grant.owner,
            "state": grant.state,
            "startsAt": grant.starts_at,
            "endsAt": grant.ends_at,
        }
        self._services.audit.append(
            session,
            type=f"{EVENT}.{event}",
            subject=f"grant:{grant.id}",
            actor=actor,
            data={**about, "reason": reason, **data},
        )
