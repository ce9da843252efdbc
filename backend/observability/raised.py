"""Alerts as incidents take them, whoever raised them."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Severity = Literal["page", "ticket"]
OWN = "evaluation"
"""Source of what the platform's own evaluation raises."""
RANK: dict[str, int] = {"ticket": 0, "page": 1}


@dataclass(frozen=True)
class Raised:
    """An alert that fires or has ended."""

    name: str
    model: str | None
    environment: str | None
    slo: str | None
    burn: str | None
    severity: Severity
    summary: str
    description: str
    runbook: str | None
    began: datetime
    ended: datetime | None
    source: str

    @property
    def identity(self) -> str:
        """What the same alert is called each time it is raised about a model in an environment."""
        return "/".join(part for part in (self.name, self.slo, self.burn) if part)


def fingerprint(model: str | None, environment: str | None) -> str:
    """Return what all alerts about a model in an environment have in common; those about no known model share one."""
    return hashlib.sha256(f"{model or ''}\n{environment or ''}".encode()).hexdigest()


TOGETHER = hashlib.sha256(b"together").hexdigest()
"""Fingerprint of the incident that takes what comes in a storm."""
