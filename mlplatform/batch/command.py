"""The command line of a run."""

import argparse
import logging
import os
import signal
import sys
import threading
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TextIO

from mlplatform.redaction import logging as redacted_logging
from mlplatform.serving.command import limit_threads
from mlplatform.serving.output import LoggedStream, one_line
from mlplatform.spec.quantities import cpu_cores, parse_duration
from mlplatform.telemetry.logs import send_logs

if TYPE_CHECKING:
    from mlplatform.batch.events import Events
    from mlplatform.spec.model import ModelSpec

_logger = logging.getLogger(__name__)


class _Stopped(BaseException):
    """The run was asked to end."""


def main(arguments: list[str] | None = None) -> int:
    """Score one day; return the exit code: 0 done, 1 failed or refused, 2 wrong usage."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _stop)
    from mlplatform.batch.events import Events, own_stdout
    from mlplatform.batch.faults import BatchFailed

    events, stderr = Events(own_stdout()), sys.stderr
    handler = redacted_logging.configure(
        service="batch",
        stream=stderr,
        version=str(options.version),
        environment=options.environment,
        day=str(options.day),
        run=options.run_id,
    )
    sys.stdout, sys.stderr = LoggedStream("model.stdout"), LoggedStream("model.stderr")
    os.environ.setdefault("MLFLOW_CONFIGURE_LOGGING", "false")
    try:
        _run(options, events, handler)
    except BatchFailed as failed:
        return _failed(events, stderr, options, failed.message, again=failed.again)
    except _Stopped:
        return _failed(events, stderr, options, "it was stopped", again=True)
    except Exception as error:
        _logger.error("the run failed", exc_info=error)
        return _failed(events, stderr, options, f"{type(error).__name__}: {error}", again=True)
    return 0


def _run(options: argparse.Namespace, events: "Events", handler: redacted_logging.RedactingHandler) -> None:
    spec = _spec(options.spec)
    place = {"service.version": str(options.version), "deployment.environment.name": options.environment}
    send_logs(handler, spec.name, place, day=str(options.day), run=options.run_id)
    if options.timeout is not None:
        _watch(options.timeout, events)
    limit_threads(spec.serving.resources.cpu)
    # Polars reads it when it is imported.
    os.environ.setdefault("POLARS_MAX_THREADS", str(max(1, int(cpu_cores(spec.serving.resources.cpu)))))
    from mlplatform.batch.lake import open_lake
    from mlplatform.batch.run import DayRequest, score_day

    lake = open_lake(options.lake)
    request = DayRequest(
        model_dir=options.model_dir,
        spec=spec,
        version=options.version,
        environment=options.environment,
        lake=lake,
        output=open_lake(options.output_root) if options.output_root else lake,
        day=options.day,
        run_id=options.run_id,
        force=options.force,
    )
    events.ended(score_day(request, events.progress))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m mlplatform.batch", description="Score one day of data.")
    parser.add_argument("--model-dir", type=Path, required=True, help="folder with the MLflow model")
    parser.add_argument("--spec", type=Path, required=True, help="model.yaml")
    parser.add_argument("--version", type=int, required=True, help="version of the model; 0 for one that has none")
    parser.add_argument("--environment", default="local", help="environment that this is")
    parser.add_argument("--lake", required=True, help="path or URL of the data lake")
    parser.add_argument("--day", type=date.fromisoformat, required=True, help="day to score, as 2013-01-05")
    parser.add_argument("--run-id", required=True, type=_run_id, help="name of this run, for the manifest")
    parser.add_argument("--output-root", help="path or URL to write below, instead of the lake")
    parser.add_argument("--timeout", type=_seconds, help="give up after this time, for example 1h")
    parser.add_argument("--force", action="store_true", help="score again although nothing has changed")
    return parser


def _run_id(text: str) -> str:
    if not text or len(text) > 64 or not all(sign.isalnum() or sign in "-_" for sign in text):
        raise argparse.ArgumentTypeError("use letters, digits, `-` and `_`, at most 64 of them")
    return text


def _seconds(text: str) -> float:
    return parse_duration(text).total_seconds()


def _spec(path: Path) -> "ModelSpec":
    from mlplatform.batch.faults import BatchFailed
    from mlplatform.spec.faults import SpecError
    from mlplatform.spec.load import load_spec

    try:
        return load_spec(path)
    except SpecError as error:
        raise BatchFailed(f"{path.name} is not valid: {error}") from None


def _watch(seconds: float, events: "Events") -> None:
    """End the process when the time is over: a call of the model can't be interrupted any other way."""

    def end() -> None:
        events.failed(f"it took longer than {seconds:g} s (batch.timeout)", again=True)
        logging.shutdown()
        os._exit(1)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()


def _failed(events: "Events", stderr: TextIO, options: argparse.Namespace, message: str, *, again: bool) -> int:
    line = one_line(message)
    events.failed(line, again=again)
    stderr.write(f"error: can't score {options.day}: {line}\n")
    stderr.flush()
    return 1


def _stop(_number: int, _frame: object) -> NoReturn:
    raise _Stopped
