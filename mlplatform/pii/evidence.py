"""What was seen in a column, without any value, so that it can be added up, written to a file and read again."""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Seen:
    """Rows in which one kind was seen, and how sure the surest was."""

    count: int = 0
    score: float = 0.0

    def add(self, count: int, score: float) -> None:
        """Add rows."""
        self.count += count
        self.score = max(self.score, score)


@dataclass
class Evidence:
    """What one pass over some rows of a column has seen; :func:`mlplatform.pii.columns.judge` makes findings of it."""

    rows: int = 0
    """Rows that hold anything."""
    texts: int = 0
    """Rows that hold text."""
    numbers: int = 0
    moments: int = 0
    formed: dict[str, Seen] = field(default_factory=dict)
    """By the pattern pass, in texts."""
    numeric: dict[str, Seen] = field(default_factory=dict)
    """In columns of numbers."""
    prose: dict[str, Seen] = field(default_factory=dict)
    """By the detector, in sentences."""
    lone: Seen = field(default_factory=Seen)
    """Sentences in which people are seen, and none for certain."""
    prose_rows: int = 0
    names: Seen = field(default_factory=Seen)
    """Rows whose value reads as the name of a person."""
    name_rows: int = 0
    names_read: int = 0
    people_read: int = 0
    """Distinct values that were read as names, and those that are."""
    full_names: int = 0
    """Distinct values that were read, in columns where nearly all have the form of a full name."""
    unread: int = 0
    """Distinct texts that the language model might have read and did not."""
    cut: int = 0

    def merge(self, other: "Evidence") -> None:
        """Add what was seen in other rows of the same column."""
        for name in ("rows", "texts", "numbers", "moments", "prose_rows", "name_rows", "names_read", "people_read"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.full_names += other.full_names
        self.unread += other.unread
        self.cut += other.cut
        for mine, others in ((self.formed, other.formed), (self.numeric, other.numeric), (self.prose, other.prose)):
            for kind, seen in others.items():
                mine.setdefault(kind, Seen()).add(seen.count, seen.score)
        self.names.add(other.names.count, other.names.score)
        self.lone.add(other.lone.count, other.lone.score)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> "Evidence":
        """Read what :meth:`as_dict` wrote."""
        made = cls()
        for name, value in document.items():
            if isinstance(value, int):
                setattr(made, name, value)
        for name in ("formed", "numeric", "prose"):
            setattr(made, name, {kind: Seen(**seen) for kind, seen in document[name].items()})
        made.names = Seen(**document["names"])
        made.lone = Seen(**document.get("lone", {}))
        return made
