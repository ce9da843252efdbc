"""What would save money, with a number, and only what the objectives in ``model.yaml`` leave room for.

The numbers are of the last seven full days, projected to a month of thirty: lines that were charged, not guesses. What
would save money but might break an objective is not recommended; it is said apart, with the objective.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from backend.cost import repository
from backend.cost.models import UsageHour
from backend.cost.periods import DAY, HOUR, start_of
from backend.cost.prices import PriceSheet, Use
from backend.cost.resources import Activity, Resource
from mlplatform.spec.model import ModelSpec, ModelType, Slo
from mlplatform.spec.quantities import cpu_cores, format_duration, memory_bytes

if TYPE_CHECKING:
    from backend.core.container import Services

DAYS, MONTH_DAYS = 7, 30
HEADROOM = {1: Decimal("2"), 2: Decimal("1.5"), 3: Decimal("1.3")}
"""By tier: how much more than it used in its busiest hour a replica is to keep."""
LATENCY_HEADROOM = Decimal("1.5")
"""As much again for a model with a latency objective, whose peaks within an hour count."""
START = timedelta(seconds=60)
"""How long a model that was scaled to zero may take to answer its first request."""
LEAST = Decimal("0.50")
IDLE_SHARE = Decimal("0.3")
RIGHT_SIZE, TO_ZERO, SPOT, SHARE_GPU = "right-size", "scale-to-zero", "spot", "share-gpu"
SLICE = "shared"
"""SKU, or the end of one such as ``nvidia-l4-shared``, of a time slice of a GPU."""
NEIGHBOUR = 2
"""How many times as long an answer may take while a neighbour has its turn on the GPU."""
_ZERO = Decimal(0)
_SIZES = {
    Resource.CPU: (Resource.CPU, Resource.CPU_UNUSED),
    Resource.MEMORY: (Resource.MEMORY, Resource.MEMORY_UNUSED),
}


@dataclass(frozen=True)
class Recommendation:
    """What to change, and what it saves in a month."""

    model: str
    version: int
    environment: str
    kind: str
    saving: Decimal
    change: str
    reason: str
    checked: str


@dataclass(frozen=True)
class Withheld:
    """What would save money, and the objective for which it is not recommended."""

    model: str
    version: int
    environment: str
    kind: str
    saving: Decimal
    objective: str


@dataclass(frozen=True)
class _Place:
    model: str
    version: int
    environment: str
    spec: ModelSpec
    lines: Sequence[repository.LineRow]
    hours: Sequence[UsageHour]


class Recommendations:
    """Looks at what is live, and at batch and training runs."""

    def __init__(self, services: "Services", sheet: PriceSheet) -> None:
        self._services, self._sheet = services, sheet

    def of(self, session: Session, models: Sequence[str]) -> tuple[list[Recommendation], list[Withheld]]:
        """Return what is recommended for these models, the largest saving first, and what is not."""
        today = self._services.clock.now().date()
        found: list[Recommendation | Withheld] = []
        for model in models:
            for place in self._places(session, model, today):
                found += self._right_size(place)
                found += self._to_zero(place, today)
                found += self._spot(place, today)
                found += self._share_gpu(session, place, today)
        worth = sorted(
            (one for one in found if one.saving >= LEAST), key=lambda one: (-one.saving, one.model, one.kind)
        )
        return (
            [one for one in worth if isinstance(one, Recommendation)],
            [one for one in worth if isinstance(one, Withheld)],
        )

    def _places(self, session: Session, model: str, today: date) -> Iterator[_Place]:
        first = today - DAYS * DAY
        lines = [one for one in repository.lines(session, first, today, model=model) if not one.shared]
        hours = repository.hours_of(session, model, start_of(first), start_of(today))
        live = {
            (environment, version)
            for environment, name, version in self._services.deployments.live_everywhere(session)
            if name == model
        }
        seen = {(one.environment, one.version) for one in lines if one.version}
        for environment, version in sorted(seen):
            if environment and (environment, version) not in live:
                continue  # what is no longer there can't be made smaller
            spec = ModelSpec.model_validate(self._services.registry.get_version(session, model, version).spec)
            own = [one for one in lines if (one.environment, one.version) == (environment, version)]
            used = [one for one in hours if (one.environment, one.version) == (environment, version)]
            yield _Place(model, version, environment, spec, own, used)

    def _right_size(self, place: _Place) -> Iterator[Recommendation | Withheld]:
        if place.spec.type is ModelType.BATCH:
            return  # its runs are over in minutes: an hour says nothing about their peak
        latency = _objective(place.spec, "latency")
        headroom = HEADROOM[place.spec.tier] * (LATENCY_HEADROOM if latency is not None else 1)
        for resource, (used, unused) in _SIZES.items():
            busiest, asked = _busiest(place.hours, used, unused)
            spent = _cost(place.lines, unused)
            if not busiest or not asked or not spent:
                continue
            wanted = busiest * headroom
            share_left = wanted / asked
            idle = _sum(place.lines, unused)
            total = idle + _sum(place.lines, used)
            # All that is asked for shrinks in proportion; what is used stays, so only what is unused gets smaller.
            saved = min(total * (1 - share_left), idle)
            if share_left >= 1 or saved <= 0 or not idle:
                continue
            now, new = _sizes(place.spec, resource, share_left)
            if now == new:
                continue
            yield Recommendation(
                place.model,
                place.version,
                place.environment,
                RIGHT_SIZE,
                _monthly(spent * saved / idle),
                f"serving.resources.{resource}: {now} → {new}",
                f"in its busiest hour it used {busiest * 100 / asked:.0f} % of the {resource} that it asks for",
                f"{headroom:.2g} times its busiest hour stays free"
                + (
                    f", for latency {_said(latency)}"
                    if latency is not None
                    else f", as is due in tier {place.spec.tier}"
                ),
            )

    def _to_zero(self, place: _Place, today: date) -> Iterator[Recommendation | Withheld]:
        scaling = place.spec.serving.autoscaling
        if place.spec.type is ModelType.BATCH or (scaling is not None and scaling.min_replicas == 0):
            return
        compute = {Resource.CPU, Resource.CPU_UNUSED, Resource.MEMORY, Resource.MEMORY_UNUSED}
        asked = {one.hour for one in place.hours if one.resource == Resource.REQUESTS and one.quantity > 0}
        up = {one.hour for one in place.hours if one.resource in compute and one.quantity > 0}
        if not up:
            return
        # An hour after the last request it would still be up.
        idle = {hour for hour in up if hour not in asked and hour - HOUR not in asked}
        share = Decimal(len(idle)) / len(up)
        saving = _monthly(sum((_cost(place.lines, one) for one in compute), _ZERO) * share)
        if share < IDLE_SHARE:
            return
        if reason := _forbids_zero(place.spec):
            yield Withheld(place.model, place.version, place.environment, TO_ZERO, saving, reason)
            return
        by = "lag" if place.spec.type is ModelType.STREAMING else "requests"
        yield Recommendation(
            place.model,
            place.version,
            place.environment,
            TO_ZERO,
            saving,
            f"serving.autoscaling: {{by: {by}, minReplicas: 0, …}}",
            f"nobody asked it anything in {share * 100:.0f} % of the hours in which it was up",
            f"no objective is hurt by a first answer after {format_duration(START)}, and it is of tier {place.spec.tier}",
        )

    def _spot(self, place: _Place, today: date) -> Iterator[Recommendation | Withheld]:
        if place.spec.serving.spot:
            return
        for activity in (Activity.SERVING, Activity.BATCH, Activity.TRAINING):
            saved = _ZERO
            for line in place.lines:
                if line.activity != activity or line.origin != "meter" or line.sku or not line.quantity:
                    continue
                use = Use(Resource(line.resource), "spot", line.environment, line.activity)
                price = self._sheet.price(use, today - DAY)
                if price is not None:
                    saved += line.list_cost - price.of(line.quantity)
            if saved <= 0:
                continue
            saving = _monthly(saved)
            if reason := _forbids_spot(place.spec, activity):
                yield Withheld(place.model, place.version, place.environment, SPOT, saving, reason)
                continue
            yield Recommendation(
                place.model,
                place.version,
                place.environment,
                SPOT,
                saving,
                "serving.spot: true" if activity is not Activity.TRAINING else "train on spot machines",
                f"{activity} can be on machines that may be taken away, at the price of the SKU `spot`",
                "no objective on availability or latency is above 99 %, and it is not of tier 1"
                if activity is Activity.SERVING
                else "what is broken off is done again, in time for every objective",
            )

    def _share_gpu(self, session: Session, place: _Place, today: date) -> Iterator[Recommendation | Withheld]:
        gpu = place.spec.serving.gpu
        if gpu is None or gpu.shared:
            return
        saved = _ZERO
        for line in place.lines:
            if line.resource != Resource.GPU or line.origin != "meter" or not line.quantity:
                continue
            sku = f"{line.sku}-{SLICE}" if line.sku else SLICE
            price = self._sheet.price(Use(Resource.GPU, sku, line.environment, line.activity), today - DAY)
            if price is not None:
                saved += line.list_cost - price.of(line.quantity)
        if saved <= 0:
            return
        saving = _monthly(saved)
        if reason := self._forbids_sharing(session, place):
            yield Withheld(place.model, place.version, place.environment, SHARE_GPU, saving, reason)
            return
        latency = _objective(place.spec, "latency")
        yield Recommendation(
            place.model,
            place.version,
            place.environment,
            SHARE_GPU,
            saving,
            "serving.gpu: {shared: true}",
            f"it has a GPU to itself, and a time slice of one costs less, at the price of the SKU `{SLICE}`",
            f"latency {_said(latency)} would have held in the last {DAYS} days with answers that take twice as long"
            if latency is not None
            else f"no objective is hurt by answers that take twice as long, and it is of tier {place.spec.tier}",
        )

    def _forbids_sharing(self, session: Session, place: _Place) -> str | None:
        """Say what a neighbour on the GPU might break: while it has its turn, an answer takes twice as long at most."""
        spec = place.spec
        if spec.tier == 1:
            return "it is of tier 1: customers are hurt while a neighbour has its turn"
        if spec.type is ModelType.BATCH:
            fresh = _objective(spec, "freshness")
            timeout = spec.batch.timeout if spec.batch is not None else timedelta(0)
            if fresh is not None and fresh.threshold is not None and fresh.threshold < NEIGHBOUR * timeout:
                return f"freshness {_said(fresh)}, and a run may take {format_duration(timeout)}, or twice that"
            return None
        for slo in spec.slos:
            if slo.indicator == "lag":
                return f"lag {_said(slo)}, and half of the GPU may not keep up"
            if slo.indicator != "latency" or slo.threshold is None:
                continue
            key = (place.environment, place.model, place.version)
            half = slo.threshold / NEIGHBOUR
            within = self._services.traffic.share_within(session, *key, half, timedelta(days=DAYS))
            if within is None:
                return f"latency {_said(slo)}, and nothing was measured in the last {DAYS} days"
            if within * 100 < slo.objective:
                return f"latency {_said(slo)}, and only {within * 100:.4g} % were answered within half of that"
        return None


def _forbids_zero(spec: ModelSpec) -> str | None:
    if spec.tier == 1:
        return "it is of tier 1: customers are hurt while it starts"
    for slo in spec.slos:
        if slo.indicator in ("latency", "lag") and slo.threshold is not None and slo.threshold < START:
            return f"{slo.indicator} {_said(slo)}, and a start takes up to {format_duration(START)}"
        if slo.indicator == "availability" and spec.serving.request_timeout < START:
            return (
                f"availability {slo.objective:g} %: requests time out after {format_duration(spec.serving.request_timeout)}, "
                f"and a start takes up to {format_duration(START)}"
            )
    return None


def _forbids_spot(spec: ModelSpec, activity: Activity) -> str | None:
    if activity is Activity.TRAINING:
        return None
    if activity is Activity.BATCH:
        fresh = _objective(spec, "freshness")
        timeout = spec.batch.timeout if spec.batch is not None else timedelta(0)
        # Taken away at the last moment, a run is made again from the beginning.
        if fresh is not None and fresh.threshold is not None and fresh.threshold < 2 * timeout:
            return f"freshness {_said(fresh)}, and a run may take {format_duration(timeout)} and be made again"
        return None
    if spec.tier == 1:
        return "it is of tier 1: customers are hurt while a replica is missing"
    for slo in spec.slos:
        if slo.indicator in ("availability", "latency") and slo.objective > 99 and spec.serving.replicas < 2:
            return f"{slo.indicator} {_said(slo)}, and there is one replica"
    return None


def _objective(spec: ModelSpec, indicator: str) -> Slo | None:
    return next((one for one in spec.slos if one.indicator == indicator), None)


def _said(slo: Slo) -> str:
    within = f" within {format_duration(slo.threshold)}" if slo.threshold is not None else ""
    return f"{slo.objective:g} %{within}"


def _busiest(hours: Sequence[UsageHour], used: Resource, unused: Resource) -> tuple[Decimal, Decimal]:
    """Return what was used in the busiest hour, and what was asked for in that hour."""
    by_hour: dict[datetime, list[Decimal]] = {}
    for one in hours:
        if one.resource in (used, unused) and one.activity == Activity.SERVING:
            pair = by_hour.setdefault(one.hour, [_ZERO, _ZERO])
            pair[0] += one.quantity if one.resource == used else _ZERO
            pair[1] += one.quantity
    return max(
        ((pair[0], pair[1]) for pair in by_hour.values() if pair[1]),
        key=lambda one: one[0] / one[1],
        default=(_ZERO, _ZERO),
    )


def _sizes(spec: ModelSpec, resource: Resource, share: Decimal) -> tuple[str, str]:
    if resource is Resource.CPU:
        now = Decimal(str(cpu_cores(spec.serving.resources.cpu))) * 1000
        new = max(_up(now * share, 50), 50)
        return f"{int(now)}m", f"{min(new, int(now))}m"
    now = Decimal(memory_bytes(spec.serving.resources.memory)) / 2**20
    new = max(_up(now * share, 64), 128)
    return f"{int(now)}Mi", f"{min(new, int(now))}Mi"


def _up(value: Decimal, step: int) -> int:
    return int((value / step).to_integral_value(ROUND_CEILING)) * step


def _cost(lines: Sequence[repository.LineRow], resource: Resource) -> Decimal:
    return sum((one.list_cost for one in lines if one.resource == resource), _ZERO)


def _sum(lines: Sequence[repository.LineRow], resource: Resource) -> Decimal:
    return sum((one.quantity for one in lines if one.resource == resource), _ZERO)


def _monthly(week: Decimal) -> Decimal:
    return week * MONTH_DAYS / DAYS
