"""What stops a data set from being de-identified."""


class DeidentifyFailed(Exception):
    """A configuration, value or file that can't be worked with; messages never hold a value."""

    def __init__(self, message: str, fix: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix
