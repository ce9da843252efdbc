"""What the privacy domain says and hears over HTTP."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from backend.core.actions import ActionOut
from backend.core.schemas import Payload, PlainText, Schema
from backend.privacy.models import ItemState, JobState, KeyState, Kind, RequestState

Reason = Annotated[PlainText, StringConstraints(strip_whitespace=True, min_length=3, max_length=1000)]


class ReasonIn(Payload):
    """Why."""

    reason: Reason


class HoldIn(Payload):
    """A hold to be placed."""

    subject: Annotated[PlainText, Field(min_length=1, max_length=300)] = Field(
        description="everything, environment:NAME, model:NAME, model:NAME/versions/N, dataset:FOLDER, kind:KIND (such as "
        "log, stream or subject_key), subject-request:ID, incident:ID or audit:log.",
        examples=["model:churn"],
    )
    reason: Reason


class HoldOut(Schema):
    """A legal hold."""

    id: str
    subject: str
    reason: str
    placed_by: str
    placed_at: datetime
    released_by: str | None
    released_at: datetime | None
    release_reason: str | None


class PolicyOut(Schema):
    """How long a kind of thing is kept at most."""

    kind: Kind
    scope: str = Field(description="All of that kind, or the folder or model it is about.")
    keep: str | None = Field(description="A duration; null for ever.")
    source: str = Field(description="The setting, or the `model.yaml`, that says so.")


class RetentionRunIn(Payload):
    """A wish to have deleted what is over."""

    dry_run: bool = Field(default=False, description="Only list what would go.")


class RetentionRunOut(Schema):
    """A retention run."""

    id: str
    state: JobState
    dry_run: bool
    scheduled: bool
    requested_by: str
    requested_at: datetime
    planned_at: datetime | None
    finished_at: datetime | None
    message: str | None
    counts: dict[str, dict[str, int]] = Field(description="Items by kind and state.")
    certificate: str | None = Field(description="Id of its deletion certificate.")


class RetentionItemOut(Schema):
    """Something that was over."""

    index: int
    kind: Kind
    name: str
    at: datetime
    over_since: datetime
    bytes: int
    digest: str | None
    state: ItemState
    reason: str | None


class CertificateOut(Schema):
    """A deletion certificate."""

    id: str
    about: str
    created_at: datetime
    valid: bool = Field(description="Whether it is signed with the audit log's key and unchanged.")
    counts: dict[str, Any]


class CertificateDetailOut(CertificateOut):
    """A deletion certificate with the envelope (DSSE) that an auditor verifies."""

    statement: dict[str, Any] | None
    envelope: dict[str, Any]


class SubjectRequestIn(Payload):
    """A person to be found."""

    identifiers: list[Annotated[PlainText, Field(min_length=1, max_length=300)]] = Field(
        min_length=1, max_length=50, description="What the person goes by. Only keyed hashes of it are kept."
    )
    reason: Reason


class VaultErasureIn(Payload):
    """What is about to be destroyed in a token vault that the platform can't reach."""

    vault: Annotated[PlainText, Field(min_length=1, max_length=300)] = Field(
        description="What the vault goes by; never a value of it."
    )
    tokens: Annotated[int, Field(ge=0, le=1_000_000)] = Field(description="How many values of the person it holds.")


class RevealIn(Payload):
    """Tokens of a vault that somebody wants revealed; never the tokens themselves."""

    vault: Annotated[PlainText, Field(min_length=1, max_length=300)] = Field(
        description="What the vault goes by.", examples=["people.vault of key 3f9a2c"]
    )
    domain: Annotated[PlainText, Field(min_length=1, max_length=100)] = Field(examples=["person"])
    tokens: Annotated[int, Field(ge=1, le=1_000_000)] = Field(description="How many.")
    purpose: Annotated[str, Field(max_length=63, pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")] = Field(
        description="What the values are needed for, as the settings name purposes.", examples=["subject-request"]
    )
    dataset: Annotated[PlainText, Field(min_length=1, max_length=200)] | None = Field(
        default=None,
        description="The catalog's name of the data set that the values come from; without one they count as `sensitive-pii`.",
        examples=["default/customers"],
    )
    reason: Annotated[PlainText, Field(min_length=1, max_length=2000)] | None = Field(
        default=None, examples=["call back, case 81"]
    )


class FindingOut(Schema):
    """A place where the person is, or that could not be searched."""

    index: int
    kind: str
    location: str
    found: int
    remaining: int | None = Field(
        description="How many there were after the erasure; null before, and where nobody can tell."
    )
    state: ItemState
    reason: str | None


class SubjectRequestOut(Schema):
    """A data-subject request."""

    id: str
    state: RequestState
    reason: str
    requested_by: str
    requested_at: datetime
    due_at: datetime
    overdue: bool
    erasure_requested_by: str | None
    confirmed_by: str | None
    confirmed_at: datetime | None
    finished_at: datetime | None
    message: str | None
    found: int
    remaining: int | None
    certificate: str | None


class SubjectRequestDetailOut(SubjectRequestOut):
    """A data-subject request with all that was found."""

    findings: list[FindingOut]
    models: list[dict[str, Any]] = Field(description="Versions that were trained on, or score, data with the person.")


class SubjectRequestWithActionsOut(SubjectRequestDetailOut):
    """A data-subject request, and what the caller may do about it."""

    actions: list[ActionOut]


class PrivacyActionsOut(Schema):
    """What the caller may do about personal data and retention."""

    items: list[ActionOut]


class DataKeyOut(Schema):
    """A data key; never the key itself."""

    id: str
    purpose: str
    state: KeyState
    kek: str
    created_at: datetime
    destroyed_at: datetime | None


class RotationOut(Schema):
    """A key rotation."""

    id: str
    state: JobState
    reason: str
    requested_by: str
    requested_at: datetime
    finished_at: datetime | None
    total: int
    done: int
    message: str | None


class SampleOut(Schema):
    """A payload sample, without its content."""

    id: str
    environment: str
    model: str
    version: int
    at: datetime


class SampleDetailOut(SampleOut):
    """A payload sample; request and answer were redacted before they were written."""

    request: Any
    answer: Any
