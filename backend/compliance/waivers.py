"""Waivers: what a gate found is let pass for named checks, with a reason, until a time, by somebody who did not ask for it."""

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from backend.access.engine import Context, Decision
from backend.access.resources import Action, ModelResource
from backend.compliance import repository
from backend.compliance.models import Waiver, WaiverState
from backend.core.database import lock_for_transaction
from backend.core.errors import Conflict, InvalidInput, NotFound
from backend.core.ids import new_id
from backend.identity.principal import Actor, Principal
from mlplatform.gates.result import Gate

if TYPE_CHECKING:
    from backend.core.container import Services

EVENT = "ml-platform.compliance.waiver"


class WaiverService:
    """See the module's docstring."""

    def __init__(self, services: "Services") -> None:
        self._services = services

    def get(self, session: Session, id: str) -> Waiver:
        """Return a waiver.

        Raises:
            NotFound: there is none with that id.
        """
        row = repository.waiver(session, id)
        if row is None:
            raise NotFound(f"there is no waiver {id[:40]!r}", fix="`platform compliance waivers` shows them.")
        return row

    def state(self, row: Waiver) -> str:
        """Return where a waiver is, with ``expired`` for one whose time is over."""
        if row.state in (WaiverState.ACTIVE, WaiverState.WAITING) and row.expires_at <= self._services.clock.now():
            return "expired"
        return row.state

    def active(self, session: Session, model: str, environment: str) -> list[Waiver]:
        """Return the waivers of a model that hold in an environment now."""
        now = self._services.clock.now()
        return [
            row
            for row in repository.active_waivers(session, model, now)
            if not row.environments or environment in row.environments
        ]

    def request(
        self,
        session: Session,
        caller: Principal,
        *,
        model: str,
        gate: Gate,
        checks: Sequence[str],
        environments: Sequence[str],
        reason: str,
        duration: timedelta,
    ) -> Waiver:
        """Ask for a waiver.

        Raises:
            NotFound: there is no such model.
            Forbidden: the caller may not act for it.
            InvalidInput: an environment is not configured, or it would hold for too long.
        """
        row = self._services.registry.get_model(session, model)
        settings = self._services.settings
        decision = self._services.access.require(
            session,
            caller,
            Action.REQUEST_WAIVER,
            ModelResource(row.name, row.owner, row.repository),
            detail=f"{caller.ref} may not ask for a waiver of {model}",
            fix=f"Members of {row.owner} and the repository {row.repository} may.",
            event=f"{EVENT}.refused",
        )
        longest = settings.compliance.longest_waiver
        if duration > longest:
            raise InvalidInput(
                f"duration: is longer than {longest.days} days",
                fix="Mend the finding within that time; mlPlatform.compliance.longestWaiver says how long a waiver may be.",
            )
        for position, name in enumerate(environments):
            if name not in settings.environments:
                known = ", ".join(settings.environments)
                raise InvalidInput(
                    f"environments[{position}]: there is no {name[:63]!r}", fix=f"Configured are: {known}."
                )
        now = self._services.clock.now()
        waiver = Waiver(
            id=new_id(),
            model=model,
            gate=gate.value,
            checks=sorted(set(checks)),
            environments=sorted(set(environments)),
            reason=reason,
            state=WaiverState.WAITING.value,
            requested_by=caller.ref,
            on_behalf_of=caller.on_behalf_of,
            requested_at=now,
            expires_at=now + duration,
        )
        session.add(waiver)
        self._record(session, caller, waiver, "requested", access=decision.as_json())
        return waiver

    def may_decide(self, session: Session, caller: Principal, waiver: Waiver) -> Decision:
        """Let through whom the policies permit to waive, but nobody who asked; return their decision.

        Raises:
            Forbidden: the policies say no.
        """
        access = self._services.access
        return access.require(
            session,
            caller,
            Action.WAIVE,
            access.model(session, waiver.model),
            Context(requester=Actor(waiver.requested_by, waiver.on_behalf_of)),
            detail=f"{caller.ref} may not decide about waivers",
            fix="Platform administrators and those who have the role data-protection may.",
            event=f"{EVENT}.refused",
            waiver=waiver.id,
        )

    def is_awaited(self, waiver: Waiver) -> None:
        """Refuse to decide what waits for nobody.

        Raises:
            Conflict: it was decided, or its time is over.
        """
        if self.state(waiver) != WaiverState.WAITING:
            raise Conflict(f"the waiver does not wait for a decision; it is {self.state(waiver)}")

    def decide(self, session: Session, caller: Principal, id: str, *, approved: bool, comment: str) -> Waiver:
        """Say yes or no to a waiver.

        Raises:
            Forbidden: the caller may not decide.
            Conflict: it does not wait for anybody.
        """
        lock_for_transaction(session, f"waiver:{id}")
        waiver = self.get(session, id)
        decision = self.may_decide(session, caller, waiver)
        self.is_awaited(waiver)
        waiver.state = (WaiverState.ACTIVE if approved else WaiverState.REFUSED).value
        waiver.decided_by, waiver.decided_at, waiver.comment = caller.ref, self._services.clock.now(), comment
        self._record(
            session, caller, waiver, "approved" if approved else "rejected", comment=comment, access=decision.as_json()
        )
        return waiver

    def may_revoke(self, session: Session, caller: Principal, waiver: Waiver) -> Decision:
        """Let through whoever decided, and whom the policies permit to take a waiver back; return their decision.

        Raises:
            Forbidden: the policies say no.
        """
        model = self._services.access.model(session, waiver.model)
        return self._services.access.require(
            session,
            caller,
            Action.REVOKE_WAIVER,
            model,
            Context(decider=None if waiver.decided_by is None else Actor(waiver.decided_by)),
            detail=f"{caller.ref} may not revoke it",
            fix=f"Members of {model.owner} may.",
            event=f"{EVENT}.refused",
            waiver=waiver.id,
        )

    def revoke(self, session: Session, caller: Principal, id: str, *, reason: str) -> Waiver:
        """End a waiver before its time; what was admitted by it stays where it is.

        Raises:
            Forbidden: the caller may not.
            Conflict: it does not hold.
        """
        lock_for_transaction(session, f"waiver:{id}")
        waiver = self.get(session, id)
        decision = self.may_revoke(session, caller, waiver)
        if self.state(waiver) not in (WaiverState.ACTIVE, WaiverState.WAITING):
            raise Conflict(f"the waiver holds no more; it is {self.state(waiver)}")
        waiver.state = WaiverState.REVOKED.value
        self._record(session, caller, waiver, "revoked", reason=reason, access=decision.as_json())
        return waiver

    def _record(self, session: Session, caller: Principal, waiver: Waiver, what: str, **more: Any) -> None:
        self._services.audit.append(
            session,
            type=f"{EVENT}.{what}",
            subject=f"model:{waiver.model}",
            actor=caller,
            data={
                "waiver": waiver.id,
                "gate": waiver.gate,
                "checks": waiver.checks,
                "environments": waiver.environments,
                "reason": waiver.reason,
                "requestedBy": waiver.requested_by,
                "expiresAt": waiver.expires_at,
                **more,
            },
        )
