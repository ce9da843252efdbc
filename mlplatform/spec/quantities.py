"""Durations, memory and CPU quantities as people write them (``90s``, ``15m``, ``512Mi``, ``500m``)."""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, WithJsonSchema

_DURATION = re.compile(r"^(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d{1,3})?)s)?$")
_MEMORY = re.compile(r"^(\d+)(Ki|Mi|Gi|Ti)$")
_CPU = re.compile(r"^(\d+)m$|^(\d+(?:\.\d{1,3})?)$")
_MEMORY_FACTORS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


_LONGEST = timedelta(days=36_525)
"""Longer ones leave what a date can be when they are added to the present."""


def parse_duration(value: object) -> timedelta:
    """Read a duration such as ``1d12h``, ``90s``, ``0.5s``; raise ``ValueError`` with the accepted form."""
    if isinstance(value, timedelta):
        return value
    match = _DURATION.match(value) if isinstance(value, str) and value else None
    if match is None:
        raise ValueError(f"{value!r} is not a duration; write for example 90s, 15m, 24h or 28d")
    days, hours, minutes, seconds = match.groups()
    parts = {"days": int(days or 0), "hours": int(hours or 0), "minutes": int(minutes or 0)}
    try:
        found = timedelta(**parts, seconds=float(seconds or 0))
    except OverflowError:
        found = timedelta.max
    if found > _LONGEST:
        raise ValueError(f"{value!r} is longer than a hundred years")
    return found


def format_duration(value: timedelta) -> str:
    """Write a duration in the form that :func:`parse_duration` reads, with the largest units first."""
    milliseconds = round(value.total_seconds() * 1000)
    days, rest = divmod(milliseconds, 86_400_000)
    hours, rest = divmod(rest, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    seconds = f"{rest / 1000:.3f}".rstrip("0").rstrip(".")
    parts = [f"{days}d" if days else "", f"{hours}h" if hours else "", f"{minutes}m" if minutes else ""]
    return "".join([*parts, f"{seconds}s" if rest else ""]) or "0s"


def memory_bytes(value: str) -> int:
    """Return the bytes that a Kubernetes memory quantity such as ``512Mi`` stands for."""
    match = _MEMORY.match(value)
    if match is None:
        raise ValueError(f"{value!r} is not a memory quantity; write for example 512Mi or 2Gi")
    return int(match.group(1)) * _MEMORY_FACTORS[match.group(2)]


def cpu_cores(value: str) -> float:
    """Return the cores that a Kubernetes CPU quantity such as ``500m`` or ``2`` stands for."""
    match = _CPU.match(value)
    if match is None:
        raise ValueError(f"{value!r} is not a CPU quantity; write for example 500m or 2")
    milli, cores = match.groups()
    return int(milli) / 1000 if milli else float(cores)


def _checked_memory(value: str) -> str:
    memory_bytes(value)
    return value


def _checked_cpu(value: str) -> str:
    if cpu_cores(value) <= 0:
        raise ValueError("CPU must be more than zero")
    return value


def _number_to_text(value: object) -> object:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{value:g}" if is_number else value


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^(\d+d)?(\d+h)?(\d+m)?(\d+(\.\d{1,3})?s)?$",
            "minLength": 2,
            "examples": ["90s", "15m", "24h", "28d"],
        }
    ),
]
"""A span of time, written ``90s``, ``15m``, ``24h`` or ``28d``."""

Memory = Annotated[
    str,
    AfterValidator(_checked_memory),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(Ki|Mi|Gi|Ti)$", "examples": ["512Mi", "2Gi"]}),
]
"""Memory as Kubernetes writes it, in binary units."""

Cpu = Annotated[
    str,
    BeforeValidator(_number_to_text),
    AfterValidator(_checked_cpu),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^(\d+m|\d+(\.\d{1,3})?)$"},
                {"type": "number", "exclusiveMinimum": 0},
            ],
            "examples": ["500m", 2],
        }
    ),
]
"""CPU cores as Kubernetes writes them: ``500m`` is half a core."""
