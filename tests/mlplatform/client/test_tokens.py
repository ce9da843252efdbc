"""Tokens that nobody signs in for: where they come from, and that a fresh one is sent when the last ends."""

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from mlplatform.client import PlatformClient, PlatformProblem
from mlplatform.client.tokens import Renewed, TokenFault, token_source
from tests.mlplatform.platform_double import PlatformDouble


def jwt(expires: float, mark: str = "") -> str:
    payload = base64.urlsafe_b64encode(json.dumps({"exp": expires, "jti": mark}).encode()).decode().rstrip("=")
    return f"e30.{payload}.sig"


class GitHub:
    """Answers as the runner's token endpoint does."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.seen: list[tuple[str, dict[str, list[str]]]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.seen.append((self.headers["Authorization"], parse_qs(urlsplit(self.path).query)))
                status = outer.statuses.pop(0) if outer.statuses else 200
                body = (
                    json.dumps({"count": 1, "value": f"token-{len(outer.seen)}"}).encode() if status == 200 else b"no"
                )
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                return None

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.environment = {
            "ML_PLATFORM_URL": "https://platform.example",
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"http://127.0.0.1:{self._server.server_port}/token?api-version=2.0",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "of-the-runner",
        }

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def github(monkeypatch: pytest.MonkeyPatch) -> Iterator[GitHub]:
    monkeypatch.setattr("mlplatform.client.tokens.time.sleep", lambda _seconds: None)
    made = GitHub()
    yield made
    made.close()


def test_a_github_job_asks_for_a_token_of_the_right_audience(github: GitHub) -> None:
    source = token_source({**github.environment, "ML_PLATFORM_AUDIENCE": "platform-of-acme"})
    assert source is not None
    assert source() == "token-1"
    ((authorization, query),) = github.seen
    assert authorization == "Bearer of-the-runner"
    assert query == {"api-version": ["2.0"], "audience": ["platform-of-acme"]}


def test_github_is_asked_again_after_a_fault_and_a_refusal_is_told(github: GitHub) -> None:
    github.statuses = [500, 502]
    source = token_source(github.environment)
    assert source is not None
    assert source() == "token-3"
    github.statuses = [403]
    with pytest.raises(TokenFault, match=r"no token \(status 403\)") as refused:
        token_source(github.environment)()  # type: ignore[misc]
    assert "id-token: write" in str(refused.value.fix)
    assert "of-the-runner" not in str(refused.value)


def test_a_job_that_knows_of_no_platform_asks_nobody(github: GitHub) -> None:
    del github.environment["ML_PLATFORM_URL"]
    assert token_source(github.environment) is None
    assert token_source({}) is None


def test_a_given_token_goes_first_then_a_file(tmp_path: Path, github: GitHub) -> None:
    file = tmp_path / "token"
    file.write_text("from-file\n")
    environment = {**github.environment, "ML_PLATFORM_TOKEN_FILE": str(file)}
    assert token_source({**environment, "ML_PLATFORM_TOKEN": "given"})() == "given"  # type: ignore[misc]
    source = token_source(environment)
    assert source is not None
    assert source() == "from-file"
    file.write_text("rotated")
    assert source() == "rotated"
    assert github.seen == []


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff\xfe"])
def test_a_file_without_a_token_is_told(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(TokenFault, match="token file"):
        token_source({"ML_PLATFORM_TOKEN_FILE": str(file)})()  # type: ignore[misc]


def test_a_token_is_kept_until_a_minute_before_its_end() -> None:
    now, made = 1000.0, 0

    def fetch() -> str:
        nonlocal made
        made += 1
        return jwt(now + 300, str(made))

    source = Renewed(fetch, now=lambda: now)
    first = source()
    now += 239
    assert source() == first
    now += 2
    assert source() != first
    assert made == 2


@pytest.mark.parametrize("token", ["opaque", "a.b.c", "e30.e30.x", ""])
def test_a_token_that_does_not_say_its_end_is_fetched_each_time(token: str) -> None:
    asked = []
    source = Renewed(lambda: asked.append(1) or token)  # type: ignore[func-returns-value]
    assert [source(), source()] == [token, token]
    assert len(asked) == 2


def test_each_request_carries_the_token_of_the_moment(double: PlatformDouble) -> None:
    tokens = iter(["one", "two"])
    with PlatformClient(double.url, lambda: next(tokens)) as client:
        for _ in range(2):
            with pytest.raises(PlatformProblem):
                client.whoami()
    assert [seen.headers["authorization"] for seen in double.calls("GET", "/identity/me")] == [
        "Bearer one",
        "Bearer two",
    ]
