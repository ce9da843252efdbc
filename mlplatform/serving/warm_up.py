"""Loading the model and calling it before anyone else does, so that the first request finds it warm and in order."""

import logging
import time
from dataclasses import dataclass
from pathlib import Path

from mlplatform.serving.execution import Execution
from mlplatform.serving.model import LoadedModel, ModelUnusable, load, made_rows
from mlplatform.serving.problems import Problem
from mlplatform.spec.model import Schema

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Loaded:
    """A warm model, and the seconds that its quickest call took."""

    model: LoadedModel
    call_seconds: float


@dataclass(frozen=True)
class LoadFailed:
    """Why there is no model."""

    message: str


def load_and_warm(folder: Path, schema: Schema, calls: int) -> Loaded | LoadFailed:
    """Load the model and call it with its own input example, else with rows made from the schema. Never raises.

    A model that never answers its own example is not served. One that fails on made rows is: they may make no sense to it.
    """
    try:
        model = load(folder, schema)
    except ModelUnusable as error:
        return LoadFailed(f"{error}")
    except BaseException as error:  # a model's module may do anything, sys.exit() included
        _logger.error("loading the model failed", exc_info=error)
        return LoadFailed(f"loading the model failed: {type(error).__name__}: {error}")
    rows = model.example or made_rows(model.inputs)
    if rows is None:
        _logger.warning("not warmed up: no input example, and no rows can be made from the schema")
        return Loaded(model, 0.0)
    execution = Execution(model)
    fault: Problem | None = None
    fastest: float | None = None
    for _ in range(calls):
        started = time.perf_counter()
        result = execution.run([rows])[0]
        elapsed = time.perf_counter() - started
        if isinstance(result, Problem):
            fault = result
        else:
            fastest = elapsed if fastest is None else min(fastest, elapsed)
            if elapsed > 1.0:
                break  # slow enough to know
    if fault is not None and fastest is None and model.example is not None:
        return LoadFailed(f"the model does not answer its own input example: {fault.detail}")
    if fault is not None:
        _logger.warning("the model failed while it was warmed up: %s", fault.detail)
    return Loaded(model, fastest or 0.0)
