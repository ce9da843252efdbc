"""The pydantic model of ``model.yaml``.

Field names are camelCase in the file (as in Backstage and Kubernetes) and snake_case in Python. Unknown fields are
errors: a misspelt threshold must never be a threshold that is silently not checked.
"""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from mlplatform.spec.quantities import Cpu, Duration, Memory

NAME_PATTERN = r"^[a-z0-9]+(-[a-z0-9]+)*$"
ENTITY_REF_PATTERN = (
    r"^(group|user|system|resource|component|domain):([a-z0-9-]+/)?[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$"
)

Name = Annotated[str, Field(pattern=NAME_PATTERN, min_length=1, max_length=63)]
"""A name that is also a legal Backstage entity name, DNS label and path segment."""
EntityRef = Annotated[str, Field(pattern=ENTITY_REF_PATTERN, max_length=190)]
"""A Backstage entity ref with its kind written out, for example ``group:default/risk``."""
EntryPoint = Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]
"""A function of the repository, ``package.module:function``, as entry points are written in Python packaging."""
Fraction = Annotated[float, Field(ge=0, le=1)]


class SpecModel(BaseModel):
    """Base of everything in ``model.yaml``: camelCase in the file, no unknown fields, immutable."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True, allow_inf_nan=False
    )


class ModelType(StrEnum):
    """The golden path that the repository is on."""

    REALTIME = "realtime"
    BATCH = "batch"
    STREAMING = "streaming"


class Classification(StrEnum):
    """How sensitive data is, in rising order."""

    PUBLIC = "public"
    INTERNAL = "internal"
    CONFIDENTIAL = "confidential"
    PII = "pii"
    SENSITIVE_PII = "sensitive-pii"


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


class Resources(SpecModel):
    """What one replica of the model server gets."""

    cpu: Cpu = Field(default="1", description="CPU cores.")
    memory: Memory = Field(default="1Gi", description="Memory.")


class Serving(SpecModel):
    """How the model is served."""

    resources: Resources = Field(default_factory=Resources, description="Resources of one replica.")
    replicas: int = Field(default=1, ge=1, le=20, description="Model server processes (or pods) per version.")
    max_batch_size: int = Field(default=64, ge=1, le=4096, description="Most rows in one call of the model.")
    max_request_bytes: int = Field(
        default=1_048_576, ge=1024, le=104_857_600, description="Larger request bodies are refused with 413."
    )
    request_timeout: Duration = Field(
        default=timedelta(seconds=10), description="A prediction that takes longer fails with 504."
    )
    drain_timeout: Duration = Field(
        default=timedelta(seconds=20), description="Time that running requests get when a replica stops."
    )
    startup_timeout: Duration = Field(
        default=timedelta(minutes=2), description="A replica that is not ready after this has failed."
    )


class SuccessRate(SpecModel):
    """Limits on the share of requests answered without a server error."""

    minimum: Fraction = Field(default=0.99, description="Absolute limit.")
    max_drop: Fraction = Field(default=0.005, description="How far below the primary, in the same window, it may be.")


class Latency(SpecModel):
    """Limits on response time at a percentile."""

    percentile: float = Field(default=99, gt=0, lt=100, description="Which percentile is judged.")
    maximum: Duration = Field(default=timedelta(milliseconds=500), description="Absolute limit.")
    max_ratio: float = Field(
        default=1.5,
        ge=1,
        le=100,
        description="How many times slower than the primary, in the same window, it may be.",
    )


class Analysis(SpecModel):
    """When a rollout step is passed, extended, or ends in a rollback."""

    success_rate: SuccessRate = Field(default_factory=SuccessRate)
    latency: Latency = Field(default_factory=Latency)
    min_requests: int = Field(
        default=50,
        ge=1,
        le=1_000_000,
        description="Requests that the new version must have answered in a step.",
    )
    false_alarm_rate: float = Field(
        default=0.01,
        gt=0,
        le=0.2,
        description="Most probable rate at which a healthy version is rolled back, over the whole rollout.",
    )
    hold_timeout: Duration = Field(
        default=timedelta(hours=1),
        description="A step with too little traffic is held this long, then the rollout ends as held.",
    )


class Shadow(SpecModel):
    """Mirrored traffic before the first canary step; the answers are thrown away."""

    duration: Duration = Field(default=timedelta(0), description="How long; `0s` leaves the phase out.")
    percent: int = Field(default=100, ge=1, le=100, description="Share of requests that is mirrored.")


class Rollout(SpecModel):
    """How traffic moves to a new version."""

    steps: list[Annotated[int, Field(ge=1, le=100)]] = Field(
        default=[5, 25, 50, 100],
        min_length=1,
        max_length=20,
        description="Percent of traffic for the new version, step by step, ending at 100.",
    )
    interval: Duration = Field(default=timedelta(seconds=60), description="Least time in each step.")
    shadow: Shadow = Field(default_factory=Shadow)
    analysis: Analysis = Field(default_factory=Analysis)
    keep_warm: Duration = Field(
        default=timedelta(minutes=15),
        description="How long the former version stays ready for an instant rollback.",
    )

    @model_validator(mode="after")
    def _steps_rise_to_all(self) -> Self:
        if any(later <= earlier for earlier, later in zip(self.steps, self.steps[1:], strict=False)):
            raise ValueError("steps must rise")
        if self.steps[-1] != 100:
            raise ValueError("the last step must be 100")
        return self


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
    serving: Serving = Field(default_factory=Serving)
    rollout: Rollout = Field(default_factory=Rollout)
    slos: list[Slo] = Field(default_factory=list)
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

    def dataset(self, name: str) -> DataReference:
        """Return the data reference of that name; raise ``KeyError`` if there is none."""
        for reference in self.data:
            if reference.name == name:
                return reference
        raise KeyError(name)
