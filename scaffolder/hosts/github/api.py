"""Requests to GitHub's REST API: credentials, retries, and what an error means. githubkit sends them.

Rate limits as GitHub documents them: a primary one has ``x-ratelimit-remaining: 0`` and the time of its reset, a secondary
one ``retry-after``, or neither, and then a minute is due.
(https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api)
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from scaffolder.errors import HostError
from scaffolder.hosts.retry import Passing, RetryBudget, Retrying

if TYPE_CHECKING:
    import ssl

    import httpx
    from githubkit import GitHub

VERSION = "2022-11-28"
"""Version of the REST API that is asked for; GitHub Enterprise Server knows it too."""
_PAGE = 100
_MOST_PAGES = 100
_SECONDARY_PAUSE = 60.0

Json = dict[str, Any]
Found = TypeVar("Found")


class GitHubRefused(HostError):
    """GitHub understood the request and said no."""

    def __init__(self, message: str, status: int, *, fix: str | None = None) -> None:
        super().__init__(message, fix=fix)
        self.status = status


class GitHubApi:
    """A GitHub server as one caller sees it: a token, or a GitHub App with its installations."""

    def __init__(
        self,
        name: str,
        *,
        api_url: str,
        token: str | None = None,
        app_id: str | None = None,
        private_key: str | None = None,
        installation_id: int | None = None,
        budget: RetryBudget | None = None,
        timeout: float = 20.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name = name
        self._api_url = api_url.rstrip("/")
        self._token, self._app_id, self._key = token, app_id, private_key
        self._installation = installation_id
        self._clients: dict[str, GitHub[Any]] = {}
        self._guard = threading.Lock()
        self._verify: ssl.SSLContext | None = None
        self._timeout = timeout
        self.retrying = Retrying(name, budget or RetryBudget(), sleep)

    def get(self, org: str, path: str, *, missing: bool = False, **params: Any) -> Any:
        """Return the answer to a GET; nothing for a 404 with ``missing``."""
        return self.send(org, "GET", path, params=params, missing=missing)

    def pages(self, org: str, path: str, key: str | None = None, **params: Any) -> Iterator[Json]:
        """Yield the items of a list, page after page; ``key`` is the member of the answer that holds them, if one does."""
        for page in range(1, _MOST_PAGES + 1):
            answer = self.get(org, path, per_page=_PAGE, page=page, **params)
            items = answer[key] if key else answer
            yield from items
            if len(items) < _PAGE:
                return

    def send(
        self,
        org: str,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Json | None = None,
        missing: bool = False,
        look: Callable[[], Found | None] | None = None,
    ) -> Any:
        """Send a request and return its answer, decoded.

        ``look`` finds what an earlier attempt made whose answer was lost.

        Raises:
            GitHubRefused: GitHub says no.
            HostUnavailable: it does not answer within the budget.
        """

        def attempt() -> Any:
            return self._attempt(org, method, path, params, json, missing)

        return self.retrying.run(attempt, look=look)

    def _attempt(
        self, org: str, method: str, path: str, params: Mapping[str, Any] | None, json: Json | None, missing: bool
    ) -> Any:
        from githubkit.exception import RequestError, RequestFailed

        unsafe = method == "POST"
        try:
            client = self._client(org)
            given = {key: value for key, value in (params or {}).items() if value is not None}
            headers = {"X-GitHub-Api-Version": VERSION}
            response = client.request(method, path, params=given, json=json, headers=headers).raw_response
        except RequestFailed as failed:
            answer = failed.response.raw_response
            if missing and answer.status_code == 404:
                return None
            if answer.status_code == 401 and self._token is None:
                with self._guard:
                    self._clients.pop(org, None)
                raise Passing("the App's token counts no longer", retry_after=0.0) from failed
            self._raise(answer, unsafe=unsafe)
        except RequestError as error:
            inner = error.exc
            if isinstance(inner, RequestFailed):  # signing in as an installation failed
                self._raise(inner.response.raw_response, unsafe=False)
            raise self._broken(inner, unsafe=unsafe) from error
        return response.json() if response.content else None

    def installation_token(self, org: str, repository: str) -> str:
        """Return a token for git: an App's is made for this one repository and its contents alone."""
        if self._token is not None:
            return self._token
        installation = self._installation_of(org)
        body: Json = {"repositories": [repository], "permissions": {"contents": "write", "workflows": "write"}}
        answer = self._as_app("POST", f"/app/installations/{installation}/access_tokens", json=body)
        return str(answer["token"])

    def graphql(self, org: str, query: str, variables: Json) -> Json:
        """Send a GraphQL mutation that may be repeated; GitHub offers some changes there alone.

        Raises:
            GitHubRefused: it answers with errors.
        """
        # On github.com the two APIs are neighbours, on an own server they are /api/v3 and /api/graphql.
        path = f"{self._api_url.removesuffix('/v3')}/graphql"
        answer: Json = self.send(org, "POST", path, json={"query": query, "variables": variables})
        if answer.get("errors"):
            raise GitHubRefused(f"{self.name} refused: {answer['errors'][0].get('message', 'no reason given')}", 422)
        return dict(answer["data"])

    def _client(self, org: str) -> "GitHub[Any]":
        key = "" if self._token is not None else org
        with self._guard:
            found = self._clients.get(key)
        if found is None:
            found = self._connected(self._token if self._token is not None else self._installed(org))
            with self._guard:
                self._clients[key] = found
        return found

    def _connected(self, auth: Any) -> "GitHub[Any]":
        import httpx
        from githubkit import GitHub
        from githubkit.cache import MemCacheStrategy

        if (
            self._verify is None
        ):  # githubkit makes a client for each request, and loading all certificates takes its time
            self._verify = httpx.create_ssl_context()
        return GitHub(
            auth,
            base_url=self._api_url,
            timeout=self._timeout,
            ssl_verify=self._verify,
            auto_retry=False,
            http_cache=False,
            cache_strategy=MemCacheStrategy(),  # the default one is shared by all, and keeps tokens
        )

    def _installed(self, org: str) -> Any:
        from githubkit import AppInstallationAuthStrategy

        return AppInstallationAuthStrategy(self._app_id, self._key or "", self._installation_of(org))

    def _installation_of(self, org: str) -> int:
        if self._installation is None:
            return int(self._as_app("GET", f"/orgs/{org}/installation")["id"])
        return self._installation

    def _as_app(self, method: str, path: str, json: Json | None = None) -> Json:
        from githubkit import AppAuthStrategy
        from githubkit.exception import RequestError, RequestFailed

        def attempt() -> Json:
            client = self._connected(AppAuthStrategy(self._app_id, self._key or ""))
            headers = {"X-GitHub-Api-Version": VERSION}
            try:
                return dict(client.request(method, path, json=json, headers=headers).raw_response.json())
            except RequestFailed as failed:
                self._raise(failed.response.raw_response, unsafe=False)
            except RequestError as error:
                raise self._broken(error.exc, unsafe=False) from error

        return self.retrying.run(attempt)

    def _broken(self, error: Exception, *, unsafe: bool) -> Exception:
        import httpx

        if not isinstance(error, httpx.TransportError):
            return HostError(f"{self.name} can't be asked: {error}", fix="See mlPlatform.gitHosts.")
        never_sent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
        slow = isinstance(error, httpx.TimeoutException)
        reason = "it does not answer in time" if slow else f"the connection failed ({type(error).__name__})"
        return Passing(reason, unknown=unsafe and not never_sent)

    def _raise(self, answer: "httpx.Response", *, unsafe: bool) -> NoReturn:
        status, headers = answer.status_code, answer.headers
        said = _said(answer)
        if status >= 500:
            raise Passing(f"it answers {status}", retry_after=_seconds(headers.get("retry-after")), unknown=unsafe)
        if status in {403, 429}:
            if (pause := _seconds(headers.get("retry-after"))) is not None:
                raise Passing("it asks for a pause (secondary rate limit)", retry_after=pause)
            if headers.get("x-ratelimit-remaining") == "0":
                reset = _seconds(headers.get("x-ratelimit-reset")) or time.time() + _SECONDARY_PAUSE
                raise Passing("its rate limit is used up", retry_after=max(reset - time.time(), 1.0))
            if status == 429 or "secondary rate limit" in said.lower():
                raise Passing("it asks for a pause (secondary rate limit)", retry_after=_SECONDARY_PAUSE)
        fixes = {
            401: "Give mlPlatform.gitHosts a token or an App key that is valid.",
            403: "Give the token or App the permissions that the how-to about git hosts lists.",
            404: "See whether it exists, and whether the token or App may see it.",
        }
        method, path = answer.request.method, answer.request.url.path
        raise GitHubRefused(
            f"{self.name} refused {method} {path} ({status}): {said or answer.reason_phrase}",
            status,
            fix=fixes.get(status),
        )


def _said(answer: "httpx.Response") -> str:
    try:
        document = answer.json()
    except ValueError:
        return ""
    if not isinstance(document, dict):
        return ""
    details = [
        str(one.get("message") or one.get("code") or "") if isinstance(one, dict) else str(one)
        for one in document.get("errors") or []
    ]
    return "; ".join(text for text in (str(document.get("message", "")), *details) if text)[:500]


def _seconds(text: str | None) -> float | None:
    try:
        return float(text) if text is not None else None
    except ValueError:
        return None
