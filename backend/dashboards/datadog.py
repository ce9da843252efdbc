"""The same dashboards for Datadog, and the same alerts as its monitors.

Datadog has no PromQL: a measure is said in its own query language, over what its agent's OpenMetrics check makes of our series
(https://docs.datadoghq.com/integrations/guide/prometheus-metrics/): a counter ends in ``.count``, a histogram becomes a
distribution with ``.sum`` and ``.count`` beside it (:mod:`mlplatform.generate.provisioning` writes the agent's configuration).
Recording rules are unknown there, so error budgets and their alerts are read from what the backend exports: the alert in
Datadog fires when the platform's own does.
"""

import re
from collections.abc import Sequence
from typing import Any

from backend.dashboards.panels import FIRING, Board, Kind, Measure, Panel, Variable, family
from mlplatform.generate.objectives import objectives
from mlplatform.generate.provisioning import AGES, NAMESPACE
from mlplatform.spec.model import ModelSpec

_UNITS = {"percentunit": "fraction", "s": "second", "ms": "millisecond", "reqps": "request", "cps": "message"}
_NOT_IN_TAGS = re.compile(r"[^a-z0-9_\-:./]+")
_HISTOGRAM_PARTS = ("_sum", "_count")

Json = dict[str, Any]


def datadog(board: Board) -> Json:
    """Return the dashboard as the body of ``POST /api/v1/dashboard``."""
    inner = tuple(f"${variable.name}" for variable in board.variables)
    return {
        "title": board.title,
        "description": board.description,
        "layout_type": "ordered",
        "template_variables": [_variable(one) for one in board.variables],
        "tags": [],
        "widgets": [_widget(panel, _scope(board, panel, inner)) for panel in board.panels],
    }


def monitors(spec: ModelSpec, portal: str | None) -> list[Json]:
    """Return a monitor, as the body of ``POST /api/v1/monitor``, for each alert by burn rate that the model's objectives have."""
    found = []
    for objective in objectives(spec):
        for alert in objective.alerts:
            scope = _tags({"model": spec.name, "slo": objective.name, "burn": alert.burn})
            said = alert.summary.replace("{share} of the time", "too much of the time").replace("{share}", "too many")
            said = said.replace("{environment}", "{{environment.name}}")
            found.append(
                {
                    "name": f"{alert.name}: {spec.name}, {objective.name} ({alert.burn})",
                    "type": "query alert",
                    "query": f"max(last_5m):max:{_name(FIRING)}{{{scope}}} by {{environment}} >= 1",
                    "message": f"{said}\n\n{alert.description}\n\nRunbook: {portal or ''}{alert.runbook}",
                    "priority": 1 if alert.severity == "page" else 3,
                    "tags": sorted(
                        [
                            "source:ml-platform",
                            f"model:{spec.name}",
                            f"slo:{objective.name}",
                            f"severity:{alert.severity}",
                            f"team:{tag(spec.owner)}",
                            f"tier:{spec.tier}",
                        ]
                    ),
                    "options": {
                        "thresholds": {"critical": 1},
                        # Who is silent may be dead: the backend exports this for as long as it lives.
                        "on_missing_data": "show_and_notify_no_data",
                        "include_tags": True,
                        "require_full_window": False,
                    },
                }
            )
    return found


def query(measure: Measure, scope: Sequence[str]) -> tuple[list[tuple[str, str]], str]:
    """Return a measure as named queries, and the formula over them."""
    metric = measure.exported or measure.metric
    where = [*scope, *(_filter(*one) for one in measure.where)]
    if measure.window:
        where.append(f"window:{measure.window}")
    of = measure.of
    if of in ("rate", "day"):
        suffix = "as_rate()" if of == "rate" else "as_count().rollup(sum, 86400)"
        return [("a", f"{_said('sum', _count(metric), where, measure.by)}.{suffix}")], "a"
    if of in ("good", "bad"):
        bad = f"{_said('sum', _count(metric), where, measure.by)}.as_count()"
        total = f"{_said('sum', _count(metric), scope, measure.by)}.as_count()"
        share = "default_zero(a) / b"
        return [("a", bad), ("b", total)], share if of == "bad" else f"1 - {share}"
    if of == "quantile":
        aggregate = f"p{float(measure.share) * 100:g}"
        return [("a", _said(aggregate, _name(metric), where, measure.by))], "a"
    if of == "mean":
        top = f"{_said('sum', _count(metric), where, measure.by)}.as_count()"
        bottom = f"{_said('sum', _count(measure.per), where, measure.by)}.as_count()"
        return [("a", top), ("b", bottom)], "a / b" + (f" / {float(measure.divisor):g}" if measure.divisor else "")
    if of == "count":
        return [("a", f"count_nonzero({_said('max', _name(metric), where, ('model',))})")], "a"
    if of == "age":
        return [("a", _said("min", _name(AGES[metric]), where, measure.by))], "a"
    if of == "lowest":
        return [("a", _said("min", _name(metric), where, measure.by))], "bottom(a, 10, 'last')"
    return [("a", _said(of or "min", _name(metric), where, measure.by))], "a"


def tag(value: str) -> str:
    """Write a text as Datadog writes it in a tag (https://docs.datadoghq.com/getting_started/tagging/)."""
    return _NOT_IN_TAGS.sub("_", value.lower())[:200].strip("_") or "_"


def _scope(board: Board, panel: Panel, chosen: Sequence[str]) -> list[str]:
    used = " ".join(target.expr for target in panel.targets)
    found = [one for one in chosen if one in used]
    return [*found, *([f"model:{board.name}"] if board.kind is Kind.MODEL else [])]


def _widget(panel: Panel, scope: Sequence[str]) -> Json:
    stat = panel.kind == "stat"
    requests: list[Json] = []
    for number, target in enumerate(panel.targets):
        queries, formula = query(target.measure, scope)
        prefix = "abcdefgh"[number]
        for name, _ in queries:
            formula = re.sub(rf"\b{name}\b(?!\()", f"{prefix}_{name}", formula)
        request: Json = {
            "response_format": "scalar" if stat else "timeseries",
            "queries": [
                {"data_source": "metrics", "name": f"{prefix}_{name}", "query": text}
                | ({"aggregator": "last"} if stat else {})
                for name, text in queries
            ],
            "formulas": [{"formula": formula} | _alias(target.legend) | _unit(panel.unit)],
        }
        requests.append(request if stat else request | {"display_type": "line"})
    definition: Json = {"type": "query_value", "requests": requests[:1], "autoscale": False, "precision": 3}
    if not stat:
        definition = {"type": "timeseries", "requests": requests, "show_legend": True}
    return {"definition": {"title": panel.title, **definition}}


def _alias(legend: str) -> Json:
    """Datadog names lines by their tags itself; words beside them are kept."""
    words = re.sub(r"\s*,?\s*\w*\s*{{[^}]*}}:?", "", legend).strip(" ,:")
    return {"alias": words} if words and not legend.startswith("{{") else {}


def _unit(unit: str) -> Json:
    name = _UNITS.get(unit)
    return {"number_format": {"unit": {"type": "canonical_unit", "unit_name": name}}} if name else {}


def _variable(variable: Variable) -> Json:
    values = sorted(set(variable.values))
    start = ["*"] if variable.start is None or variable.start not in values else [variable.start]
    return {"name": variable.name, "prefix": variable.name, "available_values": values, "defaults": start}


def _said(aggregate: str, name: str, scope: Sequence[str], by: Sequence[str]) -> str:
    return f"{aggregate}:{name}{{{','.join(scope) or '*'}}}" + (f" by {{{','.join(by)}}}" if by else "")


def _filter(name: str, operator: str, value: str) -> str:
    """Say a label's condition as a tag's: of the regular expressions there are only classes of status codes."""
    return f"{name}:{value.replace('..', '*')}" if operator == "=~" else f"{name}:{tag(value)}"


def _tags(values: dict[str, str]) -> str:
    return ",".join(f"{name}:{tag(value)}" for name, value in values.items())


def _name(metric: str) -> str:
    return f"{NAMESPACE}.{metric}"


def _count(metric: str) -> str:
    for part in _HISTOGRAM_PARTS:
        if metric.endswith(part):
            return f"{_name(metric.removesuffix(part))}.{part[1:]}"
    return f"{_name(family(metric))}.count"
