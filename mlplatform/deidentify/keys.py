"""Keys and passwords by reference, so that they are in no argument, no file of settings and no process list."""

import os
from pathlib import Path


class KeyUnavailable(Exception):
    """A reference that leads to no key."""

    def __init__(self, message: str, fix: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix


_FORMS = "write env:NAME for a variable of the environment, or file:PATH for a file"


def secret_of(reference: str) -> str:
    """Return what ``env:NAME`` or ``file:PATH`` holds, without the line end.

    Raises:
        KeyUnavailable: the reference has another form, or leads to nothing.
    """
    kind, colon, place = reference.partition(":")
    if not colon or kind not in {"env", "file"} or not place:
        # What was given may be the key itself, so it is not repeated.
        raise KeyUnavailable("a key or password is given by reference and not as such", _FORMS)
    if kind == "env":
        value = os.environ.get(place, "")
        if not value:
            raise KeyUnavailable(f"the variable {place} of the environment is not set", f"set it, or {_FORMS}")
        return value
    try:
        value = Path(place).expanduser().read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise KeyUnavailable(f"{place} can't be read as text: {type(error).__name__}", _FORMS) from error
    if not value:
        raise KeyUnavailable(f"{place} is empty", "write the key into it")
    return value
