"""What one worker does with a message: its version's part of the control file, made ready for asking."""

from collections.abc import Mapping
from enum import Enum

from mlplatform.streaming.buckets import BUCKETS
from mlplatform.streaming.control import Control
from mlplatform.streaming.position import BEGINNING, Position


class Decision(Enum):
    """What becomes of a message here."""

    ANSWER = "answer"
    SHADOW = "shadow"
    PASS = "pass"  # noqa: S105 - it passes over the message


class Assignment:
    """A version's duty at one revision: a member of ``group``, which begins at ``start``."""

    def __init__(
        self, group: str, start: Position, since: Mapping[int, Position], *, mirror: int = 0, renewed: bool = False
    ) -> None:
        self.group = group
        self.start = start
        self.mirror = mirror
        self.share = len(since)
        self.renewed = renewed
        self._since: list[Position | None] = [since.get(bucket) for bucket in range(BUCKETS)]

    @classmethod
    def of(cls, control: Control | None, version: int) -> "Assignment | None":
        """Return what the control file has for a version, ``None`` if that is nothing."""
        duty = control.versions.get(version) if control is not None else None
        if control is None or duty is None:
            return None
        return cls(control.group(version), duty.begins(), duty.buckets(), mirror=duty.mirror)

    def from_the_beginning(self) -> "Assignment":
        """Return the same for a stream in which the remembered positions mean nothing any more."""
        since = {bucket: BEGINNING for bucket, position in enumerate(self._since) if position is not None}
        return Assignment(self.group, BEGINNING, since, mirror=self.mirror, renewed=True)

    def decide(self, bucket: int, part: str, place: int) -> Decision:
        """Say what becomes of a message."""
        since = self._since[bucket]
        if since is not None and since.reached_by(part, place):
            return Decision.ANSWER
        return Decision.SHADOW if bucket < self.mirror else Decision.PASS
