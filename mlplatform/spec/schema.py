"""The published JSON Schema of ``model.yaml``, for editors and other tools.

``python -m mlplatform.spec.schema`` writes the checked-in copy again; a test says when it is out of date.
"""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from mlplatform.spec.model import ModelSpec
from mlplatform.spec.quantities import format_duration

SCHEMA_ID = "urn:ml-platform:schema:model:1"
CHECKED_IN = Path(__file__).with_name("model.schema.json")


class _AsInTheFile(GenerateJsonSchema):
    """Writes defaults the way people write them: ``10s``, where pydantic by itself would write ``PT10S``."""

    def encode_default(self, dft: Any) -> Any:
        return format_duration(dft) if isinstance(dft, timedelta) else super().encode_default(dft)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of ``model.yaml``."""
    body = ModelSpec.model_json_schema(by_alias=True, schema_generator=_AsInTheFile)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        **body,
        "title": "model.yaml",
        "description": "Everything that the platform needs to know about a model repository.",
    }


def rendered() -> str:
    """Return the schema as it is checked in and printed by ``platform schema``."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    CHECKED_IN.write_text(rendered(), encoding="utf-8")
