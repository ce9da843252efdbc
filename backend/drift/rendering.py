"""Evidently's report of what was judged: its data is kept, and the page around it is the same for all reports.

Names and values come from whoever sent requests. Evidently writes them into a script as they are, so they are made harmless
twice: characters that mean something to HTML are replaced by such that look like them, and the data is escaped for a script.
"""

import importlib.util
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from backend.drift import stattests
from backend.drift.judging import Finding, Judgement, reference_values, usable_values
from backend.drift.window import PartWindow
from mlplatform.reference.profile import ALL, ColumnProfile, Reference

MOST_SHOWN = 100
_MOST_ROWS = 20_000
_LOOKALIKES = str.maketrans(
    {"<": "‹", ">": "›", "&": "＆", '"': "”", "'": "’", "`": "‘", "\\": "∖", "\u2028": " ", "\u2029": " "}
)
_SCRIPT = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})
CONTENT_SECURITY_POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "font-src data:; img-src data: blob:"
)


def harmless(text: str) -> str:
    """Return a text without characters that mean something to HTML."""
    return "".join(one if one.isprintable() else " " for one in text.translate(_LOOKALIKES))[:200]


def dashboard(reference: Reference, windows: Iterable[tuple[PartWindow, bool]], judgement: Judgement) -> dict[str, Any]:
    """Return the data of Evidently's dashboard: all columns over all rows, and of slices what has drifted."""
    import pandas as pd
    from evidently import DataDefinition, Dataset, Report
    from evidently.legacy.model.dashboard import DashboardInfo
    from evidently.legacy.renderers.html_widgets import group_widget
    from evidently.legacy.utils import NumpyEncoder
    from evidently.metrics import ValueDrift

    by_place = {(one.name, labelled): one for one, labelled in windows}
    before: dict[str, Any] = {}
    now: dict[str, Any] = {}
    kinds: dict[str, str] = {}
    metrics: list[Any] = []
    for finding in _shown(judgement.findings):
        part = reference.part(finding.part)
        column = part.column(finding.side, finding.column) if part is not None else None
        window = by_place.get((finding.part, finding.side == "error"))
        if column is None or window is None:
            continue
        title = _title(finding, kinds)
        raw = window.columns.get((column.side, column.name), [])
        before[title] = _series(column, reference_values(column))
        now[title] = _series(column, usable_values(column, raw))
        kinds[title] = column.kind
        method, threshold = _method(finding, judgement.bound)
        metrics.append(ValueDrift(column=title, method=method, threshold=threshold))
    if not metrics:
        return {}
    definition = DataDefinition(
        numerical_columns=[name for name, kind in kinds.items() if kind == "number"],
        categorical_columns=[name for name, kind in kinds.items() if kind == "category"],
    )
    report = Report(metrics, include_tests=False)
    current, earlier = (Dataset.from_pandas(pd.DataFrame(side), data_definition=definition) for side in (now, before))
    snapshot = report.run(current, earlier)
    info = DashboardInfo(name="Report", widgets=[group_widget(title="", widgets=snapshot._widgets)])
    document = json.loads(json.dumps(info.dict(), cls=NumpyEncoder))
    result: dict[str, Any] = _finite(document)
    return result


def page(title: str, summary: Sequence[str], data: dict[str, Any]) -> str:
    """Return a report as a page that stands alone."""
    head = "".join(f"<p>{_escaped(line)}</p>" for line in summary)
    body = (
        f'<div id="report"></div><script>var global = globalThis</script><script>{_library()}</script>' if data else ""
    )
    draw = f'<script>window.drawDashboard({_script(data)}, new Map(), "report")</script>' if data else ""
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{_escaped(title)}</title><style>body{{font-family:sans-serif;margin:1.5rem}}</style></head>"
        f"<body><h1>{_escaped(title)}</h1>{head}{body}{draw}</body></html>"
    )


def _shown(findings: Iterable[Finding]) -> list[Finding]:
    drawn = [one for one in findings if one.check != "missing" and (one.part == ALL or one.drifted)]
    return sorted(drawn, key=lambda one: (not one.drifted, one.p))[:MOST_SHOWN]


def _method(finding: Finding, bound: float) -> tuple[str, float]:
    """Return by which test, and from where on, Evidently comes to the same decision."""
    if (
        finding.p <= bound
        and not finding.matters
        and finding.measure in (stattests.WASSERSTEIN, stattests.JENSEN_SHANNON)
    ):
        from backend.drift.judging import MATTERS

        return finding.measure, MATTERS[finding.measure]
    return finding.test, bound


def _title(finding: Finding, taken: dict[str, str]) -> str:
    name = harmless(finding.column if finding.side == "input" else f"{finding.side}: {finding.column}")
    name = name if finding.part == ALL else f"{name} where {harmless(finding.part)}"
    title, number = name, 2
    while title in taken:
        title, number = f"{name} ({number})", number + 1
    return title


def _series(column: ColumnProfile, values: Sequence[Any]) -> Any:
    import pandas as pd

    if len(values) > _MOST_ROWS:
        step = len(values) / _MOST_ROWS
        values = [values[int(index * step)] for index in range(_MOST_ROWS)]
    if column.kind == "number":
        return pd.Series(values, dtype=float)
    return pd.Series([harmless(value) for value in values], dtype=object)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items() if key != "additionalGraphs"}
    if isinstance(value, list):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _script(data: dict[str, Any]) -> str:
    return json.dumps(data, ensure_ascii=True).translate(_SCRIPT)


def _escaped(text: str) -> str:
    from html import escape

    return escape(harmless(text))


def _library() -> str:
    """Return Evidently's script, read from where it is installed: importing it takes seconds."""
    found = importlib.util.find_spec("evidently")
    if found is None or not found.submodule_search_locations:
        return ""
    folder = Path(found.submodule_search_locations[0]) / "nbextension" / "static"
    return (folder / "index.js").read_text(encoding="utf-8")
