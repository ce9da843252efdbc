"""A collector that takes everything and keeps nothing."""

import asyncio
import sys

_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n"


class Sink(asyncio.Protocol):
    """Answers each piece that ends a request; requests here are small."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.waiting = transport, b""

    def data_received(self, data: bytes) -> None:
        self.waiting += data
        while (length := self._length()) is not None and len(self.waiting) >= length:
            self.waiting = self.waiting[length:]
            self.transport.write(_ANSWER)

    def _length(self) -> int | None:
        """Return how long the request at the front is, once that is known."""
        head, found, body = self.waiting.partition(b"\r\n\r\n")
        if not found:
            return None
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        if fields.get(b"transfer-encoding") == b"chunked":
            end = body.find(b"0\r\n\r\n")
            return None if end < 0 else len(head) + 4 + end + 5
        return len(head) + 4 + int(fields.get(b"content-length", 0))


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
