"""Lines of the log, sent to an OpenTelemetry collector by OTLP over HTTP beside being written.

What is sent is what is written: a record comes here from :class:`~mlplatform.redaction.logging.RedactingHandler` after it was
redacted, and there is no other way in. It goes into a bounded queue, which a thread sends off: a collector that is slow or gone
holds up nobody, the lines are written all the same, and one of them says so.

Configured as :mod:`mlplatform.telemetry.tracing` is; ``OTEL_LOGS_EXPORTER=none`` has no lines sent. OpenTelemetry's own handler
for the standard library's logging is not used: it would take records before they are redacted, and it knows nothing of the
trace that :mod:`mlplatform.telemetry.context` keeps.
"""

import logging
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from mlplatform.redaction.logging import RedactingHandler, clean, extra_fields
from mlplatform.telemetry.context import current
from mlplatform.telemetry.sending import DELAY, QUEUE, TIMEOUT, LastWords, Reach, endpoint_for, place

if TYPE_CHECKING:
    from opentelemetry._logs import Logger
    from opentelemetry.sdk._logs import ReadableLogRecord
    from opentelemetry.sdk._logs.export import LogRecordExportResult

_MOST_FIELDS = 100
_MOST_LOGGERS = 1000
_LEVELS = ((logging.CRITICAL, "FATAL"), (logging.ERROR, "ERROR"), (logging.WARNING, "WARN"), (logging.INFO, "INFO"))

_logger = logging.getLogger(__name__)


class LogExport:
    """Sends records that were redacted."""

    def __init__(self, endpoint: str, attributes: Mapping[str, str], fields: Mapping[str, Any]) -> None:
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
        from opentelemetry.sdk._logs import LoggerProvider
        from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter, LogRecordExportResult
        from opentelemetry.sdk.resources import Resource

        reach = Reach("logs", endpoint, "they are written here alone")

        class Quiet(LogRecordExporter):
            """Takes note of whether the collector is reached."""

            def __init__(self) -> None:
                self._real = OTLPLogExporter(endpoint=endpoint, timeout=TIMEOUT)

            def export(self, batch: "Sequence[ReadableLogRecord]") -> "LogRecordExportResult":
                if reach.over:
                    return LogRecordExportResult.FAILURE
                try:
                    result = self._real.export(batch)
                except Exception:
                    result = LogRecordExportResult.FAILURE
                reach.tell(taken=result is LogRecordExportResult.SUCCESS)
                return result

            def force_flush(self, timeout_millis: int = 0) -> bool:
                return True

            def shutdown(self) -> None:
                self._real.shutdown()  # type: ignore[no-untyped-call]

        self._provider = LoggerProvider(resource=Resource.create(attributes), shutdown_on_exit=False)
        self._provider.add_log_record_processor(
            BatchLogRecordProcessor(Quiet(), max_queue_size=QUEUE, schedule_delay_millis=DELAY)
        )
        self._fields = {name: clean(value, name) for name, value in fields.items()}
        self._loggers: dict[str, Logger] = {}
        self._reach, self._last = reach, LastWords(self._provider.shutdown)
        self._closed = False

    def take(self, record: logging.LogRecord) -> None:
        """Queue a record."""
        from opentelemetry import trace
        from opentelemetry._logs import LogRecord, SeverityNumber

        if self._closed:
            return
        context = None
        if (said := current.get()) is not None:
            flags = trace.TraceFlags(trace.TraceFlags.SAMPLED if said.sampled else trace.TraceFlags.DEFAULT)
            span = trace.SpanContext(int(said.trace_id, 16), int(said.span_id, 16), False, flags)
            context = trace.set_span_in_context(trace.NonRecordingSpan(span))
        severity = next((name for level, name in _LEVELS if record.levelno >= level), "DEBUG")
        attributes = {**self._fields, **dict(islice(extra_fields(record), _MOST_FIELDS))}
        if record.exc_text:
            attributes["exception.stacktrace"] = record.exc_text
        if record.stack_info:
            attributes["code.stacktrace"] = record.stack_info
        self._named(record.name).emit(
            LogRecord(
                timestamp=int(record.created * 1_000_000_000),
                context=context,
                severity_text=record.levelname,
                severity_number=SeverityNumber[severity],
                body=record.getMessage(),
                attributes=attributes,
            )
        )

    def close(self) -> None:
        """Send what is left, for a moment at most; what comes later is only written."""
        if not self._closed:
            self._closed = True
            self._reach.close()
            self._last.say()

    def _named(self, name: str) -> "Logger":
        known = self._loggers.get(name)
        if known is None:
            if len(self._loggers) >= _MOST_LOGGERS:
                self._loggers.clear()
            known = self._loggers[name] = self._provider.get_logger(name)
        return known


def send_logs(handler: RedactingHandler, service: str, attributes: Mapping[str, str], **fields: Any) -> None:
    """Have the lines of a handler sent too, if this process' environment names a collector; ``fields`` go with each."""
    endpoint = endpoint_for("logs")
    if endpoint is not None:
        _send(handler, endpoint, service, attributes, fields)


def send_logs_to(handler: RedactingHandler, endpoint: str, service: str, attributes: Mapping[str, str]) -> None:
    """Have the lines of a handler sent to a collector too."""
    _send(handler, place(endpoint, "logs"), service, attributes, {})


def _send(
    handler: RedactingHandler, endpoint: str, service: str, attributes: Mapping[str, str], fields: Mapping[str, Any]
) -> None:
    known = {"service.namespace": "ml-platform", "service.name": service, **attributes}
    try:
        handler.also = LogExport(endpoint, known, fields)
    except (ImportError, ValueError) as error:
        _logger.warning("no logs are sent: %s", error)
