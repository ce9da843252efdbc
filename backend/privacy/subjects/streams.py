"""Streams and dead letters of streaming models: each message is looked at, and deleted by itself where the broker can do that."""

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass

from backend.core.config_streams import BrokerSettings
from backend.core.container import Services
from backend.core.schemas import utc
from backend.local import nats
from backend.local.brokers import broker_of, is_own
from backend.local.folders import Folders
from backend.privacy.models import SubjectFinding
from backend.privacy.subjects.matching import Matcher
from backend.privacy.subjects.places import Busy, Spot, Unerasable
from mlplatform.spec.model import ModelType
from mlplatform.streaming.brokers.address import Address, BrokerError, BrokerUnreachable
from mlplatform.streaming.brokers.stored import Kept, Stored, stored

_NAME = "ml-platform-privacy"


@dataclass(frozen=True)
class Topic:
    """A subject, topic or stream at the broker of an environment."""

    environment: str
    kind: str
    name: str
    broker: BrokerSettings
    models: tuple[str, ...]
    """Those that read or write it."""

    @property
    def location(self) -> str:
        """Where it is, in the words of a finding."""
        return f"{self.environment}/{self.kind}/{self.name}"


class StreamPlace:
    """What streaming models read, answer and refuse, at the brokers that the environments are configured with."""

    kind = "stream"

    def __init__(self, services: Services) -> None:
        self._services = services

    def search(self, matcher: Matcher, hashes: list[str]) -> Iterator[Spot]:
        """Yield subjects with the number of messages that hold the person, and those that can't be searched."""
        for topic in self._topics():
            refs = (
                f"kind:{self.kind}",
                f"environment:{topic.environment}",
                *(f"model:{model}" for model in topic.models),
            )
            try:
                count, _ = asyncio.run(self._look(topic, matcher, delete=False))
            except BrokerError as error:
                yield Spot(topic.location, refs, 0, f"could not be searched: {error}", open=True)
                continue
            if count:
                yield Spot(topic.location, refs, count)

    def erase(self, matcher: Matcher, finding: SubjectFinding, hashes: list[str]) -> str | None:
        """Delete the messages that hold the person, as far as the broker does that.

        Raises:
            Busy: the broker does not answer at the moment.
            Unerasable: the broker does not let go of them now, or is not configured any more.
        """
        topic = next((one for one in self._topics() if one.location == finding.location), None)
        if topic is None:
            raise Unerasable(f"{finding.location} is at no broker that is configured")
        try:
            return asyncio.run(self._look(topic, matcher, delete=True))[1]
        except BrokerUnreachable as error:
            raise Busy(f"the broker does not answer: {error}") from None
        except Kept as kept:
            ends = f"expires by retention at {utc(kept.until)}" if kept.until else kept.ends
            raise Unerasable(f"held in {topic.name}, cannot be erased ({kept}); it {ends}") from None
        except BrokerError as error:
            raise Unerasable(f"what is held in {topic.name} cannot be erased: {error}") from None

    async def _look(self, topic: Topic, matcher: Matcher, *, delete: bool) -> tuple[int, str | None]:
        """Return how many messages hold the person and, if they are deleted, what is to be known about that."""
        address, count = Address(topic.broker.url, topic.broker.credentials), 0
        async with (
            stored(address, topic.name, name=_NAME) as messages,
            aclosing(messages.batches()) as batches,
        ):
            async for batch in batches:
                self._services.runtime.wait(0)  # leaves when the runtime stops
                for message in batch:
                    if _holds(matcher, message):
                        count += 1
                        if delete:
                            await messages.delete(message)
            return count, await messages.settle() if delete else None

    def _topics(self) -> list[Topic]:
        """Return all topics of registered versions, in a fixed order."""
        settings = self._services.settings
        used: dict[tuple[str, str], set[str]] = {}
        with self._services.database.read() as session:
            for version in self._services.registry.all_versions(session, type=ModelType.STREAMING):
                if isinstance(streaming := version.spec.get("streaming"), dict):
                    for part in ("input", "output", "deadLetter"):
                        used.setdefault((streaming["broker"], streaming[part]), set()).add(version.model)
        found = []
        for environment in settings.environments:
            for (kind, name), models in sorted(used.items()):
                broker = broker_of(settings, environment, kind)
                if broker is None or (is_own(settings, broker) and not nats.is_used(Folders(settings.home))):
                    continue  # nothing was ever written there
                found.append(Topic(environment, kind, f"{broker.prefix}{name}", broker, tuple(sorted(models))))
        return found


def _holds(matcher: Matcher, message: Stored) -> bool:
    return any(matcher.in_value(part) for part in (message.body, message.headers, message.key))
