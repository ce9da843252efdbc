"""What a scan says."""

from dataclasses import dataclass, field

THRESHOLD = 0.6
"""Findings below this confidence are reported and do not fail the gate."""

SHARE_THAT_CONFIRMS = 0.3
"""When this share of a column looks like the same thing, it hardly is by chance."""


@dataclass(frozen=True)
class Finding:
    """Personal data of one kind in one place."""

    entity: str
    """Kind, by Presidio's name where it has one: ``EMAIL_ADDRESS``, ``PERSON``, ``IBAN_CODE`` …"""
    location: str
    """``<data set>.<column>``, or the path of a file below ``build/``."""
    count: int
    """Rows, lines or strings that hold it, of those sampled."""
    sampled: int
    confidence: float

    @property
    def certain(self) -> bool:
        """Whether the confidence reaches the threshold."""
        return self.confidence >= THRESHOLD


@dataclass
class Scan:
    """The findings of one scan and how far it looked."""

    findings: list[Finding] = field(default_factory=list)
    sampled: int = 0
    """Rows, or lines and strings of files."""
    columns: int = 0
    files: int = 0
    notes: list[str] = field(default_factory=list)
    """What was not looked at, and why."""

    def extend(self, other: "Scan") -> None:
        """Add what another scan found."""
        self.findings += other.findings
        self.sampled += other.sampled
        self.columns += other.columns
        self.files += other.files
        self.notes += other.notes
