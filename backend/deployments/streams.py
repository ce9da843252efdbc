"""Whether a streaming version can take its share of a stream."""

from typing import ClassVar

from backend.core.config import Settings
from backend.core.errors import Conflict
from backend.local.brokers import broker_of, missing
from mlplatform.spec.model import ModelSpec


class StreamRefused(Conflict):
    """The version can't have a share of the stream."""

    slug: ClassVar[str] = "stream-refused"
    title: ClassVar[str] = "Stream refused"


def check_stream(settings: Settings, environment: str, spec: ModelSpec, live: ModelSpec | None) -> None:
    """Refuse what could not be rolled out, or would lose messages: versions share a stream by the buckets of one key.

    Raises:
        StreamRefused: there is no such broker, or the live version reads another stream or has another key.
    """
    wanted = spec.streaming
    if wanted is None:
        return
    if broker_of(settings, environment, wanted.broker) is None:
        said, fix = missing(environment, wanted.broker)
        raise StreamRefused(said, fix=fix)
    present = live.streaming if live is not None else None
    if present is None:
        return
    pairs = {
        "broker": (present.broker, wanted.broker),
        "input": (present.input, wanted.input),
        "key": (present.key, wanted.key),
    }
    differ = [f"streaming.{name} is {new}, not {old}" for name, (old, new) in pairs.items() if old != new]
    if differ:
        raise StreamRefused(
            f"it can't share the stream with the version that is live in {environment}: {'; '.join(differ)}",
            fix="Register what reads another stream, or by another key, as a model of another name.",
        )
