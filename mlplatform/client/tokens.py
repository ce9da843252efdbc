"""Where a bearer token comes from when nobody signs in: a variable, a file, or the CI system's own identity.

A job's token lives for minutes and a rollout takes longer, so a source hands out a fresh one whenever the last is about to
end. Nothing is written anywhere, and no token is ever an argument of a process.
"""

import base64
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import httpx

from mlplatform.client.errors import ClientError

DEFAULT_AUDIENCE = "ml-platform"
_SPARE_SECONDS = 60.0
_LARGEST = 100_000
_ATTEMPTS = 3

TokenSource = Callable[[], str]
"""Returns a token that is good for at least a moment."""


class TokenFault(ClientError):
    """The place that should have a token has none."""


def token_source(environment: Mapping[str, str]) -> TokenSource | None:
    """Return where this process's token comes from, or ``None`` when somebody has to sign in.

    In this order: ``ML_PLATFORM_TOKEN`` (GitLab's ``id_tokens`` set it); the file that ``ML_PLATFORM_TOKEN_FILE`` names, which
    Kubernetes keeps fresh for a pod; GitHub Actions, where the job has ``id-token: write`` and ``ML_PLATFORM_URL`` says whom the
    token is for. ``ML_PLATFORM_AUDIENCE`` is the audience that is asked for.
    """
    if token := environment.get("ML_PLATFORM_TOKEN", "").strip():
        return lambda: token
    if file := environment.get("ML_PLATFORM_TOKEN_FILE"):
        return lambda: _read(Path(file))
    url, request_token = (environment.get(f"ACTIONS_ID_TOKEN_REQUEST_{part}") for part in ("URL", "TOKEN"))
    if url and request_token and environment.get("ML_PLATFORM_URL"):
        audience = environment.get("ML_PLATFORM_AUDIENCE") or DEFAULT_AUDIENCE
        return Renewed(lambda: _from_github(url, request_token, audience))
    return None


class Renewed:
    """Keeps a token and fetches another one when it is about to end."""

    def __init__(self, fetch: TokenSource, *, now: Callable[[], float] = time.time) -> None:
        self._fetch, self._now = fetch, now
        self._token: str | None = None
        self._good_until = float("-inf")

    def __call__(self) -> str:
        """Return the token, or the next one."""
        if self._token is None or self._now() >= self._good_until:
            self._token = self._fetch()
            self._good_until = _expiry(self._token) - _SPARE_SECONDS
        return self._token


def _read(path: Path) -> str:
    try:
        with path.open(encoding="ascii") as stream:
            token = stream.read(_LARGEST).strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise TokenFault(f"the token file {path} can't be read: {reason}", fix="see ML_PLATFORM_TOKEN_FILE") from error
    if not token:
        raise TokenFault(f"the token file {path} is empty", fix="see ML_PLATFORM_TOKEN_FILE")
    return token


def _from_github(url: str, request_token: str, audience: str) -> str:
    """Ask GitHub for the job's token (https://docs.github.com/actions, "OpenID Connect")."""
    parts = urlsplit(url)
    asked = urlunsplit(parts._replace(query=urlencode([*parse_qsl(parts.query), ("audience", audience)])))
    headers = {"Authorization": f"Bearer {request_token}", "Accept": "application/json"}
    fix = "the job needs `permissions: id-token: write`"
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            answer = httpx.get(asked, headers=headers, timeout=10, follow_redirects=False)
        except httpx.HTTPError as error:
            if attempt == _ATTEMPTS:
                raise TokenFault(f"GitHub gave the job no token: {type(error).__name__}", fix=fix) from None
        else:
            if answer.is_success and isinstance(value := _member(answer), str):
                return value
            if answer.status_code < 500 or attempt == _ATTEMPTS:
                raise TokenFault(f"GitHub gave the job no token (status {answer.status_code})", fix=fix)
        time.sleep(0.5 * attempt)
    raise AssertionError("the last attempt returns or raises")


def _member(answer: httpx.Response) -> object:
    try:
        document = answer.json()
    except ValueError:
        return None
    return document.get("value") if isinstance(document, dict) else None


def _expiry(token: str) -> float:
    """Return when a JWT ends, as it says itself; at once for one that does not say."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return float(claims["exp"])
    except (IndexError, ValueError, KeyError, TypeError):
        return float("-inf")
