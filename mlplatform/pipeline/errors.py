"""Why a stage did not get through."""


class StageRefused(Exception):
    """A stage can't start or finish; ``fix`` says what to do about it."""

    def __init__(self, message: str, *, fix: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix
