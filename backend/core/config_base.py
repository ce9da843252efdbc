"""What all sections of the settings have in common."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

Port = Annotated[int, Field(ge=1, le=65535)]
Origin = Annotated[
    str, StringConstraints(pattern=r"^https?://([a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(:[1-9][0-9]{0,4})?$")
]
"""A web origin as browsers write it (RFC 6454, section 6.2): scheme, host in lower case, port, and nothing after it."""


def reached_at(host: str) -> str:
    """Return the host at which what listens on ``host`` is reached from this machine."""
    return "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104


class SettingsModel(BaseModel):
    """Base of all settings: camelCase in the file, no unknown keys, immutable, and no value in an error's text."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True, hide_input_in_errors=True
    )
