"""Bodies of the registry routes, and the manifest of a registration."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, ConfigDict, Field
from pydantic.alias_generators import to_camel

from backend.core.schemas import Payload, PlainText, Schema
from backend.identity.schemas import RepositoryId
from mlplatform.spec.model import ModelSpec

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 in lower-case hex.")]
MetricName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_./ @-]*$", max_length=250)]
Text = Annotated[PlainText, Field(max_length=6000)]
_MOST_VALUES = 1000


class _Recorded(Payload):
    """Part of what training wrote down; newer toolkits may write more than this backend knows."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="ignore", allow_inf_nan=False, serialize_by_alias=True
    )


class GitRecord(_Recorded):
    """The commit that the model was trained from."""

    commit: str = Field(pattern=r"^[0-9a-f]{7,64}$")
    repository: RepositoryId
    dirty: bool = False
    author: Annotated[PlainText, Field(max_length=255)] | None = None
    committed_at: AwareDatetime | None = None


class DataRecord(_Recorded):
    """A data set as training saw it."""

    name: Text
    uri: Text
    rows: int | None = Field(default=None, ge=0, lt=2**53)
    digest: dict[str, Text] = Field(default_factory=dict, max_length=10)


class TrainingRecord(_Recorded):
    """``build/training.json``."""

    model_digest: Digest
    metrics: dict[MetricName, float] = Field(default_factory=dict, max_length=_MOST_VALUES)
    params: dict[MetricName, Text | bool | int | float | None] = Field(default_factory=dict, max_length=_MOST_VALUES)
    started_at: datetime
    finished_at: datetime
    data: list[DataRecord] = Field(default_factory=list, max_length=_MOST_VALUES)
    git: GitRecord
    lock_digest: Digest
    python: str = Field(max_length=50, pattern=r"^[\x20-\x7e]+$")


class Manifest(Payload):
    """The part ``manifest`` of a registration."""

    model_digest: Digest
    training: TrainingRecord
    spec: ModelSpec
    attestations: list[dict[str, Any]] = Field(default_factory=list, max_length=100)


class LineageOut(Schema):
    """What a version was made from."""

    commit: str
    repository: str
    dirty: bool
    data: list[dict[str, Any]]
    lock_digest: str
    spec_digest: str = Field(description="SHA-256 of its model.yaml.")
    reference_digest: str | None = Field(
        default=None, description="SHA-256 of its training reference, by which drift is judged; null if it has none."
    )
    run_id: str
    python: str
    started_at: str
    finished_at: str
    on_behalf_of: str | None = Field(
        default=None, description="Whose push or click started the CI job that registered it."
    )
    ci_run: str | None = Field(default=None, description="Address of that job.")
    commit_author: str | None = Field(default=None, description="Address of the commit's author, as the commit says.")
    committed_at: str | None = Field(
        default=None, description="When the commit was made, as the commit says; null if the toolkit did not know."
    )


class VersionOut(Schema):
    """A registered version."""

    model: str
    version: int
    digest: str
    created_at: datetime
    created_by: str
    aliases: list[str]
    lineage: LineageOut
    metrics: dict[str, float]
    params: dict[str, Any]
    spec: dict[str, Any]
    mlflow_url: str | None


class ModelOut(Schema):
    """A model and what its aliases point at."""

    name: str
    description: str
    type: str
    owner: str
    system: str | None
    tier: int
    cost_centre: str
    repository: str
    created_at: datetime
    created_by: str
    latest_version: int | None
    aliases: dict[str, int]
