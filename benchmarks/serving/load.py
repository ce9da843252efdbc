"""Load on one URL: ``wrk`` where it is installed, else a generator of our own."""

import asyncio
import json
import shutil
import subprocess
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httptools

_SCRIPT = """
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.body = %s
done = function(summary, latency, requests)
  local e = summary.errors
  local errors = e.connect + e.read + e.write + e.status + e.timeout
  io.write(string.format('RESULT {"requests":%%d,"seconds":%%.6f,"errors":%%d,"p50":%%.3f,"p99":%%.3f}\\n',
    summary.requests, summary.duration / 1e6, errors, latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
"""


@dataclass(frozen=True)
class Result:
    """What one run came to; times in milliseconds."""

    requests: int
    seconds: float
    errors: int
    p50: float
    p99: float

    @property
    def rate(self) -> float:
        return self.requests / self.seconds

    def raw(self) -> dict[str, Any]:
        return {**asdict(self), "rate": self.rate}


def generator() -> str:
    return "wrk" if shutil.which("wrk") else "asyncio and httptools"


def run(url: str, body: dict[str, Any], connections: int, seconds: float) -> Result:
    """Keep ``connections`` requests under way for some seconds."""
    payload = json.dumps(body)
    return (
        _wrk(url, payload, connections, seconds)
        if shutil.which("wrk")
        else asyncio.run(_own(url, payload, connections, seconds))
    )


def _wrk(url: str, payload: str, connections: int, seconds: float) -> Result:
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "load.lua"
        script.write_text(_SCRIPT % f"[==[{payload}]==]")
        command = [
            "wrk",
            "-t1",
            f"-c{connections}",
            f"-d{max(1, round(seconds))}s",
            "--timeout",
            "10s",
            "-s",
            str(script),
            url,
        ]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    line = next(line for line in output.splitlines() if line.startswith("RESULT "))
    return Result(**json.loads(line.removeprefix("RESULT ")))


class _Connection(asyncio.Protocol):
    """One connection that asks again as soon as it is answered."""

    def __init__(self, request: bytes, latencies: list[float], faults: list[int]) -> None:
        self.request, self.latencies, self.faults = request, latencies, faults
        self.parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.ask()

    def ask(self) -> None:
        self.began = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_complete(self) -> None:
        self.latencies.append((time.perf_counter() - self.began) * 1000)
        if self.parser.get_status_code() != 200:
            self.faults.append(self.parser.get_status_code())
        self.ask()


async def _own(url: str, payload: str, connections: int, seconds: float) -> Result:
    parts = urlsplit(url)
    head = f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(payload)}\r\n\r\n"
    latencies: list[float] = []
    faults: list[int] = []
    loop = asyncio.get_running_loop()
    request = (head + payload).encode()
    began = time.perf_counter()
    made = [
        await loop.create_connection(lambda: _Connection(request, latencies, faults), parts.hostname, parts.port)
        for _ in range(connections)
    ]
    await asyncio.sleep(seconds)
    elapsed = time.perf_counter() - began
    for transport, _ in made:
        transport.abort()
    latencies.sort()
    return Result(
        len(latencies), elapsed, len(faults), latencies[len(latencies) // 2], latencies[len(latencies) * 99 // 100]
    )
