"""Bodies of the audit routes."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from backend.audit.models import PublicationState, SealingState
from backend.core.schemas import NO_NUL, Payload, Schema


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
    root: str | None = Field(default=None, description="Root of the Merkle tree over all events (RFC 6962), in hex.")


class FaultOut(Schema):
    """One thing that is wrong with the log."""

    seq: int
    id: str | None
    kind: Literal["edited", "removed", "inserted", "reordered", "truncated", "unreadable"]
    message: str


class WarningOut(Schema):
    """Something that is odd about an event and no proof of tampering, such as a clock that went back."""

    seq: int
    message: str


class VerificationIn(Payload):
    """Earlier checkpoints, kept elsewhere, that the log is compared with."""

    checkpoints: list[Annotated[str, Field(max_length=10_000), NO_NUL]] = Field(
        default_factory=list, max_length=1000, description="Signed notes, as `audit/checkpoint` gave them out."
    )


class VerificationOut(Schema):
    """What a check of the whole log found."""

    valid: bool
    events: int
    segments: int = Field(description="Sealed segments, which were read from their files.")
    sealed: int = Field(description="How many of the events lie in them.")
    head: AuditHeadOut
    signature: str = Field(description="What came of checking the head's signature.")
    faults: list[FaultOut]
    checkpoints: int = Field(description="Checkpoints from elsewhere that the log was compared with.")
    warnings: list[WarningOut]


class CheckpointOut(Schema):
    """What the log is, signed."""

    origin: str = Field(description="Name of the log; it follows from the key that signs.")
    size: int = Field(description="Number of events.")
    root: str = Field(description="Root of the Merkle tree over them, in hex.")
    chain: str = Field(description="Hash of the last event, in hex.")
    key: str = Field(description="The public key, as tools for transparency logs take it (C2SP vkey).")
    checkpoint: str = Field(description="The signed note (C2SP tlog-checkpoint).")


class PublicationOut(Schema):
    """A checkpoint that was, or was to be, published to a second place."""

    id: str
    target: str
    state: PublicationState
    size: int | None
    root: str | None
    place: str | None = Field(description="Where it is.")
    reason: str | None = Field(description="Why it is not, if that is so.")
    started_at: datetime
    finished_at: datetime | None


class InclusionProofOut(Schema):
    """Shows that an event is in the log (RFC 6962, section 2.1.1). Hashes are in hex."""

    seq: int = Field(description="Number of the event; its index in the tree is one less.")
    size: int = Field(description="Number of events of the log that it is shown to be in.")
    leaf: str = Field(description="Hash of the event's canonical text, as a leaf.")
    root: str
    proof: list[str]


class ConsistencyProofOut(Schema):
    """Shows that the log only grew from one size to another (RFC 6962, section 2.1.2). Hashes are in hex."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    old: int = Field(alias="from")
    new: int = Field(alias="to")
    old_root: str = Field(alias="fromRoot")
    new_root: str = Field(alias="toRoot")
    proof: list[str]


class SegmentOut(Schema):
    """A part of the log whose events lie in a sealed file. Hashes are in hex."""

    name: str = Field(description="Its files are NAME.jsonl.gz and NAME.manifest.")
    first: int = Field(description="Number of its first event.")
    last: int
    earliest: datetime = Field(description="Earliest time of its events.")
    latest: datetime
    root: str = Field(description="Root of the Merkle tree over all events up to its last.")
    chain: str = Field(description="Hash of its last event.")
    sha256: str = Field(description="Digest of its file.")
    bytes: int
    place: str = Field(description="Where its files are looked for.")
    sealed_at: datetime
    removed_at: datetime | None = Field(description="When retention deleted its file, if it did.")
    manifest: str = Field(description="The signed note (C2SP signed-note) that says all of this.")


class SealingPlanOut(Schema):
    """What a sealing would do now."""

    before: datetime = Field(description="Only events from before this time are sealed.")
    first: int = Field(description="Number of the first event that would be sealed; 0 if none would be.")
    last: int
    events: int
    segments: list[str] = Field(description="Names of the segments that would be made.")
    store: str = Field(description="Where they would lie.")
    held: str | None = Field(description="Legal holds that keep the log as it is, if there are some.")


class SealingOut(Schema):
    """One pass of sealing what is older than the setting."""

    id: str
    state: SealingState
    scheduled: bool
    requested_by: str
    requested_at: datetime
    before: datetime = Field(description="Only events from before this time are sealed.")
    segments: int = Field(description="Segments that were sealed.")
    events: int
    bytes: int
    reason: str | None = Field(description="Why it ended early, if it did.")
    finished_at: datetime | None
