"""Structured logs without personal data or secrets: JSON lines from the standard library's logging.

>>> import io, logging
>>> stream = io.StringIO()
>>> handler = configure("example", stream=stream, model="wine")
>>> logging.getLogger("shop").info("mail to %s", "ada@example.com", extra={"order": 7})
>>> line = json.loads(stream.getvalue())
>>> line["message"], line["order"], line["service"], line["model"]
('mail to [REDACTED:EMAIL]', 7, 'example', 'wine')
"""

import json
import logging
import math
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from mlplatform.redaction.text import is_secret_name, redact
from mlplatform.telemetry.context import current

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
_MAX_DEPTH = 6
_MAX_ITEMS = 200
_MAX_TEXT = 32_768


class RedactingFilter(logging.Filter):
    """Redacts a record in place: message with its arguments, exception, stack and extra fields.

    It sits on the handler, so that it sees what all loggers send there. A record whose arguments do not fit its message
    is still written: a filter that raised would raise in the caller's code.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact the record; always let it pass."""
        try:
            message = record.getMessage()
        except Exception:
            message = f"{record.msg!s} {record.args!r}"
        record.msg, record.args = redact(_cut(message)), ()
        if record.exc_info and record.exc_info[0] is not None and not record.exc_text:
            record.exc_text = _cut("".join(traceback.format_exception(*record.exc_info)).rstrip("\n"))
        if record.exc_text:
            record.exc_text = redact(record.exc_text)
        if record.stack_info:
            record.stack_info = redact(_cut(record.stack_info))
        for name, value in list(vars(record).items()):
            if name not in _STANDARD:
                setattr(record, name, clean(value, name))
        return True


class Sink(Protocol):
    """Takes records that were redacted, and never raises on purpose."""

    def take(self, record: logging.LogRecord) -> None:
        """Take a record; must not wait for anybody."""
        ...

    def close(self) -> None:
        """Do what is left to be done, soon."""
        ...


class RedactingHandler(logging.StreamHandler[TextIO]):
    """Writes records after redacting them, and hands them on to whoever else wants them."""

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__(stream)
        self.addFilter(RedactingFilter())
        self.also: Sink | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record that the filter has let through."""
        super().emit(record)
        if self.also is not None:
            # What goes wrong there is no reason not to go on here.
            with suppress(Exception):
                self.also.take(record)

    def close(self) -> None:
        """Close whoever else takes the records, too."""
        if self.also is not None:
            self.also.close()
        super().close()


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, service, message, then constant and extra fields.

    What belongs to a request is marked with ``trace_id`` and ``span_id``, named as in OpenTelemetry's log data model.
    """

    def __init__(self, service: str, fields: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self._service = service
        self._fields = {name: clean(value, name) for name, value in (fields or {}).items()}

    def format(self, record: logging.LogRecord) -> str:
        """Write the record, which the filter has redacted before."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "service": self._service,
            "message": record.getMessage(),
            **self._fields,
        }
        for name, value in extra_fields(record):
            line.setdefault(name, value)
        if (trace := current.get()) is not None:
            line |= {"trace_id": trace.trace_id, "span_id": trace.span_id}
        if record.exc_text:
            line["exception"] = record.exc_text
        if record.stack_info:
            line["stack"] = record.stack_info
        return json.dumps(line, separators=(",", ":"), default=str)


def extra_fields(record: logging.LogRecord) -> Iterator[tuple[str, Any]]:
    """Yield the fields of a record that are none of the standard library's."""
    return ((name, value) for name, value in vars(record).items() if name not in _STANDARD)


def configure(service: str, level: int | str = "INFO", stream: TextIO | None = None, **fields: Any) -> RedactingHandler:
    """Send all logging of this process through the redacting filter as JSON lines; return the handler.

    That is what loggers are told, what handlers of libraries would have written by themselves (:func:`adopt`), warnings,
    and exceptions that nobody caught. ``stream`` is standard error unless given; ``fields`` go into each line. Calling it
    again replaces the former handlers.
    """
    handler = RedactingHandler(stream)
    handler.setFormatter(JsonFormatter(service, fields))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.captureWarnings(True)
    logging.lastResort = handler
    adopt()
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread
    sys.unraisablehook = _unraisable
    return handler


def adopt() -> None:
    """Take the handlers away that loggers have of their own, so that their lines go where all others go.

    Servers and libraries add theirs when they start or are imported; call this again after that.
    """
    for logger in list(logging.root.manager.loggerDict.values()):
        if isinstance(logger, logging.Logger) and logger.handlers:
            logger.handlers.clear()
            logger.propagate = True


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    logging.getLogger("uncaught").critical("nobody caught %s", kind.__name__, exc_info=(kind, error, trace))


def _uncaught_in_thread(thrown: threading.ExceptHookArgs) -> None:
    if thrown.exc_value is not None and not issubclass(thrown.exc_type, SystemExit):
        name = thrown.thread.name if thrown.thread is not None else "?"
        logging.getLogger("uncaught").error(
            "the thread %s ended with %s",
            name,
            thrown.exc_type.__name__,
            exc_info=(thrown.exc_type, thrown.exc_value, thrown.exc_traceback),
        )


def _unraisable(thrown: "UnraisableHookArgs") -> None:
    error = thrown.exc_value or thrown.exc_type()
    what = thrown.err_msg or "exception ignored in"
    logging.getLogger("uncaught").error(
        "%s: %r", what, thrown.object, exc_info=(thrown.exc_type, error, thrown.exc_traceback)
    )


def clean(value: Any, name: str = "", depth: int = 0) -> Any:
    """Return a value as redacted JSON data; what a field named like a secret holds is never shown."""
    if value is None or isinstance(value, bool):
        return value
    if name and is_secret_name(name):
        return "[REDACTED:SECRET]"
    if isinstance(value, int):
        return value if abs(value) < 10**8 else _number(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if depth < _MAX_DEPTH and isinstance(value, Mapping):
        items = list(value.items())[:_MAX_ITEMS]
        return {redact(str(key)): clean(item, str(key), depth + 1) for key, item in items}
    if depth < _MAX_DEPTH and isinstance(value, list | tuple | set | frozenset):
        return [clean(item, "", depth + 1) for item in list(value)[:_MAX_ITEMS]]
    try:
        text = value if isinstance(value, str) else str(value)
    except Exception:
        text = f"<{type(value).__name__}>"
    return redact(_cut(text))


def _number(value: int) -> int | str:
    """Redact card numbers and the like; the interpreter refuses to print huge integers, so those are only described."""
    if value.bit_length() > 128:
        return f"<integer of {value.bit_length()} bits>"
    text = redact(str(value))
    return value if text == str(value) else text


def _cut(text: str) -> str:
    """Bound what one field may write; a log is not the place for a megabyte."""
    return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}… ({len(text)} characters)"
