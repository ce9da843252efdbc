"""Entry for servers: ``uvicorn --factory backend.main:create``, or gunicorn with uvicorn's worker."""

import os
import sys

from fastapi import FastAPI

from backend.app import create_app
from backend.core.config import load_settings
from backend.core.config_files import ConfigError
from mlplatform.redaction.logging import configure


def create() -> FastAPI:
    """Read the configuration (``ML_PLATFORM_CONFIG``, ``ML_PLATFORM_HOME``) and make the app."""
    configure("backend", level=os.environ.get("ML_PLATFORM_LOG_LEVEL", "INFO"))
    try:
        settings = load_settings(None, os.environ)
    except ConfigError as error:
        sys.stderr.write("".join(f"error: {fault}\n" for fault in error.faults))
        raise SystemExit(2) from None
    return create_app(settings)
