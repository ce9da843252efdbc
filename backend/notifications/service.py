"""What domains say is written to the outbox with the change that it is about; durable work sends it (see :mod:`.work`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from backend.access.resources import Action, PlatformResource
from backend.core.config_notifications import NoticeKind, NoticeSeverity
from backend.core.ids import new_id
from backend.identity.principal import Principal
from backend.notifications import repository
from backend.notifications.models import Notification, NotificationState
from backend.notifications.sending import Refused, send

if TYPE_CHECKING:
    from backend.core.container import Services

FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=30), timedelta(minutes=30)
LONGEST_TITLE = 250


@dataclass(frozen=True)
class Notice:
    """What somebody is to be told."""

    kind: NoticeKind
    subject: str
    """What it is about, as audit events name it."""
    event: str
    """What happened to it, in a word."""
    owner: str
    """The group that it is for."""
    severity: NoticeSeverity
    title: str
    lines: Sequence[str]
    attachment: Path | None = None
    """A file under the platform's home that is sent along where the service takes files."""


class NotificationService:
    """See the module's docstring."""

    def __init__(self, services: "Services") -> None:
        self._services = services

    @property
    def platform(self) -> str:
        """The group that is told what is nobody else's: the first of the platform's administrators."""
        admins = self._services.settings.permissions.platform_admins
        return admins[0] if admins else "group:default/platform"

    def tell(self, session: Session, notice: Notice, *, once: bool = False) -> None:
        """Have every target that wants to know be told, once this transaction is committed.

        With ``once`` a target is not told again of the same event of the same subject, for steps that may be called again.
        """
        now = self._services.clock.now()
        for target in self._services.settings.notifications.targets:
            if (
                notice.severity not in target.severities
                or (target.kinds and notice.kind not in target.kinds)
                or (target.groups and notice.owner.lower() not in {one.lower() for one in target.groups})
                or (once and repository.is_told(session, notice.subject, notice.event, target.name))
            ):
                continue
            session.add(
                Notification(
                    id=new_id(),
                    kind=notice.kind,
                    subject=notice.subject,
                    owner=notice.owner,
                    severity=notice.severity,
                    target=target.name,
                    event=notice.event,
                    title=f"[{notice.severity}] {notice.title}"[:LONGEST_TITLE],
                    body="\n".join(notice.lines),
                    attachment=None if notice.attachment is None else str(notice.attachment),
                    attempt=1,
                    state=NotificationState.PENDING.value,
                    asked_at=now,
                    due_at=now,
                )
            )

    def about(self, session: Session, subject: str) -> Sequence[Notification]:
        """Return the attempts to tell somebody about a subject, oldest first."""
        return repository.about(session, subject)

    def may_see(self, session: Session, caller: Principal) -> None:
        """Let platform administrators through: what others are told is not everybody's.

        Raises:
            Forbidden: the caller is none.
        """
        self._services.access.require(
            session,
            caller,
            Action.ADMINISTER,
            PlatformResource(),
            detail=f"{caller.ref} may not see what others were told",
            fix=f"Members of {' or '.join(self._services.settings.permissions.platform_admins)} may.",
            event="ml-platform.notifications.refused",
            subject="notifications",
        )

    def forget(self, session: Session, subject: str) -> None:
        """Delete all attempts to tell somebody about a subject."""
        repository.forget(session, subject)

    def make(self, id: str) -> None:
        """Make an attempt; what fails is written down, and another one is due later."""
        with self._services.database.read() as session:
            row = repository.find(session, id)
        if row is None or row.state != NotificationState.PENDING:
            return
        targets = self._services.settings.notifications.targets
        target = next((one for one in targets if one.name == row.target), None)
        # A report may have been deleted meanwhile; what it says can be asked for again.
        file = None if row.attachment is None else self._services.settings.home / row.attachment
        refused: Refused | None = None
        try:
            if target is None:
                raise Refused(f"there is no target {row.target} in the settings any more", final=True)
            send(target, row.title, row.body, file if file is not None and file.is_file() else None)
        except Refused as fault:
            refused = fault
        with self._services.database.write() as session:
            self._ended(session, id, refused)

    def give_up(self, id: str, reason: str) -> None:
        """End an attempt that can't be made; the next one may be."""
        with self._services.database.write() as session:
            self._ended(session, id, Refused(reason))

    def _ended(self, session: Session, id: str, refused: Refused | None) -> None:
        row = repository.find(session, id)
        if row is None or row.state != NotificationState.PENDING:
            return
        now = self._services.clock.now()
        row.ended_at = now
        row.state = (NotificationState.SENT if refused is None else NotificationState.FAILED).value
        row.reason = None if refused is None else str(refused)
        due = now + min(FIRST_WAIT * 2 ** min(row.attempt - 1, 10), LONGEST_WAIT)
        if refused is None or refused.final or due > row.asked_at + self._services.settings.notifications.retry_for:
            return
        own = ("id", "attempt", "state", "due_at", "ended_at", "reason")
        same = {one.key: getattr(row, one.key) for one in Notification.__table__.columns if one.key not in own}
        session.add(
            Notification(
                id=new_id(), **same, attempt=row.attempt + 1, state=NotificationState.PENDING.value, due_at=due
            )
        )
