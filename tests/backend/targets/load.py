"""A small open-loop load generator over raw sockets: cheap enough to be no bottleneck on two cores."""

import asyncio
import threading
import time
from collections import Counter
from typing import Self

from tests.backend.targets.machine import BODY

_CONNECTIONS = 24


class Load:
    """Sends requests at a steady rate from a thread of its own while the ``with`` block runs."""

    def __init__(self, port: int, *, rate: float, path: str = "/production/wine", headers: str = "") -> None:
        self.answers: Counter[tuple[str, str]] = Counter()
        self.moments: list[tuple[float, str, str]] = []
        self._port, self._rate = port, rate
        head = (
            f"POST {path}/v2/models/wine/infer HTTP/1.1\r\nhost: test\r\ncontent-length: {len(BODY)}\r\n{headers}\r\n"
        )
        self._request = (head + BODY).encode()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._generate()))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=30)

    @property
    def failed(self) -> dict[tuple[str, str], int]:
        return {answer: count for answer, count in self.answers.items() if answer[0] != "200"}

    def of_version(self, version: int) -> int:
        return sum(count for (_, by), count in self.answers.items() if by == str(version))

    async def _generate(self) -> None:
        queue: asyncio.Queue[bool] = asyncio.Queue()
        workers = [asyncio.create_task(self._work(queue)) for _ in range(_CONNECTIONS)]
        begun, sent = time.perf_counter(), 0
        while not self._stop.is_set():
            queue.put_nowait(True)
            sent += 1
            await asyncio.sleep(max(0.0, begun + sent / self._rate - time.perf_counter()))
        for _ in workers:
            queue.put_nowait(False)
        await asyncio.gather(*workers)

    async def _work(self, queue: "asyncio.Queue[bool]") -> None:
        writer: asyncio.StreamWriter | None = None
        while await queue.get():
            try:
                if writer is None:
                    reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                writer.write(self._request)
                head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 15)).decode().lower()
                fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
                await reader.readexactly(int(fields["content-length"]))
                answer = (head.split(" ")[1], fields.get("x-model-version", ""))
            except (OSError, asyncio.IncompleteReadError, TimeoutError) as fault:
                writer = None
                answer = (type(fault).__name__, "")
            self.answers[answer] += 1
            self.moments.append((time.time(), *answer))
        if writer is not None:
            writer.close()
