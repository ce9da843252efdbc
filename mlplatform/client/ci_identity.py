"""The identity that a CI job has by itself, so that no secret is stored anywhere.

* ``ML_PLATFORM_TOKEN_FILE``: a file with a token that somebody else keeps fresh, such as a projected service-account token
  of Kubernetes. It is read again for each request.
* GitHub Actions: the job's OIDC token, which GitHub gives to jobs with ``permissions: id-token: write``. It lives for minutes
  and is fetched again when it is about to expire, so that following a long rollout does not end in a 401.
* GitLab CI puts its ID token into the variable that ``id_tokens`` names: ``ML_PLATFORM_TOKEN``.

Sources: Kubernetes, "Service account token volume projection"; GitHub, "OpenID Connect reference".
"""

import base64
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from mlplatform.client.errors import ClientError

AUDIENCE = "ml-platform"
TOKEN_FILE = "ML_PLATFORM_TOKEN_FILE"  # noqa: S105 (the variable's name)
_MARGIN = 60.0
_GITHUB = ("ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN")


class CiIdentityFault(ClientError):
    """The job should have an identity of its own, but it can't be had."""


class CiIdentity:
    """Tokens of the CI job that this process runs in; none elsewhere."""

    def __init__(self, environment: Mapping[str, str], *, clock: Callable[[], float] = time.time) -> None:
        self._environment = environment
        self._clock = clock
        self._token = ""
        self._expires = 0.0

    def token(self) -> str | None:
        """Return a token that is good for a minute at least, or nothing outside of a CI job.

        Raises:
            CiIdentityFault: the token can't be read or fetched.
        """
        if file := self._environment.get(TOKEN_FILE, "").strip():
            return _read(Path(file))
        # Only where somebody named the platform: the token is for it, not for whatever listens on this machine.
        if self._environment.get("ML_PLATFORM_URL") and all(self._environment.get(name) for name in _GITHUB):
            if self._clock() >= self._expires - _MARGIN:
                self._token = self._fetched()
                self._expires = _expiry(self._token)
            return self._token
        return None

    def _fetched(self) -> str:
        import httpx

        url, bearer = (self._environment[name] for name in _GITHUB)
        try:
            transport = httpx.HTTPTransport(retries=3)
            with httpx.Client(transport=transport, timeout=10) as client:
                answer = client.get(
                    httpx.URL(url).copy_merge_params({"audience": AUDIENCE}),
                    headers={"Authorization": f"Bearer {bearer}"},
                )
                value = answer.raise_for_status().json()["value"]
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as error:
            # Not the error's own text: it has the address, which is as good as a key.
            raise CiIdentityFault(
                f"GitHub gave this job no identity token ({type(error).__name__})",
                fix="give the job `permissions: id-token: write`",
            ) from None
        return str(value)


def _read(path: Path) -> str:
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no token"
        raise CiIdentityFault(
            f"{path} can't be read: {reason}", fix=f"set {TOKEN_FILE} to the file that the token is projected to"
        ) from None
    if not token:
        raise CiIdentityFault(f"{path} is empty", fix=f"set {TOKEN_FILE} to the file that the token is projected to")
    return token


def _expiry(token: str) -> float:
    """Return when a JWT expires, in seconds since 1970; at once where that can't be told. Nothing is verified here."""
    try:
        payload = token.split(".")[1]
        return float(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["exp"])
    except (IndexError, KeyError, TypeError, ValueError):
        return 0.0
