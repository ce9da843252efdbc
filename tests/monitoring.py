"""A real Prometheus and a real Alertmanager: the packages of Debian, on ports of their own, with state in a test's folder."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.ports import free_ports
from tests.tools import tool
from tests.waiting import wait_until


@dataclass
class Server:
    """A server that a test may stop, hold still and start again, with what it has stored."""

    command: list[str]
    url: str
    log: Path
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self) -> None:
        """Start it and wait until it answers."""
        with self.log.open("ab") as stream:
            self._process = subprocess.Popen(self.command, stdout=stream, stderr=stream, stdin=subprocess.DEVNULL)
        wait_until(self._answers, 60, self.said)

    def stop(self) -> None:
        """Stop it; nothing happens if it is down."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            self._process.wait(timeout=60)
            self._process = None

    @contextmanager
    def held_still(self) -> Iterator[None]:
        """Let it take connections inside the block, and answer nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def get(self, path: str, **query: str) -> Any:
        """Ask its HTTP API."""
        answer = httpx.get(f"{self.url}{path}", params=query, timeout=20)
        assert answer.status_code == httpx.codes.OK, answer.text
        return answer.json()

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the vector that Prometheus makes of an expression now."""
        found: list[dict[str, Any]] = self.get("/api/v1/query", query=expression)["data"]["result"]
        return found

    def said(self) -> str:
        """Return the end of its log."""
        return self.log.read_text(errors="replace")[-2000:] if self.log.exists() else "it has said nothing"

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.said()
        try:
            return httpx.get(f"{self.url}/-/ready", timeout=2).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False


@contextmanager
def prometheus(config: Path, *, port: int | None = None) -> Iterator[Server]:
    """Run a Prometheus by a configuration file, with its data beside that; its address may be decided beforehand."""
    port = port or free_ports(1)[0]
    command = [
        tool("prometheus", "Debian package prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={config.with_name('prometheus-data')}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    yield from _running(command, port, config.with_name("prometheus.log"))


@contextmanager
def alertmanager(config: Path, *, port: int) -> Iterator[Server]:
    """Run an Alertmanager by a configuration file, without others of its kind."""
    command = [
        tool("prometheus-alertmanager", "Debian package prometheus-alertmanager"),
        f"--config.file={config}",
        f"--storage.path={config.with_name('alertmanager-data')}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    yield from _running(command, port, config.with_name("alertmanager.log"))


def _running(command: list[str], port: int, log: Path) -> Iterator[Server]:
    server = Server(command, f"http://127.0.0.1:{port}", log)
    try:
        server.start()
        yield server
    finally:
        server.stop()
