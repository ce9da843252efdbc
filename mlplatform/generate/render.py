"""From ``model.yaml`` to the text of every derived file."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlplatform.generate.environment import FILES, PREFIX, SUFFIX, environment
from mlplatform.spec.model import ModelSpec, ModelType

PATHS = "_paths"
"""The source that says which files there are for a ``model.yaml``. Names that begin with ``_`` are parts of others."""
OPENAPI = "openapi.json"


def render(spec: ModelSpec) -> dict[str, str]:
    """Return the derived files of a repository: text by POSIX path from its root, in the order of the paths."""
    jinja = environment()
    given: dict[str, Any] = {"spec": document(spec)}
    paths: list[str] = json.loads(jinja.get_template(f"{PREFIX}/{PATHS}{SUFFIX}").render(given))
    given["derived"] = paths
    files = {path: jinja.get_template(f"{PREFIX}/{path}{SUFFIX}").render(given) for path in paths}
    files |= {path: make(spec) for path, (kind, make) in _MADE_BY_PYTHON.items() if spec.type is kind}
    return dict(sorted(files.items()))


def document(spec: ModelSpec) -> dict[str, Any]:
    """Return the sources' only input: ``model.yaml`` as JSON, by its own names, with every default filled in."""
    return spec.model_dump(mode="json", by_alias=True)


def possible_paths(files: Path = FILES) -> list[str]:
    """Return every path that is derived from some ``model.yaml``."""
    sources = [path.relative_to(files).as_posix().removesuffix(SUFFIX) for path in files.rglob(f"*{SUFFIX}")]
    return sorted([*(name for name in sources if not name.startswith("_")), *_MADE_BY_PYTHON])


def unmeasured(spec: ModelSpec) -> list[str]:
    """Return, for people, which objectives get no alert, and why."""
    jinja = environment().get_template(f"{PREFIX}/_slo{SUFFIX}").make_module()
    measured, judged = jinja.MEASURED[spec.type.value], jinja.JUDGED  # type: ignore[attr-defined]
    notes = []
    for slo in spec.slos:
        if slo.indicator in judged:
            notes.append(f"slos `{slo.name}`: the platform judges {slo.indicator} itself, so there is no alert for it")
        elif slo.indicator not in measured:
            possible = ", ".join(measured)
            notes.append(
                f"slos `{slo.name}`: {slo.indicator} is not measured for type {spec.type}, so nothing is derived from it; "
                f"measured are {possible}"
            )
    return notes


def _openapi(spec: ModelSpec) -> str:
    from mlplatform.serving.openapi import document

    api = document(spec, name=spec.name, version="1", environment="production")
    return json.dumps(api, indent=2, ensure_ascii=False) + "\n"


_MADE_BY_PYTHON: dict[str, tuple[ModelType, Callable[[ModelSpec], str]]] = {OPENAPI: (ModelType.REALTIME, _openapi)}
"""Documents that a running server answers with, too: the function that makes them there makes them here."""
