"""What the deployments domain says and hears over HTTP."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, StringConstraints, WithJsonSchema

from backend.core.actions import ActionOut
from backend.core.schemas import NO_NUL, Payload, Schema
from backend.deployments.models import Outcome, Phase, StepKind, StepState, TrafficState
from mlplatform.spec.model import ModelType, Name

Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=1000), NO_NUL]
LONGEST_VERSION = 2**31 - 1
VersionNumber = Annotated[int, Field(ge=1, le=LONGEST_VERSION)]
ALIASES = ("champion", "challenger")


def _version_or_alias(value: Any) -> int | str:
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= LONGEST_VERSION:
        return value
    if value in ALIASES:
        return str(value)
    raise ValueError(f"must be a version number from 1 on, or one of {', '.join(ALIASES)}")


VersionOrAlias = Annotated[
    int | str,
    PlainValidator(_version_or_alias),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1, "maximum": LONGEST_VERSION}, {"enum": list(ALIASES)}]}),
]
RequirementState = Literal["met", "missing", "failed", "waiting"]


class BreakGlass(Payload):
    """Why the policy is to be overridden, in words that stand up afterwards."""

    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=10, max_length=1000), NO_NUL]


class DeploymentIn(Payload):
    """A wish to have a version live."""

    model: Name
    version: VersionOrAlias | None = Field(default=None, description="A number or an alias; the newest if null.")
    environment: Annotated[str, Field(min_length=1, max_length=63), NO_NUL]
    break_glass: BreakGlass | None = None


class ApprovalIn(Payload):
    """What an approver decides."""

    decision: Literal["approve", "reject"]
    comment: Annotated[str, StringConstraints(strip_whitespace=True, max_length=1000), NO_NUL] = ""


class ReasonIn(Payload):
    """Why a person steps in."""

    reason: Reason


class RequirementOut(Schema):
    """One requirement of an environment's policy, and whether the version meets it."""

    requirement: str
    state: RequirementState
    message: str
    evidence: str | None = Field(default=None, description="Id of the attestation that decided it.")


class ApprovalOut(Schema):
    """What an approver said."""

    by: str
    decision: Literal["approve", "reject"]
    comment: str
    at: datetime


class BreakGlassOut(Schema):
    """Why the policy was overridden."""

    reason: str


class FiguresOut(Schema):
    """What a version did in a step."""

    requests: int = Field(description="Rows, in a step that compares days.")
    errors: int = Field(description="Rows that did not fit the schema, in a step that compares days.")
    success_rate: float | None
    latency_ms: float | None = Field(
        description="At the percentile that the model's `rollout.analysis` names; in a step that compares days, per row."
    )
    latency_percentile: float | None = Field(
        default=None, description="Which percentile that is; null in a step that compares days."
    )


class CheckOut(Schema):
    """One test as it stands; shares for success rates, milliseconds for latencies."""

    name: str
    observed: float | None
    limit: float | None
    evidence: float | None = Field(
        description="The e-value: how strongly the figures speak against the version. Null where all there is was counted."
    )
    threshold: float | None = Field(description="The e-value from which on the version counts as bad.")
    verdict: Literal["passing", "suspected", "breached", "no_data"]


class StepOut(Schema):
    """One step of a rollout."""

    index: int
    kind: StepKind
    weight: int | None
    state: StepState
    started_at: datetime | None
    finished_at: datetime | None
    canary: FiguresOut | None
    primary: FiguresOut | None
    checks: list[CheckOut]
    reason: str | None


class SampleOut(Schema):
    """What both versions had done in a step up to a moment."""

    seq: int = Field(description="Rises with time, though not always by one.")
    at: datetime
    step: int = Field(description="Index of the step; its figures are counted from its begin.")
    canary: FiguresOut
    primary: FiguresOut
    limits: dict[str, float] = Field(
        description="By check, the limit that held then: shares for success rates, milliseconds for latencies.",
        examples=[{"success_rate": 0.99, "latency": 250.0}],
    )


class SamplesOut(Schema):
    """Samples of a rollout, oldest first."""

    items: list[SampleOut]


class DeploymentOut(Schema):
    """A deployment and everything that happened to it so far."""

    id: str
    kind: Literal["rollout", "rollback"]
    model: str
    version: int
    environment: str
    phase: Phase
    outcome: Outcome | None
    reason: str | None
    requested_by: str
    on_behalf_of: str | None = Field(default=None, description="Who started the CI job that asked for it.")
    requested_at: datetime
    approvals: list[ApprovalOut]
    break_glass: BreakGlassOut | None
    requirements: list[RequirementOut]
    previous_version: int | None
    steps: list[StepOut]
    finished_at: datetime | None


class TrafficOut(Schema):
    """A version's share of the traffic, as the proxy last confirmed it."""

    version: int
    weight: int
    state: TrafficState
    desired_weight: int = Field(description="Differs from `weight` while a change is under way or the version is dead.")
    mirror: int
    warm_until: datetime | None


class ReplicaOut(Schema):
    """One model server."""

    version: int
    replica: int
    state: Literal["starting", "ready", "failed", "stopped"]
    port: int | None
    pid: int | None
    message: str | None


class RescoreOut(Schema):
    """What a batch version that was rolled back has left in the lake."""

    version: int = Field(description="The version that was rolled back.")
    days: list[date] = Field(description="Days whose answers are still its own; a backfill scores them again.")


class RollbackOut(DeploymentOut):
    """A rollback, and for a batch model what is left to be scored again."""

    rescore: RescoreOut | None = None


class PlaceOut(Schema):
    """A model in an environment as it is now."""

    model: str
    type: ModelType
    environment: str
    url: str | None = Field(description="Where requests go; null for a batch model.")
    champion: int | None = Field(description="The version that is live here.")
    challenger: int | None = Field(description="The version that is being rolled out here.")
    traffic: list[TrafficOut]
    rollout: DeploymentOut | None = Field(description="The deployment that is not over yet.")
    replicas: list[ReplicaOut]


class DeploymentActionOut(ActionOut):
    """Something to do about a model in an environment, and whether this caller may do it as things are."""

    action: Literal["deploy", "approve", "promote", "abort", "rollback"]


class DeploymentActionsOut(Schema):
    """All that can be done there."""

    items: list[DeploymentActionOut]


class EnvironmentOut(Schema):
    """An environment that versions can be deployed to."""

    name: str
    approval_required: bool


class EnvironmentsOut(Schema):
    """All environments, in the order in which they are configured."""

    items: list[EnvironmentOut]


class ExampleOut(Schema):
    """A request that the live version takes."""

    request: dict[str, Any] = Field(description="Open Inference Protocol v2.")
    columns: list[dict[str, Any]] = Field(description="The version's input columns, as `model.yaml` has them.")


class TrialIn(Payload):
    """A request to be tried."""

    request: dict[str, Any] = Field(description="Open Inference Protocol v2.", examples=[{"inputs": []}])


class TrialOut(Schema):
    """What the model answered."""

    status: int = Field(description="HTTP status of the answer.")
    body: Any = Field(description="JSON, or text if it is none.")
    version: int | None = Field(description="The version that answered, as far as it said so.")
    milliseconds: float
