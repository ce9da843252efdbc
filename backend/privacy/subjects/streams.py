"""Streams and dead letters of streaming models: each message is looked at, and deleted by itself where the broker can do that."""

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from mlplatform.streaming.brokers.nats_stored import Stored, StoredMessages

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
                count = asyncio.run(self._look(topic, matcher, delete=False))
            except (BrokerError, Unerasable) as error:
                yield Spot(topic.location, refs, 0, f"could not be searched: {error}", open=True)
                continue
            if count:
                yield Spot(topic.location, refs, count)

    def erase(self, matcher: Matcher, finding: SubjectFinding, hashes: list[str]) -> None:
        """Delete the messages that hold the person; the server overwrites them.

        Raises:
            Busy: the broker does not answer at the moment.
            Unerasable: the broker does not delete single messages, or is not configured any more.
        """
        topic = next((one for one in self._topics() if one.location == finding.location), None)
        if topic is None:
            raise Unerasable(f"{finding.location} is at no broker that is configured")
        try:
            asyncio.run(self._look(topic, matcher, delete=True))
        except BrokerUnreachable as error:
            raise Busy(f"the broker does not answer: {error}") from None

    async def _look(self, topic: Topic, matcher: Matcher, *, delete: bool) -> int:
        """Return how many messages hold the person, each deleted if so wished."""
        if topic.kind != "nats":
            raise Unerasable(_out_of_reach(topic))
        # Here, since a backend without streams need not load the client.
        from mlplatform.streaming.brokers.nats_stored import stored

        address, count = Address(topic.broker.url, topic.broker.credentials), 0
        async with (
            stored(address, topic.name, name=_NAME) as messages,
            aclosing(messages.batches()) as batches,
        ):
            async for batch in batches:
                self._services.runtime.wait(0)  # leaves when the runtime stops
                for message in batch:
                    if matcher.in_value(message.body) or matcher.in_value(message.headers):
                        count += 1
                        if delete:
                            await _delete(topic, messages, message)
        return count

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


async def _delete(topic: Topic, messages: "StoredMessages", message: "Stored") -> None:
    try:
        await messages.delete(message.sequence)
    except BrokerUnreachable:
        raise
    except BrokerError as error:
        kept = await messages.kept()
        ends = f"expires by retention at {utc(message.at + kept)}" if kept else "is not ended by any age"
        raise Unerasable(f"held in {topic.name}, cannot be erased ({error}); it {ends}") from None


def _out_of_reach(topic: Topic) -> str:
    return (
        f"what is held in {topic.name} cannot be erased, since single messages of {topic.kind} are not deleted; it expires "
        f"by the retention that {topic.broker.url} has for it"
    )
