"""Asks many model servers at once whether they are ready, without a thread each."""

import selectors
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from backend.deployments.targets.local.envoy import READY_PATH

_REQUEST = f"GET {READY_PATH} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
_STATUS_BYTES = len(b"HTTP/1.1 200")


@dataclass
class _Probe:
    port: int
    connection: socket.socket
    received: bytearray = field(default_factory=bytearray)
    sent: bool = False


def probe_all(ports: Iterable[int], timeout: float = 0.3) -> dict[int, int | None]:
    """Return the HTTP status of each port's readiness, ``None`` where nothing answers in time."""
    found: dict[int, int | None] = dict.fromkeys(ports)
    with selectors.DefaultSelector() as selector:
        for port in found:
            connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            connection.setblocking(False)
            connection.connect_ex(("127.0.0.1", port))
            selector.register(connection, selectors.EVENT_WRITE, _Probe(port, connection))
        deadline = time.monotonic() + timeout
        try:
            while selector.get_map() and (left := deadline - time.monotonic()) > 0:
                for ready, _events in selector.select(left):
                    _advance(selector, ready.data, found)
        finally:
            for entry in list(selector.get_map().values()):
                entry.data.connection.close()
    return found


def _advance(selector: selectors.BaseSelector, probe: _Probe, found: dict[int, int | None]) -> None:
    try:
        if not probe.sent:
            probe.connection.send(_REQUEST)
            probe.sent = True
            selector.modify(probe.connection, selectors.EVENT_READ, probe)
            return
        chunk = probe.connection.recv(256)
        probe.received += chunk
        if chunk and len(probe.received) < _STATUS_BYTES:
            return
        parts = bytes(probe.received).split(b" ", 2)
        if len(parts) >= 2 and parts[0].startswith(b"HTTP/") and parts[1][:3].isdigit():
            found[probe.port] = int(parts[1][:3])
    except BlockingIOError:
        return
    except OSError:
        found[probe.port] = None
    selector.unregister(probe.connection)
    probe.connection.close()
