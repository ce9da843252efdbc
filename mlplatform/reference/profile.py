"""The training reference as it is stored: columns by themselves, bounded, without anybody's row in it.

Each column is either a number, kept as evenly spaced quantiles, or a category, kept as counts. What belongs together in a row
is not kept, values that few rows have are counted together, and texts are redacted as payload samples are: so it says how data
is distributed, and nothing of a person.
"""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

FORMAT: Literal[1] = 1
FILE = "reference/profile.json"
"""Where it is in a version's bundle."""
LARGEST = 8 << 20
ALL = "all"
"""Name of the part that is not a slice."""
MOST_PARTS = 50
_MOST_COLUMNS = 5000
_MOST_POINTS = 2000

Side = Literal["input", "output", "error"]
Kind = Literal["number", "category", "not_judged"]


class _Stored(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore", allow_inf_nan=False
    )


class ColumnProfile(_Stored):
    """One column in one part of the data. ``error`` is how far the first output was from the truth."""

    name: str = Field(max_length=200)
    side: Side
    kind: Kind
    reason: str = Field(default="", max_length=200, description="Why it is not judged.")
    rows: int = Field(ge=0)
    missing: int = Field(ge=0, description="Rows without a usable value: none, not a number, infinite.")
    points: list[float] = Field(default_factory=list, max_length=_MOST_POINTS, description="Of a number, rising.")
    counts: list[tuple[str, int]] = Field(default_factory=list, max_length=_MOST_POINTS, description="Of a category.")
    other: int = Field(default=0, ge=0, description="Rows with a value that is not in `counts`.")

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if self.missing > self.rows or any(count < 0 for _, count in self.counts):
            raise ValueError(f"the counts of column {self.name[:80]!r} do not add up")
        return self


class Part(_Stored):
    """All rows, or a slice of them."""

    name: str = Field(max_length=300)
    rows: int = Field(ge=0)
    columns: list[ColumnProfile] = Field(max_length=_MOST_COLUMNS)

    def column(self, side: Side, name: str) -> ColumnProfile | None:
        """Return a column's profile."""
        return next((one for one in self.columns if (one.side, one.name) == (side, name)), None)


class Reference(_Stored):
    """Everything; the first part is all rows."""

    format_version: Literal[1] = FORMAT
    model_digest: str = Field(pattern=r"^[0-9a-f]{64}$", description="The artefact that answered.")
    dataset: str = Field(max_length=200, description="The data set whose inputs these are.")
    answered: str = Field(
        max_length=200, description="The data set that the artefact answered, and that has the truth."
    )
    parts: list[Part] = Field(min_length=1, max_length=MOST_PARTS)

    def part(self, name: str) -> Part | None:
        """Return a part by its name."""
        return next((one for one in self.parts if one.name == name), None)


def parse(content: bytes) -> Reference:
    """Read a stored reference.

    Raises:
        ValueError: it is none, or too large to be one.
    """
    if len(content) > LARGEST:
        raise ValueError(f"is larger than {LARGEST >> 20} MiB")
    try:
        return Reference.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = "/".join(str(part) for part in first["loc"])
        raise ValueError(f"{place or 'it'}: {first['msg']}") from None
