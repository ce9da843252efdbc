"""The platform's own NATS server: started when it is needed, there again after a restart, and for nobody else."""

import asyncio

import nats as client
import pytest
from nats.errors import NoServersError

from backend.deployments.targets.base import TargetUnavailable
from backend.deployments.targets.local.supervisor import Supervisor
from backend.local import nats
from backend.local.cli_api import LauncherError, leftovers
from tests.backend.local.conftest import Install
from tests.ports import free_ports

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def credentials(install: Install) -> dict[str, str]:
    user, _, password = install.folders.nats_credentials.read_text().partition(":")
    return {"user": user, "password": password}


async def connect(install: Install, **options: str) -> client.NATS:
    for _ in range(100):
        try:
            return await client.connect(nats.url(install.settings), allow_reconnect=False, connect_timeout=1, **options)
        except (OSError, NoServersError):
            await asyncio.sleep(0.1)
    raise AssertionError("the NATS server does not come up")


def test_the_server_comes_when_it_is_needed_and_keeps_its_streams(install: Install) -> None:
    (port,) = free_ports(1)
    install.configure(nats={"port": port})
    first = install.up()
    assert nats.NATS not in first.pids
    assert "streams" not in first.urls
    supervisor = Supervisor(install.folders.socket)
    for _ in range(2):  # it may be asked for again and again
        nats.ensure(install.folders, install.settings, supervisor)

    async def publish() -> None:
        connection = await connect(install, **credentials(install))
        await connection.jetstream().add_stream(name="kept", subjects=["kept"])
        await connection.jetstream().publish("kept", b"still here")
        await connection.close()

    asyncio.run(publish())
    assert install.folders.nats_credentials.stat().st_mode & 0o777 == 0o600
    assert install.folders.nats_config.stat().st_mode & 0o777 == 0o600
    assert install.up().started == []
    assert not any("configuration has changed" in line for line in install.said)

    install.down()
    assert leftovers(install.home) == []
    again = install.up()
    assert nats.NATS in again.pids
    assert again.urls["streams"] == f"nats://127.0.0.1:{port}"

    async def read() -> bytes:
        connection = await connect(install, **credentials(install))
        message = await connection.jetstream().get_msg("kept", seq=1)
        await connection.close()
        return bytes(message.data)

    assert asyncio.run(read()) == b"still here"

    async def as_nobody() -> None:
        with pytest.raises(Exception, match="Authorization Violation"):
            await client.connect(nats.url(install.settings), allow_reconnect=False, connect_timeout=1)

    asyncio.run(as_nobody())


def test_a_port_that_somebody_else_has_is_named_with_its_setting(install: Install) -> None:
    import socket

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        install.configure(nats={"port": other.getsockname()[1]})
        install.up()
        with pytest.raises(TargetUnavailable, match=r"port \d+ is taken.*mlPlatform\.nats\.port"):
            nats.ensure(install.folders, install.settings, Supervisor(install.folders.socket))
        install.down()
        nats.write_config(install.folders, install.settings)
        with pytest.raises(LauncherError, match=r"mlPlatform\.nats\.port"):
            install.up()
