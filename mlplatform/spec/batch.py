"""``batch`` of ``model.yaml``: which files are scored, when, and where the answers go."""

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from mlplatform.spec.base import Fraction, SpecModel
from mlplatform.spec.quantities import Duration


def _checked_cron(value: str) -> str:
    from datetime import UTC, datetime

    from cronsim import CronSim, CronSimError

    try:
        if len(value.split()) != 5:  # cronsim takes six, the first for seconds
            raise CronSimError
        next(CronSim(value, datetime(2000, 1, 1, tzinfo=UTC)))
    except (CronSimError, StopIteration):
        raise ValueError(
            f"{value!r} is no cron expression of five fields (minute, hour, day, month, weekday), for example `0 3 * * *`"
        ) from None
    return value


Cron = Annotated[
    str,
    Field(max_length=100),
    AfterValidator(_checked_cron),
    WithJsonSchema({"type": "string", "pattern": r"^\S+( \S+){4}$", "examples": ["0 3 * * *"]}),
]
"""A schedule as cron(5) writes it, in UTC."""
LakePath = Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w-]*(/[A-Za-z0-9][\w-]*)*$", max_length=200)]
"""A folder of the environment's data lake, without the lake's own address: ``flights/scheduled``."""
ColumnName = Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$", max_length=200)]
VERSION_COLUMN = "model_version"
"""The output's column that says which version made a row."""
REJECTED = "_rejected"
"""What the output's folder is followed by in the name of the folder with the rows that did not fit the schema."""


class Batch(SpecModel):
    """Scheduled scoring of daily partitions.

    Input and output are Hive-partitioned Parquet below the lake of an environment: ``<input>/<partition>=<day>/*.parquet``.
    """

    schedule: Cron | None = Field(
        default=None, description="When scheduled runs start, in UTC; only on demand if null."
    )
    delay: Duration = Field(
        default=timedelta(days=1), description="How far before its time the day lies that a scheduled run scores."
    )
    input: LakePath = Field(description="Folder of the lake that is read.")
    output: LakePath = Field(description="Folder of the lake that is written.")
    partition: ColumnName = Field(default="date", description="Name of the partition's column; its values are days.")
    keys: list[ColumnName] = Field(
        min_length=1, max_length=50, description="Columns that name a row; they are written beside the answers."
    )
    engine: Literal["polars", "ray"] = Field(
        default="polars", description="What reads and writes: polars on one machine, Ray Data on several."
    )
    chunk_rows: int = Field(
        default=50_000, ge=100, le=1_000_000, description="Rows that are read, checked and scored in one go."
    )
    max_rejected: Fraction = Field(
        default=0.01,
        description="Share of rows that may not fit the schema; a run with more changes nothing and fails.",
    )
    retries: int = Field(default=2, ge=0, le=10, description="How often a failed run is tried again by itself.")
    timeout: Duration = Field(default=timedelta(hours=1), description="A run that takes longer has failed.")

    @model_validator(mode="after")
    def _folders_and_columns_differ(self) -> Self:
        written = (self.output, self.output + REJECTED)
        for folder in written:
            if _overlap(self.input, folder):
                raise ValueError(f"output {self.output} would be written into what is read, input {self.input}")
        twice = sorted({name for name in self.keys if self.keys.count(name) > 1})
        if twice:
            raise ValueError(f"keys names {', '.join(twice)} more than once")
        taken = {self.partition: "the partition's column", VERSION_COLUMN: "the column with the model's version"}
        for name in self.keys:
            if name in taken:
                raise ValueError(f"keys names {name}, which is {taken[name]}; it is in the output anyway")
        return self


def _overlap(one: str, other: str) -> bool:
    return f"{other}/".startswith(f"{one}/") or f"{one}/".startswith(f"{other}/")
