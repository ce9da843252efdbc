"""Registered versions without a registration: rows in the tables, an artefact in the store."""

import json
import shutil
from pathlib import Path
from typing import Any

from backend.core.container import Services
from backend.registry.models import ModelRow, VersionRow
from mlplatform.attest.digest import artefact_digest


def put_version(services: Services, number: int, document: dict[str, Any], model: Path) -> str:
    """Put a version of the model that ``document`` (its ``model.yaml``) names where registration puts it; return its digest."""
    name = document["name"]
    staging = services.registry.artefacts / f"new-{number}"
    (staging / "environment").mkdir(parents=True)
    shutil.copytree(model, staging / "model")
    (staging / "environment" / "model.yaml").write_text(json.dumps(document))
    digest, bundle = artefact_digest(staging / "model"), artefact_digest(staging)
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
                lineage={"lockDigest": "1c" * 32, "specDigest": f"{number:064d}"},
                created_at=now, created_by="user:default/ada",
            )
        )  # fmt: skip
    return digest
