"""A CI job speaks for its repository by a token that nobody stored."""

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from mlplatform.client import CredentialStore, PlatformClient
from mlplatform.client.ci_identity import CiIdentity, CiIdentityFault
from tests.mlplatform.platform_double import PlatformDouble

PLATFORM = "https://platform.example"


class GitHub:
    """Answers as GitHub's OIDC endpoint does; each token lives for five minutes of the test's clock."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.status = 200
        self.asked: list[tuple[str, str | None]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append((self.path, self.headers.get("Authorization")))
                self.send_response(outer.status)
                self.end_headers()
                claims = json.dumps({"exp": outer.now + 300, "number": len(outer.asked)}).encode()
                part = base64.urlsafe_b64encode(claims).decode().rstrip("=")
                self.wfile.write(json.dumps({"value": f"h.{part}.s", "count": 1}).encode())

            def log_message(self, *_: Any) -> None:
                return None

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.environment = {
            "ML_PLATFORM_URL": PLATFORM,
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"http://127.0.0.1:{self._server.server_port}/token?api-version=2.0",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "runner-secret",
        }

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def github() -> Iterator[GitHub]:
    made = GitHub()
    yield made
    made.close()


def test_github_is_asked_for_this_platform_s_audience(github: GitHub) -> None:
    token = CiIdentity(github.environment, clock=lambda: github.now).token()
    ((path, bearer),) = github.asked
    assert parse_qs(urlsplit(path).query) == {"api-version": ["2.0"], "audience": ["ml-platform"]}
    assert bearer == "Bearer runner-secret"
    assert token is not None
    assert token.startswith("h.")


def test_a_token_is_used_until_it_is_about_to_expire(github: GitHub) -> None:
    identity = CiIdentity(github.environment, clock=lambda: github.now)
    first = identity.token()
    github.now += 200
    assert identity.token() == first
    github.now += 60
    assert identity.token() != first
    assert len(github.asked) == 2


def test_a_job_without_the_permission_is_told_so_without_a_secret(github: GitHub) -> None:
    github.status = 403
    with pytest.raises(CiIdentityFault) as caught:
        CiIdentity(github.environment).token()
    assert "id-token: write" in str(caught.value.fix)
    assert "127.0.0.1" not in str(caught.value)


def test_github_s_token_goes_nowhere_unless_a_platform_is_named(github: GitHub) -> None:
    del github.environment["ML_PLATFORM_URL"]
    assert CiIdentity(github.environment).token() is None
    assert github.asked == []


def test_a_projected_token_is_read_again_for_each_request(tmp_path: Path, double: PlatformDouble) -> None:
    file = tmp_path / "token"
    file.write_text("one\n")
    store = CredentialStore(tmp_path / "c.json", environment={"ML_PLATFORM_TOKEN_FILE": str(file)})
    seen = []
    with PlatformClient(double.url, lambda: store.require(double.url).token) as client:
        for token in ("one", "two"):
            file.write_text(f"{token}\n")
            client.ping()
            seen.append(double.seen[-1].headers["authorization"])
    assert seen == ["Bearer one", "Bearer two"]


@pytest.mark.parametrize("content", [None, "", "ü"])
def test_a_projected_token_that_is_not_there_is_a_clear_fault(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    with pytest.raises(CiIdentityFault, match=str(file)):
        CiIdentity({"ML_PLATFORM_TOKEN_FILE": str(file)}).token()


def test_a_given_token_goes_before_the_job_s_own(github: GitHub, tmp_path: Path) -> None:
    store = CredentialStore(tmp_path / "c.json", environment={**github.environment, "ML_PLATFORM_TOKEN": "given"})
    assert store.require(PLATFORM).token == "given"
    assert github.asked == []
