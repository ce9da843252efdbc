"""The one error of this distribution."""


class EvidenceError(Exception):
    """Something that can't be read or used as evidence, and what to do about it."""

    def __init__(self, message: str, fix: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix
