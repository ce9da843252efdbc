"""What can go wrong while a repository is made, said so that a person can act on it."""

from typing import ClassVar


class ScaffoldError(Exception):
    """No repository was made, and nothing is left behind; ``fix`` says what to do about it."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, fix: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix


class InvalidAnswer(ScaffoldError):
    """A name, kind or answer is not acceptable; nothing was written."""

    exit_code = 2


class Collision(ScaffoldError):
    """Something of that name is there already; it was not touched."""


class TemplateRefused(ScaffoldError):
    """A template asks for what templates may not have: another source, commands, a way out of its folder."""


class HostError(ScaffoldError):
    """The git host did not do what was asked of it."""


class HostUnavailable(HostError):
    """The git host does not answer, or not now; trying again later may help.

    ``retry_after`` is the pause in seconds that the host asks for, where it does.
    """

    def __init__(self, message: str, *, fix: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(message, fix=fix)
        self.retry_after = retry_after
