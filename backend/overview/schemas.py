"""What the overview says over HTTP."""

from datetime import datetime

from pydantic import Field

from backend.core.schemas import Page, Schema
from backend.drift.models import DriftOutcome
from backend.observability.models import SloState


class PlaceOut(Schema):
    """A model in an environment."""

    environment: str
    champion: int | None = Field(description="The version that is live there.")
    challenger: int | None = Field(description="The version that is being rolled out there.")
    phase: str = Field(description="Phase of the newest deployment there.", examples=["completed"])
    deployment_id: str = Field(description="The newest deployment there.")
    since: datetime | None = Field(description="When the rollout of the live version was over.")


class TemplateOut(Schema):
    """The template that a model's repository came from, as the last inventory saw it."""

    name: str
    version: str | None
    newest: str | None
    behind: int | None = Field(description="How many versions were released after its own; null if that is not known.")
    request_url: str | None = Field(description="The open update request.")


class ComplianceOut(Schema):
    """How a model stands to the controls."""

    met: bool
    failing: int = Field(description="How many checks found something about it.")


class SloSummaryOut(Schema):
    """How a model's objectives stand together."""

    state: SloState = Field(description="The worst of them.")
    remaining: float | None = Field(
        description="Part that is left of the error budget of which least is left: 1 is all of it; null without data."
    )


class MonthlyCostOut(Schema):
    """What a model has cost this month."""

    amount: str = Field(examples=["12.34"])
    currency: str = Field(examples=["USD"])


class OverviewOut(Schema):
    """A model at a glance."""

    name: str = Field(examples=["wine"])
    description: str
    type: str = Field(examples=["realtime"])
    owner: str = Field(examples=["group:default/risk"])
    system: str | None
    tier: int
    cost_centre: str
    repository: str
    entity_ref: str | None = Field(description="Its component in the catalog.", examples=["component:default/wine"])
    latest_version: int | None
    updated_at: datetime = Field(
        description="When a version was last registered, or a deployment last asked for or over."
    )
    places: list[PlaceOut]
    template: TemplateOut | None
    slo: SloSummaryOut | None = Field(
        default=None, description="How its objectives stand; null if it is not live, has none, or was not judged yet."
    )
    drift: DriftOutcome | None = Field(
        default=None,
        description="What the newest drift reports of what is live say, by the worst; null if there is none.",
    )
    monthly_cost: MonthlyCostOut | None = Field(
        default=None, description="What it has cost this month; null if nothing is recorded."
    )
    compliance: ComplianceOut | None = Field(
        default=None, description="How it stands to the controls; null if it is not live, or nothing was examined yet."
    )


class OverviewPage(Page[OverviewOut]):
    """One page of models."""

    total: int = Field(description="How many models there are under these filters.")


class FacetOut(Schema):
    """A value, and how many models have it."""

    value: str | int
    count: int


class FacetsOut(Schema):
    """What there is to filter by."""

    owners: list[FacetOut]
    systems: list[FacetOut]
    types: list[FacetOut]
    tiers: list[FacetOut]
    environments: list[FacetOut]


class FigureOut(Schema):
    """A figure that the platform is held to."""

    name: str = Field(examples=["deployment-success-rate"])
    value: float | None = Field(description="Null where there is nothing to count.")
    unit: str = Field(examples=["percent"])
    target: float | None = Field(description="What it is to reach at twelve months.")
    count: int = Field(description="How many deployments, models, answers or others it is counted from.")
    meaning: str
    reached: bool | None = Field(description="Whether the target is reached; null without a value or a target.")


class MonthOut(Schema):
    """A figure in a month."""

    month: str = Field(examples=["2026-03"])
    value: float | None
    count: int


class FigureWithTrendOut(FigureOut):
    """A figure that the platform is held to, with how it was."""

    trend: list[MonthOut]


class EvidenceOut(Schema):
    """An event behind a figure. Of a share, 1 is what counts and 0 what it is a share of."""

    at: datetime
    subject: str = Field(description="Whose audit events tell more.", examples=["model:wine/deployments/0197f2c4"])
    value: float
    note: str
    until: datetime | None = Field(default=None, description="When it was over, of what lasts.")


class FigureDetailOut(Schema):
    """A figure with its trend, and with the events behind it."""

    figure: FigureOut
    trend: list[MonthOut]
    evidence: list[EvidenceOut] = Field(description="Newest first.")
    more: int = Field(description="How many older events are not listed.")
