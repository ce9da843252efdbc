"""Datadog's published OpenAPI document, as its own client has it, as a judge."""

from typing import Any

from datadog_api_client import Configuration
from datadog_api_client.model_utils import ModelComposed, ModelNormal, UnparsedObject, validate_and_convert_types
from datadog_api_client.v1.model.dashboard import Dashboard
from datadog_api_client.v1.model.monitor import Monitor

_CONFIGURATION = Configuration()


def faults(document: dict[str, Any], kind: type[Dashboard] | type[Monitor]) -> list[str]:
    """Return what of a request's body the schema does not know, or does not allow."""
    return _faults(
        validate_and_convert_types(document, (kind,), ["body"], True, True, configuration=_CONFIGURATION), ""
    )


def _faults(value: Any, path: str) -> list[str]:
    if isinstance(value, UnparsedObject):
        return [f"{path} is not allowed"]
    if isinstance(value, list):
        return [fault for number, one in enumerate(value) for fault in _faults(one, f"{path}[{number}]")]
    if isinstance(value, ModelComposed):
        chosen = value._composed_instances
        return [fault for one in chosen for fault in _faults(one, path)] if chosen else [f"{path} matches nothing"]
    if not isinstance(value, ModelNormal):
        return []
    found = [f"{path} is not allowed"] if value._unparsed else []
    for name, member in value._data_store.items():
        if name not in value.openapi_types:
            found.append(f"{path}.{name} is unknown")
        found += _faults(member, f"{path}.{name}")
    return found
