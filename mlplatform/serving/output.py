"""What goes out besides answers: text that model code prints, and the one line that says why there is no server."""

import io
import logging

from mlplatform.redaction import redact


def one_line(message: str) -> str:
    """Return a message redacted, on one line and not endless."""
    return redact(" ".join(message.split()))[:1000]


class LoggedStream(io.TextIOBase):
    """A standard stream whose lines go to the log: model code may print anything, personal data too."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)
        self._rest = ""

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, text: str) -> int:
        """Log each finished line."""
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            if line.strip():
                self._logger.info("%s", line)
        if len(self._rest) > 8192:
            self._logger.info("%s", self._rest)
            self._rest = ""
        return len(text)
