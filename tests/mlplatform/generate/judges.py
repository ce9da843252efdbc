"""Outside judges of Kubernetes objects: what each project publishes about its own kinds, closed to unknown fields."""

import re
from functools import cache
from types import ModuleType
from typing import Any

import jsonschema
import kubernetes_validate

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
            jsonschema.validate(manifest, closed_schema(group, manifest["kind"]))
        case "kustomize.config.k8s.io":
            pass  # kustomize itself reads it
        case _:
            kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


@cache
def closed_schema(group: str, kind: str) -> Json:
    """Return the JSON Schema of a kind, made from the CRD by cloudcoil, that takes no field it does not name."""
    if group == "keda.sh":
        from cloudcoil.models.keda import v1alpha1 as kinds
    else:
        from cloudcoil.models.prometheus_operator import v1 as kinds  # type: ignore[no-redef]
    return _closed(getattr(kinds, kind).model_json_schema(by_alias=True))


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
