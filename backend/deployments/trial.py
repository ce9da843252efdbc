"""Trying a live version by hand: an example request from its own schema, and what the version answers."""

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import orjson
from sqlalchemy.orm import Session

from backend.core.config_base import reached_at
from backend.core.errors import Conflict, Unavailable
from mlplatform.serving.columns import CheckedColumn, Rejected
from mlplatform.spec.model import Column, ColumnType, ModelSpec, ModelType

if TYPE_CHECKING:
    from backend.core.container import Services

_TIMEOUT_SECONDS = 15.0
_LARGEST_ANSWER = 1 << 20
_JSON = {"content-type": "application/json"}
_DATE = "2026-01-01T00:00:00"


@dataclass(frozen=True)
class Tried:
    """What a version answered."""

    status: int
    body: Any
    version: int | None
    milliseconds: float


def example(
    services: "Services", session: Session, environment: str, model: str
) -> tuple[dict[str, Any], list[Column]]:
    """Return an Open Inference Protocol request that fits the live version's schema, and the schema's input columns.

    Raises:
        As :func:`live_version`.
    """
    version = services.registry.get_version(session, model, live_version(services, session, environment, model))
    columns = ModelSpec.model_validate(version.spec).schema_.inputs
    return {"inputs": [_tensor(column) for column in columns if column.required]}, columns


def live_version(services: "Services", session: Session, environment: str, model: str) -> int:
    """Return the version that takes a model's requests.

    Raises:
        NotFound: there is no such model or environment.
        Conflict: the model takes no requests, or no version of it is live.
    """
    place = services.deployments.place(session, environment, model)
    if place["type"] != ModelType.REALTIME:
        raise Conflict(f"{model} is a {place['type']} model and takes no requests")
    if place["champion"] is None:
        raise Conflict(f"no version of {model} is live in {environment}", fix="Deploy one first.")
    version: int = place["champion"]
    return version


def send(services: "Services", environment: str, model: str, request: dict[str, Any]) -> Tried:
    """Send a request to a model as its users do, by way of the proxy.

    Raises:
        Unavailable: the proxy does not answer.
    """
    ingress = services.settings.ingress
    address = f"http://{reached_at(ingress.host)}:{ingress.port}/{environment}/{model}/v2/models/{model}/infer"
    begun = time.perf_counter()
    try:
        with httpx.stream(
            "POST", address, content=orjson.dumps(request), timeout=_TIMEOUT_SECONDS, headers=_JSON, trust_env=False
        ) as answer:
            raw = b""
            for chunk in answer.iter_bytes():
                raw += chunk
                if len(raw) > _LARGEST_ANSWER:
                    break
    except httpx.HTTPError as fault:
        raise Unavailable(
            f"the model does not answer: {type(fault).__name__}", fix="See its servers on this page, or try again."
        ) from None
    return Tried(answer.status_code, _body(raw), _version(answer), (time.perf_counter() - begun) * 1000)


def _tensor(column: Column) -> dict[str, Any]:
    checked = CheckedColumn.of(column)
    return {"name": column.name, "shape": [1], "datatype": checked.datatype, "data": [_value(column, checked)]}


def _value(column: Column, checked: CheckedColumn) -> Any:
    """Return a value that the column takes: the first of its list, in the middle of its range, or as plain as can be."""
    if column.enum:
        return next((one for one in column.enum if _is_taken(checked, one)), column.enum[0])
    if column.type is ColumnType.BOOLEAN:
        return False
    if column.type is ColumnType.DATETIME:
        return _DATE
    if not checked.numeric:
        return ""
    if column.minimum is not None and column.maximum is not None:
        # Halved first: the sum of two large numbers may be none.
        middle = checked.low / 2 + checked.high / 2
    else:
        middle = min(max(0.0, checked.low), checked.high)
    if checked.integral:
        return min(max(int(middle), math.ceil(checked.low)), math.floor(checked.high))
    return min(max(float(middle), checked.low), checked.high)


def _is_taken(checked: CheckedColumn, value: Any) -> bool:
    try:
        checked.coerce(value)
    except Rejected:
        return False
    return True


def _body(raw: bytes) -> Any:
    if len(raw) > _LARGEST_ANSWER:
        return "(the answer is too long to be shown)"
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return raw.decode("utf-8", "replace")


def _version(answer: httpx.Response) -> int | None:
    said = answer.headers.get("x-model-version", "")
    return int(said) if said.isdecimal() else None
