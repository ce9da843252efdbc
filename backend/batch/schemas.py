"""What the batch domain says and hears over HTTP."""

from datetime import date, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints

from backend.batch.backfills import DayState, Plan
from backend.batch.models import Backfill, BackfillState, BatchRun, Cause, RunState
from backend.batch.service import Standing
from backend.core.schemas import Payload, PlainText, Schema
from mlplatform.spec.model import Name

VersionNumber = Annotated[int, Field(ge=1, le=2**31 - 1)]
EnvironmentIn = Annotated[PlainText, Field(min_length=1, max_length=63)]
Reason = Annotated[PlainText, StringConstraints(strip_whitespace=True, min_length=3, max_length=1000)]


def _with_four_digits(value: date) -> date:
    if not 1900 <= value.year <= 2999:
        raise ValueError("must lie between 1900 and 2999")
    return value


Day = Annotated[date, AfterValidator(_with_four_digits)]


class RunIn(Payload):
    """A wish to have a day scored."""

    environment: EnvironmentIn
    model: Name
    day: Day = Field(description="The partition to score.")
    version: VersionNumber | None = Field(
        default=None, description="One that was live there at some time; the live one if null."
    )
    force: bool = Field(default=False, description="Score again although neither version nor input has changed.")
    reason: Reason | None = Field(default=None, description="Why; it goes into the audit log.")


class CancelIn(Payload):
    """Why a run or a backfill is ended."""

    reason: Reason


class RangeIn(Payload):
    """A range of days, and what is to be scored of it."""

    environment: EnvironmentIn
    model: Name
    first: Day = Field(alias="from", description="First day.")
    last: Day = Field(alias="to", description="Last day.")
    version: VersionNumber | None = Field(
        default=None, description="One that was live there at some time; the live one if null."
    )
    scored_by: VersionNumber | None = Field(
        default=None, description="Only days that this version has scored, as after a rollback."
    )


class BackfillIn(RangeIn):
    """A wish to have a range of days scored."""

    parallelism: int = Field(
        default=2, ge=1, le=64, description="Most of its days at the same time; the platform's own limit is over that."
    )
    reason: Reason = Field(description="Why; it goes into the audit log.")


class RejectedOut(Schema):
    """Rows that broke a rule."""

    column: str
    rule: str
    rows: int


class RunOut(Schema):
    """A run of a day."""

    id: str
    environment: str
    model: str
    version: int
    day: date
    cause: Cause
    backfill: str | None
    deployment: str | None = Field(description="The rollout that a trial is for.")
    scheduled_for: datetime | None
    state: RunState
    attempts: int
    not_before: datetime | None = Field(description="When the next attempt is due.")
    rows: int | None = Field(description="Rows scored, so far while it runs.")
    rejected: int | None = Field(description="Rows that did not fit the schema.")
    total: int | None = Field(description="Rows of the input.")
    rejected_by: list[RejectedOut]
    input_digest: str | None
    output_digest: str | None
    message: str | None
    requested_by: str
    reason: str | None
    requested_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class PlannedDayOut(Schema):
    """A day of a range."""

    day: date
    state: DayState
    version: int | None = Field(description="Which version has scored it.")
    scored: bool = Field(description="Whether the backfill would score it.")


class PlanOut(Schema):
    """What a backfill would do."""

    environment: str
    model: str
    version: int
    first: date = Field(alias="from")
    last: date = Field(alias="to")
    scored_by: int | None
    to_score: int
    days: list[PlannedDayOut]


class BackfillOut(Schema):
    """A backfill and how far it is."""

    id: str
    environment: str
    model: str
    version: int
    first: date = Field(alias="from")
    last: date = Field(alias="to")
    scored_by: int | None
    parallelism: int
    state: BackfillState
    days: int = Field(description="Days that it scores.")
    done: int = Field(description="Days that are over, well or not.")
    failed: int = Field(description="Days that failed or were cancelled.")
    skipped: dict[str, int] = Field(description="Days of the range that are left alone, by why.")
    message: str | None
    reason: str
    requested_by: str
    requested_at: datetime
    finished_at: datetime | None


class StandingOut(Schema):
    """A batch model in an environment as it is now."""

    environment: str
    model: str
    version: int | None = Field(description="The version that is live.")
    schedule: str | None
    next_run: datetime | None
    last_success: RunOut | None
    last_run: RunOut | None
    active: list[RunOut]


class ScoredOut(Schema):
    """The days whose answers in the lake are a version's."""

    environment: str
    model: str
    version: int
    days: list[date]


def run_out(run: BatchRun) -> RunOut:
    """Return a run as the API shows it."""
    own = {name: getattr(run, name) for name in RunOut.model_fields if hasattr(run, name)}
    more = {"backfill": run.backfill_id, "deployment": run.deployment_id, "rejected_by": run.reasons or []}
    return RunOut.model_validate({**own, **more})


def backfill_out(backfill: Backfill, counts: dict[str, int]) -> BackfillOut:
    """Return a backfill as the API shows it."""
    bad = counts.get(RunState.FAILED, 0) + counts.get(RunState.CANCELLED, 0)
    done = bad + counts.get(RunState.SUCCEEDED, 0) + counts.get(RunState.UNCHANGED, 0)
    own: dict[str, Any] = {
        name: getattr(backfill, name) for name in BackfillOut.model_fields if hasattr(backfill, name)
    }
    return BackfillOut.model_validate({**own, "days": len(backfill.days), "done": done, "failed": bad})


def plan_out(plan: Plan) -> PlanOut:
    """Return a plan as the API shows it."""
    own = {name: getattr(plan, name) for name in ("environment", "model", "version", "first", "last", "scored_by")}
    days = [PlannedDayOut.model_validate(day) for day in plan.days]
    return PlanOut.model_validate({**own, "to_score": len(plan.to_score), "days": days})


def standing_out(standing: Standing) -> StandingOut:
    """Return a model's standing as the API shows it."""
    own = {name: getattr(standing, name) for name in ("environment", "model", "version", "schedule", "next_run")}
    return StandingOut.model_validate(
        {
            **own,
            "last_success": run_out(standing.last_success) if standing.last_success else None,
            "last_run": run_out(standing.last_run) if standing.last_run else None,
            "active": [run_out(run) for run in standing.active],
        }
    )
