"""Control frameworks as data: a YAML file says which checks a control rests on, who owns it and how often it is looked at."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from mlplatform.spec.model import EntityRef
from mlplatform.spec.quantities import Duration

SHIPPED = Path(__file__).parent / "frameworks"

_LARGEST_FILE = 1_000_000


class FrameworkError(Exception):
    """A framework's file can't be used; names file and key."""


class _Document(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


def _sane(value: timedelta) -> timedelta:
    if not timedelta(minutes=1) <= value <= timedelta(days=366):
        raise ValueError("must be between 1m and 366d")
    return value


Frequency = Annotated[Duration, AfterValidator(_sane)]


class Control(_Document):
    """A control: what it demands, and the checks that show whether it holds."""

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._()-]{0,39}$")
    title: str = Field(min_length=1, max_length=200)
    description: str = Field(default="", max_length=2000)
    category: str = Field(min_length=1, max_length=100)
    owner: EntityRef
    frequency: Frequency = Field(default=timedelta(hours=1))
    checks: list[str] = Field(default_factory=list, description="Ids of checks; all of them have to pass.")
    outside: str | None = Field(
        default=None, max_length=1000, description="What the platform does not show, and who has to show it otherwise."
    )


class Framework(_Document):
    """A set of controls."""

    name: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=40)
    title: str = Field(min_length=1, max_length=200)
    source: str = Field(min_length=1, max_length=500, description="Where the controls are defined.")
    controls: list[Control] = Field(min_length=1)


def load_frameworks(files: Sequence[Path], known: Sequence[str]) -> dict[str, Framework]:
    """Read the shipped frameworks and these files; of two with the same name the later counts.

    Raises:
        FrameworkError: a file can't be read, says something else than a framework, or names a check that there is not.
    """
    found: dict[str, Framework] = {}
    for file in [*sorted(SHIPPED.glob("*.yaml")), *files]:
        framework = _load(file)
        _check(file, framework, known)
        found[framework.name] = framework
    return found


def _load(file: Path) -> Framework:
    try:
        if file.stat().st_size > _LARGEST_FILE:
            raise FrameworkError(f"{file}: is larger than {_LARGEST_FILE} bytes")
        document = YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise FrameworkError(f"{file}: can't be read: {str(error).splitlines()[0]}") from None
    if not isinstance(document, Mapping):
        raise FrameworkError(f"{file}: holds no mapping; it needs name, title, source and controls")
    try:
        return Framework.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise FrameworkError(f"{file}: {key}: {first['msg']}") from None


def _check(file: Path, framework: Framework, known: Sequence[str]) -> None:
    ids = [control.id for control in framework.controls]
    double = next((id for id in ids if ids.count(id) > 1), None)
    if double:
        raise FrameworkError(f"{file}: controls: {double} is there twice")
    for control in framework.controls:
        unknown = next((name for name in control.checks if name not in known), None)
        if unknown:
            raise FrameworkError(
                f"{file}: controls.{control.id}.checks: there is no check {unknown}; there are {', '.join(known)}"
            )
        if not control.checks and control.outside is None:
            raise FrameworkError(f"{file}: controls.{control.id}: give checks, or say under `outside` who shows it how")
