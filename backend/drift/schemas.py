"""What the drift domain takes and says over HTTP."""

from datetime import date, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from backend.core.actions import ActionOut
from backend.core.config import ENVIRONMENT_PATTERN
from backend.core.schemas import Payload, PlainText, Schema
from backend.drift.models import DriftOutcome, ReportState

EnvironmentName = Annotated[str, Field(max_length=63, pattern=ENVIRONMENT_PATTERN, examples=["production"])]
Value = Annotated[
    bool | int | Annotated[float, Field(allow_inf_nan=False)] | Annotated[PlainText, Field(max_length=1000)], Field()
]
MOST_LABELS = 10_000
MOST_ROWS = 200


class LabelIn(Payload):
    """What would have been the right answer to a prediction."""

    id: Annotated[PlainText, Field(min_length=1, max_length=500)] | None = Field(
        default=None,
        description="The prediction's id: of a real-time model its answer's header `X-Prediction-Id`, of a streaming one the "
        "message's id, which is also the answer's `ce-id`.",
    )
    day: date | None = Field(default=None, description="Of a batch model, instead of an id: the day that was scored.")
    key: dict[Annotated[str, Field(max_length=200)], Value] | None = Field(
        default=None, max_length=50, description="Of a batch model: the row's columns of `batch.keys`."
    )
    value: Value | Annotated[list[Value], Field(min_length=1, max_length=MOST_ROWS)] = Field(
        description="The truth; a list of them where the request had several rows, in their order."
    )
    at: AwareDatetime | None = Field(
        default=None, description="When it was observed; of one prediction the newest observation counts. Now, if null."
    )

    @model_validator(mode="after")
    def _names_a_prediction(self) -> Self:
        if (self.id is None) is (self.day is None) or (self.day is None) is not (self.key is None):
            raise ValueError("give either `id`, or `day` and `key`")
        return self


class LabelsIn(Payload):
    """Labels of a model's predictions in an environment."""

    environment: EnvironmentName
    labels: list[LabelIn] = Field(min_length=1, max_length=MOST_LABELS)


class LabelsOut(Schema):
    """What became of labels."""

    new: int
    changed: int = Field(description="Predictions whose label was another before.")
    repeated: int = Field(description="Labels that were known.")
    outdated: int = Field(description="Labels older than what is known of their predictions; they change nothing.")
    sampled: int = Field(
        description="Predictions that are among the samples, or whose days were scored, by now; the other labels wait."
    )


class ReportIn(Payload):
    """A report that is wished for."""

    environment: EnvironmentName


class FindingOut(Schema):
    """One test of one column."""

    part: str = Field(description="`all`, or a slice.")
    side: Literal["input", "output", "error"]
    column: str
    check: Literal["distribution", "missing", "performance"]
    test: str
    rows: int
    p: float
    distance: float | None = Field(description="How large the difference is.")
    measure: str | None = Field(description="What that is measured by.")
    reference: float | None = Field(description="Share of missing values, or mean error, in the reference.")
    current: float | None = Field(description="The same in the window.")
    drifted: bool


class SkippedOut(Schema):
    """What was not judged, and why."""

    part: str
    side: str | None
    column: str | None
    reason: str


class RetrainingOut(Schema):
    """The pull request that has the model trained again, or why there is none."""

    number: int | None
    url: str | None = None
    branch: str | None = None
    repository: str | None = None
    reason: str | None = None


class ReportOut(Schema):
    """A report."""

    id: str
    model: str
    environment: str
    version: int
    state: ReportState
    outcome: DriftOutcome | None = Field(description="Null until it is made.")
    scheduled: bool
    requested_by: str
    requested_at: datetime
    finished_at: datetime | None
    since: datetime
    until: datetime
    rows: int
    labelled: int = Field(description="Rows whose truth has become known since the last report that judged it.")
    alpha: float | None = Field(description="The error rate that it spent.")
    data_drifted: bool | None = Field(description="Null where that was not judged; so are the next two.")
    prediction_drifted: bool | None
    performance_drifted: bool | None
    drifted: list[FindingOut] = Field(description="What has drifted, most certain first.")
    reason: str | None
    retraining: RetrainingOut | None
    html: bool = Field(description="Whether there is a page of it.")


class WholeReportOut(ReportOut):
    """A report with everything in it."""

    reference_digest: str | None = Field(description="SHA-256 of the training reference.")
    bound: float | None = Field(description="The largest p-value that is called drift.")
    findings: list[FindingOut]
    skipped: list[SkippedOut]


class ModelDriftOut(Schema):
    """How a model stands."""

    model: str
    outcome: DriftOutcome | None = Field(description="What the newest reports of what is live say, by the worst.")
    reports: list[ReportOut] = Field(description="The newest report of each environment.")
    actions: list[ActionOut]


def columns_of(row: Any) -> dict[str, Any]:
    """Return a report's columns as they are shown."""
    names = [name for name in ReportOut.model_fields if name != "html"]
    return {name: getattr(row, name) for name in names}
