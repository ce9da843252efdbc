"""Requests to GitLab's REST API: credentials, retries, and what an error means. python-gitlab sends them.

A rate limit is a 429 with ``Retry-After``.
(https://docs.gitlab.com/administration/settings/user_and_ip_rate_limits/#response-headers)
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar
from urllib.parse import quote

from scaffolder.errors import HostError
from scaffolder.hosts.retry import Passing, RetryBudget, Retrying

if TYPE_CHECKING:
    from gitlab import Gitlab

_PAGE = 100
_MOST_PAGES = 100

Json = dict[str, Any]
Found = TypeVar("Found")


class GitLabRefused(HostError):
    """GitLab understood the request and said no."""

    def __init__(self, message: str, status: int, *, fix: str | None = None) -> None:
        super().__init__(message, fix=fix)
        self.status = status


class GitLabApi:
    """A GitLab server as the holder of a token sees it."""

    def __init__(
        self,
        name: str,
        *,
        url: str,
        token: str,
        budget: RetryBudget | None = None,
        timeout: float = 20.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name, self.token = name, token
        self._url = url.rstrip("/")
        self._local = threading.local()
        self._timeout = timeout
        self.retrying = Retrying(name, budget or RetryBudget(), sleep)

    def get(self, path: str, *, missing: bool = False, **query: Any) -> Any:
        """Return the answer to a GET; nothing for a 404 with ``missing``."""
        return self.send("get", path, query=query, missing=missing)

    def raw(self, path: str, **query: Any) -> bytes | None:
        """Return the body of the answer to a GET as it is; nothing for a 404."""
        answer = self.send("get", path, query=query, missing=True, raw=True)
        return None if answer is None else bytes(answer.content)

    def pages(self, path: str, **query: Any) -> Iterator[Json]:
        """Yield the items of a list, page after page."""
        for page in range(1, _MOST_PAGES + 1):
            items = self.get(path, page=page, per_page=_PAGE, **query)
            yield from items
            if len(items) < _PAGE:
                return

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        json: Json | None = None,
        missing: bool = False,
        raw: bool = False,
        look: Callable[[], Found | None] | None = None,
    ) -> Any:
        """Send a request and return its answer, decoded.

        ``look`` finds what an earlier attempt made whose answer was lost.

        Raises:
            GitLabRefused: GitLab says no.
            HostUnavailable: it does not answer within the budget.
        """

        def attempt() -> Any:
            return self._attempt(method, path, query, json, missing, raw)

        return self.retrying.run(attempt, look=look)

    def _attempt(
        self, method: str, path: str, query: Mapping[str, Any] | None, json: Json | None, missing: bool, raw: bool
    ) -> Any:
        import requests
        from gitlab.exceptions import GitlabAuthenticationError, GitlabHttpError, GitlabParsingError

        unsafe = method == "post"
        given = {key: value for key, value in (query or {}).items() if value is not None}
        try:
            answer = self._client().http_request(
                method, path, query_data=given, post_data=json, obey_rate_limit=False, retry_transient_errors=False
            )
            if raw:
                return answer
            return answer.json() if answer.content else None
        except (GitlabHttpError, GitlabAuthenticationError) as error:
            if missing and error.response_code == 404:
                return None
            self._raise(method, path, error, unsafe=unsafe)
        except requests.ConnectionError as error:
            never_sent = isinstance(error, requests.ConnectTimeout) or "NewConnectionError" in str(error)
            reason = f"the connection failed ({type(error).__name__})"
            raise Passing(reason, unknown=unsafe and not never_sent) from error
        except requests.RequestException as error:
            slow = isinstance(error, requests.Timeout)
            reason = "it does not answer in time" if slow else f"the connection failed ({type(error).__name__})"
            raise Passing(reason, unknown=unsafe) from error
        except (GitlabParsingError, ValueError) as error:
            raise HostError(f"{self.name} does not answer like GitLab: {error}", fix="See apiUrl.") from error

    def _client(self) -> "Gitlab":
        """Return this thread's client: a session of requests is for one thread."""
        import gitlab

        if (found := getattr(self._local, "client", None)) is not None:
            client: Gitlab = found
            return client
        made = gitlab.Gitlab(self._url, private_token=self.token, timeout=self._timeout, keep_base_url=True)
        # python-gitlab's errors don't have the headers of the answer, where the pause is.
        made.session.hooks["response"].append(self._note)
        self._local.client = made
        return made

    def _note(self, answer: Any, *_arguments: Any, **_options: Any) -> None:
        self._local.retry_after = answer.headers.get("Retry-After")

    def _raise(self, method: str, path: str, error: Any, *, unsafe: bool) -> NoReturn:
        status = int(error.response_code or 0)
        pause = _seconds(getattr(self._local, "retry_after", None))
        if status == 429:
            raise Passing("it asks for a pause (rate limit)", retry_after=pause if pause is not None else 60.0)
        if status >= 500:
            raise Passing(f"it answers {status}", retry_after=pause, unknown=unsafe)
        fixes = {
            401: "Give mlPlatform.gitHosts a token that is valid.",
            403: "Give the token the role and scope that the how-to about git hosts lists.",
            404: "See whether it exists, and whether the token may see it.",
        }
        said = str(error.error_message or "no reason given")[:500]
        raise GitLabRefused(
            f"{self.name} refused {method.upper()} {path} ({status}): {said}", status, fix=fixes.get(status)
        )


def encoded(path: str) -> str:
    """Return a project's, group's, branch's or file's path as one segment of a URL."""
    return quote(path, safe="")


def _seconds(text: str | None) -> float | None:
    try:
        return float(text) if text is not None else None
    except ValueError:
        return None
