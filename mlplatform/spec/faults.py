"""What is wrong with a ``model.yaml``: where, what, and how to put it right."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong, with its place in the file (lines and columns count from 1)."""

    line: int
    column: int
    path: str
    message: str
    fix: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the fault as it goes into ``--json`` output."""
        return asdict(self)


class SpecError(Exception):
    """A ``model.yaml`` that can't be used, with everything that is wrong with it."""

    def __init__(self, file: Path, faults: list[Fault]) -> None:
        super().__init__(file, faults)
        self.file = file
        self.faults = faults

    def __str__(self) -> str:
        return "\n".join(describe(self.file.name, fault) for fault in self.faults)


def describe(file: str, fault: Fault) -> str:
    """Return a fault as compilers write them: ``model.yaml:12:5: path: message``, and the fix below."""
    where = f"{file}:{fault.line}:{fault.column}: "
    text = where + (f"{fault.path}: " if fault.path else "") + fault.message
    return f"{text}\n    {fault.fix}" if fault.fix else text
