"""Asking for evidence packs: by whom, about what."""

from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from backend.access.engine import Decision
from backend.access.resources import Action, PlatformResource
from backend.audit.service import PLATFORM
from backend.core.container import Services
from backend.core.errors import Conflict, InvalidInput, NotFound
from backend.core.ids import new_id
from backend.core.schemas import utc
from backend.evidence import checks, repository
from backend.evidence.checks import ControlsForPeriod
from backend.evidence.models import EvidencePack, PackState
from backend.evidence.schemas import PackIn
from backend.identity.principal import Principal

EVENT = "ml-platform.evidence"


class EvidenceService:
    """The rules about packs. Whoever keeps controls as data connects itself to ``controls``."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.folder: Path = services.settings.home / "evidence"
        self.controls: ControlsForPeriod | None = None

    def request(self, session: Session, caller: Principal, wanted: PackIn) -> EvidencePack:
        """Ask for a pack; it is written as durable work.

        Raises:
            Forbidden: the caller may not export evidence.
            InvalidInput: the period is none or is not over, or nobody knows the control.
        """
        decision = self._allowed(session, caller)
        now = self._services.clock.now()
        if wanted.since >= wanted.until:
            raise InvalidInput("/to: must be later than from", fix="The end of a period is the first moment after it.")
        if wanted.until > now:
            raise InvalidInput(
                f"/to: lies in the future; the platform's clock says {utc(now)}",
                fix="Export what is over: up to now at most.",
            )
        if wanted.control is not None and not self._is_known(session, wanted, wanted.control):
            raise InvalidInput(
                f"/control: {wanted.control} is unknown", fix=f"Known are {', '.join(checks.controls())}."
            )
        pack = EvidencePack(
            id=new_id(),
            since=wanted.since,
            until=wanted.until,
            control=wanted.control,
            sample_size=wanted.sample_size,
            sample_seed=wanted.sample_seed,
            requested_by=caller.ref,
            requested_at=now,
            state=PackState.PENDING,
            written=0,
        )
        session.add(pack)
        session.flush()
        # It stands behind the period, and so shows that the period's last events are all there.
        self.record(session, "pack.requested", pack, caller, access=decision.as_json())
        return pack

    def get(self, session: Session, caller: Principal, id: str) -> EvidencePack:
        """Return one pack.

        Raises:
            Forbidden: the caller may not export evidence.
            NotFound: there is none.
        """
        pack = session.get(EvidencePack, id)
        self._allowed(session, caller)
        if pack is None:
            raise NotFound(f"there is no evidence pack {id}")
        return pack

    def find(self, session: Session, caller: Principal, *, before: str | None, limit: int) -> list[EvidencePack]:
        """Return packs, newest first."""
        self._allowed(session, caller)
        return list(repository.find(session, before=before, limit=limit))

    def written(self, session: Session, since: datetime) -> list[tuple[str, str, datetime, datetime]]:
        """Return the packs that were written since a time: id, who asked, when, and when they were there; for the figures."""
        return [
            (one.id, one.requested_by, one.requested_at, one.finished_at)
            for one in repository.written(session, since)
            if one.finished_at is not None
        ]

    def content(self, session: Session, caller: Principal, id: str) -> tuple[EvidencePack, Path]:
        """Return a pack and its file; that somebody takes it is an event.

        Raises:
            Conflict: it is not written yet, or could not be.
            NotFound: there is none, or its file is not kept any more.
        """
        pack = self.get(session, caller, id)
        if pack.state == PackState.FAILED:
            raise Conflict(f"the pack could not be written: {pack.reason}", fix="Export it again.")
        if pack.state != PackState.DONE:
            raise Conflict(f"the pack is {pack.state}", fix="Ask again when its state is done.")
        file = self.file_of(id)
        if not file.is_file():
            raise NotFound(f"the file of pack {id} is not kept any more", fix="Export it again.")
        self.record(session, "pack.downloaded", pack, caller, sha256=pack.sha256)
        return pack, file

    def file_of(self, id: str) -> Path:
        """Return where a pack's file is."""
        return self.folder / f"{id}.zip"

    def states(self, session: Session, since: datetime, until: datetime, control: str | None) -> list[Any] | None:
        """Return what whoever keeps the controls says; nothing where nobody does."""
        return None if self.controls is None else list(self.controls(session, since, until, control))

    def record(
        self, session: Session, event: str, pack: EvidencePack, actor: Principal | str = PLATFORM, **data: object
    ) -> None:
        """Write an audit event about a pack."""
        said = {"pack": pack.id, "from": pack.since, "to": pack.until, "control": pack.control, **data}
        self._services.audit.append(
            session, type=f"{EVENT}.{event}", subject=f"evidence:{pack.id}", actor=actor, data=said
        )

    def _is_known(self, session: Session, wanted: PackIn, control: str) -> bool:
        if control in checks.controls():
            return True
        return bool(self.states(session, wanted.since, wanted.until, control))

    def _allowed(self, session: Session, caller: Principal) -> Decision:
        return self._services.access.require(
            session,
            caller,
            Action.EXPORT_EVIDENCE,
            PlatformResource(),
            detail=f"{caller.ref} may not export evidence",
            fix="Platform administrators and those who have the role auditor may; `platform access request` asks for it.",
            event=f"{EVENT}.pack.refused",
            subject="evidence:packs",
        )
