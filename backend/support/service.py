"""Requests to the platform team: whoever is signed in asks, platform administrators answer, and the first answer has its time.

Everybody reads all of them, so that what was answered once need not be asked again; so texts are redacted when they come in.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from backend.access.resources import Action, PlatformResource
from backend.audit.service import PLATFORM
from backend.core.actions import ActionOut, tried
from backend.core.database import lock_for_transaction
from backend.core.errors import Conflict, Forbidden, NotFound
from backend.core.ids import new_id
from backend.identity.principal import Principal
from backend.notifications.service import Notice
from backend.support import repository
from backend.support.models import Priority, RequestState, SupportEntry, SupportRequest
from mlplatform.redaction import redact

if TYPE_CHECKING:
    from backend.core.container import Services

EVENT = "ml-platform.support.request"
MOST_ENTRIES = 500
"""What can be said about one request; then a new one is clearer."""


@dataclass(frozen=True)
class Promised:
    """A request whose answer was due: when it was asked, and whether it was answered in time."""

    id: str
    title: str
    asked_at: datetime
    in_time: bool


class SupportService:
    """See the module's docstring."""

    def __init__(self, services: "Services") -> None:
        self._services = services

    def get(self, session: Session, id: str) -> SupportRequest:
        """Return a request.

        Raises:
            NotFound: there is none with that id.
        """
        found = repository.find(session, id)
        if found is None:
            raise NotFound(f"there is no support request {id[:40]!r}", fix="`platform support list` shows them.")
        return found

    def is_overdue(self, row: SupportRequest) -> bool:
        """Say whether a request should have been answered by now and is not."""
        return row.state == RequestState.OPEN and row.due_at < self._services.clock.now()

    def ask(
        self, session: Session, caller: Principal, *, priority: Priority, title: str, text: str, entity_ref: str | None
    ) -> SupportRequest:
        """Ask something.

        Raises:
            NotFound: the catalog does not know what it is about.
        """
        if entity_ref is not None:
            entity_ref = self._services.catalog.entity(session, entity_ref).ref
        now = self._services.clock.now()
        row = SupportRequest(
            id=new_id(),
            priority=priority.value,
            title=redact(title)[:200],
            text=redact(text),
            entity_ref=entity_ref,
            state=RequestState.OPEN.value,
            asked_by=caller.ref,
            asked_at=now,
            due_at=now + self._services.settings.support.answer_within.within(priority),
        )
        session.add(row)
        # What people wrote stays out of the log, which forgets nothing.
        self._record(session, row, "asked", caller, entity=entity_ref, dueAt=row.due_at)
        severity: Any = "page" if priority is Priority.P0 else "ticket"
        self._tell(session, row, "asked", severity, f"{row.priority} from {caller.ref}: {row.title}")
        session.flush()
        return row

    def answer(self, session: Session, caller: Principal, id: str, text: str) -> SupportRequest:
        """Answer a request; the first answer is what its time is measured by.

        Raises:
            Forbidden: the caller is no platform administrator, or asked it.
            Conflict: it is resolved.
        """
        row = self._locked(session, id)
        access = self.may_answer(session, caller, row)
        self.is_open(row)
        first = row.answered_at is None
        self._answered(row, caller)
        row.state = RequestState.ANSWERED.value
        self._say(session, row, "answer", caller, text)
        self._record(session, row, "answered", caller, first=first, inTime=_in_time(row), **access)
        return row

    def note(self, session: Session, caller: Principal, id: str, text: str) -> SupportRequest:
        """Add something to a request, also after it is resolved.

        Raises:
            Forbidden: the caller neither asked it nor is a platform administrator.
        """
        row = self._locked(session, id)
        access = self.may_take_part(session, caller, row, "write to")
        self._say(session, row, "note", caller, text)
        self._record(session, row, "noted", caller, **access)
        return row

    def resolve(self, session: Session, caller: Principal, id: str, text: str) -> SupportRequest:
        """Say that a request is settled, and how; whoever asked may do so too, and takes it back if nobody has answered.

        Raises:
            Forbidden: the caller neither asked it nor is a platform administrator.
            Conflict: it is resolved already.
        """
        row = self._locked(session, id)
        access = self.may_take_part(session, caller, row, "resolve")
        self.is_open(row)
        if caller.ref != row.asked_by:
            self._answered(row, caller)
        row.state = RequestState.RESOLVED.value
        row.resolved_at, row.resolved_by = self._services.clock.now(), caller.ref
        self._say(session, row, "resolution", caller, text)
        self._record(session, row, "resolved", caller, answered=row.answered_at is not None, **access)
        return row

    def actions(self, session: Session, caller: Principal, row: SupportRequest) -> list[ActionOut]:
        """Return what the caller may do about a request, and why not."""
        return [
            tried("answer", lambda: self.is_open(row), lambda: self.may_answer(session, caller, row)),
            tried("note", lambda: self.may_take_part(session, caller, row, "write to")),
            tried("resolve", lambda: self.is_open(row), lambda: self.may_take_part(session, caller, row, "resolve")),
        ]

    def may_answer(self, session: Session, caller: Principal, row: SupportRequest) -> dict[str, Any]:
        """Let those through who may answer, but nobody for what they asked themselves; return what the log keeps of it.

        Raises:
            Forbidden: the caller may not.
        """
        said = self._decided(session, caller, row, "answer", f"Members of {self._admins} may.")
        if caller.ref == row.asked_by:
            raise Forbidden(
                f"{caller.ref} may not answer this request",
                fix="Somebody else answers what you asked; a note is for you.",
            ).audited(type=f"{EVENT}.refused", subject=_subject(row), actor=caller.ref, verb="answer")
        return said

    def may_take_part(self, session: Session, caller: Principal, row: SupportRequest, verb: str) -> dict[str, Any]:
        """Let whoever asked and those who may answer through; return what the log keeps of it.

        Raises:
            Forbidden: the caller is neither.
        """
        if caller.ref == row.asked_by:
            return {}
        return self._decided(session, caller, row, verb, f"{row.asked_by} and members of {self._admins} may.")

    def is_open(self, row: SupportRequest) -> None:
        """Refuse to change what is settled.

        Raises:
            Conflict: the request is resolved.
        """
        if row.state == RequestState.RESOLVED:
            raise Conflict(f"the request was resolved by {row.resolved_by}", fix="Ask anew if it comes again.")

    def note_overdue(self, session: Session) -> int:
        """Put on record, and tell, which requests were not answered in time; return how many were new."""
        now = self._services.clock.now()
        rows = repository.newly_overdue(session, now)
        for row in rows:
            row.overdue_at = now
            self._record(session, row, "overdue", PLATFORM, dueAt=row.due_at)
            severity: Any = "page" if row.priority in (Priority.P0, Priority.P1) else "ticket"
            self._tell(session, row, "overdue", severity, f"{row.priority} is not answered in time: {row.title}")
        session.flush()
        return len(rows)

    def promised(self, session: Session, priority: Priority, since: datetime) -> list[Promised]:
        """Return the requests of a priority since a time whose answer was due, oldest first.

        One that was taken back before its answer was due is none of them, nor is one that there is still time for.
        """
        now, found = self._services.clock.now(), []
        for row in repository.since(session, since):
            was_due = row.answered_at is not None or (row.resolved_at or now) > row.due_at
            if row.priority == priority and was_due:
                found.append(Promised(row.id, row.title, row.asked_at, _in_time(row)))
        return found

    def _answered(self, row: SupportRequest, caller: Principal) -> None:
        if row.answered_at is None:
            row.answered_at, row.answered_by = self._services.clock.now(), caller.ref

    def _locked(self, session: Session, id: str) -> SupportRequest:
        lock_for_transaction(session, f"support:{id}")
        return self.get(session, id)

    def _say(self, session: Session, row: SupportRequest, kind: str, caller: Principal, text: str) -> None:
        seq = repository.last_entry(session, row.id) + 1
        if seq > MOST_ENTRIES:
            raise Conflict(f"{MOST_ENTRIES} things were said about this request", fix="Ask anew, and name this one.")
        now = self._services.clock.now()
        session.add(SupportEntry(request_id=row.id, seq=seq, at=now, kind=kind, by=caller.ref, text=redact(text)))
        session.flush()

    @property
    def _admins(self) -> str:
        return " or ".join(self._services.settings.permissions.platform_admins)

    def _decided(self, session: Session, caller: Principal, row: SupportRequest, verb: str, fix: str) -> dict[str, Any]:
        decision = self._services.access.require(
            session,
            caller,
            Action.ANSWER_SUPPORT,
            PlatformResource(),
            detail=f"{caller.ref} may not {verb} this request",
            fix=fix,
            event=f"{EVENT}.refused",
            subject=_subject(row),
            verb=verb,
        )
        return {"access": decision.as_json()}

    def _tell(self, session: Session, row: SupportRequest, event: str, severity: Any, title: str) -> None:
        self._services.notifications.tell(
            session,
            Notice(
                kind="support",
                subject=_subject(row),
                event=event,
                owner=self._services.notifications.platform,
                severity=severity,
                title=title,
                lines=[
                    row.text[:1000],
                    "",
                    f"Asked by {row.asked_by}" + (f" about {row.entity_ref}" if row.entity_ref else ""),
                    f"The first answer is due {row.due_at:%Y-%m-%d %H:%M} UTC: platform support answer {row.id} ...",
                    f"In the portal: {self._services.settings.portal.url}/support",
                ],
            ),
        )

    def _record(self, session: Session, row: SupportRequest, what: str, actor: Principal | str, **data: object) -> None:
        self._services.audit.append(
            session,
            type=f"{EVENT}.{what}",
            subject=_subject(row),
            actor=actor,
            data={"request": row.id, "priority": row.priority, **data},
        )


def _in_time(row: SupportRequest) -> bool:
    return row.answered_at is not None and row.answered_at <= row.due_at


def _subject(row: SupportRequest) -> str:
    return f"support:{row.id}"
