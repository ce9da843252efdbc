"""Bodies of the evidence routes."""

from datetime import datetime
from typing import Annotated

from pydantic import AwareDatetime, ConfigDict, Field

from backend.core.schemas import NO_NUL, Payload, Schema
from backend.evidence.models import PackState


class PackIn(Payload):
    """What a pack is to be about."""

    since: AwareDatetime = Field(alias="from", description="Beginning of the period.")
    until: AwareDatetime = Field(alias="to", description="End of the period, which is not in it; not in the future.")
    control: Annotated[str, Field(min_length=1, max_length=100), NO_NUL] | None = Field(
        default=None, description="Only what shows this control, for example CC8.1; everything if left out."
    )
    sample_size: int = Field(default=25, ge=0, le=10_000, description="Deployments to draw for a sample.")
    sample_seed: Annotated[str, Field(min_length=1, max_length=200), NO_NUL] | None = Field(
        default=None, description="What the sample is drawn with; the root of the log if left out."
    )


class PackOut(Schema):
    """A pack, as far as it is made."""

    model_config = ConfigDict(populate_by_name=True)

    id: str
    since: datetime = Field(alias="from")
    until: datetime = Field(alias="to")
    control: str | None
    sample_size: int
    sample_seed: str | None
    requested_by: str
    requested_at: datetime
    state: PackState
    events: int | None = Field(description="Number of events that it will hold; null until it is begun.")
    written: int = Field(description="Number of events that were written.")
    bytes: int | None
    sha256: str | None = Field(description="Digest of the file, when it is there.")
    reason: str | None = Field(description="Why there is no file, if that is so.")
    finished_at: datetime | None
