"""Which lines of logs are wanted."""

import json
import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class LogFilter:
    """Conditions that all have to hold; without any, every line is wanted.

    Level, trace and time are members of the JSON lines that model servers write; a line that is no JSON, such as those of a start
    that failed, has none of them, and is wanted only where none is asked for.
    """

    replica: int | None = None
    level: str | None = None
    trace: str | None = None
    since: datetime | None = None
    grep: str | None = None

    def takes(self, label: str) -> bool:
        """Tell whether lines of a replica are wanted, by its ``<version>/<replica>``."""
        return self.replica is None or label.rpartition("/")[2] == str(self.replica)

    def passes(self, line: str) -> bool:
        """Tell whether a line is wanted by what it says of itself; cheap enough for lines as they lie in the file."""
        if self.trace is not None and self.trace not in line:
            return False
        if self.level is None and self.trace is None and self.since is None:
            return True
        entry = members(line)
        if self.trace is not None and entry.get("trace_id") != self.trace:
            return False
        if self.level is not None and _severity(entry.get("level")) < _severity(self.level):
            return False
        return self.since is None or _is_at(entry.get("time"), self.since)

    def shows(self, redacted: str) -> bool:
        """Tell whether a redacted line has the text: a search in the line as it lies would tell what is not shown."""
        return self.grep is None or self.grep.casefold() in redacted.casefold()


EVERYTHING = LogFilter()


def members(line: str) -> dict[str, Any]:
    """Return what a JSON line says; nothing for any other."""
    if not line.startswith("{"):
        return {}
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _severity(level: object) -> int:
    number = logging.getLevelNamesMapping().get(str(level).upper())
    return -1 if number is None else number


def _is_at(time: object, since: datetime) -> bool:
    try:
        return datetime.fromisoformat(str(time)) >= since
    except (ValueError, TypeError):
        return False
