"""What can go wrong between a client and the platform."""

from typing import Any


class ClientError(Exception):
    """Base of all errors of the client; ``fix`` says what a person can do, where something can be done."""

    def __init__(self, message: str, *, fix: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix


class PlatformUnreachable(ClientError):
    """Nothing answers at the platform's URL, or what answers is not the platform."""

    def __init__(self, url: str, reason: str, *, fix: str | None = None) -> None:
        super().__init__(reason, fix=fix or "start it with `platform up`, or set ML_PLATFORM_URL")
        self.url = url


class PlatformProblem(ClientError):
    """The platform refused or failed, and said why (RFC 9457 problem details).

    ``slug`` is stable (``admission-refused``, ``rollout-in-progress``, ...); ``extra`` holds the problem's other members.
    """

    def __init__(
        self,
        slug: str,
        title: str,
        detail: str,
        *,
        status: int,
        fix: str | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(detail or title, fix=fix)
        self.slug = slug
        self.title = title
        self.detail = detail
        self.status = status
        self.extra = extra or {}
