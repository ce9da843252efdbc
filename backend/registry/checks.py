"""What an unpacked bundle must fulfil, whatever its manifest claims."""

from pathlib import Path
from typing import Any, ClassVar

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from backend.core.errors import InvalidInput
from backend.core.http.problems import field_faults
from backend.registry.schemas import Manifest
from mlplatform.attest.digest import artefact_digest, file_sha256
from mlplatform.reference.profile import FILE as REFERENCE
from mlplatform.reference.profile import LARGEST, parse
from mlplatform.spec.load import SpecError, load_spec

_LARGEST_MLMODEL = 4 << 20


class DigestMismatch(InvalidInput):
    """What was uploaded is not what its digest says."""

    slug: ClassVar[str] = "digest-mismatch"
    title: ClassVar[str] = "Digest mismatch"


class ModelWithoutSignature(InvalidInput):
    """Without a signature nobody can say what goes into the model and what comes out."""

    slug: ClassVar[str] = "model-without-signature"
    title: ClassVar[str] = "Model without a signature"


class ContradictingManifest(InvalidInput):
    """Two parts of a registration say different things."""

    slug: ClassVar[str] = "contradicting-manifest"
    title: ClassVar[str] = "Contradicting manifest"


def check_manifest(manifest: Manifest, model: str) -> None:
    """Hold the parts of a manifest against each other and the route.

    Raises:
        ContradictingManifest: they differ.
    """
    if manifest.spec.name != model:
        raise ContradictingManifest(
            f"spec/name: model.yaml names the model {manifest.spec.name}, the route names {model}"
        )
    if manifest.training.model_digest != manifest.model_digest:
        raise ContradictingManifest(
            "training/modelDigest: training.json is about another artefact than modelDigest",
            fix="Train again, or restore build/model as training left it.",
        )
    if manifest.training.finished_at < manifest.training.started_at:
        raise ContradictingManifest("training/finishedAt: training ended before it began")


def check_bundle(manifest: Manifest, bundle: Path) -> str:
    """Recompute every digest of an unpacked bundle and look into the model's own description.

    Returns the digest of its ``model.yaml``.

    Raises:
        InvalidInput: something is not what the manifest says.
    """
    try:
        digest = artefact_digest(bundle / "model")
    except ValueError as error:
        raise DigestMismatch(str(error).replace(f"{bundle}/", "")) from None
    if digest != manifest.model_digest:
        raise DigestMismatch(
            f"the uploaded model has the digest {digest}, not {manifest.model_digest}",
            fix="Register again; if it stays so, something changed build/model after training.",
        )
    lock = file_sha256(bundle / "environment" / "uv.lock")
    if lock != manifest.training.lock_digest:
        raise DigestMismatch(
            f"the uploaded uv.lock has the digest {lock}, not training.lockDigest {manifest.training.lock_digest}",
            fix="The lock changed after training: train again with the present one.",
        )
    try:
        spec = load_spec(bundle / "environment" / "model.yaml")
    except SpecError as error:
        raise ContradictingManifest(f"environment/model.yaml is not valid: {error}"[:2000]) from None
    if spec != manifest.spec:
        raise ContradictingManifest("environment/model.yaml is not the model.yaml of the manifest")
    _check_reference(manifest, bundle / REFERENCE)
    if not _has_signature(bundle / "model" / "MLmodel"):
        raise ModelWithoutSignature(
            "the model has no MLflow signature",
            fix="Save it with `signature=infer_signature(inputs, outputs)` and train again.",
        )
    return file_sha256(bundle / "environment" / "model.yaml")


def _check_reference(manifest: Manifest, file: Path) -> None:
    """Refuse a training reference that is none, or of another artefact."""
    if not file.is_file():
        return
    try:
        reference = parse(file.read_bytes()) if file.stat().st_size <= LARGEST else None
    except ValueError as error:
        raise InvalidInput(
            f"{REFERENCE} is no training reference: {error}", fix="Run `platform validate` again."
        ) from None
    if reference is None:
        raise InvalidInput(f"{REFERENCE} is larger than {LARGEST >> 20} MiB")
    if reference.model_digest != manifest.model_digest:
        raise ContradictingManifest(
            f"{REFERENCE} is about another artefact than modelDigest", fix="Run `platform validate` again."
        )


def _has_signature(path: Path) -> bool:
    if path.stat().st_size > _LARGEST_MLMODEL:
        raise InvalidInput("model/MLmodel is too large to be one")
    try:
        document: Any = YAML(typ="safe", pure=True).load(path.read_bytes())
    except (YAMLError, ValueError, RecursionError):
        raise InvalidInput("model/MLmodel is not YAML") from None
    signature = document.get("signature") if isinstance(document, dict) else None
    return isinstance(signature, dict) and bool(signature.get("inputs")) and bool(signature.get("outputs"))


def parse_manifest(raw: bytes) -> Manifest:
    """Read a manifest.

    Raises:
        InvalidInput: with every fault by itself.
    """
    try:
        return Manifest.model_validate_json(raw)
    except ValidationError as error:
        faults = [
            {"pointer": f"manifest{fault.pointer}", "detail": fault.detail}
            for fault in field_faults([{**one, "loc": ("body", *one["loc"])} for one in error.errors()])
        ]
        detail = "; ".join(f"{fault['pointer']}: {fault['detail']}" for fault in faults[:3])
        raise InvalidInput(detail, errors=faults) from None
