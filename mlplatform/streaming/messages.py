"""Messages as they come in, and answers and dead letters as they go out. Knows no broker.

Headers follow CloudEvents 1.0 in binary mode: the attributes are headers, the data is the body. Their prefix is ``ce-``, in
Kafka ``ce_`` (CloudEvents' protocol bindings for HTTP, NATS and Kafka).
"""

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from mlplatform.serving.problems import MalformedRequest, PayloadTooLarge, Problem
from mlplatform.serving.rows import InputSchema, OutputSchema, Rows
from mlplatform.serving.samples import named_id
from mlplatform.spec.streaming import Streaming
from mlplatform.streaming.buckets import bucket_of
from mlplatform.streaming.position import write_place

MESSAGE_ID = "Nats-Msg-Id"
ANSWER_TYPE = "ml-platform.streaming.answer"
REASON = "dead-letter-reason"
_PASSED_ON = ("traceparent", "tracestate")
"""W3C Trace Context: a trace goes on through the model."""
_LONGEST_HEADER = 500


@dataclass(slots=True)
class Incoming:
    """One delivery of a message. ``place`` is where it lies in its part of the stream, ``delivered`` counts from 1."""

    subject: str
    part: str
    place: int
    body: bytes
    headers: Mapping[str, str]
    delivered: int
    at: float
    """When the broker took it, in seconds since the epoch."""
    key: bytes | None = None
    raw: Any = field(default=None, repr=False)
    """What the broker's own client needs to acknowledge it."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """Something to publish. Of two with the same ``dedup`` only one is meant to count."""

    subject: str
    body: bytes
    headers: dict[str, str]
    dedup: str
    key: bytes | None = None


@dataclass(frozen=True, slots=True)
class Parsed:
    """A message's content as far as it could be read, and the bucket that it falls into."""

    bucket: int
    data: dict[str, Any] | None
    fault: str | None = None


class Messages:
    """Reads messages and writes answers for one model version."""

    def __init__(
        self,
        streaming: Streaming,
        inputs: InputSchema,
        outputs: OutputSchema,
        *,
        name: str,
        version: str,
        environment: str,
        max_bytes: int,
        prefix: str = "",
        attribute: str = "ce-",
    ) -> None:
        self._streaming = streaming
        self._inputs, self._outputs = inputs, outputs
        self._name, self._version, self._environment = name, version, environment
        self._max_bytes = max_bytes
        self._attribute = attribute
        self.output = prefix + streaming.output
        self.dead_letter = prefix + streaming.dead_letter
        self._beside = frozenset({*streaming.carry, *([streaming.key] if streaming.key else [])}) - set(inputs.names)
        self._answer_headers = {
            "content-type": "application/json",
            f"{attribute}specversion": "1.0",
            f"{attribute}type": ANSWER_TYPE,
            f"{attribute}source": f"urn:ml-platform:{environment}:{name}",
            f"{attribute}modelversion": version,
        }

    def parse(self, message: Incoming) -> Parsed:
        """Read a message's JSON and find its bucket; what can't be read falls into the bucket of its id."""
        if len(message.body) > self._max_bytes:
            fault = (
                f"The message is larger than the {self._max_bytes} bytes that are accepted (serving.maxRequestBytes)."
            )
            return Parsed(bucket_of(self.id_of(message).encode()), None, fault)
        try:
            data = orjson.loads(message.body)
        except orjson.JSONDecodeError:
            return Parsed(bucket_of(self.id_of(message).encode()), None, "The message is not JSON.")
        if not isinstance(data, dict):
            return Parsed(bucket_of(self.id_of(message).encode()), None, "The message is not a JSON object.")
        return Parsed(bucket_of(self._key_of(message, data)), data)

    def _key_of(self, message: Incoming, data: dict[str, Any]) -> bytes:
        key = self._streaming.key
        if key is None or data.get(key) is None:
            return self.id_of(message).encode()
        value = data[key]
        return value.encode() if type(value) is str else orjson.dumps(value, option=orjson.OPT_SORT_KEYS)

    def id_of(self, message: Incoming) -> str:
        """Return the message's id: the one that its sender gave it, else where it lies."""
        headers = message.headers
        for name in (MESSAGE_ID, f"{self._attribute}id", "ce-id"):
            if value := headers.get(name):
                return value[:_LONGEST_HEADER]
        part = f"/{message.part}" if message.part else ""
        return f"{message.subject}{part}:{write_place(message.place)}"

    def rows(self, message: Incoming, parsed: Parsed) -> Rows:
        """Return the message's input columns, checked exactly as those of an online request.

        Raises:
            Problem: they don't fit the schema.
        """
        if parsed.data is None:
            too_large = len(message.body) > self._max_bytes
            raise (PayloadTooLarge if too_large else MalformedRequest)(parsed.fault or "The message can't be read.")
        data = parsed.data
        if self._beside:
            data = {name: value for name, value in data.items() if name not in self._beside}
        return self._inputs.from_records([data])

    def answer(self, message: Incoming, parsed: Parsed, answer: Sequence[Sequence[Any]]) -> Outgoing:
        """Return what is published when the model has answered."""
        data = parsed.data or {}
        body: dict[str, Any] = {name: data[name] for name in self._streaming.carry if name in data}
        body.update((name, values[0]) for name, values in zip(self._outputs.names, answer, strict=True))
        headers = dict(self._answer_headers)
        identity = self.id_of(message)
        headers[f"{self._attribute}id"] = identity
        headers[f"{self._attribute}time"] = _now()
        for name in _PASSED_ON:
            if name in message.headers:
                headers[name] = message.headers[name]
        return Outgoing(
            self.output,
            orjson.dumps(body, default=_plain),
            headers,
            self._dedup(message, identity),
            self._key(message, data),
        )

    def sample(self, message: Incoming, answer: Outgoing) -> tuple[str, bytes, bytes]:
        """Return an answered message as a sampled prediction: its id, what was asked and what was answered.

        The id follows from the message's own, so a message that was answered twice is one sample, and its truth finds it.
        The bodies have the form of the protocol V1: whoever reads samples knows one form. The message is kept whole, since
        members that the model does not see may be what a person is found by.
        """
        identity = self.id_of(message)
        asked = b'{"id":%b,"instances":[%b]}' % (json.dumps(identity).encode(), message.body)
        return named_id(self._environment, self._name, identity), asked, b'{"predictions":[%b]}' % answer.body

    def dead(self, message: Incoming, problem: Problem, deliveries: int) -> Outgoing:
        """Return the dead letter: body and headers as they came, and the reason beside them."""
        headers = {name: value for name, value in message.headers.items() if name != MESSAGE_ID}
        identity = self.id_of(message)
        headers.setdefault(f"{self._attribute}id", identity)
        headers |= {
            REASON: problem.slug,
            "dead-letter-detail": header_text(problem.detail),
            "dead-letter-subject": message.subject,
            "dead-letter-position": f"{message.part}/{write_place(message.place)}".lstrip("/"),
            "dead-letter-deliveries": str(deliveries),
            "dead-letter-model": self._name,
            "dead-letter-version": self._version,
            "dead-letter-time": _now(),
        }
        return Outgoing(self.dead_letter, message.body, headers, self._dedup(message, identity), message.key)

    def _dedup(self, message: Incoming, identity: str) -> str:
        """Name the one outcome of a message: versions of a model share it, other models that write there don't."""
        source = message.headers.get(f"{self._attribute}source", "")
        return f"{self._name}:{source}#{identity}"

    def _key(self, message: Incoming, data: dict[str, Any]) -> bytes | None:
        if message.key is not None or self._streaming.key is None:
            return message.key
        return self._key_of(message, data)


def header_text(text: str) -> str:
    """Return text that may stand in a header: one line, not endless."""
    return " ".join(text.split())[:_LONGEST_HEADER]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _plain(value: Any) -> Any:
    """Write what JSON has no form for: bytes in base64."""
    if isinstance(value, bytes):
        return b64encode(value).decode("ascii")
    raise TypeError(f"{type(value).__name__} can't be written as JSON")
