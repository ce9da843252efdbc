"""What an import did and what it left to a person, with file and line."""

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """How a part of the template fared."""

    CONVERTED = "converted"
    """It has a counterpart that does the same."""
    DIFFERENT = "different"
    """It has a counterpart that does nearly the same; the finding says where it differs."""
    DROPPED = "dropped"
    """It is not needed any more."""
    NEEDS_YOU = "needs you"
    """It has no counterpart, or nobody but a person can tell which."""


@dataclass(frozen=True, order=True)
class Finding:
    """One thing worth knowing; ``line`` counts from 1, ``fix`` says what to do."""

    file: str
    line: int | None
    kind: Kind
    message: str
    fix: str | None = None

    def place(self) -> str:
        """Return ``file:line``."""
        return f"{self.file}:{self.line}" if self.line else self.file

    def as_dict(self) -> dict[str, Any]:
        """Return the finding as it goes into ``--json`` output."""
        return asdict(self)


@dataclass
class Report:
    """Everything there is to say about one imported template."""

    template: str
    source: str
    commit: str | None = None
    findings: list[Finding] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)
    """Variables whose question has another name in Copier."""
    rendered: int = 0
    """Files that are rendered."""
    copied: int = 0
    """Files that are copied as they are."""

    def add(self, kind: Kind, file: str, line: int | None, message: str, fix: str | None = None) -> None:
        """Note a finding, once."""
        finding = Finding(file, line, kind, message, fix)
        if finding not in self.findings:
            self.findings.append(finding)

    def of(self, kind: Kind) -> list[Finding]:
        """Return the findings of one kind, by file and line."""
        found = [finding for finding in self.findings if finding.kind is kind]
        return sorted(found, key=lambda finding: (finding.file, finding.line or 0, finding.message))

    def as_dict(self) -> dict[str, Any]:
        """Return the report as it goes into ``--json`` output."""
        return {
            "template": self.template,
            "source": self.source,
            "commit": self.commit,
            "rendered": self.rendered,
            "copied": self.copied,
            "renamed": self.renamed,
            "findings": [finding.as_dict() for kind in Kind for finding in self.of(kind)],
        }

    def as_markdown(self) -> str:
        """Return the report as the ``IMPORTED.md`` beside the converted template."""
        where = f"`{self.source}`" + (f" at `{self.commit}`" if self.commit else "")
        lines = [f"# {self.template}, imported from Cookiecutter", "", f"From {where}.", ""]
        lines += [f"{self.rendered} files are rendered, {self.copied} are copied as they are.", ""]
        titles = {
            Kind.NEEDS_YOU: "What needs you",
            Kind.DIFFERENT: "What differs from Cookiecutter",
            Kind.CONVERTED: "What was converted",
            Kind.DROPPED: "What was dropped",
        }
        for kind, title in titles.items():
            if found := self.of(kind):
                lines += [f"## {title}", ""]
                lines += [_item(finding) for finding in found] + [""]
        if self.renamed:
            lines += ["## Variables with another name", "", "| Cookiecutter | Copier |", "|---|---|"]
            lines += [f"| `{old}` | `{new}` |" for old, new in self.renamed.items()] + [""]
        return "\n".join(lines)


def _item(finding: Finding) -> str:
    text = f"* `{finding.place()}`: {finding.message}"
    return f"{text}. {finding.fix[:1].upper()}{finding.fix[1:]}." if finding.fix else f"{text}."
