"""HTTP with retries: what is safe to send again is sent again, everything else fails at once."""

import random
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from mlplatform import __version__
from mlplatform.client.errors import PlatformProblem, PlatformUnreachable
from mlplatform.client.tokens import TokenSource

PREFIX = "/api/ml-platform"
PROBLEM_URN = "urn:ml-platform:problem:"
IDEMPOTENCY_KEY = "Idempotency-Key"

_RETRIED_STATUS = {502, 503, 504}
_SAFE_METHODS = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS"}
_LONGEST_PAUSE = 5.0

Arguments = Callable[[], Mapping[str, Any]]
"""Makes the arguments of a request afresh, because a streamed body can be read only once."""


class Transport:
    """Requests to one platform. Redirects are not followed: a token goes to the host it was issued for."""

    def __init__(
        self,
        url: str,
        token: str | TokenSource | None,
        *,
        timeout: float = 30.0,
        attempts: int = 4,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url = url.rstrip("/")
        self._attempts = attempts
        self._sleep = sleep
        headers = {"User-Agent": f"mlplatform/{__version__}", "Accept": "application/json"}
        try:
            self._http = httpx.Client(
                base_url=self.url,
                headers=headers,
                timeout=httpx.Timeout(timeout, connect=min(timeout, 5.0)),
                auth=_Bearer(token) if token else None,
            )
        except (httpx.InvalidURL, ValueError) as error:
            raise PlatformUnreachable(self.url, f"{self.url!r} is not a URL: {error}") from error

    def close(self) -> None:
        """Close pooled connections."""
        self._http.close()

    def send(self, method: str, path: str, arguments: Arguments = dict) -> httpx.Response:
        """Send a request and return the answer when it is a good one.

        Raises:
            PlatformProblem: the platform answered with an error.
            PlatformUnreachable: it did not answer, also not to the retries.
        """
        return self._attempted(method, path, arguments, stream=False)

    @contextmanager
    def stream(self, method: str, path: str, arguments: Arguments = dict) -> Iterator[httpx.Response]:
        """Send a request and read the answer piece by piece."""
        response = self._attempted(method, path, arguments, stream=True)
        try:
            yield response
        except httpx.TransportError as error:
            raise PlatformUnreachable(self.url, f"{self.url} stopped answering: {_reason(error)}") from error
        finally:
            response.close()

    def _attempted(self, method: str, path: str, arguments: Arguments, *, stream: bool) -> httpx.Response:
        for attempt in range(1, self._attempts + 1):
            last = attempt == self._attempts
            try:
                request = self._http.build_request(method, path, **arguments())
                repeatable = method in _SAFE_METHODS or IDEMPOTENCY_KEY in request.headers
                response = self._http.send(request, stream=stream)
            except (httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.LocalProtocolError) as error:
                raise PlatformUnreachable(self.url, f"{self.url!r} can't be asked: {error}") from error
            except httpx.TransportError as error:
                never_sent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
                if last or not (never_sent or repeatable):
                    raise self._unreachable(error, never_sent) from error
                self._sleep(_pause(attempt, None))
                continue
            if response.is_success:
                return response
            if response.status_code in _RETRIED_STATUS and repeatable and not last:
                pause = _pause(attempt, response.headers.get("Retry-After"))
                response.close()
                self._sleep(pause)
                continue
            try:
                response.read()
            finally:
                response.close()
            raise self._problem(response)
        raise AssertionError("the last attempt returns or raises")

    def _unreachable(self, error: httpx.TransportError, never_sent: bool) -> PlatformUnreachable:
        if never_sent:
            return PlatformUnreachable(self.url, f"nothing answers at {self.url} ({_reason(error)})")
        fix = "look at the backend's log; a repeated call with the same Idempotency-Key is safe"
        return PlatformUnreachable(self.url, f"{self.url} broke off or took too long ({_reason(error)})", fix=fix)

    def _problem(self, response: httpx.Response) -> PlatformProblem | PlatformUnreachable:
        try:
            document = response.json()
        except ValueError:
            document = None
        if not isinstance(document, dict) or not isinstance(document.get("type"), str):
            status = f"{response.status_code} {response.reason_phrase}".strip()
            if response.status_code in {301, 302, 303, 307, 308}:
                fix = "set ML_PLATFORM_URL to the address it redirects to"
                return PlatformUnreachable(self.url, f"{self.url} redirects elsewhere ({status})", fix=fix)
            if response.status_code < 500:
                fix = "set ML_PLATFORM_URL; another program may be using the port"
                return PlatformUnreachable(
                    self.url, f"what answers at {self.url} is not the ML platform ({status})", fix=fix
                )
            return PlatformProblem(
                f"http-{response.status_code}",
                status,
                f"the platform answered {status}",
                status=response.status_code,
            )
        known = {"type", "title", "status", "detail", "instance", "fix"}
        return PlatformProblem(
            document["type"].removeprefix(PROBLEM_URN),
            str(document.get("title", "")),
            str(document.get("detail") or ""),
            status=response.status_code,
            fix=document.get("fix"),
            extra={name: value for name, value in document.items() if name not in known},
        )


class _Bearer(httpx.Auth):
    """Sends a token, or whatever token the source has at that moment."""

    def __init__(self, token: str | TokenSource) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the header."""
        token = self._token if isinstance(self._token, str) else self._token()
        request.headers["Authorization"] = f"Bearer {token}"
        yield request


def _pause(attempt: int, retry_after: str | None) -> float:
    """Return how long to wait before the next attempt: what the platform asks for, else doubling, with jitter."""
    try:
        asked = float(retry_after) if retry_after else 0.0
    except ValueError:  # a date; the doubling pause will do
        asked = 0.0
    doubled = float(0.2 * 2 ** (attempt - 1) * random.uniform(0.8, 1.2))  # noqa: S311 (jitter, not a secret)
    return float(min(max(asked, doubled), _LONGEST_PAUSE))


def _reason(error: httpx.TransportError) -> str:
    text = str(error).strip()
    if isinstance(error, httpx.TimeoutException):
        return "timed out"
    return text[:1].lower() + text[1:] if text else type(error).__name__
