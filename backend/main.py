"""Entry for servers: ``python -m backend``, or ``uvicorn --factory backend.main:create``."""

import logging
import os
import sys

from fastapi import FastAPI

from backend.app import BACKEND_SERVICE, VERSION, create_app
from backend.core.config import Settings, load_settings
from backend.core.config_files import ConfigError
from mlplatform.redaction import redact
from mlplatform.redaction.logging import RedactingHandler, configure
from mlplatform.telemetry.logs import send_logs_to

_SWITCH_SECONDS = 0.0005

_log = logging.getLogger(__name__)


def create() -> FastAPI:
    """Read the configuration (``ML_PLATFORM_CONFIG``, ``ML_PLATFORM_HOME``) and make the app.

    Raises:
        SystemExit: 2 if the configuration is wrong, 1 if the platform can't start with it; why is on standard error.
    """
    settings = configured()
    _send_logs(settings)
    answer_first()
    try:
        return create_app(settings)
    except ConfigError as error:
        raise _refused(error) from None
    except Exception:
        # Servers print what they are not told to expect by themselves, past the redaction.
        _log.critical("the platform can't start", exc_info=True)
        raise SystemExit(1) from None


def answer_first() -> None:
    """Have threads that compute, such as evaluations of everything, give way to requests sooner than Python's 5 ms.

    A request waits that long each time it comes back from the database, and asks that several times.
    """
    sys.setswitchinterval(_SWITCH_SECONDS)


def configured() -> Settings:
    """Set the logging up and read the configuration.

    Raises:
        SystemExit: 2 if the configuration is wrong; its faults are on standard error.
    """
    configure("backend", level=os.environ.get("ML_PLATFORM_LOG_LEVEL", "INFO"))
    try:
        return load_settings(None, os.environ)
    except ConfigError as error:
        raise _refused(error) from None


def _send_logs(settings: Settings) -> None:
    otlp = settings.telemetry.otlp
    if otlp is None or not otlp.logs:
        return
    for handler in logging.getLogger().handlers:
        if isinstance(handler, RedactingHandler):
            send_logs_to(handler, otlp.endpoint, BACKEND_SERVICE, {"service.version": VERSION})


def _refused(error: ConfigError) -> SystemExit:
    sys.stderr.write("".join(f"error: {redact(fault)}\n" for fault in error.faults))
    return SystemExit(2)
