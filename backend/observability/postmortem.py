"""A postmortem to be filled in: what is on record is in it already."""

from collections.abc import Sequence

from backend.observability.models import Incident, IncidentEntry


def postmortem(incident: Incident, timeline: Sequence[IncidentEntry]) -> str:
    """Return Markdown; text of others is on one line each, and can't begin a heading or a table of its own."""
    place = f"{incident.model} in {incident.environment}" if incident.model else "the platform"
    ended = incident.recovered_at or incident.resolved_at
    lines = [
        f"# Postmortem: {_line(incident.title)}",
        "",
        f"* Incident: `{incident.id}` ({incident.severity}), {place}",
        f"* Owner: {incident.owner}",
        *(f"* {role.capitalize()}: {who}" for role, who in sorted(incident.roles.items())),
        f"* Began: {incident.began_at:%Y-%m-%d %H:%M:%S} UTC",
        f"* Ended: {ended:%Y-%m-%d %H:%M:%S} UTC" if ended else "* Ended: not yet",
        f"* Lasted: {_span((ended - incident.began_at).total_seconds())}" if ended else "* Lasted: it goes on",
        f"* Cause: {incident.cause or 'not said yet'}",
        "",
        "Blame nobody: write about what made it possible.",
        "",
        "## Summary",
        "",
        _line(incident.resolution) if incident.resolution else "_What happened, in two sentences._",
        "",
        "## Impact",
        "",
        "_Who noticed, and what they could not do. Alerts:_",
        "",
        *(f"* {_line(one['summary'])}" for one in incident.alerts.values()),
        "",
        "## Timeline (UTC)",
        "",
        "| time | who | what |",
        "|---|---|---|",
        *(f"| {one.at:%m-%d %H:%M:%S} | {_cell(one.actor)} | {_cell(one.text)} |" for one in timeline),
        "",
        "## What changed before",
        "",
        *(f"* {one['at'][:19]} {_line(one['what'])}, by {one['by']} ({one['kind']})" for one in incident.suspects),
        *([] if incident.suspects else ["* Nothing that the platform knows of."]),
        "",
        "## Why it could happen",
        "",
        "_Ask why until the answer is about the system, not about a person._",
        "",
        "## What went well, and what did not",
        "",
        "_Was it found by an alert? Was the runbook right? Was going back quick?_",
        "",
        "## What is done so that it does not come back",
        "",
        "| what | who | until |",
        "|---|---|---|",
        "| | | |",
        "",
    ]
    return "\n".join(lines)


def _line(text: str) -> str:
    return " ".join(text.split())


def _cell(text: str) -> str:
    return _line(text).replace("|", "\\|")


def _span(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
