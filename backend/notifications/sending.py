"""Sending by Apprise, which knows the services."""

from pathlib import Path

from backend.core.config_notifications import TargetSettings
from mlplatform.redaction import redact


class Refused(Exception):
    """A target did not take a notification; the message says why."""

    def __init__(self, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.final = final
        """Whether trying again is of no use."""


def send(target: TargetSettings, title: str, body: str, attachment: Path | None = None) -> None:
    """Send by Apprise, which waits a few seconds at most. Services that take no files get the text alone.

    Raises:
        Refused: it was not taken.
    """
    import apprise

    to = apprise.Apprise()
    if not to.add(target.url.get_secret_value()):
        raise Refused("its URL is none that Apprise knows; see mlPlatform.notifications.targets", final=True)
    with apprise.LogCapture(level=apprise.logging.INFO) as captured:  # type: ignore[no-untyped-call]
        taken = to.notify(body=body, title=title, attach=None if attachment is None else str(attachment))
        said = captured.getvalue().strip().splitlines()
    if not taken:
        last = redact(said[-1])[:200] if said else "no reason was given"
        raise Refused(f"it was not taken: {last}")
