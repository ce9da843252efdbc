"""Registered versions without a registration: rows in the tables, an artefact in the store."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd

from backend.core.container import Services
from backend.registry.models import ModelRow, VersionRow
from mlplatform.attest.digest import artefact_digest
from mlplatform.reference.build import error_column, profile, slices
from mlplatform.reference.profile import ALL, FILE, Part, Reference, Side
from mlplatform.reference.values import selected, slice_name
from mlplatform.spec.model import Column, ModelSpec


def put_version(
    services: Services, number: int, document: dict[str, Any], model: Path, reference: pd.DataFrame | None = None
) -> str:
    """Put a version of the model that ``document`` (its ``model.yaml``) names where registration puts it; return its digest.

    ``reference`` holds its training reference's inputs, outputs and ``error``.
    """
    name = document["name"]
    staging = services.registry.artefacts / f"new-{number}"
    (staging / "environment").mkdir(parents=True)
    shutil.copytree(model, staging / "model")
    (staging / "environment" / "model.yaml").write_text(json.dumps(document))
    digest, lineage = artefact_digest(staging / "model"), {"lockDigest": "1c" * 32, "specDigest": f"{number:064d}"}
    if reference is not None:
        content = _reference(document, digest, reference)
        (staging / FILE).parent.mkdir()
        (staging / FILE).write_bytes(content)
        lineage["referenceDigest"] = hashlib.sha256(content).hexdigest()
    bundle = artefact_digest(staging)
    staging.rename(services.registry.artefacts / bundle)
    now = services.clock.now()
    with services.database.write() as session:
        if session.get(ModelRow, name) is None:
            session.add(
                ModelRow(
                    name=name, type=document["type"], owner="group:default/risk", system=None, tier=2, cost_centre="CC-42",
                    repository=f"local/{name}", created_at=now, created_by="user:default/ada",
                )
            )  # fmt: skip
            session.flush()
        session.add(
            VersionRow(
                model=name, version=number, digest=digest, bundle=bundle, run_id=f"run{number}",
                repository=f"local/{name}", commit=f"{number:040d}", metrics={}, params={}, spec=document,
                lineage=lineage,
                created_at=now, created_by="user:default/ada",
            )
        )  # fmt: skip
    return digest


def _reference(document: dict[str, Any], digest: str, frame: pd.DataFrame) -> bytes:
    spec = ModelSpec.model_validate(document)
    columns: list[tuple[Side, Column]] = [("input", column) for column in spec.schema_.inputs]
    columns += [("output", column) for column in spec.schema_.outputs]
    columns.append(("error", error_column(spec)))
    parts = []
    for part, rows in ((ALL, frame), *((slice_name(one), frame[selected(frame, one)]) for one in slices(spec))):
        profiles = [profile(rows, column, side, 1000) for side, column in columns]
        parts.append(Part(name=part, rows=len(rows), columns=profiles))
    dataset = spec.validation.dataset
    reference = Reference(model_digest=digest, dataset=dataset, answered=dataset, parts=parts)
    return reference.model_dump_json(by_alias=True).encode()
