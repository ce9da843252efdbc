"""Incidents: opened by alerts, acknowledged and resolved by people.

All alerts about a model in an environment are one incident, from the first until somebody resolves it. So a storm of alerts makes
as many incidents as there are models it is about, and of those no more than ``mostOpened`` within ten minutes: whatever comes
beyond that goes into one incident for the platform's administrators.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from backend.access.engine import Decision
from backend.access.resources import Action, IncidentResource, PlatformResource
from backend.audit.service import PLATFORM
from backend.core.database import lock_for_transaction
from backend.core.errors import Conflict, NotFound
from backend.core.ids import new_id
from backend.identity.principal import Principal
from backend.observability import incident_repository as repository
from backend.observability.models import Incident, IncidentEntry, IncidentState
from backend.observability.notices import notice_of
from backend.observability.on_call import on_call
from backend.observability.raised import OWN, RANK, TOGETHER, Raised, fingerprint
from backend.observability.slos import Alert
from backend.observability.suspects import Suspects

if TYPE_CHECKING:
    from backend.core.container import Services

EVENT = "ml-platform.observability.incident"
STORM = timedelta(minutes=10)
MOST_ALERTS = 100
"""Alerts of an incident that are kept by name; further ones are counted."""
MOST_ENTRIES = 500
"""Entries of a timeline that the platform writes by itself."""
ROLES = ("commander", "communications", "scribe")


class IncidentService:
    """See the module's docstring."""

    def __init__(self, services: "Services") -> None:
        self._services = services
        self._suspects = Suspects(services)

    def get(self, session: Session, id: str) -> Incident:
        """Return an incident.

        Raises:
            NotFound: there is none with that id.
        """
        found = repository.find(session, id)
        if found is None:
            raise NotFound(f"there is no incident {id[:40]!r}", fix="`platform incidents list` shows them.")
        return found

    def since(self, session: Session, since: datetime) -> Sequence[Incident]:
        """Return the incidents that were opened since a time, oldest first."""
        return repository.between(session, since)

    def of_models(
        self, session: Session, models: Sequence[str], since: datetime, until: datetime
    ) -> Sequence[Incident]:
        """Return the incidents of models that were opened between two times, oldest first."""
        return repository.of_models(session, models, since, until)

    def take_own(self, session: Session, alerts: Sequence[Alert]) -> None:
        """Take alerts of the platform's own evaluation."""
        now = self._services.clock.now()
        raised = []
        for one in alerts:
            alert = one.objective.alert(one.burn)
            raised.append(
                Raised(
                    name=alert.name,
                    model=one.key.model,
                    environment=one.key.environment,
                    slo=one.objective.name,
                    burn=one.burn,
                    severity="page" if one.severity == "page" else "ticket",
                    summary=alert.said(one.key.environment, one.ratio),
                    description=alert.description,
                    runbook=alert.runbook,
                    began=one.since,
                    ended=now if one.ended else None,
                    source=OWN,
                )
            )
        self.take(session, raised)

    def take(self, session: Session, raised: Iterable[Raised]) -> set[str]:
        """Open incidents for alerts, or add them to those that are open; return the ids of all that they are about.

        An alert that is repeated changes nothing but a count, and one that is known from an incident that somebody has resolved
        opens none again.
        """
        groups: dict[tuple[str | None, str | None], list[Raised]] = {}
        for one in raised:
            groups.setdefault((one.model, one.environment), []).append(one)
        touched = set()
        # In this order two transactions never wait for each other.
        for model, environment in sorted(groups, key=lambda pair: (pair[0] or "", pair[1] or "")):
            touched |= self._take_together(session, model, environment, groups[model, environment])
        return touched

    def may_handle(self, session: Session, caller: Principal, incident: Incident, verb: str) -> Decision:
        """Let through whom the policies permit to handle an incident; return their decision.

        Raises:
            Forbidden: the policies say no.
        """
        repository_id = None
        if incident.model is not None:
            repository_id = self._services.registry.get_model(session, incident.model).repository
        return self._services.access.require(
            session,
            caller,
            Action.HANDLE_INCIDENT,
            IncidentResource(incident.id, incident.owner, repository_id),
            detail=f"{caller.ref} may not {verb} this incident",
            fix=f"Members of {incident.owner} may.",
            event=f"{EVENT}.refused",
            verb=verb,
        )

    def may_raise(self, session: Session, caller: Principal) -> Decision:
        """Let through whom the settings name as a source of alerts, and platform administrators.

        Raises:
            Forbidden: the policies say no.
        """
        return self._services.access.require(
            session,
            caller,
            Action.RAISE_ALERTS,
            PlatformResource(),
            detail=f"{caller.ref} may not raise alerts",
            fix="Name it in mlPlatform.observability.alertmanagers.",
            event="ml-platform.observability.alerts.refused",
            subject="incidents",
        )

    def is_open(self, incident: Incident) -> None:
        """Refuse to change what is over.

        Raises:
            Conflict: the incident is resolved.
        """
        if incident.state == IncidentState.RESOLVED:
            raise Conflict(f"the incident was resolved by {incident.resolved_by}", fix="A new alert opens a new one.")

    def is_unacknowledged(self, incident: Incident) -> None:
        """Refuse to acknowledge twice.

        Raises:
            Conflict: somebody has it.
        """
        self.is_open(incident)
        if incident.state == IncidentState.ACKNOWLEDGED:
            raise Conflict(f"{incident.acknowledged_by} has acknowledged the incident already")

    def acknowledge(self, session: Session, caller: Principal, id: str, comment: str) -> Incident:
        """Say that somebody has an incident in hand; whoever does is its commander until another is named.

        Raises:
            Forbidden: the caller may not.
            Conflict: somebody has it, or it is over.
        """
        incident = self._locked(session, id)
        decision = self.may_handle(session, caller, incident, "acknowledge")
        self.is_unacknowledged(incident)
        incident.state = IncidentState.ACKNOWLEDGED.value
        incident.acknowledged_at, incident.acknowledged_by = self._services.clock.now(), caller.ref
        incident.roles = {"commander": caller.ref, **incident.roles}
        self._say(session, incident, "acknowledged", caller, f"acknowledged{': ' + comment if comment else ''}")
        self._record(session, incident, "acknowledged", caller, comment=comment, access=decision.as_json())
        return incident

    def resolve(self, session: Session, caller: Principal, id: str, *, cause: str, resolution: str) -> Incident:
        """Say what it was, and that it is over.

        Raises:
            Forbidden: the caller may not.
            Conflict: it is over already.
        """
        incident = self._locked(session, id)
        decision = self.may_handle(session, caller, incident, "resolve")
        self.is_open(incident)
        self._resolve(session, incident, caller, cause, resolution, access=decision.as_json())
        return incident

    def note(self, session: Session, caller: Principal, id: str, text: str) -> Incident:
        """Add a line to the timeline.

        Raises:
            Forbidden: the caller may not.
        """
        incident = self._locked(session, id)
        decision = self.may_handle(session, caller, incident, "write to")
        self._say(session, incident, "note", caller, text)
        self._record(session, incident, "noted", caller, text=text, access=decision.as_json())
        return incident

    def assign(self, session: Session, caller: Principal, id: str, roles: dict[str, str]) -> Incident:
        """Say who does what: commander, communications, scribe.

        Raises:
            Forbidden: the caller may not.
            Conflict: it is over.
        """
        incident = self._locked(session, id)
        decision = self.may_handle(session, caller, incident, "assign roles of")
        self.is_open(incident)
        incident.roles = {**incident.roles, **roles}
        said = ", ".join(f"{role} is {who}" for role, who in sorted(roles.items()))
        self._say(session, incident, "roles", caller, said)
        self._record(session, incident, "assigned", caller, roles=incident.roles, access=decision.as_json())
        return incident

    def sweep(self, session: Session) -> None:
        """Resolve incidents that nobody acknowledged and whose alerts were over for long."""
        quiet = self._services.settings.observability.resolve_after
        for found in repository.recovered(session, self._services.clock.now() - quiet):
            incident = self._locked(session, found.id)
            if incident.state == IncidentState.OPEN and incident.recovered_at is not None:
                self._resolve(session, incident, PLATFORM, "recovered", "its alerts ended by themselves")

    def happened(self, session: Session, model: str, environment: str, kind: str, text: str) -> None:
        """Add what the platform did about a model to the timeline of its open incident, if there is one."""
        incident = repository.newest(session, fingerprint(model, environment))
        if incident is not None and incident.state != IncidentState.RESOLVED:
            self._say(session, incident, kind, PLATFORM, text)
            self._record(session, incident, kind, PLATFORM, text=text)

    def _take_together(
        self, session: Session, model: str | None, environment: str | None, raised: Sequence[Raised]
    ) -> set[str]:
        print_of = fingerprint(model, environment)
        lock_for_transaction(session, f"incident:{print_of}")
        incident = repository.newest(session, print_of)
        if incident is None or incident.state == IncidentState.RESOLVED:
            fresh = [one for one in raised if one.ended is None and not _is_known(incident, one)]
            if not fresh:
                return set()
            incident = self._opened(session, model, environment, print_of, fresh)
            raised = fresh
        joins = bool(incident.alerts)
        for one in raised:
            self._add(session, incident, one, joins=joins)
        session.flush()
        return {incident.id}

    def _opened(
        self, session: Session, model: str | None, environment: str | None, print_of: str, raised: Sequence[Raised]
    ) -> Incident:
        now = self._services.clock.now()
        settings = self._services.settings
        owner = self._services.notifications.platform
        # Counted under a lock of its own, or two storms at once would each open as many.
        lock_for_transaction(session, "incident:opened")
        if repository.opened_since(session, now - STORM) >= settings.observability.most_opened:
            together = repository.newest(session, TOGETHER)
            if together is not None and together.state != IncidentState.RESOLVED:
                return together
            model, environment, print_of = None, None, TOGETHER
        worst = max(raised, key=lambda one: RANK[one.severity])
        began = min(one.began for one in raised)
        title = "Alerts about many models at once" if print_of == TOGETHER else worst.summary
        if model is not None:
            owner = self._services.registry.get_model(session, model).owner
        incident = Incident(
            id=new_id(),
            fingerprint=print_of,
            title=title,
            model=model,
            environment=environment,
            severity=worst.severity,
            state=IncidentState.OPEN.value,
            owner=owner,
            on_call=on_call(self._services, session, owner),
            runbook=worst.runbook,
            alerts={},
            received=0,
            suspects=[],
            roles={},
            began_at=began,
            opened_at=now,
            seen_at=now,
        )
        session.add(incident)
        session.flush()
        self._say(session, incident, "opened", PLATFORM, title)
        self._suspect(session, incident, began)
        self._record(
            session,
            incident,
            "opened",
            PLATFORM,
            title=title,
            began=began,
            suspects=incident.suspects,
            alerts=[one.identity for one in raised[:MOST_ALERTS]],
        )
        self._tell(session, incident, "opened")
        return incident

    def _add(self, session: Session, incident: Incident, one: Raised, *, joins: bool) -> None:
        now = self._services.clock.now()
        name = one.identity if incident.fingerprint != TOGETHER else f"{one.environment}/{one.model}/{one.identity}"
        before = incident.alerts.get(name)
        fired = before is not None and before["ended"] is None
        begins = {} if before is None else begins_of(before)
        if one.ended is None:
            incident.seen_at = now
            # The platform's own evaluation says so again every half minute.
            incident.received += 0 if fired and one.source == OWN else 1
        if before is None and (one.ended is not None or len(incident.alerts) >= MOST_ALERTS):
            return
        stored = {
            "severity": one.severity,
            "summary": one.summary,
            "source": one.source,
            "began": before["began"] if before is not None and fired else one.began.isoformat(),
            "ended": None if one.ended is None else one.ended.isoformat(),
            "begins": begins if one.ended is not None else {**begins, one.source: one.began.isoformat()},
        }
        if before is None and joins:
            # Once for each name that is kept: a storm repeats itself, and the log is for ever.
            self._record(session, incident, "joined", PLATFORM, alert=name, raisedBy=one.source, began=one.began)
        if one.ended is None and not fired:
            self._say(session, incident, "alert", one.source, one.summary, own=True)
        elif one.ended is not None and fired:
            self._say(session, incident, "ended", one.source, f"{name} has ended", own=True)
        incident.alerts = {**incident.alerts, name: stored}
        incident.began_at = min(incident.began_at, one.began)
        if one.ended is None and RANK[one.severity] > RANK[incident.severity]:
            incident.severity, incident.runbook = one.severity, one.runbook or incident.runbook
            self._say(session, incident, "escalated", PLATFORM, f"is a matter for a {one.severity} now")
            self._suspect(session, incident, one.began)
            self._record(session, incident, "escalated", PLATFORM, severity=one.severity, suspects=incident.suspects)
            self._tell(session, incident, "escalated")
        if any(alert["ended"] is None for alert in incident.alerts.values()):
            incident.recovered_at = None
        elif incident.recovered_at is None:
            incident.recovered_at = one.ended
            self._say(session, incident, "recovered", PLATFORM, "none of its alerts fires any more", own=True)

    def _suspect(self, session: Session, incident: Incident, began: datetime) -> None:
        """Rank what changed before a time; the timeline says who leads, unless it is who led before."""
        led = incident.suspects[0]["event"] if incident.suspects else None
        found = self._suspects.before(session, incident.environment, incident.model, began)
        incident.suspects = [one.as_json() for one in found]
        if found and found[0].event != led:
            first = found[0]
            said = f"{first.what}, at {first.at.isoformat()[:19]} by {first.by}"
            self._say(session, incident, "suspected", PLATFORM, said)

    def _resolve(
        self,
        session: Session,
        incident: Incident,
        actor: Principal | str,
        cause: str,
        resolution: str,
        **more: Any,
    ) -> None:
        who = actor if isinstance(actor, str) else actor.ref
        incident.state = IncidentState.RESOLVED.value
        incident.resolved_at, incident.resolved_by = self._services.clock.now(), who
        incident.cause, incident.resolution = cause, resolution
        self._say(session, incident, "resolved", actor, f"{cause}: {resolution}")
        said = {"cause": cause, "resolution": resolution, "received": incident.received}
        self._record(session, incident, "resolved", actor, **said, **more)
        self._tell(session, incident, "resolved")

    def _tell(self, session: Session, incident: Incident, event: str) -> None:
        self._services.notifications.tell(session, notice_of(self._services.settings, incident, event))

    def _locked(self, session: Session, id: str) -> Incident:
        lock_for_transaction(session, f"incident:{self.get(session, id).fingerprint}")
        return self.get(session, id)

    def _say(
        self,
        session: Session,
        incident: Incident,
        kind: str,
        actor: Principal | str,
        text: str,
        *,
        own: bool = False,
    ) -> None:
        seq = repository.last_entry(session, incident.id) + 1
        if own and seq > MOST_ENTRIES:
            return
        who = actor if isinstance(actor, str) else actor.ref
        now = self._services.clock.now()
        session.add(IncidentEntry(incident_id=incident.id, seq=seq, at=now, kind=kind, actor=who, text=text))
        session.flush()

    def _record(self, session: Session, incident: Incident, what: str, actor: Principal | str, **data: Any) -> None:
        subject = f"incident:{incident.id}"
        if incident.model is not None:
            subject = f"model:{incident.model}/incidents/{incident.id}"
        self._services.audit.append(
            session,
            type=f"{EVENT}.{what}",
            subject=subject,
            actor=actor,
            data={
                "incident": incident.id,
                "model": incident.model,
                "environment": incident.environment,
                "severity": incident.severity,
                "owner": incident.owner,
                **data,
            },
        )


def begins_of(alert: dict[str, Any]) -> dict[str, str]:
    """Return when a stored alert began, by who raised it: the platform and an Alertmanager see the same at different times."""
    begins: dict[str, str] = alert.get("begins") or {alert["source"]: alert["began"]}
    return begins


def _is_known(resolved: Incident | None, one: Raised) -> bool:
    """Say whether an alert is the same that a resolved incident had, still going on."""
    before = None if resolved is None else resolved.alerts.get(one.identity)
    if resolved is None or before is None:
        return False
    began = begins_of(before).get(one.source)
    if began is not None:
        return datetime.fromisoformat(began) == one.began
    # Somebody else says so only now of what began before the incident was resolved.
    return before["ended"] is None and resolved.resolved_at is not None and one.began <= resolved.resolved_at
