"""The SBOM gate: the locked dependencies and the model itself as CycloneDX 1.6, in ``build/sbom.cdx.json``.

The model is a ``machine-learning-model`` component with a model card (ML-BOM). The same artefact and lock give the same
bytes. The CycloneDX library can't write model cards yet, so the document is made as JSON and held against CycloneDX's own
schema, strictly, by that library.
"""

import json
import platform
import uuid
from pathlib import Path
from typing import Any

from mlplatform.attest.digest import artefact_digest
from mlplatform.gates.context import GateContext
from mlplatform.gates.locked import Locked, LockUnusable, Package, read_lock
from mlplatform.gates.recorder import Recorder, explain, training_record
from mlplatform.gates.result import Gate, GateResult, Reference
from mlplatform.redaction import redact
from mlplatform.spec.model import Classification, Column

FILE = "sbom.cdx.json"
_TASKS = {"classifier": "classification", "regressor": "regression"}
_PERSONAL = {Classification.PII, Classification.SENSITIVE_PII}


def evaluate(context: GateContext) -> GateResult:
    """Write the BOM and check it."""
    record = Recorder(Gate.SBOM, context)
    record.tool("cyclonedx-python-lib")
    path = context.build / FILE
    path.unlink(missing_ok=True)
    try:
        digest = artefact_digest(context.model)
    except (OSError, ValueError) as error:
        record.failed("model", f"build/model has no digest: {explain(error)}")
        return record.finish("")
    record.against.append(Reference(name="build/model", digest={"sha256": digest}))
    locked = _locked(context, record)
    if locked is None:
        return record.finish("")
    document = bill(context, locked, digest)
    faults = validate(document)
    if faults:
        record.failed("format", f"the BOM does not agree with CycloneDX's schema: {faults[0]}", limit="CycloneDX 1.6")
        return record.finish("")
    record.passed("format", "the BOM agrees with CycloneDX's own schema", limit="CycloneDX 1.6, strict")
    record.passed("model", "the model is described as a machine-learning-model component", observed=f"sha256 {digest}")
    _write(path, document)
    return record.finish(f"{len(locked.packages)} locked dependencies and the model are listed in build/{FILE}")


def body(result: GateResult, context: GateContext) -> dict[str, Any]:
    """Return the BOM, which is its own predicate type; empty where the gate could not make one."""
    try:
        document = json.loads((context.build / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def _locked(context: GateContext, record: Recorder) -> Locked | None:
    from mlplatform.attest.digest import file_sha256

    path = context.repository / "uv.lock"
    try:
        locked = read_lock(path)
    except LockUnusable as error:
        record.failed("lock", str(error), limit="uv.lock")
        return None
    record.against.append(Reference(name="uv.lock", digest={"sha256": file_sha256(path)}))
    if not locked.packages:
        record.failed(
            "lock", "uv.lock lists no dependency of this project: add them to pyproject.toml and run `uv lock`"
        )
        return None
    record.passed("lock", f"uv.lock lists {len(locked.packages)} dependencies", observed=str(len(locked.packages)))
    return locked


def bill(context: GateContext, locked: Locked, digest: str) -> dict[str, Any]:
    """Return the BOM as JSON data."""
    spec = context.spec
    trained = training_record(context)
    application, model = f"application:{spec.name}", f"model:{spec.name}@{digest}"
    commit = str((trained.get("git") or {}).get("commit") or "uncommitted")
    refs = {package.name: package.purl for package in locked.packages}
    edges = [{"ref": application, "dependsOn": [model]}]
    edges.append({"ref": model, "dependsOn": sorted(refs[name] for name in locked.direct if name in refs)})
    edges += [
        {"ref": package.purl, "dependsOn": sorted(refs[name] for name in package.requires if name in refs)}
        for package in locked.packages
    ]
    metadata: dict[str, Any] = {
        "lifecycles": [{"phase": "build"}],
        "tools": {"components": [{"type": "application", "name": "mlplatform", "version": _own_version()}]},
        "component": {"type": "application", "bom-ref": application, "name": spec.name, "version": commit},
    }
    if "finishedAt" in trained:
        metadata["timestamp"] = trained["finishedAt"]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": uuid.uuid5(uuid.NAMESPACE_URL, f"urn:ml-platform:artefact:sha256:{digest}").urn,
        "version": 1,
        "metadata": metadata,
        "components": [_model_component(context, trained, model, digest), *map(_component, locked.packages)],
        "dependencies": edges,
        "properties": [
            {"name": "ml-platform:python", "value": str(trained.get("python") or platform.python_version())},
            {"name": "ml-platform:platform", "value": f"{platform.system()} {platform.machine()}"},
        ],
    }


def validate(document: dict[str, Any]) -> list[str]:
    """Return what CycloneDX's own schema has against a BOM."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    errors = JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(document), all_errors=True)
    return [_brief(str(error)) for error in errors or ()]


def _component(package: Package) -> dict[str, Any]:
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": package.purl,
        "name": package.name,
        "version": package.version,
        "purl": package.purl,
    }
    if package.sha256:
        component["hashes"] = [{"alg": "SHA-256", "content": package.sha256}]
    if not package.registry:
        component["properties"] = [{"name": "ml-platform:source", "value": redact(package.source)}]
    return component


def _model_component(context: GateContext, trained: dict[str, Any], ref: str, digest: str) -> dict[str, Any]:
    spec = context.spec
    card: dict[str, Any] = {
        "modelParameters": {
            "approach": {"type": "supervised"},
            "task": _TASKS[spec.validation.evaluator],
            "datasets": [_dataset(context, trained, reference.name) for reference in spec.data],
            "inputs": [{"format": _format(column)} for column in spec.schema_.inputs],
            "outputs": [{"format": _format(column)} for column in spec.schema_.outputs],
        },
        "quantitativeAnalysis": {
            "performanceMetrics": [
                {"type": str(name), "value": str(value)} for name, value in sorted(trained.get("metrics", {}).items())
            ]
        },
    }
    params = sorted(trained.get("params", {}).items())
    component: dict[str, Any] = {
        "type": "machine-learning-model",
        "bom-ref": ref,
        "group": spec.owner,
        "name": spec.name,
        "version": digest[:12],
        "hashes": [{"alg": "SHA-256", "content": digest}],
        "modelCard": card,
        "properties": [
            {"name": "ml-platform:digest", "value": f"sha256:{digest} (directory digest)"},
            *({"name": f"ml-platform:param:{name}", "value": redact(str(value))} for name, value in params),
        ],
    }
    if spec.description:
        component["description"] = spec.description
    return component


def _dataset(context: GateContext, trained: dict[str, Any], name: str) -> dict[str, Any]:
    reference = context.spec.dataset(name)
    loaded: dict[str, Any] = next((entry for entry in trained.get("data", []) if entry.get("name") == name), {})
    facts = [("role", reference.role.value), ("rows", loaded.get("rows"))]
    facts += [(f"digest:{kind}", value) for kind, value in loaded.get("digest", {}).items()]
    dataset: dict[str, Any] = {
        "type": "dataset",
        "name": name,
        "classification": reference.classification.value,
        "contents": {
            "url": reference.uri,
            "properties": [
                {"name": f"ml-platform:{key}", "value": str(value)} for key, value in facts if value is not None
            ],
        },
    }
    if reference.classification in _PERSONAL:
        dataset["sensitiveData"] = ["personal data"]
    return dataset


def _format(column: Column) -> str:
    return f"{column.name}: {column.type.value}{'' if column.required else ' (optional)'}"


def _own_version() -> str:
    from mlplatform import __version__

    return __version__


def _brief(text: str) -> str:
    first = text.strip().splitlines()[0] if text.strip() else "unknown fault"
    return redact(first[:300])


def _write(path: Path, document: dict[str, Any]) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    partial.replace(path)
