"""The pydantic model of ``model.yaml``.

Its larger sections have modules of their own beside this one.
"""

from datetime import timedelta
from enum import StrEnum
from typing import Literal, Self

from pydantic import Field, model_validator

from mlplatform.spec.base import (
    ENTITY_REF_PATTERN,
    NAME_PATTERN,
    EntityRef,
    EntryPoint,
    Name,
    SpecModel,
)
from mlplatform.spec.batch import VERSION_COLUMN, Batch
from mlplatform.spec.drift import Drift
from mlplatform.spec.quantities import Duration
from mlplatform.spec.rollout import Analysis, Rollout
from mlplatform.spec.serving import Serving, ServingTarget
from mlplatform.spec.streaming import Streaming

__all__ = [
    "ENTITY_REF_PATTERN", "NAME_PATTERN", "TARGETS", "Analysis", "Batch", "Classification", "Column", "ColumnType",
    "DataReference", "DataRole", "Drift", "EntityRef", "ModelSpec", "ModelType", "Name", "Rollout", "Schema", "Serving",
    "ServingTarget", "Slice", "Slo", "Streaming", "Threshold",
]  # fmt: skip


class ModelType(StrEnum):
    """The golden path that the repository is on."""

    REALTIME = "realtime"
    BATCH = "batch"
    STREAMING = "streaming"


TARGETS: dict[ModelType, tuple[ServingTarget, ...]] = {
    ModelType.REALTIME: tuple(ServingTarget),
    ModelType.BATCH: (ServingTarget.KUBERNETES,),
    ModelType.STREAMING: (ServingTarget.KUBERNETES,),
}
"""Which serving targets there are for each golden path."""


class Classification(StrEnum):
    """How sensitive data is, in rising order."""

    PUBLIC = "public"
    INTERNAL = "internal"
    CONFIDENTIAL = "confidential"
    PII = "pii"
    SENSITIVE_PII = "sensitive-pii"

    @property
    def level(self) -> int:
        """How sensitive it is, from 0 up."""
        return list(Classification).index(self)


class DataRole(StrEnum):
    """What a data reference is used for."""

    TRAINING = "training"
    EVALUATION = "evaluation"
    REFERENCE = "reference"


class ColumnType(StrEnum):
    """Column types, by their MLflow model-signature names."""

    BOOLEAN = "boolean"
    INTEGER = "integer"
    LONG = "long"
    FLOAT = "float"
    DOUBLE = "double"
    STRING = "string"
    BINARY = "binary"
    DATETIME = "datetime"


class DataReference(SpecModel):
    """A data set that the model is trained or judged on."""

    name: Name = Field(description="Name of the dataset entity in the catalog.")
    uri: str = Field(
        min_length=1,
        max_length=500,
        description="OpenLineage name of the data set (`namespace/name`), for example `s3://lake/loans`.",
    )
    role: DataRole = Field(default=DataRole.TRAINING, description="What the data is used for.")
    classification: Classification = Field(description="The highest class of any column in it.")
    load: EntryPoint = Field(description="Function without arguments that returns the data as a DataFrame.")


class Column(SpecModel):
    """One named input or output column of the model."""

    name: str = Field(min_length=1, max_length=200, description="Column name as the model's signature has it.")
    type: ColumnType = Field(description="Type, by its MLflow signature name.")
    required: bool = Field(default=True, description="Whether a request without it is refused.")
    minimum: float | None = Field(default=None, description="Smallest accepted value.")
    maximum: float | None = Field(default=None, description="Largest accepted value.")
    enum: list[str | int | float | bool] | None = Field(
        default=None, min_length=1, description="The only accepted values."
    )
    description: str | None = Field(default=None, max_length=500, description="What the column means, with its unit.")

    @model_validator(mode="after")
    def _range_is_not_empty(self) -> Self:
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError(f"minimum {self.minimum:g} is above maximum {self.maximum:g}")
        return self


class Schema(SpecModel):
    """What goes into the model and what comes out."""

    inputs: list[Column] = Field(min_length=1, description="Input columns, in the order of the model's signature.")
    outputs: list[Column] = Field(min_length=1, description="Output columns.")

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        for side, columns in (("inputs", self.inputs), ("outputs", self.outputs)):
            names = [column.name for column in columns]
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"{side} names {', '.join(twice)} more than once")
        return self


class Slice(SpecModel):
    """A part of the evaluation data that is judged by itself."""

    column: str = Field(min_length=1, description="Column of the evaluation data.")
    equals: str | int | float | bool | None = Field(
        default=None, description="The slice is where the column has this value."
    )
    minimum: float | None = Field(default=None, description="The slice is where the column is at least this.")
    maximum: float | None = Field(default=None, description="The slice is where the column is below this.")

    @model_validator(mode="after")
    def _selects_something(self) -> Self:
        by_range = self.minimum is not None or self.maximum is not None
        if (self.equals is None) != by_range:
            raise ValueError("give either `equals`, or `minimum` and/or `maximum`")
        return self


class Threshold(SpecModel):
    """A limit on one metric, absolute and/or against the champion, over all rows or one slice."""

    metric: str = Field(
        pattern=r"^[A-Za-z][\w./-]*$",
        max_length=100,
        description="Metric name as MLflow's evaluator reports it, for example `roc_auc`, `accuracy_score`, "
        "`root_mean_squared_error`.",
    )
    minimum: float | None = Field(default=None, description="The metric must be at least this.")
    maximum: float | None = Field(default=None, description="The metric must be at most this.")
    max_regression: float | None = Field(
        default=None,
        ge=0,
        description="How much worse than the champion, on the same data, the metric may be.",
    )
    greater_is_better: bool = Field(default=True, description="Whether a higher value is a better one.")
    slice: Slice | None = Field(default=None, description="Judge only this part of the evaluation data.")
    min_rows: int = Field(
        default=30, ge=1, description="With fewer rows than this the threshold fails as not judgeable."
    )

    @model_validator(mode="after")
    def _limits_something(self) -> Self:
        if self.minimum is None and self.maximum is None and self.max_regression is None:
            raise ValueError("give at least one of `minimum`, `maximum` or `maxRegression`")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError(f"minimum {self.minimum:g} is above maximum {self.maximum:g}")
        return self


class Validation(SpecModel):
    """How a trained model is judged before anyone may deploy it."""

    evaluator: Literal["classifier", "regressor"] = Field(description="MLflow model type for `mlflow.models.evaluate`.")
    dataset: Name = Field(description="Name of the data reference to evaluate on (role `evaluation`).")
    target: str = Field(min_length=1, description="Column of that data set which holds the truth.")
    thresholds: list[Threshold] = Field(min_length=1, description="All of them must hold.")


class Training(SpecModel):
    """How the model is trained."""

    entrypoint: EntryPoint = Field(
        description="Function that trains the model; it takes and returns what `mlplatform.training` says."
    )


class Slo(SpecModel):
    """A service level objective, written as OpenSLO for the observability tools."""

    name: Name
    indicator: Literal["availability", "latency", "freshness", "lag", "quality", "drift"]
    objective: float = Field(gt=0, lt=100, description="Percent of good events.")
    threshold: Duration | None = Field(
        default=None, description="For latency, freshness and lag: slower or older than this is bad."
    )
    window: Duration = Field(default=timedelta(days=28), description="Rolling window.")

    @model_validator(mode="after")
    def _has_its_threshold(self) -> Self:
        if self.indicator in {"latency", "freshness", "lag"} and self.threshold is None:
            raise ValueError(f"an SLO on {self.indicator} needs `threshold`")
        return self


class Retention(SpecModel):
    """How long what belongs to the model is kept."""

    logs: Duration = Field(default=timedelta(days=30))
    payload_samples: Duration = Field(default=timedelta(days=7))
    runs: Duration = Field(default=timedelta(days=365))
    versions: Duration = Field(default=timedelta(days=730))


class ModelSpec(SpecModel):
    """Everything that the platform needs to know about a model repository."""

    schema_version: Literal[1] = Field(default=1, description="Version of this file format.")
    name: Name = Field(description="Name of the model, unique on the platform.")
    description: str = Field(default="", max_length=500)
    type: ModelType = Field(description="Which golden path the repository is on.")
    owner: EntityRef = Field(description="Group that owns the model.")
    system: EntityRef | None = Field(default=None, description="Backstage system that the model is part of.")
    tier: Literal[1, 2, 3] = Field(
        default=3, description="1: customers are hurt when it is down; 3: nobody notices for a day."
    )
    cost_centre: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=50, description="Who pays.")
    data: list[DataReference] = Field(min_length=1)
    training: Training
    schema_: Schema = Field(alias="schema")
    validation: Validation
    batch: Batch | None = Field(default=None, description="For type batch: what is scored, when, and where to.")
    streaming: Streaming | None = Field(default=None, description="For type streaming: what is consumed and answered.")
    serving: Serving = Field(default_factory=Serving)
    rollout: Rollout = Field(default_factory=Rollout)
    slos: list[Slo] = Field(default_factory=list)
    drift: Drift = Field(default_factory=Drift)
    retention: Retention = Field(default_factory=Retention)

    @model_validator(mode="after")
    def _references_resolve(self) -> Self:
        names = [reference.name for reference in self.data]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"data names {', '.join(twice)} more than once")
        if self.validation.dataset not in names:
            raise ValueError(f"validation.dataset {self.validation.dataset!r} is not in data ({', '.join(names)})")
        return self

    @model_validator(mode="after")
    def _sections_fit_the_type(self) -> Self:
        for kind in (ModelType.BATCH, ModelType.STREAMING):
            section = getattr(self, kind.value)
            if self.type is kind and section is None:
                raise ValueError(f"type {kind} needs the section `{kind}`")
            if self.type is not kind and section is not None:
                raise ValueError(f"{kind} is a section of type {kind}; the type here is {self.type}")
        if self.serving.target not in TARGETS[self.type]:
            possible = ", ".join(TARGETS[self.type])
            raise ValueError(f"serving.target {self.serving.target} can't run type {self.type}; possible: {possible}")
        scaling = self.serving.autoscaling
        if scaling is not None and (scaling.by == "lag") != (self.type is ModelType.STREAMING) and scaling.by != "cpu":
            raise ValueError(f"serving.autoscaling.by {scaling.by} is not measured for type {self.type}")
        return self

    @model_validator(mode="after")
    def _an_answer_has_each_member_once(self) -> Self:
        if self.streaming is not None:
            outputs = {column.name for column in self.schema_.outputs}
            both = [name for name in self.streaming.carry if name in outputs]
            if both:
                raise ValueError(f"streaming.carry names {', '.join(both)}, which schema.outputs has already")
        return self

    @model_validator(mode="after")
    def _batch_fits_the_schema(self) -> Self:
        if self.batch is None:
            return self
        for field in ("autoscaling", "replicas"):
            if getattr(self.serving, field) not in (None, 1):
                raise ValueError(f"serving.{field} is about model servers; type batch has none")
        taken = {
            **dict.fromkeys(self.batch.keys, "a key of batch.keys"),
            self.batch.partition: "the partition's column",
            VERSION_COLUMN: "the column with the model's version",
        }
        for column in self.schema_.outputs:
            if column.name in taken:
                raise ValueError(f"schema.outputs names {column.name}, which is {taken[column.name]} in the output too")
        return self

    def dataset(self, name: str) -> DataReference:
        """Return the data reference of that name; raise ``KeyError`` if there is none."""
        for reference in self.data:
            if reference.name == name:
                return reference
        raise KeyError(name)
