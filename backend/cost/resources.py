"""What is metered: each resource with its unit, what would be absurd, and the units that it may be priced in."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

_HOUR = Decimal(3600)
_MONTH_HOURS = Decimal(730)
"""Hours of a month as cloud price lists count them."""


class Resource(StrEnum):
    """What usage is of."""

    CPU = "cpu"
    CPU_UNUSED = "cpu-unused"  # Asked for in model.yaml, and kept free for it.
    MEMORY = "memory"
    MEMORY_UNUSED = "memory-unused"
    GPU = "gpu"
    REQUESTS = "requests"
    ROWS = "rows"
    TOKENS = "tokens"
    STORAGE = "storage"
    TRAINING = "training"


class Activity(StrEnum):
    """What something is used for."""

    SERVING = "serving"
    BATCH = "batch"
    TRAINING = "training"
    STORAGE = "storage"


@dataclass(frozen=True)
class Kind:
    """One resource. ``most_per_second`` is above what one model can use of it: more is a fault of the meter."""

    unit: str
    most_per_second: Decimal
    priced_in: Mapping[str, Decimal]
    """How many of ``unit`` there are in each unit that it may be priced in."""
    category: str
    """The ``ServiceCategory`` of FOCUS."""


_CORES = {"core-second": Decimal(1), "core-hour": _HOUR}
_GIB = {"GiB-second": Decimal(1), "GiB-hour": _HOUR, "GiB-month": _HOUR * _MONTH_HOURS}

KINDS: Mapping[Resource, Kind] = {
    Resource.CPU: Kind("core-second", Decimal(4096), _CORES, "Compute"),
    Resource.CPU_UNUSED: Kind("core-second", Decimal(4096), _CORES, "Compute"),
    Resource.MEMORY: Kind("GiB-second", Decimal(65536), _GIB, "Compute"),
    Resource.MEMORY_UNUSED: Kind("GiB-second", Decimal(65536), _GIB, "Compute"),
    Resource.GPU: Kind(
        "GPU-second", Decimal(1024), {"GPU-second": Decimal(1), "GPU-hour": _HOUR}, "AI and Machine Learning"
    ),
    Resource.REQUESTS: Kind(
        "request",
        Decimal(1_000_000),
        {"request": Decimal(1), "thousand-requests": Decimal(1000), "million-requests": Decimal(1_000_000)},
        "AI and Machine Learning",
    ),
    Resource.ROWS: Kind(
        "row",
        Decimal(10_000_000),
        {"row": Decimal(1), "thousand-rows": Decimal(1000), "million-rows": Decimal(1_000_000)},
        "AI and Machine Learning",
    ),
    Resource.TOKENS: Kind(
        "token",
        Decimal(10_000_000),
        {"token": Decimal(1), "million-tokens": Decimal(1_000_000)},
        "AI and Machine Learning",
    ),
    Resource.STORAGE: Kind("GiB-second", Decimal(1_000_000), _GIB, "Storage"),
    Resource.TRAINING: Kind(
        "training-second",
        Decimal(1024),
        {"training-second": Decimal(1), "training-hour": _HOUR},
        "AI and Machine Learning",
    ),
}

PREDICTIONS = (Resource.REQUESTS, Resource.ROWS)
"""What counts as a prediction: an answered request or stream message, and a row that a batch run scored."""
