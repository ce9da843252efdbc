"""The two files of a pack that are there to be read: a page with what was found, and how to verify it."""

from collections.abc import Mapping, Sequence
from html import escape

from backend.evidence.checks import ControlState
from evidence.tables import Noted

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b}"
    "table{border-collapse:collapse;width:100%;margin:1rem 0}th,td{text-align:left;padding:.35rem .6rem;"
    "border-bottom:1px solid #ddd;vertical-align:top}code{word-break:break-all}.no{color:#a40000;font-weight:600}"
    ".yes{color:#0a6b2d;font-weight:600}"
)
_CONTENTS = {
    "deployments": "every deployment: author, requester, approver, gates, outcome",
    "live": "what was live when, and by whose hands",
    "versions": "who made each version, from which commit and on what data",
    "gate-results": "signed results of gates",
    "changes": "pull requests, campaigns, new repositories",
    "access": "grants, reviews, signing keys",
    "break-glass": "deployments against the policy",
    "refusals": "what somebody was refused",
    "vulnerabilities": "times to fix",
    "incidents": "incidents, and what was rolled back",
    "deletions": "retention, erasures, certificates",
    "record": "evidence packs that were made, checkpoints that were published",
    "population": "all deployments, numbered",
    "sample": "deployments drawn with the seed",
}


def page(
    title: Mapping[str, str],
    states: Sequence[ControlState],
    exceptions: Sequence[Noted],
    counts: Mapping[str, int],
) -> str:
    """Return the page; it loads nothing."""
    facts = _table((), [(name, f"<code>{escape(value)}</code>") for name, value in title.items()])
    found = [
        (
            escape(one.control),
            escape(one.title),
            '<span class="yes">satisfied</span>' if one.satisfied else '<span class="no">not satisfied</span>',
            escape(one.statement),
        )
        for one in states
    ]
    said = [(escape(one.check), escape(one.where), escape(one.message)) for one in exceptions]
    rows = [(f"csv/{name}.csv", str(count), escape(_CONTENTS.get(name, ""))) for name, count in counts.items()]
    parts = [
        "<h1>Evidence</h1>",
        facts,
        "<h2>Findings</h2>",
        _table(("Control", "Check", "State", "What was found"), found) if found else "<p>No control was judged.</p>",
        "<h2>Exceptions</h2>",
        _table(("Check", "Where", "What"), said) if said else "<p>None.</p>",
        "<h2>Tables</h2>",
        _table(("File", "Rows", "What it lists"), rows),
        "<p>This page is a summary and no proof. README.md says how to verify the pack.</p>",
    ]
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Evidence</title><style>{_STYLE}</style>'
    return head + "\n".join(parts) + "</html>\n"


def readme(title: Mapping[str, str], command: str) -> str:
    """Return the text that explains the pack."""
    facts = "\n".join(f"* {name}: `{value}`" for name, value in title.items())
    return f"""# Evidence pack

{facts}

## Verify it

In an empty environment, with no access to the platform:

    python -m venv verify && verify/bin/pip install ml-platform-evidence
    verify/bin/{command}

`key.pub` is the platform's public audit key; get it from a person you trust, not from the one who gave you this file. Give
`--checkpoint FILE` for each checkpoint of the period that was published to a second place (a git repository, object storage
with a retention lock): without one, a platform that rewrote its whole log and signed it anew can't be told from one that did not.

## What is in it

* `events/`: every audit event of the period in its canonical text (CloudEvents 1.0, RFC 8785), and the neighbours before and
  after, which show that nothing is left out at the ends.
* `checkpoint`: the platform's signed word for the log at the pack's last event (C2SP tlog-checkpoint).
* `frontier.json`: the right edge of the Merkle tree (RFC 6962) before the first event; with it the events make the root.
* `context/`: events from before the period about what was deployed or live in it, each with an inclusion proof.
* `attestations/`: the signed results of gates (DSSE, in-toto), in the order of the events that recorded them, and the keys.
* `csv/`: tables made from the events alone. The verifier makes them again and compares. A cell that a spreadsheet would take for
  a formula begins with an apostrophe.
* `csv/population.csv` and `csv/sample.csv`: the sample is the deployments with the smallest SHA-256 over seed, newline and id.
* `oscal-assessment-results.json`: the findings in NIST's OSCAL.
* `manifest.json`, `manifest.sig`: digests of all files, and the signature over them.

## What was checked

Every approval against author and requester under all identities on record; signed gate results before each admission; author,
commit and data of each version that went live; uses of break-glass; the order of times.
"""


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>" if header else f"<table>{body}</table>"
