"""Entity tags: a client that has an answer already is told so, instead of being sent it again."""

import hashlib
import re
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_TAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')


class EntityTags:
    """Gives each JSON answer to a GET a strong ``ETag``, and answers 304 to an ``If-None-Match`` that has it.

    The tag is a hash of the very bytes of the answer, and each other byte makes another tag, which is what a strong one promises
    (RFC 9110, section 8.8.1). It saves sending, not the work of making the answer. Answers that say beforehand how long they are
    stand in memory already; anything else, streams above all, passes through as it comes. Plain ASGI for that reason.
    """

    def __init__(self, app: ASGIApp, *, prefix: str) -> None:
        self._app, self._prefix = app, f"{prefix}/"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and look at the answer."""
        if scope["type"] != "http" or scope["method"] != "GET" or not scope["path"].startswith(self._prefix):
            await self._app(scope, receive, send)
            return
        await self._app(scope, receive, _Tagging(Headers(scope=scope), send))


class _Tagging:
    """Holds a JSON answer back until it is whole."""

    def __init__(self, request: Headers, send: Send) -> None:
        # The header may come several times, which means the same as one list.
        self._known, self._send = ", ".join(request.getlist("if-none-match")), send
        self._start: Message | None = None
        self._body: list[bytes] = []

    async def __call__(self, message: Any) -> None:
        if message["type"] == "http.response.start" and _is_whole_json(message):
            self._start = message
            return
        if self._start is None or message["type"] != "http.response.body":
            await self._send(message)
            return
        self._body.append(message.get("body", b""))
        if message.get("more_body", False):
            return
        start, body = self._start, b"".join(self._body)
        self._start = None
        headers = MutableHeaders(scope=start)
        tag = headers.get("etag") or f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        headers["ETag"] = tag
        if is_known(tag, self._known):
            # RFC 9110, section 15.4.5: what describes the body that is not sent stays away.
            del headers["content-length"], headers["content-type"]
            start["status"], body = 304, b""
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body})


def is_known(tag: str, if_none_match: str) -> bool:
    """Say whether an ``If-None-Match`` lists a tag, by weak comparison (RFC 9110, sections 8.8.3.2 and 13.1.2)."""
    if if_none_match.strip() == "*":
        return True
    opaque = tag.removeprefix("W/")
    return any(one.group(1) == opaque for one in _TAG.finditer(if_none_match))


def _is_whole_json(start: Message) -> bool:
    headers = Headers(raw=start["headers"])
    kind = headers.get("content-type", "").partition(";")[0].strip()
    return start["status"] == 200 and kind == "application/json" and "content-length" in headers
