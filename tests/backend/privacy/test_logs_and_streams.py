"""A person in streams of a real Valkey server, erased there, and in topics of Kafka, where it is told when records end."""

import asyncio
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.core.config import Settings
from mlplatform.streaming.brokers.kafka_stored import KafkaStored
from tests.backend.conftest import Someone
from tests.mlplatform.streaming.servers import KafkaCluster, ValkeyServer

from .conftest import EMAIL, PERSON, AddModel, House, privacy_settings
from .test_subjects import erase, find

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)]
MANY = 140
"""More than the two batches that are read at a time."""
DAY = 86_400_000


@pytest.fixture
def valkey() -> Iterator[ValkeyServer]:
    with tempfile.TemporaryDirectory(prefix="mlp-", ignore_cleanup_errors=True) as folder:
        made = ValkeyServer(Path(folder)).start()
        yield made
        made.kill()


@pytest.fixture
def cluster(tmp_path: Path) -> KafkaCluster:
    return KafkaCluster(tmp_path).start()


@pytest.fixture
def settings(settings: Settings, valkey: ValkeyServer, cluster: KafkaCluster) -> Settings:
    brokers = {"redis": {"url": valkey.address.url}, "kafka": {"url": cluster.address.url}}
    return privacy_settings(settings.home, settings.database.url, brokers=brokers)


async def publish(
    server: ValkeyServer | KafkaCluster, subject: str, *bodies: Any, headers: dict[str, str] | None = None
) -> None:
    client = await server.client()
    for body in bodies:
        await client.publish(subject, json.dumps(body).encode(), headers)
    await client.read(subject)  # by then all of them are there
    await client.close()


async def held(server: ValkeyServer | KafkaCluster, subject: str) -> list[Any]:
    client = await server.client()
    found = await client.read(subject)
    await client.close()
    return [json.loads(body) if body else None for body, _ in found]


def not_deleted(someone: Someone, request: dict[str, Any]) -> dict[str, str]:
    said = someone.get(f"/privacy/certificates/{request['certificate']}").json()
    assert said["valid"]
    return {one["name"]: one["reason"] for one in said["statement"]["predicate"]["notDeleted"]}


def test_entries_and_dead_letters_of_redis_are_erased(
    here: House, operator: Someone, second: Someone, valkey: ValkeyServer, add_model: AddModel
) -> None:
    add_model("redis")
    others = [{"customer": f"C-2{number:04d}"} for number in range(MANY)]
    asyncio.run(publish(valkey, "shop.orders", {"customer": PERSON}, *others, {"note": f"of {EMAIL}"}))
    asyncio.run(publish(valkey, "shop.dead", {"x": 1}, headers={"dead-letter-detail": f"{PERSON} has no x"}))
    found = find(operator, PERSON, EMAIL)
    told = {one["location"]: (one["kind"], one["found"]) for one in found["findings"]}
    assert told == {"lab/redis/shop.orders": ("stream", 2), "lab/redis/shop.dead": ("stream", 1)}
    done = erase(operator, second, found["id"])
    assert (done["state"], done["found"], done["remaining"]) == ("erased", 3, 0), done
    assert asyncio.run(held(valkey, "shop.orders")) == others
    assert asyncio.run(held(valkey, "shop.dead")) == []
    said = operator.get(f"/privacy/certificates/{done['certificate']}").json()["statement"]["predicate"]
    assert not said["notDeleted"]
    assert all("no command gives the entries back" in place["note"] for place in said["places"])


def test_records_of_kafka_are_told_with_their_end_and_buried_where_topics_are_compacted(
    here: House,
    operator: Someone,
    second: Someone,
    cluster: KafkaCluster,
    add_model: AddModel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    add_model("kafka")
    asyncio.run(publish(cluster, "shop.orders", {"customer": "C-20001"}, {"customer": PERSON}))
    found = find(operator, PERSON)
    assert [(one["location"], one["found"]) for one in found["findings"]] == [("lab/kafka/shop.orders", 1)]

    # The mock cluster has no settings of topics to tell.
    done = erase(operator, second, found["id"])
    assert (done["state"], done["message"]) == ("partly_erased", "1 found again")
    reason = not_deleted(operator, done)["lab/kafka/shop.orders"]
    assert reason.startswith("held in shop.orders, cannot be erased (single records are not deleted; partition ")
    assert "it ends by the retention that the broker has for it, which can't be read" in reason

    asked = {"cleanup.policy": "delete", "retention.ms": str(7 * DAY), "segment.ms": str(DAY)}

    async def settings(stored: KafkaStored) -> dict[str, str]:
        return asked

    monkeypatch.setattr(KafkaStored, "_settings", settings)
    done = erase(operator, second, found["id"])
    assert "it expires by retention at 20" in not_deleted(operator, done)["lab/kafka/shop.orders"]
    assert None not in asyncio.run(held(cluster, "shop.orders"))

    asked = {"cleanup.policy": "compact", "retention.ms": "-1", "max.compaction.lag.ms": str(DAY)}
    done = erase(operator, second, found["id"])
    # The tombstone has the person's key, and is gone some time after the record.
    assert (done["state"], done["message"]) == ("partly_erased", "2 found again")
    reason = not_deleted(operator, done)["lab/kafka/shop.orders"]
    assert "tombstones were written for 1 keys" in reason
    assert "it is gone when the broker has compacted the topic, by 20" in reason
    assert asyncio.run(held(cluster, "shop.orders")).count(None) == 1
    done = erase(operator, second, found["id"])
    assert done["message"] == "2 found again", "what is buried is not buried again"


def test_brokers_that_are_away_are_named_with_the_reason(
    here: House, operator: Someone, valkey: ValkeyServer, cluster: KafkaCluster, add_model: AddModel
) -> None:
    add_model("redis")
    add_model("kafka")
    valkey.kill()
    cluster.kill()
    found = find(operator, PERSON)
    assert (found["state"], found["message"]) == ("found", "6 places could not be searched")
    reasons = {one["location"]: one["reason"] for one in found["findings"]}
    assert len(reasons) == 6
    assert reasons["lab/redis/shop.dead"].startswith(f"could not be searched: {valkey.address.url}: ")
    assert reasons["lab/kafka/shop.dead"].startswith(f"could not be searched: {cluster.address.url}: ")
