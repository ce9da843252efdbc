"""A model server for tests: takes the real one's arguments, does what ``model/behaviour.json`` says."""

import argparse
import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

parser = argparse.ArgumentParser()
for name in ("model-dir", "spec", "name", "version", "host", "port", "environment"):
    parser.add_argument(f"--{name}", required=True)
options = parser.parse_args()
behaviour = json.loads((Path(options.model_dir) / "behaviour.json").read_text())
draining = threading.Event()


def say(line: str) -> None:
    """Write a line in one go, or those of two threads would mix."""
    os.write(1, f"{line}\n".encode())


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def answer(self, status: int, document: object) -> None:
        body = json.dumps(document).encode()
        head = (
            f"HTTP/1.1 {status} X\r\nx-model-version: {options.version}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )
        self.wfile.write(head.encode() + body)

    def do_GET(self) -> None:
        ready = not draining.is_set() and not behaviour.get("unready")
        self.answer(200 if ready else 503, {"ready": ready})

    def do_POST(self) -> None:
        if behaviour.get("verbose"):
            say(f"served {options.version}")
        if behaviour.get("told"):
            names = ("x-experiment", "x-experiment-unit", "x-request-id")
            say("told " + " ".join(self.headers.get(name) or "-" for name in names))
        rows = json.loads(self.rfile.read(int(self.headers["content-length"])))["inputs"][0]["shape"][0]
        time.sleep(float(self.headers.get("x-delay") or behaviour.get("delay", 0)))
        if self.headers.get("x-die"):
            signal.raise_signal(signal.SIGKILL)
        if behaviour.get("fails") and self.headers.get("x-fail", "1") == "1":
            return self.answer(500, {"detail": "made to fail"})
        value = behaviour.get("value", float(options.version))
        return self.answer(200, {"outputs": [{"name": "prediction", "shape": [rows], "data": [value] * rows}]})

    def log_message(self, form: str, *arguments: object) -> None:
        """Say nothing: ``verbose`` says it in one write."""


if behaviour.get("crash"):
    say('{"level": "ERROR", "message": "can not load the model for ada@example.com: file is broken"}')
    sys.exit(1)
if behaviour.get("environment"):
    say("environment " + json.dumps(dict(os.environ)))
time.sleep(behaviour.get("start", 0))
server = ThreadingHTTPServer((options.host, int(options.port)), Handler)
server.daemon_threads = False
server.block_on_close = False


def drain(_number: int, _frame: object) -> None:
    draining.set()
    threading.Timer(behaviour.get("drain", 0.2), server.shutdown).start()


signal.signal(signal.SIGTERM, drain)
say("listening")
server.serve_forever(poll_interval=0.05)
os._exit(0)
