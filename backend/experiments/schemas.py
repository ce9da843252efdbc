"""What the experiments domain says and hears over HTTP."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from backend.core.actions import ActionOut
from backend.core.schemas import NO_NUL, Payload, Schema
from backend.deployments.schemas import Reason, RequirementOut, VersionOrAlias
from backend.experiments.models import Choice, Kind, Outcome, Phase, Source
from mlplatform.spec.model import Name
from mlplatform.spec.quantities import Duration

_TAKEN = frozenset(
    {"x-model-version", "x-experiment", "x-experiment-unit", "x-request-id", "x-prediction-id", "host", "te"}
    | {"content-type", "content-length", "transfer-encoding", "connection", "x-forwarded-for", "x-forwarded-proto"}
)
_SECRET = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key"})
_SHORTEST = timedelta(seconds=10)
MOST_OUTCOMES = 1000


class MetricIn(Payload):
    """What an A/B experiment tests."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")] = Field(
        description="How it is called.", examples=["clicked"]
    )
    source: Source = Field(default=Source.OUTCOMES, description="Where its values come from.")
    better: Literal["higher", "lower"] = Field(
        default="higher", description="Which values are better; errors and latency are always better lower."
    )
    effect: float = Field(
        gt=0, le=1e9, allow_inf_nan=False, description="The smallest difference that is worth knowing of."
    )
    false_alarm_rate: float = Field(
        default=0.05, ge=0.0001, le=0.2, description="How often a difference is seen where there is none, at most."
    )


class ExperimentIn(Payload):
    """A wish to try a challenger."""

    kind: Kind
    model: Name
    environment: Annotated[str, Field(min_length=1, max_length=63), NO_NUL]
    version: VersionOrAlias | None = Field(default=None, description="The challenger; the newest version if null.")
    percent: int = Field(
        ge=1, le=100, description="Of requests that are mirrored, or of keys that meet the challenger."
    )
    duration: Duration = Field(default=timedelta(days=1), description="When it ends at the latest.")
    tolerance: float = Field(
        default=1e-6,
        ge=0,
        le=1e9,
        allow_inf_nan=False,
        description="Shadow: how far numbers may differ and still agree.",
    )
    key_header: Annotated[str, StringConstraints(to_lower=True, pattern=r"^[A-Za-z][A-Za-z0-9-]{0,62}$")] | None = (
        Field(default=None, description="A/B: the request header by which keys are assigned.", examples=["x-user-id"])
    )
    metric: MetricIn | None = Field(default=None, description="A/B: what is tested.")
    reason: Reason

    @field_validator("duration")
    @classmethod
    def _is_long_enough(cls, value: timedelta) -> timedelta:
        if value < _SHORTEST:
            raise ValueError("must be at least 10s")
        return value

    @field_validator("key_header")
    @classmethod
    def _can_be_a_key(cls, value: str | None) -> str | None:
        if value in _TAKEN:
            raise ValueError(
                f"{value} has a meaning of its own; name a header that your clients set, such as x-user-id"
            )
        if value in _SECRET:
            raise ValueError(f"{value} holds a secret; name a header with a stable key, such as x-user-id")
        return value

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        if self.kind is Kind.AB:
            if self.key_header is None or self.metric is None:
                raise ValueError("an A/B experiment needs keyHeader and metric")
            if self.percent > 99:
                raise ValueError("percent: at least one percent of the keys has to stay with the champion")
        elif self.key_header is not None or self.metric is not None:
            raise ValueError("a shadow run has neither keyHeader nor metric: users never get its answers")
        return self


class ApprovalIn(Payload):
    """What an approver decides."""

    decision: Literal["approve", "reject"]
    comment: Annotated[str, StringConstraints(strip_whitespace=True, max_length=1000), NO_NUL] = ""


class DecisionIn(Payload):
    """What is to be done with the challenger, and why."""

    decision: Choice
    reason: Reason


class OutcomeIn(Payload):
    """What came of a prediction."""

    prediction_id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f-]{36}$")] = Field(
        description="As the answer's header `x-prediction-id` named it."
    )
    value: float = Field(ge=-1e12, le=1e12, allow_inf_nan=False, description="1 and 0 for what happened or did not.")


class OutcomesIn(Payload):
    """Outcomes of an A/B experiment."""

    outcomes: list[OutcomeIn] = Field(min_length=1, max_length=MOST_OUTCOMES)


class OutcomesOut(Schema):
    """What became of reported outcomes."""

    taken: int = Field(description="Outcomes that are new, whether tested or not.")
    further: int = Field(description="Of those, outcomes of keys that had one already; a key's first one is tested.")
    repeated: int = Field(description="Outcomes that were reported before, with the same value.")
    late: int = Field(description="Outcomes that came after the decision; they change nothing.")
    unknown: list[str] = Field(description="Ids of predictions that are none of this experiment, or not known yet.")
    conflicting: list[str] = Field(
        description="Ids of predictions whose outcome was reported before with another value."
    )
    experiment: "ExperimentOut"


class MetricOut(Schema):
    """What an A/B experiment tests."""

    name: str
    source: Source
    better: Literal["higher", "lower"]
    effect: float
    false_alarm_rate: float


class ExperimentOut(Schema):
    """An experiment."""

    id: str
    kind: Kind
    model: str
    environment: str
    champion: int
    challenger: int
    percent: int
    duration_seconds: int
    tolerance: float | None
    key_header: str | None
    metric: MetricOut | None
    phase: Phase
    outcome: Outcome | None
    reason: str
    summary: str = Field(description="What it has come to, in a sentence.")
    requested_by: str
    on_behalf_of: str | None
    requested_at: datetime
    requirements: list[RequirementOut]
    approved_by: str | None
    started_at: datetime | None
    ends_at: datetime | None
    ended_at: datetime | None
    figures: dict[str, Any]
    decision: Choice | None
    decision_reason: str | None
    decided_by: str | None
    decided_at: datetime | None
    deployment: str | None = Field(description="The deployment that a promotion asked for.")


class WholeExperimentOut(ExperimentOut):
    """An experiment, and what the caller may do about it."""

    actions: list[ActionOut]


class PairOut(Schema):
    """Two answers to the same request, compared."""

    request: str = Field(description="The request's x-request-id.")
    at: datetime
    agrees: bool
    where: str | None = Field(description="The first place where they differ, with both values, redacted.")
    champion_status: int
    challenger_status: int
    champion_ms: float
    challenger_ms: float
