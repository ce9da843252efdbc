"""From Alertmanager's webhook to alerts as incidents take them."""

from collections.abc import Collection
from datetime import datetime

from backend.observability.raised import Raised
from backend.observability.schemas import WebhookAlertIn

_LONGEST = 500
_NAME = 100


def raised(
    alerts: Collection[WebhookAlertIn], models: Collection[str], environments: Collection[str], now: datetime
) -> list[Raised]:
    """Return a webhook's alerts; the same alert more than once counts as its newest state.

    An alert about a model or an environment that this platform does not know is about neither. One that says to have begun in the
    future began now: clocks differ.
    """
    newest: dict[tuple[object, ...], Raised] = {}
    for alert in alerts:
        one = _raised(alert, models, environments, now)
        key = (one.model, one.environment, one.identity)
        before = newest.get(key)
        if before is None or (one.began, one.ended is None) >= (before.began, before.ended is None):
            newest[key] = one
    return list(newest.values())


def _raised(alert: WebhookAlertIn, models: Collection[str], environments: Collection[str], now: datetime) -> Raised:
    labels, said = alert.labels, alert.annotations
    model, environment = labels.get("model"), labels.get("environment", labels.get("namespace"))
    known = model in models
    name = _text(labels.get("alertname", "alert"), _NAME)
    summary = _text(said.get("summary") or said.get("message") or name, _LONGEST)
    began = min(alert.starts_at, now)
    return Raised(
        name=name,
        model=model if known else None,
        environment=environment if known and environment in environments else None,
        slo=_text(labels["slo"], _NAME) if labels.get("slo") else None,
        burn=_text(labels["burn"], _NAME) if labels.get("burn") else None,
        # What a rule calls critical or page wakes somebody; everything else waits for the morning.
        severity="page" if labels.get("severity") in ("page", "critical") else "ticket",
        summary=summary,
        description=_text(said.get("description", ""), _LONGEST),
        runbook=_text(said["runbook_url"], _LONGEST) if said.get("runbook_url") else None,
        began=began,
        ended=min(alert.ends_at or now, now) if alert.status == "resolved" else None,
        source="alertmanager",
    )


def _text(value: str, longest: int) -> str:
    return value.replace("\x00", "")[:longest]
