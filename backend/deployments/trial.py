"""Trying a live version by hand: an example request from its own schema, and what the version answers."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import httpx
import orjson
from sqlalchemy.orm import Session

from backend.core.errors import Conflict, Unavailable
from mlplatform.serving.columns import CheckedColumn
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
        NotFound: there is no such model or environment.
        Conflict: the model takes no requests, or no version of it is live.
    """
    columns = _live_spec(services, session, environment, model).schema_.inputs
    return {"inputs": [_tensor(column) for column in columns if column.required]}, columns


def send(services: "Services", url: str, request: dict[str, Any]) -> Tried:
    """Send a request to a model as its users do, by way of the proxy.

    Raises:
        Unavailable: the proxy does not answer.
    """
    ingress = services.settings.ingress
    # The proxy of this machine, whatever name users know it by.
    host = "127.0.0.1" if ingress.host in {"0.0.0.0", "::"} else ingress.host  # noqa: S104
    address = urlunsplit(urlsplit(url)._replace(scheme="http", netloc=f"{host}:{ingress.port}"))
    begun = time.perf_counter()
    try:
        with httpx.stream(
            "POST", address, content=orjson.dumps(request), timeout=_TIMEOUT_SECONDS, headers=_JSON
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


def _live_spec(services: "Services", session: Session, environment: str, model: str) -> ModelSpec:
    place = services.deployments.place(session, environment, model)
    if place["type"] != ModelType.REALTIME:
        raise Conflict(f"{model} is a {place['type']} model and takes no requests")
    if place["champion"] is None:
        raise Conflict(f"no version of {model} is live in {environment}", fix="Deploy one first.")
    version = services.registry.get_version(session, model, place["champion"])
    return ModelSpec.model_validate(version.spec)


def _tensor(column: Column) -> dict[str, Any]:
    return {
        "name": column.name,
        "shape": [1],
        "datatype": CheckedColumn.of(column).datatype,
        "data": [_value(column)],
    }


def _value(column: Column) -> Any:
    """Return a value that the column takes: in the middle of its range, the first of its list, or as plain as can be."""
    if column.enum:
        return column.enum[0]
    if column.type is ColumnType.BOOLEAN:
        return False
    if column.type is ColumnType.DATETIME:
        return _DATE
    if column.type in {ColumnType.STRING, ColumnType.BINARY}:
        return ""
    low, high = column.minimum, column.maximum
    if low is not None and high is not None:
        middle = (low + high) / 2
    else:
        middle = low if low is not None else high if high is not None else 0.0
    if column.type in {ColumnType.INTEGER, ColumnType.LONG}:
        whole = int(middle)
        return whole if low is None or whole >= low else whole + 1
    return float(middle)


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
