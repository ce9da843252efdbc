"""What observability says over HTTP, and what it takes."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field, StringConstraints

from backend.core.actions import ActionOut
from backend.core.schemas import NO_NUL, Payload, PlainText, Schema
from backend.notifications.schemas import AttemptOut
from backend.observability.models import IncidentState, SloState
from mlplatform.spec.model import ModelType

Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000), NO_NUL]
Cause = Literal["change", "data", "dependency", "capacity", "configuration", "false-alarm", "other"]
Who = Annotated[str, StringConstraints(pattern=r"^(user|group):[a-z0-9-]+/[A-Za-z0-9._-]+$", max_length=190)]


class BurnOut(Schema):
    """A pair of windows: the alert fires while the budget burns at least ``threshold`` times as fast as it may in both."""

    alert: str = Field(examples=["fast"])
    long: str = Field(examples=["1h"])
    short: str = Field(examples=["5m"])
    threshold: float = Field(examples=[14.4])
    long_rate: float | None = Field(description="Null where nothing was counted.")
    short_rate: float | None
    firing: bool


class SloOut(Schema):
    """How an objective of a live version stands."""

    slo: str = Field(examples=["availability"])
    environment: str
    version: int
    indicator: str
    meaning: str = Field(examples=["Requests answered within 0.3 s"])
    objective: float = Field(description="Percent of good events.")
    window_seconds: int
    state: SloState
    remaining: float | None = Field(
        description="Part of the error budget that is left: 1 is all of it, below 0 more than all is gone; null without data."
    )
    total: float = Field(description="Events in the window, as far as the platform has seen them itself.")
    bad: float
    burns: list[BurnOut]
    firing: dict[str, AwareDatetime] = Field(description="Since when each alert fires, by its name.")
    source: Literal["prometheus", "samples"] = Field(description="What it was judged by.")
    note: str | None = Field(description="What is to be known about that.")
    since: datetime = Field(description="When the state last changed.")
    evaluated_at: datetime


class ModelSlosOut(Schema):
    """How a model's objectives stand, in every environment in which it is live."""

    model: str
    state: SloState | None = Field(description="The worst of them; null if the model is live nowhere, or has none.")
    slos: list[SloOut]


class TrafficPointOut(Schema):
    """What a version did from ``at`` for one step."""

    at: datetime
    requests: int
    rate: float | None = Field(
        description="Requests a second (messages, for a streaming model); null where less than 10 s are known."
    )
    error_ratio: float | None = Field(description="Null where there was no request, like the latency.")
    p50_ms: float | None = Field(
        description="Milliseconds within which half of the answers came; interpolated within a bucket of the histogram."
    )
    p95_ms: float | None
    p99_ms: float | None


class VersionTrafficOut(Schema):
    """The traffic of a version, from its first request in the window to when it was read last."""

    version: int
    live: bool
    points: list[TrafficPointOut]


class LimitOut(Schema):
    """What an objective of the live version allows."""

    slo: str = Field(examples=["latency"])
    indicator: Literal["availability", "latency"]
    objective: float = Field(description="Percent of good events.")
    meaning: str = Field(examples=["Requests answered within 0.3 s"])
    error_ratio: float | None = Field(description="Share of requests that may fail; null for a latency.")
    latency_ms: float | None = Field(description="Time that `objective` percent of the answers may take.")


class MomentPointOut(Schema):
    """Moments from ``at`` for one step."""

    at: datetime
    moments: int
    bad_ratio: float


class VersionMomentsOut(Schema):
    """How often an objective did not hold that is looked at again and again: `freshness` or `lag`."""

    slo: str
    indicator: str
    version: int
    points: list[MomentPointOut]


class SeriesOut(Schema):
    """What a model's versions did in an environment over a window, by the platform's own samples."""

    model: str
    type: ModelType
    environment: str
    begins_at: datetime = Field(description="A border of points, at or before the time that was asked for.")
    ends_at: datetime
    step_seconds: int
    versions: list[VersionTrafficOut] = Field(description="Those that answered anything; the newest 12 at most.")
    left_out: list[int] = Field(description="Older versions that answered too.")
    limits: list[LimitOut]
    moments: list[VersionMomentsOut]


class SuspectOut(Schema):
    """A change before an incident began, most suspected first."""

    kind: Literal["rollout", "experiment", "template", "data", "configuration"]
    what: str
    at: AwareDatetime
    by: str
    score: float
    event: str = Field(description="Id of the audit event that recorded it.")
    deployment: str | None
    version: int | None
    experiment: str | None = None


class AlertOut(Schema):
    """An alert of an incident."""

    name: str
    severity: str
    summary: str
    source: str = Field(description="Who said so last: `evaluation` is the platform itself.")
    sources: list[str] = Field(description="Everybody who said so.")
    began: AwareDatetime
    ended: AwareDatetime | None


class OnCallOut(Schema):
    """Who is called."""

    group: str
    name: str | None
    who: str | None = Field(description="By the annotation `ml-platform/on-call` of the group in the catalog.")
    email: str | None


class EntryOut(Schema):
    """A line of a timeline."""

    at: datetime
    kind: str
    actor: str
    text: str


class IncidentOut(Schema):
    """An incident."""

    id: str
    title: str
    model: str | None
    environment: str | None
    severity: str = Field(examples=["page"])
    state: IncidentState
    owner: str
    on_call: OnCallOut
    runbook: str | None
    alerts: list[AlertOut]
    received: int = Field(description="How often alerts were raised, repetitions included.")
    suspects: list[SuspectOut]
    roles: dict[str, str]
    began_at: datetime
    opened_at: datetime
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    recovered_at: datetime | None
    resolved_at: datetime | None
    resolved_by: str | None
    cause: str | None
    resolution: str | None


class WholeIncidentOut(IncidentOut):
    """An incident with all that belongs to it."""

    timeline: list[EntryOut]
    notifications: list[AttemptOut]
    actions: list[ActionOut] = Field(description="What the caller may do about it now.")


class AcknowledgementIn(Payload):
    """That somebody has it in hand."""

    comment: Annotated[PlainText, Field(max_length=2000)] = ""


class ResolutionIn(Payload):
    """What it was, and that it is over."""

    cause: Cause
    resolution: Line


class NoteIn(Payload):
    """A line for the timeline."""

    text: Line


class RolesIn(Payload):
    """Who does what."""

    commander: Who | None = None
    communications: Who | None = None
    scribe: Who | None = None


class WebhookAlertIn(Schema):
    """One alert of a webhook, as Alertmanager sends it."""

    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    annotations: dict[str, str] = Field(default_factory=dict)
    starts_at: AwareDatetime
    ends_at: AwareDatetime | None = None


class WebhookIn(Schema):
    """Alertmanager's webhook, version 4 (https://prometheus.io/docs/alerting/latest/configuration/#webhook_config)."""

    version: Literal["4"]
    status: Literal["firing", "resolved"]
    receiver: str = ""
    truncated_alerts: int = 0
    alerts: Annotated[list[WebhookAlertIn], Field(max_length=50_000)]
    group_labels: dict[str, Any] = Field(default_factory=dict)


class TakenOut(Schema):
    """What became of a webhook's alerts."""

    alerts: int
    incidents: list[str] = Field(description="Ids of the incidents that they belong to.")
