"""What a pack can say of controls from the record alone, and how the platform's own controls are connected.

The ids are those of the AICPA's Trust Services Criteria (2017, with the points of focus of 2022).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sqlalchemy.orm import Session

from evidence.tables import Noted


@dataclass(frozen=True)
class ControlState:
    """What is to be said about one control in a period."""

    control: str
    title: str
    satisfied: bool
    statement: str
    exceptions: tuple[str, ...] = ()


class ControlsForPeriod(Protocol):
    """Whoever keeps controls as data says how they stood in a period."""

    def __call__(
        self, session: Session, since: datetime, until: datetime, control: str | None
    ) -> Sequence[ControlState]:
        """Return the controls, or the one that is named; none if it is unknown."""
        ...


@dataclass(frozen=True)
class Check:
    """One question that the record answers, the criteria that it speaks for and the tables that show it."""

    name: str
    controls: tuple[str, ...]
    title: str
    holds: str
    tables: tuple[str, ...]


_DEPLOYED = ("deployments", "live", "versions", "gate-results", "population", "sample")
CHECKS = (
    Check(
        "separation-of-duties",
        ("CC5.1", "CC8.1"),
        "Nobody approves what is their own",
        "No approval came from who made the version or asked for the deployment, under any identity on record.",
        _DEPLOYED,
    ),
    Check(
        "gates",
        ("CC8.1", "PI1.3"),
        "What goes live was tested",
        "Each version that went live had signed results of its gates, none of them failed.",
        _DEPLOYED,
    ),
    Check(
        "provenance",
        ("CC8.1", "PI1.2"),
        "What goes live has an author, a commit and data on record",
        "For each version that went live it is on record who made it, from which commit and on what data.",
        (*_DEPLOYED, "changes"),
    ),
    Check(
        "break-glass",
        ("CC6.1", "CC8.1"),
        "The policy is not overridden",
        "No deployment overrode the policy.",
        ("break-glass", "deployments"),
    ),
    Check(
        "clock",
        ("CC7.2",),
        "The record's times can be relied upon",
        "No event is dated before the one in front of it.",
        ("record",),
    ),
)
"""Checks with an exception for each finding."""

LISTED = {
    "CC6.1": ("access", "refusals", "break-glass"),
    "CC6.2": ("access",),
    "CC6.3": ("access", "refusals"),
    "CC7.1": ("vulnerabilities", "gate-results"),
    "CC7.2": ("refusals", "incidents", "record"),
    "CC7.3": ("incidents",),
    "CC7.4": ("incidents", "vulnerabilities"),
    "A1.2": ("incidents",),
    "C1.2": ("deletions",),
    "P4.2": ("deletions",),
    "P4.3": ("deletions",),
}
"""Criteria for which tables are listed, beside those of the checks."""


def controls() -> list[str]:
    """Return the criteria that a pack can be about by itself."""
    return sorted({*LISTED, *(control for check in CHECKS for control in check.controls)})


def tables_of(control: str | None) -> Collection[str] | None:
    """Return the tables that show a criterion; all of them without one, or for one that only the platform's own controls know."""
    if control is None or control not in controls():
        return None
    shown = {table for check in CHECKS if control in check.controls for table in check.tables}
    return shown | set(LISTED.get(control, ())) | {"record"}


def judged(exceptions: Sequence[Noted], control: str | None) -> list[ControlState]:
    """Return what the checks say; each is a statement about its first criterion, or the one that is asked for."""
    found = []
    for check in CHECKS:
        if control is not None and control not in check.controls:
            continue
        against = tuple(f"{one.where}: {one.message}" for one in exceptions if one.check == check.name)
        said = f"{len(against)} exceptions." if against else check.holds
        found.append(ControlState(control or check.controls[-1], check.title, not against, said, against))
    return found
