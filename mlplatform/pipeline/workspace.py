"""A model repository on disk and its ``build/`` folder, through which the stages hand on their results."""

import json
import os
import shutil
import sys
import tempfile
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mlplatform.attest.digest import artefact_digest, file_sha256
from mlplatform.gates.result import Gate, GateResult
from mlplatform.pipeline.errors import StageRefused
from mlplatform.pipeline.records import TrainingRecord
from mlplatform.spec.load import FILE_NAME, load_spec
from mlplatform.spec.model import ModelSpec

VALIDATE_GATES = (Gate.SCHEMA, Gate.THRESHOLDS)
SCAN_GATES = (Gate.PII, Gate.SBOM, Gate.VULNERABILITIES, Gate.PROVENANCE)


ANY_PYTHON = "ML_PLATFORM_ANY_PYTHON"
"""Set by those who have built the environment themselves (a container image): no other one is started."""


class Workspace:
    """A model repository; ``path`` is the folder that holds its ``model.yaml``."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.spec_file = self.path / FILE_NAME
        self.lock_file = self.path / "uv.lock"
        self.project_file = self.path / "pyproject.toml"
        self.build = self.path / "build"
        self.model = self.build / "model"
        self.training_file = self.build / "training.json"
        self.gates = self.build / "gates"
        self.predicates = self.build / "predicates"
        self.attestations = self.build / "attestations"
        self.logs = self.build / "logs"
        self.champion = self.build / "champion"
        self.reference = self.build / "reference.json"

    @classmethod
    def find(cls, start: Path) -> "Workspace":
        """Return the repository around ``start``: the nearest folder upwards that holds a ``model.yaml``.

        Raises:
            StageRefused: there is none.
        """
        start = start.resolve()
        for folder in (start, *start.parents):
            if (folder / FILE_NAME).is_file():
                return cls(folder)
            if (folder / ".git").exists():
                break  # a repository around this one is not meant
        fix = "go into a model repository, name one with -C, or make one with `platform new NAME`"
        raise StageRefused(f"there is no {FILE_NAME} in {start} or above it", fix=fix)

    @cached_property
    def spec(self) -> ModelSpec:
        """The checked ``model.yaml``; raises ``SpecError``."""
        return load_spec(self.spec_file)

    def runs_here(self) -> bool:
        """Say whether this process has the repository's own environment, with the toolkit that it has locked."""
        if os.environ.get(ANY_PYTHON):
            return True
        own = Path(os.environ.get("UV_PROJECT_ENVIRONMENT") or ".venv")
        return (self.path / own).resolve() == Path(sys.prefix).resolve()

    def spec_digest(self) -> str:
        """Return the digest of ``model.yaml`` as it is now."""
        return file_sha256(self.spec_file)

    def clear(self) -> None:
        """Remove what belongs to an earlier model, before a new one is trained."""
        for name in ("model", "gates", "predicates", "attestations", "logs"):
            shutil.rmtree(self.build / name, ignore_errors=True)
        for name in ("training.json", "sbom.cdx.json", "bundle.tar", "reference.json"):
            (self.build / name).unlink(missing_ok=True)

    def write(self, file: Path, document: dict[str, Any]) -> None:
        """Write a JSON file under ``build/``, whole or not at all."""
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                json.dump(document, stream, indent=2, ensure_ascii=False)
                stream.write("\n")
            Path(temporary).chmod(0o644)
            Path(temporary).replace(file)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def trained(self) -> TrainingRecord:
        """Return the training record of the model in ``build/model``.

        Raises:
            StageRefused: nothing was trained, or the model is not the one that the record speaks of.
        """
        fix = "run `platform train`"
        if not self.training_file.is_file() or not self.model.is_dir():
            raise StageRefused("there is no trained model in build/", fix=fix)
        try:
            record = TrainingRecord.model_validate_json(self.training_file.read_bytes())
        except ValidationError as error:
            raise StageRefused("build/training.json is damaged", fix=fix) from error
        try:
            digest = artefact_digest(self.model)
        except ValueError as error:
            raise StageRefused(f"build/model can't be used: {error}", fix=fix) from error
        if digest != record.model_digest:
            message = (
                f"build/model was changed after training (sha256 {digest[:12]}, trained {record.model_digest[:12]})"
            )
            raise StageRefused(message, fix=fix)
        return record

    def keep(self, result: GateResult, predicate: dict[str, Any] | None, digest: str) -> None:
        """Write a gate's result, with the artefact and the ``model.yaml`` that it is about, and its predicate."""
        if predicate is not None:
            self.write(self.predicates / f"{result.gate}.json", predicate)
        document = result.model_dump(mode="json", by_alias=True)
        self.write(
            self.gates / f"{result.gate}.json",
            {**document, "modelDigest": digest, "specDigest": self.spec_digest()},
        )

    def predicate(self, gate: Gate) -> dict[str, Any] | None:
        """Return the standard predicate that a gate's attestation is to have, if it has one of its own."""
        file = self.predicates / f"{gate}.json"
        if not file.is_file():
            return None
        document = json.loads(file.read_bytes())
        return document if isinstance(document, dict) else None

    def result(self, gate: Gate, digest: str) -> GateResult | None:
        """Return a gate's result about the artefact ``digest`` and the present ``model.yaml``, if there is one.

        Raises:
            StageRefused: there is a result, and it is about something else or damaged.
        """
        file = self.gates / f"{gate}.json"
        if not file.is_file():
            return None
        stage = "validate" if gate in VALIDATE_GATES else "scan"
        fix = f"run `platform {stage}` again"
        try:
            document = json.loads(file.read_bytes())
            result = GateResult.model_validate(document)
        except ValueError as error:
            raise StageRefused(f"{file.relative_to(self.path)} is damaged", fix=fix) from error
        if document.get("modelDigest") != digest:
            raise StageRefused(f"the result of the gate `{gate}` is about another model than build/model", fix=fix)
        if document.get("specDigest") != self.spec_digest():
            raise StageRefused(f"{FILE_NAME} was changed after the gate `{gate}` ran", fix=fix)
        return result
