"""Expected failures as typed errors that carry their HTTP status, rendered as RFC 9457 problem details in one place."""

from dataclasses import dataclass, field
from typing import Any, ClassVar, Self


@dataclass(frozen=True)
class Refusal:
    """The audit event that a refusal leaves; written when the refused request's own transaction is gone."""

    type: str
    subject: str
    actor: str
    data: dict[str, Any] = field(default_factory=dict)


class PlatformError(Exception):
    """Something that a caller can understand and act on.

    ``slug`` is the last part of the problem's ``type`` URI and is stable: clients may switch on it. ``extra`` members are
    added to the problem document (RFC 9457, section 3.2).
    """

    status: ClassVar[int] = 500
    slug: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str, *, fix: str | None = None, **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.fix = fix
        self.extra = extra
        self.refusal: Refusal | None = None

    def audited(self, *, type: str, subject: str, actor: str, **data: Any) -> Self:
        """Say which audit event this refusal leaves: ``raise Forbidden(...).audited(type=..., ...)``.

        The event can't be written by whoever raises, since the transaction around it is rolled back. The HTTP layer
        writes it in one of its own before it answers.
        """
        self.refusal = Refusal(type, subject, actor, {"slug": self.slug, "reason": self.detail, **data})
        return self


class InvalidInput(PlatformError):
    """The payload is well-formed but not acceptable."""

    status = 422
    slug = "invalid-input"
    title = "Invalid input"


class Unauthenticated(PlatformError):
    """There is no token, or it does not verify."""

    status = 401
    slug = "unauthenticated"
    title = "Not signed in"


class Forbidden(PlatformError):
    """The caller is known and may not do this."""

    status = 403
    slug = "forbidden"
    title = "Not allowed"


class NotFound(PlatformError):
    """What was named does not exist."""

    status = 404
    slug = "not-found"
    title = "Not found"


class Conflict(PlatformError):
    """The request does not fit the present state."""

    status = 409
    slug = "conflict"
    title = "Conflict"


class PayloadTooLarge(PlatformError):
    """The request body is larger than accepted."""

    status = 413
    slug = "payload-too-large"
    title = "Payload too large"


class Unavailable(PlatformError):
    """Something that this needs does not answer; trying again later may help."""

    status = 503
    slug = "unavailable"
    title = "Unavailable"


class InsufficientStorage(PlatformError):
    """The disk is full; nothing was kept of the request."""

    status = 507
    slug = "insufficient-storage"
    title = "Insufficient storage"
