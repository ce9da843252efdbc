"""A pack's findings as OSCAL assessment results (NIST, version 1.1.3), for tools that collect them."""

from collections.abc import Sequence
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from backend.evidence.checks import ControlState
from evidence.manifest import FORMAT

VERSION = "1.1.3"
_MOST_EXCEPTIONS = 200


def assessment_results(
    states: Sequence[ControlState], *, origin: str, root: str, since: str, until: str, made: str
) -> dict[str, Any]:
    """Return the document. Its ids follow from log, root and period, so the same pack has the same ones."""

    def id_of(*parts: object) -> str:
        return str(uuid5(NAMESPACE_URL, "/".join(str(one) for one in (origin, root, since, until, *parts))))

    observations, findings = [], []
    for number, one in enumerate(states):
        shown = "\n".join(one.exceptions[:_MOST_EXCEPTIONS])
        observations.append(
            {
                "uuid": id_of("observation", number),
                "title": one.title,
                "description": one.statement + (f"\n{shown}" if shown else ""),
                "methods": ["TEST"],
                "collected": made,
                "relevant-evidence": [
                    {"href": "manifest.json", "description": "The events and tables that this was found in."}
                ],
            }
        )
        state = {"state": "satisfied" if one.satisfied else "not-satisfied"}
        findings.append(
            {
                "uuid": id_of("finding", number),
                "title": one.title,
                "description": one.statement,
                "target": {"type": "objective-id", "target-id": token(one.control), "status": state},
                "related-observations": [{"observation-uuid": id_of("observation", number)}],
            }
        )
    result: dict[str, Any] = {
        "uuid": id_of("result"),
        "title": "What the record shows",
        "description": f"Computed from every audit event of the period; the tree over them has the root {root}.",
        "start": since,
        "end": until,
        "reviewed-controls": {"control-selections": [_selected(states)]},
    }
    if states:
        result |= {"observations": observations, "findings": findings}
    return {
        "assessment-results": {
            "uuid": id_of("document"),
            "metadata": {
                "title": f"Evidence of {origin}, {since} to {until}",
                "last-modified": made,
                "version": FORMAT.rpartition(" ")[2],
                "oscal-version": VERSION,
            },
            # OSCAL asks for the plan that was followed: it is described there.
            "import-ap": {"href": "README.md"},
            "results": [result],
        }
    }


def token(control: str) -> str:
    """Return a control's id as OSCAL wants ids: a letter first, then letters, digits, dots, dashes and underscores."""
    kept = "".join(letter if letter.isalnum() or letter in ".-_" else "-" for letter in control.strip().lower())
    return kept if kept[:1].isalpha() or kept[:1] == "_" else f"_{kept}"


def _selected(states: Sequence[ControlState]) -> dict[str, Any]:
    if not states:
        return {"include-all": {}}
    ids = sorted({token(one.control) for one in states})
    return {"include-controls": [{"control-id": one} for one in ids]}
