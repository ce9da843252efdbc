"""OpenCost: what the pods of models cost on a cluster, asked over its allocation API.

Source: https://www.opencost.io/docs/integrations/api, ``GET /allocation``. Costs of a day come by the labels of pods; what
has none, idle capacity among it, is shared cost.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar

import httpx

from backend.core.config_cost import OpenCostSettings
from backend.core.errors import Unavailable
from backend.cost.bills import Part, Read
from backend.cost.periods import DAY, Month

_TIMEOUT_SECONDS = 30.0
_UNALLOCATED = "__"


class OpenCostUnavailable(Unavailable):
    """OpenCost does not answer, or not as its API says."""

    slug: ClassVar[str] = "opencost-unavailable"
    title: ClassVar[str] = "OpenCost unavailable"


def read_month(settings: OpenCostSettings, month: Month, today: date) -> Read:
    """Ask for all days of a month up to today.

    Raises:
        OpenCostUnavailable: it does not answer, or not as its API says.
    """
    until = min(month.end, today + DAY)
    query = {
        "window": f"{month.first}T00:00:00Z,{until}T00:00:00Z",
        "step": "1d",
        "aggregate": ",".join(
            f"label:{label}" for label in (settings.model_label, settings.version_label, settings.environment_label)
        ),
        "includeIdle": "true",
        "accumulate": "false",
    }
    try:
        answer = httpx.get(f"{settings.url.rstrip('/')}/allocation", params=query, timeout=_TIMEOUT_SECONDS)
        answer.raise_for_status()
        sets = answer.json()["data"]
        parts = [part for one in sets for part in _parts(settings, month, one or {})]
    except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError, InvalidOperation) as fault:
        raise OpenCostUnavailable(
            f"OpenCost can't be read: {str(fault)[:200] or type(fault).__name__}",
            fix="mlPlatform.cost.openCost.url says where it is.",
        ) from fault
    digest = hashlib.sha256(json.dumps(sets, sort_keys=True).encode()).hexdigest()
    return Read(parts, len(parts), digest)


def _parts(settings: OpenCostSettings, month: Month, allocations: Mapping[str, Mapping[str, Any]]) -> Iterator[Part]:
    for name, one in allocations.items():
        day = datetime.fromisoformat(str(one["window"]["start"]).replace("Z", "+00:00")).date()
        cost = Decimal(str(one["totalCost"]))
        if not cost.is_finite():
            raise ValueError(f"totalCost of {name[:60]} on {day} is no number")
        if Month.of(day) != month or not cost:
            continue
        model, version, environment = _labels(name.split("/"))
        yield Part(
            day=day,
            model=model,
            version=version,
            environment=environment or (settings.environment or "" if model else ""),
            service="kubernetes" if model else name.strip("_").split("/")[0] or "unallocated",
            currency=settings.currency,
            cost=cost,
        )


def _labels(names: Sequence[str]) -> tuple[str, int, str]:
    model, version, environment = ("" if one.startswith(_UNALLOCATED) else one for one in [*names, "", "", ""][:3])
    return model, int(version) if version.isdigit() else 0, environment
