"""What the dashboards show. The panels of a model, and how PromQL says a measure, are read from the sources of ``platform
generate``, so that a dashboard here and the one in the model's repository show the same.

A measure that reads recording rules names what the backend itself exports of the same (``exported``): whoever has no Prometheus
that evaluates the rules gets the numbers from there.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from mlplatform.generate.environment import PREFIX, SUFFIX, environment
from mlplatform.generate.render import document
from mlplatform.spec.model import ModelSpec

REMAINING, RATIO, FIRING = (
    "ml_platform_slo_error_budget_remaining_ratio",
    "ml_platform_slo_error_ratio",
    "ml_platform_slo_alert_firing",
)
INFO, LIVE = "ml_platform_model_info", "ml_platform_model_live_version"
"""What the backend exports about models (:mod:`backend.dashboards.exported`)."""
PLATFORM_UID = "ml_platform"
_HTTP, _HTTP_SECONDS = "ml_platform_http_requests_total", "ml_platform_http_request_duration_seconds"
_REQUESTS, _SECONDS = "model_server_requests_total", "model_server_request_duration_seconds"
_FAILED = (("code", "=~", "5.."),)
_INGRESS = (("envoy_http_conn_manager_prefix", "=", "ingress"),)


class Kind(StrEnum):
    """What there are dashboards of."""

    MODEL = "model"
    TEAM = "team"
    PLATFORM = "platform"


@dataclass(frozen=True)
class Measure:
    """A figure over time: ``of`` says what is done with the metric; see ``_panels.jinja``, which says it in PromQL."""

    of: str
    metric: str
    by: tuple[str, ...] = ()
    where: tuple[tuple[str, str, str], ...] = ()
    share: str = ""
    per: str = ""
    divisor: str = ""
    exported: str = ""
    window: str = ""


@dataclass(frozen=True)
class Target:
    """A measure with its PromQL and its name in the legend (``{{label}}`` stands for a label's value)."""

    measure: Measure
    expr: str
    legend: str


@dataclass(frozen=True)
class Panel:
    """One graph, or one number if ``kind`` is ``stat``."""

    title: str
    description: str
    kind: str
    unit: str
    targets: tuple[Target, ...]


@dataclass(frozen=True)
class Variable:
    """Something that a viewer chooses: a label's values over a query, all of them or one."""

    name: str
    label: str
    query: str
    start: str | None = None
    values: tuple[str, ...] = ()
    """The values as they are now, for those who can't ask for them."""


@dataclass(frozen=True)
class Board:
    """A dashboard before anybody's format."""

    kind: Kind
    name: str
    uid: str
    title: str
    description: str
    tags: tuple[str, ...]
    panels: tuple[Panel, ...]
    variables: tuple[Variable, ...]
    links: tuple[tuple[str, str], ...] = ()

    def families(self) -> set[str]:
        """Return the metrics that are read, without what Prometheus' types add to their names."""
        measures = [target.measure for panel in self.panels for target in panel.targets]
        return {family(name) for one in measures for name in (one.exported or one.metric, one.per) if name}


def of_model(spec: ModelSpec, environments: Sequence[str]) -> Board:
    """Return a model's dashboard, with the panels of ``observability/dashboard.json`` in its repository."""
    given = document(spec)
    panels, text = _source("_panels"), _source("_text")
    found = tuple(
        Panel(
            one["title"],
            one["description"],
            one["kind"],
            one["unit"],
            tuple(Target(_measure(target["measure"]), target["expr"], target["legend"]) for target in one["targets"]),
        )
        for one in json.loads(panels.panels(given))
    )
    chosen = Variable("environment", "Environment", str(panels.environments(given)), "production", tuple(environments))
    return Board(
        Kind.MODEL,
        spec.name,
        uid_of_model(spec.name),
        spec.name,
        f"{text.description(given)} Derived from model.yaml.",
        ("ml-platform", spec.type.value, f"tier-{spec.tier}"),
        found,
        (chosen,),
        (("Runbook", f"/docs/default/component/{spec.name}/runbook/"),),
    )


def of_team(owner: str, models: Sequence[str], environments: Sequence[str]) -> Board:
    """Return the dashboard of a group: its models side by side. New models come by themselves where queries can find them."""
    inner = 'model=~"$model", environment="$environment"'
    by, model = ("model",), "{{model}}"
    owned = f"{INFO}{{owner={_quoted(owner)}}}"
    rows = [
        ("Models live", "Models that have a live version.", "stat", "short", [(Measure("count", LIVE), "models")]),
        _budgets("{{model}}: {{slo}}"),
        _firing(),
        (
            "Requests",
            "Requests a second of each real-time model.",
            "timeseries",
            "reqps",
            [(Measure("rate", _REQUESTS, by), model)],
        ),
        (
            "Failed requests",
            "Share of requests with a server error.",
            "timeseries",
            "percentunit",
            [(Measure("bad", _REQUESTS, by, _FAILED), model)],
        ),
        (
            "Latency",
            "Time within which 95 % of the requests are answered.",
            "timeseries",
            "s",
            [(Measure("quantile", _SECONDS, by, share="0.95"), model)],
        ),
        (
            "Messages",
            "Messages a second of each streaming model.",
            "timeseries",
            "cps",
            [(Measure("rate", "mlplatform_stream_messages_total", by), model)],
        ),
        (
            "Waiting time",
            "Age of the oldest message that waits.",
            "timeseries",
            "s",
            [(Measure("max", "mlplatform_stream_lag_seconds", by), model)],
        ),
        (
            "Age of the answers",
            "Time since the last run of each batch model that succeeded.",
            "timeseries",
            "s",
            [(Measure("age", "ml_platform_batch_last_success_timestamp_seconds", by), model)],
        ),
        (
            "Batch runs",
            "Runs in a day, by outcome.",
            "timeseries",
            "short",
            [(Measure("day", "ml_platform_batch_runs_total", ("model", "outcome")), "{{model}}: {{outcome}}")],
        ),
    ]
    return Board(
        Kind.TEAM,
        owner,
        uid_of_team(owner),
        owner.removeprefix("group:default/"),
        f"The models of {owner}.",
        ("ml-platform", "team"),
        tuple(_panel(row, inner) for row in rows),
        (
            _environments(environments),
            Variable("model", "Model", f"label_values({owned}, model)", None, tuple(models)),
        ),
    )


def of_platform(environments: Sequence[str]) -> Board:
    """Return the platform's own dashboard: what its users get, and what it does."""
    inner, place = 'environment="$environment"', ("model", "slo")
    here: list[tuple[Any, ...]] = [
        ("Models live", "Models that have a live version.", "stat", "short", [(Measure("count", LIVE), "models")]),
        (
            "Least error budget left",
            "The ten objectives with the least of their error budget left.",
            "timeseries",
            "percentunit",
            [(Measure("lowest", REMAINING, place), "{{model}}: {{slo}}")],
        ),
        _firing(),
        (
            "Batch runs",
            "Runs in a day, by outcome.",
            "timeseries",
            "short",
            [(Measure("day", "ml_platform_batch_runs_total", ("outcome",)), "{{outcome}}")],
        ),
    ]
    everywhere: list[tuple[Any, ...]] = [
        (
            "Predictions",
            "Requests a second that Envoy answered, by class of status.",
            "timeseries",
            "reqps",
            [
                (
                    Measure("rate", "envoy_http_downstream_rq_xx", ("envoy_response_code_class",), _INGRESS),
                    "{{envoy_response_code_class}}xx",
                )
            ],
        ),
        (
            "Time of predictions",
            "Time from the request to the end of its answer, as Envoy saw it.",
            "timeseries",
            "ms",
            [
                (Measure("quantile", "envoy_http_downstream_rq_time", (), _INGRESS, share=share), f"p{share[2:]:0<2}")
                for share in ("0.5", "0.95", "0.99")
            ],
        ),
        (
            "Requests to the platform",
            "Requests a second that the backend answered, by status.",
            "timeseries",
            "reqps",
            [(Measure("rate", _HTTP, ("status",)), "{{status}}")],
        ),
        (
            "Failed requests to the platform",
            "Share of requests that the backend answered with a server error.",
            "timeseries",
            "percentunit",
            [(Measure("bad", _HTTP, (), (("status", "=~", "5.."),)), "failed")],
        ),
        (
            "Time of requests to the platform",
            "Time within which 95 % of the requests to the backend are answered, by route.",
            "timeseries",
            "s",
            [(Measure("quantile", _HTTP_SECONDS, ("route",), share="0.95"), "{{route}}")],
        ),
        (
            "Registrations",
            "Model versions in a day, by outcome.",
            "timeseries",
            "short",
            [(Measure("day", "ml_platform_registrations_total", ("outcome",)), "{{outcome}}")],
        ),
        (
            "Repositories",
            "Repositories that were to be made in a day, by outcome.",
            "timeseries",
            "short",
            [(Measure("day", "ml_platform_scaffolds_total", ("outcome",)), "{{outcome}}")],
        ),
        (
            "Overridden policies",
            "Deployments in a day that broke the glass.",
            "timeseries",
            "short",
            [(Measure("day", "ml_platform_break_glass_total", ("environment",)), "{{environment}}")],
        ),
        (
            "What happens",
            "Events a second in the audit log, by type.",
            "timeseries",
            "short",
            [(Measure("rate", "ml_platform_audit_events_total", ("type",)), "{{type}}")],
        ),
    ]
    return Board(
        Kind.PLATFORM,
        "platform",
        PLATFORM_UID,
        "ML platform",
        "What the users of the platform get, and what it does.",
        ("ml-platform",),
        (*(_panel(row, inner) for row in here), *(_panel(row, "") for row in everywhere)),
        (_environments(environments),),
    )


def _budgets(legend: str) -> tuple[Any, ...]:
    return (
        "Error budget left",
        "Share of each error budget that is left; below zero the objective is missed.",
        "timeseries",
        "percentunit",
        [(Measure("min", REMAINING, ("model", "slo")), legend)],
    )


def _firing() -> tuple[Any, ...]:
    return (
        "Budgets that burn",
        "Alerts that fire because an error budget burns too fast.",
        "timeseries",
        "short",
        [(Measure("max", FIRING, ("model", "slo", "burn")), "{{model}}: {{slo}} {{burn}}")],
    )


def _panel(row: tuple[Any, ...], inner: str) -> Panel:
    title, description, kind, unit, measures = row
    targets = tuple(Target(measure, promql(measure, inner), legend) for measure, legend in measures)
    return Panel(title, description, kind, unit, targets)


def uid_of_model(name: str) -> str:
    """Return the uid that the dashboard in the model's repository has, too."""
    return str(_source("_text").shortened(name, 40))


def uid_of_team(owner: str) -> str:
    """Return the uid of a group's dashboard; names of models have no underscore, so that it is never one of theirs."""
    slug = "".join(char if char.isalnum() and char.isascii() else "-" for char in owner.lower())
    return f"team_{slug[:20]}-{hashlib.sha256(owner.encode()).hexdigest()[:8]}"


def family(metric: str) -> str:
    """Return a metric's name without what its type adds to it."""
    return next((metric.removesuffix(part) for part in ("_total", "_sum", "_count") if metric.endswith(part)), metric)


def promql(measure: Measure, inner: str) -> str:
    """Return a measure in PromQL; ``inner`` is the inside of a selector that all its series have to match."""
    said = {**vars(measure), "by": ", ".join(measure.by), "where": [list(one) for one in measure.where]}
    return str(_source("_panels").promql(said, inner)).strip()


def _measure(said: dict[str, Any]) -> Measure:
    by = tuple(part for part in said["by"].split(", ") if part)
    return Measure(**{**said, "by": by, "where": tuple(tuple(one) for one in said["where"])})


def _environments(environments: Sequence[str]) -> Variable:
    return Variable(
        "environment", "Environment", f"label_values({LIVE}, environment)", "production", tuple(environments)
    )


def _source(name: str) -> Any:
    return environment().get_template(f"{PREFIX}/{name}{SUFFIX}").make_module()


def _quoted(value: str) -> str:
    """Write a text as PromQL does, whose strings are those of Go; JSON's differ only in what surrogates are."""
    return json.dumps(value, ensure_ascii=False)
