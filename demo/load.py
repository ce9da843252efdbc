"""Users of a model, for the demo and the journeys: a steady stream of real prediction requests.

Requests go out on a fixed schedule (open loop), so a slow answer does not slow the next request down and a stall is seen
as what it is. Each one becomes a line of a CSV file, written at once, so that a reader never waits for the end.
"""

import argparse
import asyncio
import csv
import json
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import aiohttp

_COLUMNS = ("sent_at", "status", "version", "seconds", "error")


@dataclass(frozen=True)
class Request:
    """One answered (or failed) request, as a user saw it."""

    sent_at: datetime
    status: int
    version: str
    seconds: float
    error: str

    @property
    def failed(self) -> bool:
        """Whether the user got no good answer (a server error, or none at all)."""
        return self.status == 0 or self.status >= 500


async def generate(
    url: str, bodies: Sequence[bytes], *, rate: float, out: Path, stop: asyncio.Event, seconds: float
) -> None:
    """Send ``rate`` requests a second to ``url`` until ``stop`` is set or ``seconds`` have passed, appending each to ``out``.

    A user gives up after ten seconds. What is under way when the generator stops is waited for.
    """
    loop = asyncio.get_running_loop()
    pending: set[asyncio.Task[None]] = set()
    timeout = aiohttp.ClientTimeout(total=10)
    with out.open("a", newline="", encoding="utf-8", buffering=1) as stream:
        writer = csv.writer(stream)
        async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as client:

            async def one(body: bytes) -> None:
                sent_at, start = datetime.now(UTC), loop.time()
                status, version, error = 0, "", ""
                try:
                    async with client.post(url, data=body, headers={"content-type": "application/json"}) as response:
                        await response.read()
                        status, version = response.status, response.headers.get("x-model-version", "")
                except (aiohttp.ClientError, TimeoutError) as fault:
                    error = type(fault).__name__
                writer.writerow([sent_at.isoformat(), status, version, f"{loop.time() - start:.4f}", error])

            started = loop.time()
            count = 0
            while not stop.is_set() and loop.time() - started < seconds:
                if (wait := started + count / rate - loop.time()) > 0:
                    await asyncio.sleep(wait)
                task = asyncio.create_task(one(bodies[count % len(bodies)]))
                pending.add(task)
                task.add_done_callback(pending.discard)
                count += 1
            await asyncio.gather(*pending)


def read(path: Path) -> list[Request]:
    """Return the requests recorded so far, in the order in which they were answered."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    rows = csv.DictReader((line for line in lines if line.count(",") == len(_COLUMNS) - 1), fieldnames=_COLUMNS)
    return [
        Request(
            sent_at=datetime.fromisoformat(row["sent_at"]),
            status=int(row["status"]),
            version=row["version"],
            seconds=float(row["seconds"]),
            error=row["error"],
        )
        for row in rows
    ]


async def _run(arguments: argparse.Namespace) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    bodies = [json.dumps(body).encode() for body in json.loads(arguments.bodies.read_text(encoding="utf-8"))]
    await generate(arguments.url, bodies, rate=arguments.rate, out=arguments.out, stop=stop, seconds=arguments.seconds)


def main() -> None:
    """Run the generator from the command line until it gets SIGTERM or its time is over."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--bodies", type=Path, required=True, help="JSON file with a list of request bodies")
    parser.add_argument("--rate", type=float, default=50.0, help="requests a second")
    parser.add_argument("--seconds", type=float, default=900.0, help="stop by itself after this long")
    parser.add_argument("--out", type=Path, required=True)
    asyncio.run(_run(parser.parse_args()))


if __name__ == "__main__":
    main()
