"""Legal holds: what is not deleted, whatever its age and whoever asks."""

import re
from collections.abc import Collection, Sequence
from typing import ClassVar

from sqlalchemy.orm import Session

from backend.access.engine import Decision
from backend.access.resources import Action, PlatformResource
from backend.core.container import Services
from backend.core.errors import Conflict, InvalidInput, NotFound
from backend.core.ids import new_id
from backend.identity.principal import Principal
from backend.privacy import repository
from backend.privacy.holdings.partitions import folders_of_models
from backend.privacy.models import Kind, LegalHold, SubjectRequest

EVENT = "ml-platform.privacy"
EVERYTHING = "everything"
LOG = "audit:log"
"""The audit log: a hold on it keeps its events in the table, and its segments in their place."""
_FORMS = (
    "everything, environment:NAME, model:NAME, model:NAME/versions/N, dataset:FOLDER, kind:KIND, subject-request:ID, "
    "incident:ID, audit:log"
)
_MODEL = re.compile(r"model:([a-z0-9-]+)(?:/versions/([1-9][0-9]{0,8}))?")


class UnderLegalHold(Conflict):
    """A legal hold forbids the deletion; ``holds`` lists which."""

    slug: ClassVar[str] = "under-legal-hold"
    title: ClassVar[str] = "Under legal hold"


class Holds:
    """Places and lifts holds, and says what they cover."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def place(self, session: Session, caller: Principal, subject: str, reason: str) -> LegalHold:
        """Place a hold.

        Raises:
            Forbidden: the policies say no.
            InvalidInput: the subject has none of the forms.
            NotFound: it is unknown.
        """
        decision = self.may(session, caller, "place a legal hold", subject)
        self._check(session, subject)
        row = LegalHold(
            id=new_id(), subject=subject, reason=reason, placed_by=caller.ref, placed_at=self._services.clock.now()
        )
        session.add(row)
        self._record(session, row, "placed", caller, reason, decision)
        session.flush()
        return row

    def release(self, session: Session, caller: Principal, hold_id: str, reason: str) -> LegalHold:
        """Lift a hold.

        Raises:
            Forbidden: the policies say no.
            NotFound: there is none with that id.
            Conflict: it was lifted before.
        """
        row = repository.get(session, LegalHold, hold_id, "legal hold", lock=True)
        decision = self.may(session, caller, "lift a legal hold", row.subject)
        if row.released_at is not None:
            raise Conflict(f"the hold was lifted by {row.released_by} before")
        row.released_by, row.released_at, row.release_reason = caller.ref, self._services.clock.now(), reason
        self._record(session, row, "released", caller, reason, decision)
        session.flush()
        return row

    def covering(self, session: Session, refs: Collection[str]) -> Sequence[LegalHold]:
        """Return the holds in force on anything that something belongs to."""
        return repository.holds(session, [EVERYTHING, *refs])

    def in_force(self, session: Session) -> Sequence[LegalHold]:
        """Return all holds that are in force."""
        return repository.holds(session)

    def in_words(self, session: Session, refs: Collection[str]) -> str | None:
        """Return the holds on anything that something belongs to, in words; nothing where there are none."""
        found = self.covering(session, refs)
        return said(found) if found else None

    def check(self, session: Session, refs: Collection[str], forbidden: str) -> None:
        """See that no hold covers something; ``forbidden`` says what does not happen if one does.

        Raises:
            UnderLegalHold: one does.
        """
        if held := self.in_words(session, refs):
            raise UnderLegalHold(f"{forbidden}: {held}", fix="Lift the hold first, if it may be.")

    def may(self, session: Session, caller: Principal, verb: str, subject: str) -> Decision:
        """Let through whom the policies permit to place and lift holds; return their decision.

        Raises:
            Forbidden: the policies say no.
        """
        return let_through(self._services, session, caller, Action.MANAGE_HOLDS, verb, subject)

    def _check(self, session: Session, subject: str) -> None:
        kind, _, name = subject.partition(":")
        if subject in (EVERYTHING, LOG):
            return
        if model := _MODEL.fullmatch(subject):
            if model[2] is None:
                self._services.registry.get_model(session, model[1])
            else:
                self._services.registry.get_version(session, model[1], int(model[2]))
            return
        known: Collection[str]
        match kind:
            case "environment":
                known = self._services.settings.environments
            case "kind":
                known = {*map(str, Kind), *(place.kind for place in self._services.privacy.subjects.places)}
            case "dataset":
                folders = {one.folder for one in folders_of_models(self._services, session)}
                known = folders | set(self._services.settings.retention.datasets)
            case "incident":
                self._services.incidents.get(session, name)
                return
            case "subject-request":
                repository.get(session, SubjectRequest, name, "data-subject request")
                return
            case _:
                raise InvalidInput(f"subject: {subject[:80]!r} is nothing that can be held", fix=f"Write {_FORMS}.")
        if name not in known:
            listed = ", ".join(sorted(known)[:20]) or "none"
            raise NotFound(f"there is no {kind} {name[:80]!r} to be held", fix=f"Known are: {listed}.")

    def _record(
        self, session: Session, row: LegalHold, event: str, caller: Principal, reason: str, by: Decision
    ) -> None:
        self._services.audit.append(
            session,
            type=f"{EVENT}.hold.{event}",
            subject=row.subject,
            actor=caller,
            data={"hold": row.id, "reason": reason, "access": by.as_json()},
        )


def let_through(
    services: Services, session: Session, caller: Principal, action: Action, verb: str, subject: str
) -> Decision:
    """Let through whom the policies permit to do something about what the platform keeps; return their decision.

    Raises:
        Forbidden: the policies say no.
    """
    return services.access.require(
        session,
        caller,
        action,
        PlatformResource(),
        detail=f"{caller.ref} may not {verb}",
        fix=f"Members of {' or '.join(services.settings.permissions.platform_admins)} may.",
        event=f"{EVENT}.refused",
        subject=subject,
        verb=verb,
    )


def said(holds: Sequence[LegalHold]) -> str:
    """Return holds in words."""
    return "; ".join(f"{hold.subject} is held since {hold.placed_at:%Y-%m-%d}: {hold.reason}" for hold in holds)
