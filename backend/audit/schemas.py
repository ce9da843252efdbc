"""Bodies of the audit routes."""

from typing import Any, Literal

from pydantic import Field

from backend.core.schemas import Schema


class AuditEventOut(Schema):
    """One event: a CloudEvent, and where it stands in the chain."""

    seq: int
    hash: str = Field(description="SHA-256 over the hash before it (hex) and the event's canonical JSON.")
    prev_hash: str
    event: dict[str, Any] = Field(description="The CloudEvent (1.0), as it was hashed.")


class AuditHeadOut(Schema):
    """The newest event."""

    seq: int
    hash: str


class FaultOut(Schema):
    """One thing that is wrong with the log."""

    seq: int
    id: str | None
    kind: Literal["edited", "removed", "inserted", "reordered", "truncated"]
    message: str


class VerificationOut(Schema):
    """What a check of the whole log found."""

    valid: bool
    events: int
    head: AuditHeadOut
    signature: str = Field(description="What came of checking the head's signature.")
    faults: list[FaultOut]
