"""What data sets say and hear over HTTP."""

from datetime import datetime
from typing import Annotated

from pydantic import Field, field_validator

from backend.core.actions import ActionOut
from backend.core.schemas import Payload, PlainText, Schema
from catalog.datasets.models import Basis
from mlplatform.spec.model import Classification, EntityRef

ColumnName = Annotated[PlainText, Field(min_length=1, max_length=200)]
Reason = Annotated[PlainText, Field(min_length=1, max_length=1000)]
ResourceRef = Annotated[
    str, Field(pattern=r"^resource:[a-z0-9-]+/[A-Za-z0-9_.-]+$", max_length=200, examples=["resource:default/loans"])
]
_MOST_COLUMNS = 2000


class EvidenceIn(Payload):
    """Personal data of one kind that a scan found in a column; never a value."""

    entity: Annotated[PlainText, Field(max_length=100, examples=["EMAIL_ADDRESS"])]
    count: int = Field(ge=0, description="Sampled rows that hold it.")
    sampled: int = Field(ge=0)
    confidence: float = Field(ge=0, le=1)


class ColumnIn(Payload):
    """What a scan proposes for a column."""

    name: ColumnName
    type: Annotated[PlainText, Field(min_length=1, max_length=50, examples=["string"])]
    classification: Classification
    reason: Reason
    evidence: list[EvidenceIn] = Field(default_factory=list, max_length=50)


class ScanIn(Payload):
    """What a scan of a data set proposes."""

    name: Annotated[PlainText, Field(min_length=1, max_length=500, description="OpenLineage name.")]
    entity: ResourceRef
    owner: EntityRef = Field(description="Group that a new data set belongs to; a known one keeps its own.")
    columns: list[ColumnIn] = Field(min_length=1, max_length=_MOST_COLUMNS)

    @field_validator("columns")
    @classmethod
    def _names_differ(cls, value: list[ColumnIn]) -> list[ColumnIn]:
        names = [one.name for one in value]
        if len(set(names)) < len(names):
            raise ValueError("two columns have the same name")
        return value


class ConfirmationIn(Payload):
    """A person's decision about columns."""

    columns: dict[ColumnName, Classification] = Field(min_length=1, max_length=_MOST_COLUMNS)
    reason: Reason | None = Field(default=None, description="Needed where a column is put below what a scan found.")


class EvidenceOut(Schema):
    """Personal data of one kind that a scan found in a column."""

    entity: str
    count: int
    sampled: int
    confidence: float


class ColumnOut(Schema):
    """A column and how sensitive it is."""

    name: str
    type: str
    classification: Classification
    basis: Basis
    decided_by: str
    decided_at: datetime
    reason: str | None
    proposed: Classification | None = Field(description="What waits for a person's word; null if nothing does.")
    evidence: list[EvidenceOut]


class DatasetOut(Schema):
    """A data set and how sensitive it is."""

    id: str
    name: str = Field(description="OpenLineage name.", examples=["s3://lake/loans"])
    entity: str = Field(description="Its Resource in the catalog.")
    owner: str
    classification: Classification | None = Field(description="Null if nobody has said anything yet.")
    declared: Classification | None = Field(description="The highest class that a registered model.yaml gave it.")
    declared_by: str | None
    changed_at: datetime


class DatasetDetailOut(DatasetOut):
    """A data set with its columns, and what the caller may do."""

    columns: list[ColumnOut]
    actions: list[ActionOut]


class InheritedOut(Schema):
    """A data set that a version was made from."""

    name: str
    uri: str
    role: str
    declared: Classification
    known: Classification | None = Field(description="What the catalog knows; null if nobody has said anything.")
    basis: str | None
    effective: Classification


class InheritanceOut(Schema):
    """How sensitive a version is: as the most sensitive of what it was trained on."""

    model: str
    version: int
    classification: Classification
    datasets: list[InheritedOut]
