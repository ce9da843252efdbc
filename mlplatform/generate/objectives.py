"""The objectives of a ``model.yaml`` as numbers, read from the same sources that rules, tests and OpenSLO are rendered from.

Whoever evaluates objectives without Prometheus takes windows, burn rates, severities and words from here, so that there is one
set of rules.
"""

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from mlplatform.generate.environment import PREFIX, SUFFIX, environment
from mlplatform.generate.render import document
from mlplatform.spec.model import ModelSpec, Slo
from mlplatform.spec.quantities import parse_duration

_SHARE = "{share}"
_ENVIRONMENT = "{environment}"


@dataclass(frozen=True)
class Burn:
    """A pair of windows: the alert ``name`` fires when the budget burns ``rate`` times as fast as it may in both."""

    name: str
    long: timedelta
    short: timedelta
    rate: float


@dataclass(frozen=True)
class BudgetAlert:
    """What is said when the budget burns: by the name that Prometheus gives it, with the section of the runbook."""

    name: str
    burn: str
    severity: str
    summary: str
    description: str
    runbook: str

    def said(self, environment: str, share: float | None) -> str:
        """Return the summary with the environment and the share of bad events in it."""
        text = "?" if share is None else f"{100 * share:.3g}%"
        return self.summary.replace(_SHARE, text).replace(_ENVIRONMENT, environment)


@dataclass(frozen=True)
class Objective:
    """One objective; without ``burns`` the rules have no alert for it."""

    name: str
    indicator: str
    percent: float
    threshold: timedelta | None
    window: timedelta
    burns: tuple[Burn, ...]
    alerts: tuple[BudgetAlert, ...]
    by_moment: bool
    """Whether moments are counted rather than events."""
    meaning: str

    @property
    def budget(self) -> float:
        """The share of events that may be bad."""
        return round((100 - self.percent) / 100, 9)

    def limit(self, burn: Burn) -> float:
        """Return the share of bad events from which on a pair of windows counts; never more than all of them."""
        return round(min(burn.rate * (100 - self.percent) / 100, 1.0), 9)

    def alert(self, burn: str) -> BudgetAlert:
        """Return the alert of that name; raise ``KeyError`` if there is none."""
        for one in self.alerts:
            if one.burn == burn:
                return one
        raise KeyError(burn)


def objectives(spec: ModelSpec) -> list[Objective]:
    """Return the objectives that are measured, or judged by the platform itself, in the order of ``model.yaml``."""
    jinja = environment()
    given = document(spec)
    slo_source: Any = jinja.get_template(f"{PREFIX}/_slo{SUFFIX}").make_module()
    alert_source: Any = jinja.get_template(f"{PREFIX}/_alerts{SUFFIX}").make_module()
    alerts = json.loads(alert_source.alerts(given, _ENVIRONMENT, _SHARE))
    measured = slo_source.MEASURED[spec.type.value]
    found = []
    for slo, source in zip(spec.slos, given["slos"], strict=True):
        if slo.indicator not in measured and slo.indicator not in slo_source.JUDGED:
            continue
        own = tuple(
            BudgetAlert(
                name=one["name"],
                burn=one["labels"]["burn"],
                severity=one["labels"]["severity"],
                summary=one["summary"],
                description=one["description"],
                runbook=str(alert_source.runbook(one, given)),
            )
            for one in alerts
            if one["labels"].get("slo") == slo.name
        )
        found.append(
            Objective(
                name=slo.name,
                indicator=slo.indicator,
                percent=slo.objective,
                threshold=slo.threshold,
                window=_window(slo),
                burns=_burns(slo_source, {one.burn for one in own}),
                alerts=own,
                by_moment=bool(str(slo_source.by_moment(source, given)).strip()),
                meaning=str(slo_source.meaning(source, given)),
            )
        )
    return found


def _burns(source: Any, fire: set[str]) -> tuple[Burn, ...]:
    return tuple(
        Burn(name, parse_duration(long), parse_duration(short), float(rate))
        for name, windows in (("fast", source.PAGE), ("slow", source.TICKET))
        if name in fire
        for long, short, rate in windows
    )


def _window(slo: Slo) -> timedelta:
    """Return the window as the rules write it: whole minutes, and at least one."""
    return timedelta(minutes=max(-(-int(slo.window.total_seconds() * 1000) // 60_000), 1))
