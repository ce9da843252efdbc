"""How errors are told: the cause in a line, then what to do; a traceback only for those who ask for it."""

import errno
import os
import traceback
from typing import Any, Protocol, runtime_checkable

DEBUG = "ML_PLATFORM_DEBUG"


class CliError(Exception):
    """Something that a command can't do, and what to do about it."""

    def __init__(self, message: str, fix: str | None = None, exit_code: int = 1, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix
        self.exit_code = exit_code
        self.details = details


@runtime_checkable
class Explained(Protocol):
    """An error of any room that says what happened and what to do."""

    message: str
    fix: str | None


def report(error: Exception, *, as_json: bool) -> int:
    """Print an error (and, with ``--json``, the document that stands for it) and return the exit status."""
    document, lines = explained(error)
    if os.environ.get(DEBUG):
        traceback.print_exception(error)
    from mlplatform.cli import output

    output.error(lines)
    if as_json:
        output.print_json({"error": document})
    return int(getattr(error, "exit_code", 1))


def explained(error: Exception) -> tuple[dict[str, Any], list[str]]:
    """Return an error as a JSON object and as lines for people; the first line is the cause."""
    from mlplatform.spec.faults import SpecError, describe

    if isinstance(error, SpecError):
        faults = [fault.as_dict() for fault in error.faults]
        count = f"{len(faults)} fault{'s' if len(faults) != 1 else ''}"
        message = f"{error.file.name} has {count}"
        lines = [message, *(describe(error.file.name, fault) for fault in error.faults)]
        return {"message": message, "fix": None, "file": str(error.file), "faults": faults}, lines
    if isinstance(error, Explained):
        return _told(error)
    if isinstance(error, OSError):
        message, fix = _system(error)
        return {"message": message, "fix": fix}, _lines(message, fix)
    if type(error).__name__ == "AttestationInvalid":
        message = f"an attestation is not valid: {error}"
        return {"message": message, "fix": None, "code": getattr(error, "code", None)}, [message]
    text = str(error).strip().splitlines()
    message = f"unexpected {type(error).__name__}" + (f": {text[0]}" if text else "")
    fix = f"set {DEBUG}=1 for the traceback"
    return {"message": message, "fix": fix}, _lines(message, fix)


def _told(error: Explained) -> tuple[dict[str, Any], list[str]]:
    document: dict[str, Any] = {"message": error.message, "fix": error.fix}
    document |= getattr(error, "details", {})
    slug, extra = getattr(error, "slug", None), getattr(error, "extra", {})
    if slug is not None:
        document |= {"slug": slug, "title": getattr(error, "title", ""), **extra}
    lines = [error.message]
    if isinstance(extra.get("requirements"), list):
        lines += requirement_lines(extra["requirements"])
    access = extra.get("access")
    if isinstance(access, dict) and access.get("rules"):
        lines.append(f"denied by rule {', '.join(map(str, access['rules']))}")
    for item in extra.get("errors") or []:
        if isinstance(item, dict):
            lines.append(f"  {item.get('pointer', '')}: {item.get('detail', '')}")
    return document, [*lines, *([error.fix] if error.fix else [])]


def requirement_lines(requirements: list[dict[str, Any]]) -> list[str]:
    """Return admission's requirements as aligned lines: state, requirement, message."""
    width = max((len(str(need.get("requirement", ""))) for need in requirements), default=0)
    return [
        f"  {need.get('state', ''):<8} {need.get('requirement', ''):<{width}}  {need.get('message', '')}".rstrip()
        for need in requirements
    ]


def _lines(message: str, fix: str | None) -> list[str]:
    return [message, fix] if fix else [message]


def _system(error: OSError) -> tuple[str, str | None]:
    where = f"{error.filename}: " if error.filename else ""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return f"{where}the disk is full", "free some space and run the command again"
    if isinstance(error, PermissionError):
        return f"{where}permission denied", None
    return f"{where}{error.strerror or error}", None
