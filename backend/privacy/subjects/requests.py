"""Data-subject requests: asked for, confirmed by somebody else, worked off durably, and proved."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy.orm import Session

from backend.access.engine import Context, Decision
from backend.access.resources import Action, PlatformResource
from backend.access.service import refusal
from backend.core.actions import ActionOut, tried
from backend.core.container import Services
from backend.core.errors import Conflict, InvalidInput
from backend.core.ids import new_id
from backend.identity.principal import Actor, Principal
from backend.privacy import repository
from backend.privacy.holds import EVENT, UnderLegalHold, said
from backend.privacy.models import ItemState, Kind, LegalHold, RequestState, SubjectFinding, SubjectRequest
from backend.privacy.subjects.matching import Matcher, Unsearchable, identifier

_MOST_IDENTIFIERS = 50
# Where the platform holds nothing of the person, somebody's vault still may.
_ERASABLE = (RequestState.FOUND, RequestState.NOTHING_FOUND, RequestState.PARTLY_ERASED, RequestState.FAILED)


class WrongStep(Conflict):
    """The request is not at the step that was asked for."""

    slug: ClassVar[str] = "wrong-step"
    title: ClassVar[str] = "Wrong step"


class SubjectRequests:
    """What people ask of data-subject requests; the work is in :mod:`backend.privacy.subjects.work`."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def may(
        self, session: Session, caller: Principal, verb: str, subject: str, context: Context | None = None
    ) -> Decision:
        """Let through whom the policies permit to erase a person; return their decision.

        Raises:
            Forbidden: the policies say no.
        """
        access = self._services.access
        decision = access.decide(session, caller, Action.ERASE_SUBJECT, PlatformResource(), context)
        if decision.allowed:
            return decision
        refused = refusal(decision)
        refused.detail = f"{caller.ref} may not {verb}: {replace(decision, request=None).explanation}"
        raise refused.audited(type=f"{EVENT}.refused", subject=subject, actor=caller.ref, verb=verb, **refused.extra)

    def may_confirm(self, session: Session, caller: Principal, request: SubjectRequest) -> Decision:
        """Let through whom the policies permit to confirm the erasure: nobody does who had a part in asking.

        Raises:
            Forbidden: the policies say no.
        """
        by = request.erasure_requested_by
        asked = Context(
            requester=Actor(request.requested_by, request.on_behalf_of),
            co_requester=None if by is None else Actor(by),
        )
        return self.may(session, caller, "confirm this erasure", _subject(request), asked)

    def request(self, session: Session, caller: Principal, identifiers: Sequence[str], reason: str) -> SubjectRequest:
        """Ask for a person to be found. The identifiers are hashed here and are nowhere else.

        Raises:
            Forbidden: the caller may not ask.
            InvalidInput: an identifier can't be looked for.
        """
        decision = self._may_find(session, caller)
        known: dict[str, int] = {}
        for index, text in enumerate(identifiers):
            try:
                whole, length = identifier(text)
            except Unsearchable as error:
                raise InvalidInput(
                    f"identifiers/{index}: {error}",
                    fix="Give what stands for this person alone: an e-mail address, a customer number, a full name.",
                ) from None
            known[whole] = length
        if not 0 < len(known) <= _MOST_IDENTIFIERS:
            raise InvalidInput(f"identifiers: give between 1 and {_MOST_IDENTIFIERS}")
        key = self._services.privacy.keys.subject_index(session)
        now = self._services.clock.now()
        row = SubjectRequest(
            id=new_id(),
            state=RequestState.SEARCHING,
            hashes=sorted(key.hashed(whole.encode()) for whole in known),
            words=sorted(set(known.values())),
            reason=reason,
            requested_by=caller.ref,
            on_behalf_of=caller.on_behalf_of,
            requested_at=now,
            due_at=now + self._services.settings.privacy.deadline,
            models=[],
        )
        session.add(row)
        self.record(
            session,
            row,
            "requested",
            caller,
            reason=reason,
            identifiers=len(known),
            due=row.due_at.isoformat(),
            access=decision.as_json(),
        )
        session.flush()
        return row

    def ask_to_erase(self, session: Session, caller: Principal, request_id: str, reason: str) -> SubjectRequest:
        """Ask for the person to be erased; somebody else has to confirm it.

        Raises:
            Forbidden: the caller may not ask.
            WrongStep: the search is not over, or the person is erased.
            UnderLegalHold: something that holds the person must be kept.
        """
        row = repository.get(session, SubjectRequest, request_id, "data-subject request", lock=True)
        decision = self.may(session, caller, "erase a person", _subject(row))
        self._at(row, *_ERASABLE)
        self._not_held(session, caller, row, repository.findings(session, row.id))
        row.state, row.erasure_requested_by = RequestState.AWAITING_CONFIRMATION, caller.ref
        self.record(session, row, "erasure.requested", caller, reason=reason, access=decision.as_json())
        session.flush()
        return row

    def confirm(self, session: Session, caller: Principal, request_id: str, reason: str) -> SubjectRequest:
        """Confirm that the person is to be erased; it begins at once.

        Raises:
            Forbidden: the caller may not confirm.
            WrongStep: it does not wait for that.
            UnderLegalHold: something that holds the person must be kept.
        """
        row = repository.get(session, SubjectRequest, request_id, "data-subject request", lock=True)
        decision = self.may_confirm(session, caller, row)
        self._at(row, RequestState.AWAITING_CONFIRMATION)
        self._not_held(session, caller, row, repository.findings(session, row.id))
        row.state, row.confirmed_by = RequestState.ERASING, caller.ref
        row.confirmed_at = self._services.clock.now()
        for finding in repository.findings(session, row.id):
            if finding.found and finding.state != ItemState.DELETED:
                finding.state, finding.reason, finding.remaining = ItemState.PLANNED, None, None
        self.record(session, row, "erasure.confirmed", caller, reason=reason, access=decision.as_json())
        session.flush()
        return row

    def finding(self, session: Session, caller: Principal) -> ActionOut:
        """Return whether the caller may have a person found, and why not."""
        return tried("find", lambda: self._may_find(session, caller))

    def actions(self, session: Session, caller: Principal, row: SubjectRequest) -> list[ActionOut]:
        """Return whether the caller may ask for the erasure and confirm it, and why not."""
        return [
            tried(
                "erase",
                lambda: self._at(row, *_ERASABLE),
                lambda: self.may(session, caller, "erase a person", _subject(row)),
                lambda: self._not_held(session, caller, row, repository.findings(session, row.id)),
            ),
            tried(
                "confirm",
                lambda: self._at(row, RequestState.AWAITING_CONFIRMATION),
                lambda: self.may_confirm(session, caller, row),
                lambda: self._not_held(session, caller, row, repository.findings(session, row.id)),
            ),
        ]

    def forget_in_vault(
        self, session: Session, caller: Principal, request_id: str, vault: str, tokens: int
    ) -> SubjectRequest:
        """Put on record that the person's values in somebody's token vault are destroyed, right before it is done.

        Raises:
            Forbidden: the caller may not erase a person.
            WrongStep: nobody has confirmed the erasure.
            UnderLegalHold: the request or tokens must be kept.
        """
        row = repository.get(session, SubjectRequest, request_id, "data-subject request", lock=True)
        decision = self.may(session, caller, "erase a person from a vault", _subject(row))
        self._at(row, RequestState.ERASING, RequestState.PARTLY_ERASED, RequestState.ERASED)
        findings = repository.findings(session, row.id)
        known = [one for one in findings if (one.kind, one.location) == (Kind.TOKEN, vault)]
        finding = (
            known[0]
            if known
            else SubjectFinding(
                request_id=row.id,
                index=len(findings),
                kind=Kind.TOKEN,
                location=vault,
                refs=[f"kind:{Kind.TOKEN}"],
                found=0,
            )
        )
        finding.found, finding.remaining = finding.found + tokens, 0
        finding.state, finding.reason = ItemState.DELETED, f"destroyed by {caller.ref} where the vault is"
        self._not_held(session, caller, row, [finding])
        if tokens:
            session.add(finding)
        self.record(session, row, "vault.forgotten", caller, vault=vault, tokens=tokens, access=decision.as_json())
        session.flush()
        return row

    def matcher(self, session: Session, row: SubjectRequest) -> Matcher:
        """Return what recognises the person of a request."""
        return Matcher(self._services.privacy.keys.subject_index(session).hashed, row.hashes, row.words)

    def overdue(self, session: Session, now: datetime) -> tuple[list[tuple[str, datetime]], int]:
        """Return the requests whose time is over, each with when it was due, and how many are open in all."""
        rows = repository.unfinished_requests(session)
        return [(row.id, row.due_at) for row in rows if row.due_at < now], len(rows)

    def is_overdue(self, row: SubjectRequest, now: datetime) -> bool:
        """Say whether a request is not finished though its time is over."""
        return row.state in repository.UNFINISHED and row.due_at < now

    def record(self, session: Session, row: SubjectRequest, event: str, actor: Principal | str, **data: Any) -> None:
        """Write an audit event about a request; never with anything that the person goes by."""
        self._services.audit.append(
            session,
            type=f"{EVENT}.subject.{event}",
            subject=_subject(row),
            actor=actor,
            data={"request": row.id, **data},
        )

    def holds_on(self, session: Session, row: SubjectRequest, findings: Sequence[SubjectFinding]) -> list[LegalHold]:
        """Return the holds on a request or on anything that holds its person."""
        refs = {_subject(row), *(ref for finding in findings if finding.found for ref in finding.refs)}
        return list(self._services.privacy.holds.covering(session, refs))

    def _not_held(
        self, session: Session, caller: Principal, row: SubjectRequest, findings: Sequence[SubjectFinding]
    ) -> None:
        if holds := self.holds_on(session, row, findings):
            raise UnderLegalHold(
                f"the person can't be erased: {said(holds)}",
                fix="Lift the hold first (`platform retention release HOLD`), if its reason is gone.",
                holds=[{"id": hold.id, "subject": hold.subject, "reason": hold.reason} for hold in holds],
            ).audited(
                type=f"{EVENT}.subject.refused",
                subject=_subject(row),
                actor=caller.ref,
                holds=[hold.id for hold in holds],
            )

    def _may_find(self, session: Session, caller: Principal) -> Decision:
        return self.may(session, caller, "search for a person", "subject-requests")

    @staticmethod
    def _at(row: SubjectRequest, *states: RequestState) -> None:
        if row.state not in states:
            fix = {
                RequestState.SEARCHING: "Wait until the search is over.",
                RequestState.FOUND: f"Ask for the erasure first: `platform privacy erase {row.id}`.",
                RequestState.AWAITING_CONFIRMATION: f"It waits for somebody else: `platform privacy confirm {row.id}`.",
            }.get(RequestState(row.state))
            raise WrongStep(f"the request is {row.state.replace('_', ' ')}", fix=fix, state=row.state)


def _subject(row: SubjectRequest) -> str:
    return f"subject-request:{row.id}"
