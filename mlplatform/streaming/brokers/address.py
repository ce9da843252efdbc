"""Where a broker is, and what it may refuse. Imports nothing, since settings are checked with it."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit


class BrokerError(Exception):
    """The broker does not do what was asked of it; the message is for people and holds no secret."""


class BrokerUnreachable(BrokerError):
    """Nothing answers there, or not as this user: it is tried again."""


SCHEMES = {
    "nats": "nats",
    "tls": "nats",
    "kafka": "kafka",
    "kafka+ssl": "kafka",
    "redis": "redis",
    "rediss": "redis",
}
"""Which broker a URL's scheme stands for; ``tls``, ``kafka+ssl`` and ``rediss`` are the encrypted ones."""


@dataclass(frozen=True)
class Address:
    """Where a broker is, and the file with the credentials for it."""

    url: str
    credentials: Path | None = None

    @property
    def kind(self) -> str:
        """``nats``, ``kafka`` or ``redis``."""
        return SCHEMES[urlsplit(self.url).scheme]

    def check(self) -> None:
        """Refuse what can't be an address.

        Raises:
            BrokerError: saying what is wrong.
        """
        try:
            parts = urlsplit(self.url)
            port = parts.port if "," not in parts.netloc else None
        except ValueError as error:
            raise BrokerError(f"the broker's URL can't be read: {error}") from None
        if parts.scheme not in SCHEMES or not parts.netloc:
            raise BrokerError(f"the broker's URL must begin with one of {', '.join(f'{name}://' for name in SCHEMES)}")
        if "@" in parts.netloc:
            raise BrokerError("the broker's URL holds credentials; they belong into a file (--broker-credentials)")
        if port == 0:
            raise BrokerError("the broker's URL has the port 0")

    def secret(self) -> str | None:
        """Return what stands in the credentials file.

        Raises:
            BrokerError: it can't be read, or is readable for others.
        """
        if self.credentials is None:
            return None
        try:
            if self.credentials.stat().st_mode & 0o077:
                raise BrokerError(f"{self.credentials} is readable for others; make it so with `chmod 600`")
            return self.credentials.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not text"
            raise BrokerError(f"the credentials in {self.credentials} can't be read: {reason}") from None

    def user_and_password(self) -> tuple[str, str] | None:
        """Return a secret of the form ``user:password``."""
        user, colon, password = (self.secret() or "").partition(":")
        return (user, password) if colon else None


def said(error: BaseException) -> str:
    """Return what a client's error says; its name, if it says nothing."""
    return str(error) or type(error).__name__
