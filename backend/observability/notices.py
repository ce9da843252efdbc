"""What people are told of an incident."""

from backend.core.config import Settings
from backend.notifications.service import Notice
from backend.observability.models import Incident


def subject_of(incident: Incident) -> str:
    """Return an incident as notifications name it."""
    return f"incident:{incident.id}"


def notice_of(settings: Settings, incident: Incident, event: str) -> Notice:
    """Return what the owner of an incident is told."""
    return Notice(
        kind="incident",
        subject=subject_of(incident),
        event=event,
        owner=incident.owner,
        severity="page" if incident.severity == "page" else "ticket",
        title=f"{event}: {incident.title}",
        lines=_lines(settings, incident),
    )


def _lines(settings: Settings, incident: Incident) -> list[str]:
    lines = [
        incident.title,
        "",
        f"Owner: {incident.owner}" + (f", on call: {incident.on_call['who']}" if incident.on_call["who"] else ""),
        f"Began: {incident.began_at:%Y-%m-%d %H:%M:%S} UTC",
    ]
    if incident.suspects:
        lines.append(f"Suspected: {incident.suspects[0]['what']}, at {incident.suspects[0]['at'][:19]}")
    portal = settings.portal.url
    if incident.runbook:
        lines.append(f"Runbook: {incident.runbook if '://' in incident.runbook else portal + incident.runbook}")
    if incident.model is not None:
        lines.append(f"Graphs: {portal}/catalog/default/component/{incident.model}/health")
        lines.append(f"Back: platform rollback --model {incident.model} --env {incident.environment} --reason ...")
    lines.append(f"Incident: platform incidents show {incident.id}")
    return lines
