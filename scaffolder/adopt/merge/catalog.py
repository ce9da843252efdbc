"""Let the rendered ``catalog-info.yaml`` and pipeline speak of the adopted repository instead of the template's sample."""

import io
import re
from typing import Any

from scaffolder.adopt.answers import Answers

_SHORT = {"test": "platform-check", "gates": "platform-gates"}
_TARGETS = {
    **{name: f"make -f platform.mk {target}" for name, target in _SHORT.items()},
    "setup": "make -f platform.mk .tools/bin/uv",
    ".tools/bin/uv": "make -f platform.mk .tools/bin/uv",
}
"""What the template's targets are for an adopted repository, which has targets of its own by those names perhaps."""


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
    text = re.sub(r"\bmake (test|gates|setup|\.tools/bin/uv)(?![\w-])", lambda match: _TARGETS[match[1]], rendered)
    text = re.sub(r"(\buv|\$UV) run --frozen platform\b", r"\1 run --frozen --group gates platform", text)
    text = text.replace("--only-group cli", "--only-group gates")
    return re.sub(r"(?m)^name: CI$", "name: Platform", text, count=1)


def as_child_pipeline(pipeline: str) -> str:
    """Return a GitLab pipeline as one that another one triggers: such a one knows its merge request by another variable."""
    text = pipeline.replace('$CI_PIPELINE_SOURCE == "merge_request_event"', "$CI_MERGE_REQUEST_ID")
    return text.replace('[ "$CI_PIPELINE_SOURCE" = merge_request_event ]', '[ -n "$CI_MERGE_REQUEST_ID" ]')


def adapted_page(rendered: str, model_yaml: str, pipeline: str) -> str:
    """Return a page of the template with this repository's targets, its ``pipeline``, and fields of ``model.yaml`` instead of
    what the sample's ``model_yaml`` has in them.
    """
    from ruamel.yaml import YAML

    text = re.sub(r"`make (test|gates)`", lambda match: f"`make {_SHORT[match[1]]}`", rendered)
    text = re.sub(r"`make image`", "`docker build .`", text)
    text = re.sub(r"\.github/workflows/ci\.yml|(?<![\w/])\.gitlab-ci\.yml", pipeline, text)
    sample = YAML(typ="safe", pure=True).load(model_yaml)
    for part in ("streaming", "batch"):
        for field, value in (sample.get(part) or {}).items():
            if field in {"input", "output", "deadLetter"}:
                text = re.sub(rf"`{re.escape(value)}(?=[`_])", f"`{part}.{field}", text)
    return "\n".join(line for line in text.split("\n") if "quickstart.md" not in line)
