"""What the catalog says and hears over HTTP."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from backend.core.schemas import Payload, PlainText, Schema
from catalog.models import LocationState
from catalog.service import FILE

Segment = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", max_length=100)]
Organisation = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$", max_length=255)
]
FilePath = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_. -]*(/[A-Za-z0-9_][A-Za-z0-9_. -]*)*$", max_length=500)
]


class LocationIn(Payload):
    """A file to read entities from."""

    host: Annotated[PlainText, Field(max_length=63, description="Name of a configured git host.")]
    org: Organisation
    repository: Segment
    path: FilePath = FILE


class FaultOut(Schema):
    """Something that is wrong in a location's file."""

    line: int
    column: int
    path: str
    message: str
    fix: str | None = None


class LocationOut(Schema):
    """A location as it was when it was last read."""

    id: str
    host: str
    org: str
    repository: str
    path: str
    state: LocationState
    faults: list[FaultOut]
    commit: str | None
    web_url: str | None
    registered_by: str
    registered_at: datetime
    read_at: datetime


class EntityOut(Schema):
    """An entity, as Backstage knows it, and where it comes from."""

    ref: str
    kind: str
    namespace: str
    name: str
    type: str | None
    title: str | None
    description: str | None
    owner: str | None = Field(description="Canonical reference of the owner.")
    system: str | None
    location: str | None = Field(description="Id of the location that declares it.")
    entity: dict[str, Any]


class SourceOut(Schema):
    """Where an entity was read from."""

    host: str = Field(description="Name of the git host; `platform` for what the platform says by itself.")
    org: str
    repository: str
    path: str
    url: str | None = Field(
        description="Web address of the file; for the embedded host where the platform serves it. Null if it has none."
    )


class ChangeOut(Schema):
    """An entity that is new or different or was moved to another place, or one that is gone."""

    ref: str
    change: Literal["upsert", "delete"]
    at: datetime
    location: str | None
    source: SourceOut | None = Field(description="Where the entity was read from; null when it is gone.")
    entity: dict[str, Any] | None = Field(description="The whole entity; null when it is gone.")


class ChangesOut(Schema):
    """A stretch of the stream of changes. Each entity is in it once, with its newest change."""

    items: list[ChangeOut]
    cursor: int = Field(description="Where to go on: `after` of the next request.")
    more: bool = Field(description="Whether there is more at the moment.")


Search = Annotated[PlainText, StringConstraints(min_length=1, max_length=100)]
