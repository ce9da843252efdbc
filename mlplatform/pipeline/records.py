"""``build/training.json``: which data, code and environment made exactly this artefact."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class Record(BaseModel):
    """Base of what stages write down: camelCase in the file, newer fields ignored."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore")


class DataRecord(Record):
    """A data set as the training function got it."""

    name: str
    uri: str
    rows: int
    digest: dict[str, str] = Field(description="Digest set; `sha256` as mlplatform.training.frame_digest makes it.")


class GitRecord(Record):
    """The commit that was trained."""

    commit: str | None
    repository: str
    dirty: bool
    author: str | None = Field(default=None, description="Address of the commit's author, as the commit says.")
    committed_at: datetime | None = Field(default=None, description="When the commit was made, as the commit says.")


class TrainingRecord(Record):
    """The lineage of a trained model."""

    model_digest: str
    metrics: dict[str, float]
    params: dict[str, str | int | float | bool]
    seed: int
    started_at: datetime
    finished_at: datetime
    data: list[DataRecord]
    git: GitRecord
    lock_digest: str | None
    python: str
