"""The command line of the model server."""

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TextIO

from mlplatform import __version__
from mlplatform.redaction import logging as redacted_logging
from mlplatform.serving.output import LoggedStream
from mlplatform.spec.quantities import cpu_cores
from mlplatform.telemetry.logs import send_logs

if TYPE_CHECKING:
    from mlplatform.spec.model import ModelSpec

_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "LOKY_MAX_CPU_COUNT",
)
_logger = logging.getLogger(__name__)


Serve = Callable[[argparse.Namespace, "ModelSpec"], None]


def main(arguments: list[str] | None = None) -> int:
    """Serve one model version; return the exit code: 0 after a drain, 1 if it can't be served, 2 for wrong usage."""
    options = parser("python -m mlplatform.serving", "Serve one version of one model.").parse_args(arguments)
    return run(options, _serve, service="model-server")


def run(options: argparse.Namespace, serve: Serve, *, service: str) -> int:
    """Be a server, with everything around it: log, standard streams, thread counts, exit code."""
    signal.signal(signal.SIGTERM, _stop_early)
    stderr = sys.stderr
    handler = redacted_logging.configure(
        service=service,
        stream=stderr,
        model=options.name,
        version=str(options.version),
        environment=options.environment,
    )
    sys.stdout, sys.stderr = LoggedStream("model.stdout"), LoggedStream("model.stderr")
    place = {"service.version": str(options.version), "deployment.environment.name": options.environment}
    send_logs(handler, options.name, place)
    code = 0
    try:
        spec = _spec(options.spec)
        limit_threads(spec.serving.resources.cpu)
        os.environ.setdefault("MLFLOW_CONFIGURE_LOGGING", "false")
        serve(options, spec)
    except Refused as refused:
        code = _fail(stderr, options, str(refused))
    except Exception as error:
        _logger.error("the server failed", exc_info=error)
        code = _fail(stderr, options, f"{type(error).__name__}: {error}")
    _leave(code, stderr)


class Refused(Exception):
    """The server won't start; the message says why."""


def parser(program: str, description: str) -> argparse.ArgumentParser:
    """Return the arguments that every kind of server takes."""
    parser = argparse.ArgumentParser(prog=program, description=description)
    parser.add_argument("--model-dir", type=Path, required=True, help="folder with the MLflow model")
    parser.add_argument("--spec", type=Path, required=True, help="model.yaml")
    parser.add_argument("--name", required=True, help="name of the model in URLs")
    parser.add_argument("--version", required=True, help="version of the model")
    parser.add_argument("--environment", default="local", help="environment that this is")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    return parser


def _spec(path: Path) -> "ModelSpec":
    from mlplatform.spec.faults import SpecError
    from mlplatform.spec.load import load_spec

    try:
        return load_spec(path)
    except SpecError as error:
        raise Refused(f"{path.name} is not valid: {error}") from None
    except OSError as error:
        raise Refused(f"{path.name} can't be read: {error.strerror}") from None


def _serve(options: argparse.Namespace, spec: "ModelSpec") -> None:
    from mlplatform.serving.app import Identity
    from mlplatform.serving.server import ModelServer, Settings, StartFailed

    identity = Identity(options.name, str(options.version), options.environment, __version__)
    try:
        ModelServer(Settings(options.model_dir, spec, identity, options.host, options.port)).run()
    except StartFailed as failed:
        raise Refused(str(failed)) from None


def limit_threads(cpu: str) -> None:
    """Set the thread counts of numerical libraries to the cores of the replica; they read them when imported."""
    threads = str(max(1, int(cpu_cores(cpu))))
    for name in _THREAD_VARIABLES:
        os.environ[name] = threads


def _fail(stderr: TextIO, options: argparse.Namespace, message: str) -> int:
    from mlplatform.serving.output import one_line

    stderr.write(f"error: can't serve {one_line(f'{options.name} version {options.version}: {message}')}\n")
    return 1


def _stop_early(_number: int, _frame: object) -> NoReturn:
    """Stop before there is anything to drain."""
    os._exit(0)


def _leave(code: int, stderr: TextIO) -> NoReturn:
    """Exit, whatever threads a model may have left behind."""
    logging.shutdown()
    stderr.flush()
    watchdog = threading.Timer(2.0, os._exit, (code,))
    watchdog.daemon = True
    watchdog.start()
    sys.exit(code)
