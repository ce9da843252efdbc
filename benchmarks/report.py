"""Write one suite's result: a Markdown section for people and the raw figures as JSON."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def write(
    suite: str, *, title: str, command: str, header: Sequence[str], rows: Sequence[Sequence[str]], notes: str, raw: Any
) -> None:
    """Write ``results/<suite>.md`` and ``results/<suite>.json``; ``command`` is the one that makes the table again."""
    RESULTS.mkdir(exist_ok=True)
    lines = [f"## {title}", "", f"`{command}`", "", f"| {' | '.join(header)} |", f"|{'---|' * len(header)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    if notes:
        lines += ["", notes]
    text = "\n".join(lines) + "\n"
    (RESULTS / f"{suite}.md").write_text(text, encoding="utf-8")
    (RESULTS / f"{suite}.json").write_text(json.dumps(raw, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(text)
