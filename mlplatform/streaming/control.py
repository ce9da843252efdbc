"""The control file: which version answers for which buckets of a stream, and from where on.

Whoever moves shares writes the whole file anew and puts it in place by a rename; the workers look at it and do as it says.
It holds every position that matters, so that what happens next never hangs on what somebody remembers.
"""

import os
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic.alias_generators import to_camel

from mlplatform.streaming.buckets import BUCKETS
from mlplatform.streaming.position import BEGINNING, Position

Bucket = Annotated[int, Field(ge=0, lt=BUCKETS)]


class ControlError(Exception):
    """The control file is there and can't be used; says why."""


class _Part(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class Share(_Part):
    """A run of buckets that a version answers for, from a position on.

    Everything in these buckets that lies before ``since`` has been answered, by whomever.
    """

    buckets: tuple[Bucket, Bucket]
    since: dict[str, str] = Field(default_factory=dict)

    @field_validator("since")
    @classmethod
    def _is_a_position(cls, value: dict[str, str]) -> dict[str, str]:
        Position.from_json(value)
        return value

    @model_validator(mode="after")
    def _is_a_run(self) -> Self:
        if self.buckets[0] > self.buckets[1]:
            raise ValueError("write [first, last] with first not above last")
        return self


class Duty(_Part):
    """What a version has to do.

    It reads the stream as a consumer group of its own. ``generation`` tells its groups apart: within one of them its
    buckets only ever become fewer, and to gain one it begins anew, with another generation, at ``start``. So whatever a
    group has acknowledged was answered by this version, if it lies in a bucket that it still has.
    """

    generation: int = Field(ge=1)
    start: dict[str, str] = Field(default_factory=dict)
    answers: list[Share] = Field(default_factory=list)
    mirror: int = Field(default=0, ge=0, le=BUCKETS, description="Percent that is scored without being answered.")
    group: str | None = Field(
        default=None, description="Its consumer group, where that is not one of this version alone."
    )

    @field_validator("start")
    @classmethod
    def _is_a_position(cls, value: dict[str, str]) -> dict[str, str]:
        Position.from_json(value)
        return value

    def buckets(self) -> dict[int, Position]:
        """Return the buckets that it answers for, each with the position from which on it does."""
        found: dict[int, Position] = {}
        for share in self.answers:
            since = Position.from_json(share.since)
            found.update(dict.fromkeys(range(share.buckets[0], share.buckets[1] + 1), since))
        return found

    def begins(self) -> Position:
        """Return where its consumer group begins."""
        return Position.from_json(self.start)


class Control(_Part):
    """The shares of all versions of one model in one environment."""

    environment: str
    model: str
    revision: int = Field(ge=0)
    versions: dict[int, Duty] = Field(default_factory=dict)
    retired: list[str] = Field(default_factory=list, description="Consumer groups that nobody needs any more.")

    def group(self, version: int) -> str:
        """Return the name of a version's present consumer group."""
        duty = self.versions[version]
        return duty.group or group_name(self.environment, self.model, version, duty.generation)


def group_prefix(environment: str, model: str) -> str:
    """Return what the names of all consumer groups of a model in an environment begin with."""
    return f"{environment}--{model}--v"


def group_name(environment: str, model: str, version: int, generation: int) -> str:
    """Return the name of a consumer group."""
    return f"{group_prefix(environment, model)}{version}--g{generation}"


def generation_of(group: str, prefix: str) -> tuple[int, int] | None:
    """Return version and generation of a consumer group, ``None`` for one that is not of this model."""
    version, middle, generation = group.removeprefix(prefix).partition("--g")
    if not group.startswith(prefix) or not middle or not version.isdecimal() or not generation.isdecimal():
        return None
    return int(version), int(generation)


def shares_of(buckets: dict[int, Position]) -> list[Share]:
    """Write buckets down as runs with the same position."""
    runs: list[tuple[int, int, Position]] = []
    for bucket, since in sorted(buckets.items()):
        if runs and runs[-1][1] == bucket - 1 and runs[-1][2] == since:
            runs[-1] = (runs[-1][0], bucket, since)
        else:
            runs.append((bucket, bucket, since))
    return [Share(buckets=(first, last), since=since.to_json()) for first, last, since in runs]


def whole_stream(environment: str, model: str, version: int, start: Position = BEGINNING) -> Control:
    """Return the control file of a version that has a stream for itself."""
    everything = shares_of(dict.fromkeys(range(BUCKETS), start))
    duty = Duty(generation=1, start=start.to_json(), answers=everything)
    return Control(environment=environment, model=model, revision=1, versions={version: duty})


def stand_alone(environment: str, model: str, version: int) -> Control:
    """Return the control file of a version that nobody shares a stream out to.

    All versions have one consumer group then, so that the next one goes on where the last one stopped.
    """
    control = whole_stream(environment, model, version)
    duty = control.versions[version].model_copy(update={"group": f"{environment}--{model}"})
    return control.model_copy(update={"versions": {version: duty}})


def read_control(path: Path) -> Control | None:
    """Read the file; ``None`` if there is none.

    Raises:
        ControlError: it can't be read, or is none.
    """
    try:
        return Control.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ControlError(f"{path.name} can't be read: {error.strerror}") from None
    except ValidationError as error:
        raise ControlError(f"{path.name} is no control file: {error.errors()[0]['msg']}") from None


def write_control(path: Path, control: Control) -> None:
    """Put the file in place; readers see it whole or not at all, also after a power cut."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(control.model_dump_json(by_alias=True, indent=1))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
