"""Let the rendered ``catalog-info.yaml`` and pipeline speak of the adopted repository instead of the template's sample."""

import io
import re
from typing import Any

from scaffolder.adopt.answers import Answers

OPENAPI = "openapi.json"


def adapted_catalog(rendered: str, answers: Answers, *, with_api: bool) -> str:
    """Return the entities with this repository's data sets and their classification.

    Without an API document (``model.yaml`` has no complete schema yet) the API is left out: a catalog refuses an entity
    whose definition it can't read.
    """
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.explicit_start = True
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    kept = []
    for entity in yaml.load_all(rendered):
        if not isinstance(entity, dict):
            continue
        if entity.get("kind") == "API" and not with_api:
            continue
        if not with_api:
            entity.get("spec", {}).pop("providesApis", None)
        if entity.get("spec", {}).get("type") == "dataset":
            _classify(entity, answers.own["classification"])
        kept.append(entity)
    stream = io.StringIO()
    yaml.dump_all(kept, stream)
    return stream.getvalue()


def _classify(entity: dict[str, Any], classification: str | None) -> None:
    labels = entity.get("metadata", {}).get("labels", {})
    if classification is None:
        entity.get("metadata", {}).pop("labels", None)
    elif "ml-platform/classification" in labels:
        labels["ml-platform/classification"] = classification


def adapted_pipeline(rendered: str) -> str:
    """Return the template's pipeline with the make targets that an adopted repository has.

    Your own pipeline tests the code already; this one runs the platform's stages.
    """
    text = re.sub(r"\bmake test\b", "make -f platform.mk platform-check", rendered)
    text = re.sub(r"\bmake gates\b", "make -f platform.mk platform-gates", text)
    text = text.replace("uv run --frozen platform", "uv run --frozen --group gates platform")
    return re.sub(r"(?m)^name: CI$", "name: Platform", text, count=1)
