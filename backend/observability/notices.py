"""Telling people: attempts are written with the incident, and made later by durable work (see :mod:`.work`)."""

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from backend.core.config_observability import NotificationSettings
from backend.core.ids import new_id
from backend.observability import incident_repository as repository
from backend.observability.models import Incident, Notification, NotificationState
from mlplatform.redaction import redact

if TYPE_CHECKING:
    from backend.core.container import Services

FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=30), timedelta(minutes=30)


class Refused(Exception):
    """A target did not take a notification; the message says why."""

    def __init__(self, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.final = final
        """Whether trying again is of no use."""


class Notices:
    """See the module's docstring."""

    def __init__(self, services: "Services") -> None:
        self._services = services

    def tell(self, session: Session, incident: Incident, event: str) -> None:
        """Have every target that wants to know be told, once this transaction is committed."""
        now = self._services.clock.now()
        for target in self._services.settings.observability.notifications:
            if incident.severity in target.severities and (not target.groups or incident.owner in target.groups):
                session.add(
                    Notification(
                        id=new_id(),
                        incident_id=incident.id,
                        target=target.name,
                        event=event,
                        title=f"[{incident.severity}] {event}: {incident.title}"[:250],
                        body=self._body(incident),
                        attempt=1,
                        state=NotificationState.PENDING.value,
                        asked_at=now,
                        due_at=now,
                    )
                )

    def make(self, id: str) -> None:
        """Make an attempt; what fails is written down, and another one is due later."""
        with self._services.database.read() as session:
            row = repository.notification(session, id)
        if row is None or row.state != NotificationState.PENDING:
            return
        target = next(
            (one for one in self._services.settings.observability.notifications if one.name == row.target), None
        )
        refused: Refused | None = None
        try:
            if target is None:
                raise Refused(f"there is no target {row.target} in the settings any more", final=True)
            send(target, row.title, row.body)
        except Refused as fault:
            refused = fault
        with self._services.database.write() as session:
            self._ended(session, id, refused)

    def give_up(self, id: str, reason: str) -> None:
        """End an attempt that can't be made; the next one may be."""
        with self._services.database.write() as session:
            self._ended(session, id, Refused(reason))

    def _ended(self, session: Session, id: str, refused: Refused | None) -> None:
        row = repository.notification(session, id)
        if row is None or row.state != NotificationState.PENDING:
            return
        now = self._services.clock.now()
        row.ended_at = now
        row.state = (NotificationState.SENT if refused is None else NotificationState.FAILED).value
        row.reason = None if refused is None else str(refused)
        due = now + min(FIRST_WAIT * 2 ** min(row.attempt - 1, 10), LONGEST_WAIT)
        if refused is None or refused.final or due > row.asked_at + self._services.settings.observability.notify_for:
            return
        same = {name: getattr(row, name) for name in ("incident_id", "target", "event", "title", "body", "asked_at")}
        session.add(
            Notification(
                id=new_id(), **same, attempt=row.attempt + 1, state=NotificationState.PENDING.value, due_at=due
            )
        )

    def _body(self, incident: Incident) -> str:
        lines = [
            incident.title,
            "",
            f"Owner: {incident.owner}" + (f", on call: {incident.on_call['who']}" if incident.on_call["who"] else ""),
            f"Began: {incident.began_at:%Y-%m-%d %H:%M:%S} UTC",
        ]
        if incident.suspects:
            lines.append(f"Suspected: {incident.suspects[0]['what']}, at {incident.suspects[0]['at'][:19]}")
        portal = self._services.settings.portal
        if incident.runbook:
            absolute = "://" in incident.runbook
            lines.append(f"Runbook: {incident.runbook if absolute else portal.url + incident.runbook}")
        if incident.model is not None:
            lines.append(f"Graphs: {portal.url}/catalog/default/component/{incident.model}/health")
            lines.append(f"Back: platform rollback --model {incident.model} --env {incident.environment} --reason ...")
        lines.append(f"Incident: platform incidents show {incident.id}")
        return "\n".join(lines)


def send(target: NotificationSettings, title: str, body: str) -> None:
    """Send by Apprise, which waits a few seconds at most.

    Raises:
        Refused: it was not taken.
    """
    import apprise

    to = apprise.Apprise()
    if not to.add(target.url.get_secret_value()):
        raise Refused("its URL is none that Apprise knows; see mlPlatform.observability.notifications", final=True)
    with apprise.LogCapture(level=apprise.logging.INFO) as captured:  # type: ignore[no-untyped-call]
        taken = to.notify(body=body, title=title)
        said = captured.getvalue().strip().splitlines()
    if not taken:
        last = redact(said[-1])[:200] if said else "no reason was given"
        raise Refused(f"it was not taken: {last}")
