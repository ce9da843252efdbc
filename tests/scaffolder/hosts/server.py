"""A stand-in of a git host over real HTTP: the API is checked against its description, git is served by git itself."""

import base64
import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .description import Call, Description

Answer = tuple[int, Any]


@dataclass
class Fault:
    """What goes wrong with the next requests that match: an answer instead, a delay, or the connection cut."""

    method: str
    path: str
    """A regular expression."""
    times: int = 1
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)
    delay: float = 0.0
    after_effect: bool = False
    """Whether the request takes effect before it goes wrong."""


@dataclass
class Request:
    """A request as it came."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


class HostServer:
    """Serves an API under ``prefix`` and git under ``/git``; subclasses answer the operations of the description."""

    prefix = ""
    host = ""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.description = Description(self.host)
        self.requests: list[Request] = []
        self.invalid: list[str] = []
        self.faults: list[Fault] = []
        self.tokens: set[str] = set()
        self._guard = threading.RLock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: Any) -> None:
                pass

            def _any(self) -> None:
                server._answer(self)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _any

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)
        self._thread.start()

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def url(self) -> str:
        return self.root + self.prefix

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def fail(self, method: str, path: str, **how: Any) -> None:
        """Let the next request that matches go wrong."""
        self.faults.append(Fault(method, path, **how))

    def count(self, method: str, path: str) -> int:
        """Return how many requests of that kind came."""
        return sum(one.method == method and bool(re.search(path, one.path)) for one in self.requests)

    # git

    def bare(self, org: str, name: str) -> Path:
        return self.folder / "git" / org / f"{name}.git"

    def make_bare(self, org: str, name: str) -> None:
        path = self.bare(org, name)
        path.mkdir(parents=True)
        self.git(path, "init", "--quiet", "--bare", "--initial-branch=main")
        self.git(path, "config", "http.receivepack", "true")

    def git(self, path: Path, *arguments: str) -> str:
        done = subprocess.run(["git", "-C", str(path), *arguments], capture_output=True, text=True, check=False)
        return done.stdout.strip()

    def branches_of(self, org: str, name: str) -> dict[str, str]:
        listed = self.git(
            self.bare(org, name), "for-each-ref", "--format=%(refname:strip=2) %(objectname)", "refs/heads"
        )
        return dict(line.rsplit(" ", 1) for line in listed.splitlines())

    def file_of(self, org: str, name: str, path: str, ref: str) -> bytes | None:
        command = ["git", "-C", str(self.bare(org, name)), "cat-file", "blob", f"{ref}:{path}"]
        done = subprocess.run(command, capture_output=True, check=False)
        return done.stdout if done.returncode == 0 else None

    # what subclasses say

    def authorised(self, request: Request, call: Call) -> bool:
        raise NotImplementedError

    def operation(self, call: Call, request: Request) -> Answer:
        raise NotImplementedError

    def unknown(self, request: Request) -> Answer:
        return 404, {"message": "Not Found"}

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        if handler.headers.get("Transfer-Encoding") == "chunked":
            body = _chunks(handler)
        headers = {name.lower(): value for name, value in handler.headers.items()}
        request = Request(handler.command, parts.path, parts.query, headers, body)
        with suppress(BrokenPipeError, ConnectionResetError):
            if parts.path.startswith("/git/"):
                self._serve_git(handler, request)
            else:
                self._serve_api(handler, request)

    def _serve_api(self, handler: BaseHTTPRequestHandler, request: Request) -> None:
        with self._guard:
            self.requests.append(request)
            fault = self._fault(request)
        if fault is not None and not fault.after_effect:
            self._break(handler, fault)
            return
        with self._guard:
            answer = self._handled(request)
        if fault is not None:
            self._break(handler, fault)
            return
        self._send(handler, *answer)

    def _handled(self, request: Request) -> Answer:
        path = request.path.removeprefix(self.prefix)
        kind = request.headers.get("content-type", "")
        call = self.description.match(request.method.lower(), path, request.query, request.body, kind)
        if call is None:
            status, answer = self.unknown(request)
            if status == 404:
                self.invalid.append(f"{request.method} {request.path} is no operation of the description")
            return status, answer
        if call.faults:
            self.invalid.append(f"{request.method} {request.path}?{request.query}: {'; '.join(call.faults)}")
            return 400, {"message": "; ".join(call.faults)}
        if not self.authorised(request, call):
            return 401, {"message": "Bad credentials"}
        status, answer = self.operation(call, request)
        if status < 300 and not isinstance(answer, bytes):
            wrong = self.description.answer_faults(call, status, answer)
            self.invalid += [f"our answer to {request.method} {request.path}: {fault}" for fault in wrong[:3]]
        return status, answer

    def _fault(self, request: Request) -> Fault | None:
        for fault in self.faults:
            if fault.times > 0 and fault.method == request.method and re.search(fault.path, request.path):
                fault.times -= 1
                return fault
        return None

    def _break(self, handler: BaseHTTPRequestHandler, fault: Fault) -> None:
        time.sleep(fault.delay)
        if fault.status:
            self._send(handler, fault.status, fault.body or {"message": "injected"}, fault.headers)
            return
        handler.close_connection = True
        handler.connection.close()

    def _send(
        self, handler: BaseHTTPRequestHandler, status: int, answer: Any, headers: dict[str, str] | None = None
    ) -> None:
        raw = answer if isinstance(answer, bytes) else (b"" if answer is None else json.dumps(answer).encode())
        handler.send_response(status)
        kind = "application/octet-stream" if isinstance(answer, bytes) else "application/json; charset=utf-8"
        for name, value in {"Content-Type": kind, "Content-Length": str(len(raw)), **(headers or {})}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(raw)

    def _serve_git(self, handler: BaseHTTPRequestHandler, request: Request) -> None:
        given = request.headers.get("authorization", "")
        secret = ""
        if given.startswith("Basic "):
            secret = base64.b64decode(given.removeprefix("Basic ")).decode().partition(":")[2]
        if secret not in self.tokens:
            self._send(handler, 401, {"message": "who are you?"}, {"WWW-Authenticate": 'Basic realm="git"'})
            return
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.folder / "git"),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": request.method,
            "PATH_INFO": request.path.removeprefix("/git"),
            "QUERY_STRING": request.query,
            "CONTENT_TYPE": request.headers.get("content-type", ""),
            "CONTENT_LENGTH": str(len(request.body)),
            "HTTP_CONTENT_ENCODING": request.headers.get("content-encoding", ""),
            "GIT_PROTOCOL": request.headers.get("git-protocol", ""),
            "REMOTE_USER": "somebody",
        }
        done = subprocess.run(
            ["git", "http-backend"], input=request.body, env=environment, capture_output=True, check=False
        )
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        status = int(headers.pop("Status", "200").split()[0])
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)


def _chunks(handler: BaseHTTPRequestHandler) -> bytes:
    body = b""
    while size := int(handler.rfile.readline().strip() or b"0", 16):
        body += handler.rfile.read(size)
        handler.rfile.readline()
    handler.rfile.readline()
    return body


Operation = Callable[[Call], Answer]
