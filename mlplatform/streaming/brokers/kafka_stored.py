"""What a topic of Kafka has stored: read from its beginning to its end. A log does not let go of single records.

Where the topic is compacted and a record has a key, a tombstone (a record with the key and no value) has the broker's
cleaner remove what the key had before. Anything else ends by retention, and what is said about that is when.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any
from urllib.parse import urlsplit

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError, UnknownTopicOrPartitionError, for_code
from faststream.kafka.security import parse_security

from mlplatform.streaming.brokers.address import Address, BrokerError, BrokerUnreachable, said
from mlplatform.streaming.brokers.kafka import security
from mlplatform.streaming.brokers.stored import Kept, Stored

_CONNECT_SECONDS = 10.0
_ANSWER_SECONDS = 10.0
_POLL_MILLISECONDS = 500
_BATCH = 256
_MOST_NAMED = 20
"""Runs of offsets that are named of one topic."""
_CHECK_MARGIN = timedelta(minutes=10)
"""The broker looks every five minutes for what is over (``log.retention.check.interval.ms``), and deletes a minute later."""
_SETTINGS = ("cleanup.policy", "retention.ms", "segment.ms", "max.compaction.lag.ms")
_NEVER = 2**63 - 1


@dataclass(frozen=True)
class Rules:
    """How a topic ends its records, from its settings at the broker."""

    compacts: bool
    kept: timedelta | None
    """How long a record stays at most; a segment is deleted as one, so the time that it takes to fill counts too."""
    compacted_within: timedelta | None
    """How long what a key had before may stay after a newer record; nothing if the cleaner may leave it for ever."""

    @classmethod
    def read(cls, settings: Mapping[str, str | None]) -> "Rules":
        """Read the settings that the broker has for the topic."""
        numbers = {name: int(settings.get(name) or -1) for name in _SETTINGS[1:]}
        policy = (settings.get("cleanup.policy") or "delete").split(",")
        age, segment, lag = (numbers[name] for name in _SETTINGS[1:])
        ends = "delete" in policy and age >= 0
        kept = _span(age) + _span(max(segment, 0)) + _CHECK_MARGIN if ends else None
        within = _span(lag) + _CHECK_MARGIN if 0 <= lag < _NEVER else None
        return cls("compact" in policy, kept, within)


@dataclass
class _Last:
    """The newest record of a key that is to go."""

    offset: int
    empty: bool


class KafkaStored:
    """Implements :class:`mlplatform.streaming.brokers.stored.StoredMessages`."""

    def __init__(self, admin: AIOKafkaAdminClient, options: Mapping[str, Any], topic: str) -> None:
        self._admin, self._options, self._topic = admin, options, topic
        self._found: list[tuple[int, int, datetime, bytes | None]] = []
        self._last: dict[tuple[int, bytes], _Last] = {}

    async def batches(self) -> AsyncGenerator[list[Stored]]:
        """Yield the records of all partitions, one partition after the other, also of transactions that were given up."""
        partitions = await self._partitions()
        if not partitions:
            return
        consumer = AIOKafkaConsumer(
            group_id=None, enable_auto_commit=False, auto_offset_reset="earliest", **self._options
        )
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                await consumer.start()
            for partition in partitions:
                async for records in _all_of(consumer, partition):
                    yield [_stored(record) for record in records]
                    # By now it is known which of them are to go; a record that came later may be of the same key.
                    self._look_for_newer(records)
        finally:
            with contextlib.suppress(Exception):
                await consumer.stop()

    async def delete(self, message: Stored) -> None:
        """Take note of a record: what can be done about it depends on what comes after it."""
        partition, offset = map(int, message.place.split("/"))
        self._found.append((partition, offset, message.at, message.key))
        if message.key is not None:
            self._last.setdefault((partition, message.key), _Last(offset, empty=False))

    async def settle(self) -> str | None:
        """Write tombstones where the topic is compacted.

        Raises:
            Kept: always when there was something to delete, since the broker removes it later, or not before its age.
        """
        if not self._found:
            return None
        where = _places(self._found)
        try:
            rules = Rules.read(await self._settings())
        except (KafkaError, TimeoutError, ValueError) as error:
            raise Kept(
                f"single records are not deleted; {where}",
                ends=f"ends by the retention that the broker has for it, which can't be read ({said(error)})",
            ) from None
        until = max(at for _, _, at, _ in self._found) + rules.kept if rules.kept is not None else None
        if not rules.compacts:
            raise Kept(f"single records are not deleted; {where}", until=until)
        written, unkeyed = await self._bury(), sum(key is None for *_, key in self._found)
        told = f"the topic is compacted, and tombstones were written for {written} keys; {where}"
        ends = "is gone when the broker has compacted the topic, which no setting limits in time"
        if unkeyed:
            told += f"; {unkeyed} of them have no key, which compaction does not remove"
        elif rules.compacted_within is not None:
            latest = datetime.now(UTC) + rules.compacted_within
            ends = f"is gone when the broker has compacted the topic, by {latest.isoformat(timespec='seconds')}"
        raise Kept(told, until=until, ends=ends)

    async def _bury(self) -> int:
        """Write a tombstone for each key whose newest record is to go; return for how many."""
        found = {(partition, offset) for partition, offset, _, _ in self._found}
        graves = [
            (partition, key)
            for (partition, key), last in self._last.items()
            if (partition, last.offset) in found and not last.empty
        ]
        if not graves:
            return 0
        producer = AIOKafkaProducer(acks="all", enable_idempotence=True, **self._options)
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                await producer.start()
            for partition, key in graves:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    await producer.send_and_wait(self._topic, value=None, key=key, partition=partition)
        finally:
            with contextlib.suppress(Exception):
                await producer.stop()
        return len(graves)

    def _look_for_newer(self, records: Sequence[Any]) -> None:
        if not self._last:
            return
        for record in records:
            last = self._last.get((record.partition, record.key)) if record.key is not None else None
            if last is not None and record.offset >= last.offset:
                last.offset, last.empty = record.offset, record.value is None

    async def _partitions(self) -> list[TopicPartition]:
        """Return the topic's partitions; none if there is no such topic. Asking for a topic by its name might make it."""
        async with asyncio.timeout(_ANSWER_SECONDS):
            known = {topic["topic"]: topic for topic in await self._admin.describe_topics()}
        if self._topic not in known:
            # What this user may not see is left out as well.
            with contextlib.suppress(UnknownTopicOrPartitionError):
                await self._settings()
                raise BrokerError(f"the topic {self._topic} can't be seen")
            return []
        return [TopicPartition(self._topic, number) for number in sorted(_numbers(known[self._topic]))]

    async def _settings(self) -> dict[str, str | None]:
        resource = ConfigResource(ConfigResourceType.TOPIC, self._topic, configs=dict.fromkeys(_SETTINGS))
        async with asyncio.timeout(_ANSWER_SECONDS):
            answers = await self._admin.describe_configs([resource])
        code, message, _, _, entries = answers[0].resources[0]
        if code:
            raise for_code(code)(message)
        return {entry[0]: entry[1] for entry in entries}


@asynccontextmanager
async def kafka_stored(address: Address, topic: str, *, name: str) -> AsyncIterator[KafkaStored]:
    """Connect, and give the records of a topic; raises what :func:`mlplatform.streaming.brokers.stored.stored` raises."""
    servers = urlsplit(address.url).netloc.split(",")
    options = {"bootstrap_servers": servers, "client_id": name, **parse_security(security(address))}
    admin = AIOKafkaAdminClient(**options)
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            await admin.start()
        yield KafkaStored(admin, options, topic)
    except TopicAuthorizationFailedError as error:
        raise BrokerError(f"{address.url}: not allowed for {topic} ({said(error)})") from None
    except (KafkaError, TimeoutError, OSError) as error:
        raise BrokerUnreachable(f"{address.url}: {said(error)}") from None
    finally:
        with contextlib.suppress(Exception):
            await admin.close()


async def _all_of(consumer: AIOKafkaConsumer, partition: TopicPartition) -> AsyncIterator[list[Any]]:
    """Yield the records of a partition up to its end at this moment; a broker that is silent for too long is gone."""
    async with asyncio.timeout(_ANSWER_SECONDS):
        consumer.assign([partition])
        end = (await consumer.end_offsets([partition]))[partition]
        await consumer.seek_to_beginning(partition)
    heard = time.monotonic()
    position = -1
    while True:
        async with asyncio.timeout(_ANSWER_SECONDS):
            before, position = position, await consumer.position(partition)
        if position >= end:
            return
        if position != before:
            heard = time.monotonic()
        elif time.monotonic() - heard > _ANSWER_SECONDS:
            raise TimeoutError(f"partition {partition.partition} does not answer at offset {position}")
        found = await consumer.getmany(partition, timeout_ms=_POLL_MILLISECONDS, max_records=_BATCH)
        if records := found.get(partition):
            yield records


def _numbers(topic: Mapping[str, Any]) -> Iterable[int]:
    return (one["partition"] for one in topic["partitions"])


def _places(found: Iterable[tuple[int, int, datetime, bytes | None]]) -> str:
    """Return partitions and offsets in words: ``partition 0: offsets 3, 7-9``."""
    places = []
    left = _MOST_NAMED
    for partition, group in groupby(sorted({one[:2] for one in found}), key=lambda one: one[0]):
        runs = list(_runs(offset for _, offset in group))
        more = f" and {len(runs) - left} more runs" if len(runs) > left else ""
        named = ", ".join(f"{first}-{last}" if last > first else f"{first}" for first, last in runs[:left])
        places.append(f"partition {partition}: offsets {named}{more}")
        left -= min(left, len(runs))
    return "; ".join(places)


def _runs(offsets: Iterable[int]) -> Iterable[tuple[int, int]]:
    first = last = -1
    for offset in offsets:
        if offset != last + 1 or first < 0:
            if first >= 0:
                yield first, last
            first = offset
        last = offset
    yield first, last


def _stored(record: Any) -> Stored:
    headers = {name: value.decode("utf-8", "replace") for name, value in record.headers if value is not None}
    at = datetime.fromtimestamp(max(record.timestamp, 0) / 1000, UTC)
    return Stored(f"{record.partition}/{record.offset}", record.value or b"", headers, at, record.key)


def _span(milliseconds: int) -> timedelta:
    return timedelta(milliseconds=milliseconds)
