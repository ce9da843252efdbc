"""Somebody who takes notifications over HTTP, or refuses them."""

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Pager(http.server.BaseHTTPRequestHandler):
    """Takes what Apprise sends as JSON; ``status`` other than 200 refuses it."""

    taken: list[dict[str, Any]]
    status = 200
    port: int

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.status == 200:
            self.taken.append(body)
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def answering() -> Iterator[type[Pager]]:
    """Start one; each has its own list of what it has taken."""
    handler: type[Pager] = type("Handler", (Pager,), {"taken": [], "status": 200})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    handler.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield handler
    finally:
        server.shutdown()
        server.server_close()
