"""Bodies of the attestation routes."""

from datetime import datetime
from typing import Any

from pydantic import Field

from backend.core.schemas import Payload, Schema
from mlplatform.gates.result import Gate, Outcome


class AttestationRequest(Payload):
    """A signed gate result."""

    envelope: dict[str, Any] = Field(description="DSSE envelope (JSON) around an in-toto Statement v1.")


class AttestationOut(Schema):
    """A stored attestation, verified again when it was read."""

    id: str
    digest: str = Field(description="Artefact that it is about.")
    gate: Gate
    outcome: Outcome
    summary: str = Field(description="The gate's own summary.")
    model: str
    repository: str
    commit: str
    key_id: str
    principal: str = Field(description="Whose signature it is.")
    received_at: datetime
    verified: bool = Field(description="Whether it counts now.")
    reason: str | None = Field(default=None, description="Why it does not count.")
    envelope: dict[str, Any]
