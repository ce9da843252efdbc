"""What lies at brokers: tombstones only where nothing newer of the key would be lost, and readers that skip them."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mlplatform.streaming.brokers.address import Address, BrokerUnreachable
from mlplatform.streaming.brokers.kafka import KafkaSubscription, _Rebalance
from mlplatform.streaming.brokers.kafka_stored import KafkaStored, Rules, _places
from mlplatform.streaming.brokers.stored import Kept, stored
from tests.mlplatform.streaming.servers import KafkaCluster


@pytest.mark.parametrize(
    ("settings", "compacts", "kept_days", "within_days"),
    [
        ({"cleanup.policy": "delete", "retention.ms": "604800000", "segment.ms": "86400000"}, False, 8, None),
        ({"cleanup.policy": "delete", "retention.ms": "-1", "segment.ms": "86400000"}, False, None, None),
        ({"cleanup.policy": "compact", "max.compaction.lag.ms": "9223372036854775807"}, True, None, None),
        ({"cleanup.policy": "compact", "max.compaction.lag.ms": "86400000"}, True, None, 1),
        ({"cleanup.policy": "compact,delete", "retention.ms": "86400000", "segment.ms": "0"}, True, 1, None),
        ({}, False, None, None),
    ],
)
def test_a_topics_settings_say_when_records_end(
    settings: dict[str, str], compacts: bool, kept_days: int | None, within_days: int | None
) -> None:
    rules = Rules.read(settings)
    assert rules.compacts == compacts
    for told, days in ((rules.kept, kept_days), (rules.compacted_within, within_days)):
        assert told is None if days is None else timedelta(days=days) < told < timedelta(days=days, hours=1)  # type: ignore[operator]


def test_offsets_are_named_as_runs() -> None:
    now = datetime.now(UTC)
    found = [(0, offset, now, None) for offset in (9, 7, 3, 8)] + [(2, 5, now, b"k")]
    assert _places(found) == "partition 0: offsets 3, 7-9; partition 2: offsets 5"
    many = _places((0, 2 * offset, now, None) for offset in range(50))
    assert many.endswith("36, 38 and 30 more runs")


@pytest.mark.slow
class TestKafka:
    @pytest.fixture
    def cluster(self, tmp_path: Path) -> KafkaCluster:
        return KafkaCluster(tmp_path).start()

    def test_a_newer_record_of_the_key_is_not_buried(
        self, cluster: KafkaCluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def settings(stored: KafkaStored) -> dict[str, str]:
            return {"cleanup.policy": "compact"}

        monkeypatch.setattr(KafkaStored, "_settings", settings)
        for key, value in (("a", "them"), ("b", "them"), ("b", "others"), ("c", "them"), ("c", None), (None, "them")):
            cluster.producer.produce("shop.orders", value, key=key, partition=0)
        cluster.producer.flush(10)

        async def scenario() -> tuple[str, list[Any]]:
            async with stored(cluster.address, "shop.orders", name="test") as messages:
                async for batch in messages.batches():
                    for message in batch:
                        if message.body == b"them":
                            await messages.delete(message)
                with pytest.raises(Kept) as kept:
                    await messages.settle()
            async with stored(cluster.address, "shop.orders", name="test") as messages:
                left = [message async for batch in messages.batches() for message in batch]
            return str(kept.value), [(message.key, message.body) for message in left[6:]]

        said, added = asyncio.run(scenario())
        assert added == [(b"a", b"")]
        assert said == (
            "the topic is compacted, and tombstones were written for 1 keys; partition 0: offsets 0-1, 3, 5; "
            "1 of them have no key, which compaction does not remove"
        )

    def test_readers_skip_tombstones(self) -> None:
        taken: list[Any] = []

        async def take(messages: Any) -> None:
            taken.extend(messages)

        async def room(most: int) -> int:
            return most

        rebalance = _Rebalance()
        subscription = KafkaSubscription(None, None, rebalance, take, room, 1)  # type: ignore[arg-type]
        record = {"topic": "t", "partition": 0, "headers": (), "timestamp": 1000, "key": b"k"}
        records = [SimpleNamespace(**record, offset=0, value=None), SimpleNamespace(**record, offset=1, value=b"{}")]
        asyncio.run(subscription.take(records))
        assert [message.place for message in taken] == [1]
        assert rebalance.offsets.floors() == {"0": 1}


@pytest.mark.slow
@pytest.mark.parametrize("url", ["kafka://127.0.0.1:9", "redis://127.0.0.1:9", "nats://127.0.0.1:9"])
def test_a_broker_that_does_not_answer_is_told(url: str) -> None:
    async def scenario() -> None:
        async with stored(Address(url), "t", name="test") as messages:
            assert json.dumps([message async for message in messages.batches()])

    with pytest.raises(BrokerUnreachable, match=r"127\.0\.0\.1:9"):
        asyncio.run(scenario())
