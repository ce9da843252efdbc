"""One broker of each kind."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mlplatform.streaming.servers import KafkaCluster, NatsServer, ValkeyServer

KINDS = {"nats": NatsServer, "redis": ValkeyServer, "kafka": KafkaCluster}
Server = NatsServer | ValkeyServer | KafkaCluster


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path, for what a worker and its broker keep."""
    with tempfile.TemporaryDirectory(prefix="mlp-", ignore_cleanup_errors=True) as path:
        yield Path(path)


@pytest.fixture(params=list(KINDS))
def server(request: pytest.FixtureRequest, folder: Path) -> Iterator[Server]:
    """A running broker: NATS, Valkey for Redis, librdkafka's mock cluster for Kafka."""
    yield from running(request.param, folder)


@pytest.fixture(params=["nats", "redis"])
def lasting_server(request: pytest.FixtureRequest, folder: Path) -> Iterator[Server]:
    """A broker that keeps its data on the disk and can be killed."""
    yield from running(request.param, folder)


@pytest.fixture
def nats_server(folder: Path) -> Iterator[NatsServer]:
    for one in running("nats", folder):
        assert isinstance(one, NatsServer)
        yield one


def running(kind: str, folder: Path) -> Iterator[Server]:
    home = folder / kind
    home.mkdir()
    server = KINDS[kind](home).start()
    try:
        yield server
    finally:
        server.kill()
