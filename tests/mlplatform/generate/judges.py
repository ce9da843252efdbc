"""Outside judges of Kubernetes objects: what each project publishes about its own kinds, closed to unknown fields."""

import re
from functools import cache
from types import ModuleType
from typing import Any

from jsonschema.protocols import Validator
from jsonschema.validators import Draft202012Validator, validator_for
from kubernetes_validate.utils import all_versions, major_minor, schema_contents
from referencing import Registry, Resource

Json = dict[str, Any]
KUBERNETES = "1.37"

_PLAIN = {"str": str, "int": int, "bool": bool, "float": (int, float), "object": object}


def judge(manifest: Json) -> None:
    """Hold one object against the published schema of its kind; raise ``AssertionError`` or ``ValidationError``."""
    group = manifest["apiVersion"].rpartition("/")[0]
    match group:
        case "serving.kserve.io":
            import kserve.models
            import kubernetes.client.models

            generated(manifest, "V1beta1InferenceService", [kserve.models, kubernetes.client.models], "openapi_types")
        case "mlops.seldon.io":
            import seldon_deploy_sdk.models

            # The kind's specification is all that Seldon publishes as a package.
            assert set(manifest) == {"apiVersion", "kind", "metadata", "spec"}
            generated(manifest["spec"], "ModelSpec", [seldon_deploy_sdk.models], "swagger_types")
        case "keda.sh" | "monitoring.coreos.com":
            crd(group, manifest["kind"]).validate(manifest)
        case "kustomize.config.k8s.io":
            pass  # kustomize itself reads it
        case _:
            core(manifest["kind"], manifest["apiVersion"]).validate(manifest)


@cache
def core(kind: str, api_version: str) -> Validator:
    """Return the judge of one of Kubernetes' own kinds; what ``kubernetes_validate.validate`` reads anew for each object."""
    release = [version for version in all_versions() if major_minor(version) == KUBERNETES][-1]
    folder = f"kubernetes-json-schema/v{release}-local-strict"
    group = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", api_version)
    schema = schema_contents(f"{folder}/{kind.lower()}-{group}.json", KUBERNETES)
    return Draft202012Validator(schema, registry=Resource.from_contents(schema) @ _definitions(folder))


@cache
def _definitions(folder: str) -> Registry:
    registry: Registry = Resource.from_contents(schema_contents(f"{folder}/_definitions.json", KUBERNETES)) @ Registry()
    return registry


@cache
def crd(group: str, kind: str) -> Validator:
    """Return the judge of a kind, made from the CRD by cloudcoil, that takes no field it does not name."""
    if group == "keda.sh":
        from cloudcoil.models.keda import v1alpha1 as kinds
    else:
        from cloudcoil.models.prometheus_operator import v1 as kinds  # type: ignore[no-redef]
    return closed_judge(getattr(kinds, kind).model_json_schema(by_alias=True))


def closed_judge(schema: Json) -> Validator:
    """Return the judge by a schema that takes no field it does not name."""
    closed = _closed(schema)
    return validator_for(closed)(closed)


def _closed(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    if isinstance(pattern := closed.get("pattern"), str) and "(?i)" in pattern:
        closed["pattern"] = "(?i)" + pattern.replace("(?i)", "")  # Go takes the flag anywhere, Python in front only
    if "properties" in closed and "additionalProperties" not in closed:
        closed["additionalProperties"] = False
    return closed


def generated(value: Any, kind: str, modules: list[ModuleType], types: str, path: str = "") -> None:
    """Hold a value against a class that a project's client was generated with from its OpenAPI document."""
    if kind in _PLAIN:
        wrong_bool = isinstance(value, bool) and kind in {"int", "float"}
        assert isinstance(value, _PLAIN[kind]), f"{path}: {value!r} is not {kind}"
        assert not wrong_bool, f"{path}: {value!r} is not {kind}"
        return
    if match := re.fullmatch(r"[Ll]ist\[(.+)\]", kind):
        assert isinstance(value, list), f"{path}: {value!r} is not a list"
        for index, item in enumerate(value):
            generated(item, match[1], modules, types, f"{path}[{index}]")
        return
    if match := re.fullmatch(r"[Dd]ict[(\[]str, (.+)[)\]]", kind):
        assert isinstance(value, dict), f"{path}: {value!r} is not a mapping"
        for key, item in value.items():
            generated(item, match[1], modules, types, f"{path}.{key}")
        return
    found = next((getattr(module, kind) for module in modules if hasattr(module, kind)), None)
    if found is None or not getattr(found, types, None):
        # Quantities, times and the like: text, a number, or (of the time) a plain value.
        assert isinstance(value, str | int | float | dict), f"{path}: {value!r} is not {kind}"
        return
    assert isinstance(value, dict), f"{path}: {value!r} is not an object"
    names = {wire: attribute for attribute, wire in found.attribute_map.items()}
    for key, item in value.items():
        assert key in names, f"{path}: {kind} has no field {key}"
        generated(item, getattr(found, types)[names[key]], modules, types, f"{path}.{key}")
