"""The report as PDF, by Typst: what it says goes in as JSON, so that a name is text to it and never markup."""

import json
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

_TEMPLATE = Path(__file__).with_name("report.typ")


def as_pdf(content: dict[str, Any]) -> bytes:
    """Return a report as PDF/UA-1."""
    import typst

    shown = {
        **content,
        "month": str(content["month"]),
        "health": asdict(content["health"]),
        "tables": [{"title": title, "head": head, "rows": rows} for title, head, rows in content["tables"]],
        "anomalies": [f"{one.day}, {one.model}: {one.cause}" for one in content["anomalies"]],
        "unpriced": [f"{f'{one.resource} {one.sku}'.strip()} ({', '.join(one.models)})" for one in content["unpriced"]],
    }
    inputs = {"report": json.dumps(_readable(shown))}
    return bytes(typst.compile(str(_TEMPLATE), sys_inputs=inputs, pdf_standards="ua-1"))


def _readable(value: Any) -> Any:
    """Return JSON data with amounts as their text, and without characters that nobody sees and that reorder what is seen."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, Mapping):
        return {key: _readable(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_readable(one) for one in value]
    return "".join(one for one in str(value) if one.isspace() or unicodedata.category(one) not in ("Cc", "Cf"))
