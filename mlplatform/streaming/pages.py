"""The worker's pages beside those of the model server: what it does at the moment, and how far the groups have come."""

from typing import Any
from urllib.parse import parse_qs

import orjson

from mlplatform.serving.app import JSON, Application, Receive, Scope, Send
from mlplatform.streaming.brokers.address import BrokerError
from mlplatform.streaming.brokers.base import Broker
from mlplatform.streaming.consumer import Consumer

ASSIGNMENT = "/assignment"
PROGRESS = "/progress"
_MOST_GROUPS = 200


class StreamPages:
    """Answers two more paths than the application that it wraps."""

    def __init__(self, inner: Application) -> None:
        self._inner = inner
        self._consumer: Consumer | None = None
        self._broker: Broker | None = None
        self.trouble = "the model is being loaded"

    def serve(self, consumer: Consumer, broker: Broker) -> None:
        """Tell about this consumer from now on."""
        self._consumer, self._broker = consumer, broker

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http" and scope["method"] in ("GET", "HEAD"):
            if scope["path"] == ASSIGNMENT:
                await _send(send, 200, self._assignment())
                return
            if scope["path"] == PROGRESS:
                await _send(send, *await self._progress(scope))
                return
        await self._inner(scope, receive, send)

    def _assignment(self) -> dict[str, Any]:
        if self._consumer is None:
            return {"revision": -1, "share": 0, "trouble": self.trouble}
        return self._consumer.state()

    async def _progress(self, scope: Scope) -> tuple[int, dict[str, Any]]:
        """Return the first position that is not done, of the groups asked for or of all that begin with a prefix."""
        if self._broker is None:
            return 503, {"trouble": self.trouble}
        query = parse_qs(scope["query_string"].decode("ascii", "replace"))
        groups, (prefix,) = query.get("group", [])[:_MOST_GROUPS], query.get("prefix", [""])[:1]
        try:
            if prefix:
                groups = await self._broker.groups(prefix)
            head = await self._broker.head()
            done = await self._broker.progress(groups)
        except BrokerError as error:
            return 503, {"trouble": str(error)}
        return 200, {
            "head": head.to_json(),
            "done": {group: position.to_json() for group, position in done.items()},
        }


async def _send(send: Send, status: int, document: dict[str, Any]) -> None:
    body = orjson.dumps(document)
    headers = [(b"content-type", JSON), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
