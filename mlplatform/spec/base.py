"""What every part of ``model.yaml`` is made of.

Field names are camelCase in the file (as in Backstage and Kubernetes) and snake_case in Python. Unknown fields are
errors: a misspelt threshold must never be a threshold that is silently not checked.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

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
