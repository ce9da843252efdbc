"""What a gate says: what was checked, against what, and how it came out.

The same models are written by the client (inside a signed attestation) and read by the backend's admission.
"""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class ResultModel(BaseModel):
    """Base of gate results: camelCase on the wire, immutable, newer fields ignored (in-toto's monotonic rule)."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore")


class Gate(StrEnum):
    """The gates, by the names that policies, attestations and the command line use."""

    SCHEMA = "schema"
    THRESHOLDS = "thresholds"
    PII = "pii"
    SBOM = "sbom"
    VULNERABILITIES = "vulnerabilities"
    PROVENANCE = "provenance"


class Outcome(StrEnum):
    """How a check or a gate came out."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_EVALUATED = "not_evaluated"


class Check(ResultModel):
    """One thing that a gate looked at."""

    name: str = Field(description="What was checked, for example `thresholds.roc_auc.minimum`.")
    outcome: Outcome
    observed: str | None = Field(default=None, description="What was found; never personal data itself.")
    limit: str | None = Field(default=None, description="What it was held against.")
    message: str = Field(description="One sentence that a person can act on.")


class Reference(ResultModel):
    """Something that a gate looked at: a data set, a lock file, another version."""

    name: str
    uri: str | None = None
    digest: dict[str, str] = Field(default_factory=dict, description="Digest set, algorithm to lower-case hex.")


class Tool(ResultModel):
    """The program that did the checking."""

    name: str
    version: str


class GateResult(ResultModel):
    """The result of one gate on one model artefact."""

    gate: Gate
    outcome: Outcome
    summary: str = Field(description="One line for people: what came out and why.")
    checks: list[Check] = Field(default_factory=list)
    against: list[Reference] = Field(default_factory=list)
    tools: list[Tool] = Field(default_factory=list)
    started_at: datetime
    finished_at: datetime

    @staticmethod
    def combined(checks: list[Check]) -> Outcome:
        """Return the outcome of all the checks: failed before not evaluated before passed."""
        outcomes = {check.outcome for check in checks}
        for outcome in (Outcome.FAILED, Outcome.NOT_EVALUATED):
            if outcome in outcomes:
                return outcome
        return Outcome.PASSED
