"""What all calls share: reading and writing JSON, and checking that it is some."""

import uuid
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import quote

import httpx

from mlplatform.client.errors import ClientError
from mlplatform.client.transport import IDEMPOTENCY_KEY, PREFIX, Transport

Json = dict[str, Any]
Document = TypeVar("Document", dict[str, Any], list[dict[str, Any]])


class Calls:
    """Calls of the platform's API over one transport."""

    _transport: Transport

    def _get(self, path: str, query: Mapping[str, Any] | None = None) -> Json:
        return json_object(self._transport.send("GET", PREFIX + path, lambda: {"params": present(query or {})}))

    def _post(self, path: str, body: Json, *, timeout: httpx.Timeout | None = None) -> Json:
        arguments: dict[str, Any] = {"json": body, "headers": {IDEMPOTENCY_KEY: str(uuid.uuid4())}}
        if timeout is not None:
            arguments["timeout"] = timeout
        return json_object(self._transport.send("POST", PREFIX + path, lambda: arguments))

    def _list(self, path: str, query: Mapping[str, Any] | None = None) -> list[Json]:
        return json_list(self._transport.send("GET", PREFIX + path, lambda: {"params": present(query or {})}))

    def _put(self, path: str, body: Json) -> Json:
        arguments: dict[str, Any] = {"json": body, "headers": {IDEMPOTENCY_KEY: str(uuid.uuid4())}}
        return json_object(self._transport.send("PUT", PREFIX + path, lambda: arguments))


def path_part(value: int | str) -> str:
    """Return a value as one part of a path, whatever is in it."""
    return quote(str(value), safe="")


def present(query: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a query is given."""
    return {name: value for name, value in query.items() if value is not None}


def json_object(response: httpx.Response) -> Json:
    """Return the JSON object that was answered.

    Raises:
        ClientError: it is none.
    """
    return _json(response, dict)


def json_list(response: httpx.Response) -> list[Json]:
    """Return the JSON array that was answered.

    Raises:
        ClientError: it is none.
    """
    return _json(response, list)


def _json(response: httpx.Response, kind: type[Document]) -> Document:
    try:
        document = response.json()
    except ValueError:
        document = None
    if not isinstance(document, kind):
        raise ClientError(f"the platform's answer to {response.request.method} {response.request.url.path} is not JSON")
    return document
