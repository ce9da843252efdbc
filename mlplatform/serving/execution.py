"""One call of the model for the rows of several requests, such that no request suffers from another one's rows."""

import logging
import time
import uuid
from collections.abc import Sequence
from typing import Any

from mlplatform.serving.model import LoadedModel
from mlplatform.serving.problems import ModelFailed, ModelOutputInvalid, Problem
from mlplatform.serving.rows import Rows
from mlplatform.telemetry.context import current

Answer = list[list[Any]]
"""One list of values for each output."""

_logger = logging.getLogger(__name__)


class Execution:
    """Calls the model, checks what it answers, and blames the request whose rows were at fault."""

    def __init__(self, model: LoadedModel) -> None:
        self._model = model
        self._quiet_until = 0.0
        self._unlogged = 0

    def run(self, batches: Sequence[Rows], parameters: dict[str, Any] | None = None) -> list[Answer | Problem]:
        """Return for each request its answer, or the problem that it met. Never raises."""
        # Neither the loop's callback nor the worker's thread is the request's own context; what is logged in a call for
        # several requests belongs to none of them.
        token = current.set(batches[0].trace if len(batches) == 1 else None)
        try:
            return self._run(batches, parameters)
        finally:
            current.reset(token)

    def _run(self, batches: Sequence[Rows], parameters: dict[str, Any] | None) -> list[Answer | Problem]:
        try:
            answer = self._model.predict(batches, parameters)
            if len(batches) == 1:
                return [self._checked(answer)]
            return self._split(answer, batches)
        except (Exception, SystemExit) as error:  # a model that calls sys.exit() must not take the thread along
            if len(batches) > 1:  # one request's rows may be the cause: ask for each by itself
                return [self.run([rows], parameters)[0] for rows in batches]
            return [error if isinstance(error, Problem) else self._failed(error)]

    def _checked(self, answer: Answer) -> Answer:
        schema = self._model.outputs
        return answer if schema.accepts(answer) else schema.coerced(answer)

    def _split(self, answer: Answer, batches: Sequence[Rows]) -> list[Answer | Problem]:
        fine = self._model.outputs.accepts(answer)
        parts: list[Answer | Problem] = []
        start = 0
        for rows in batches:
            part = [values[start : start + rows.count] for values in answer]
            start += rows.count
            if fine:
                parts.append(part)
                continue
            try:
                parts.append(self._checked(part))
            except ModelOutputInvalid as problem:
                parts.append(problem)
        return parts

    def _failed(self, error: BaseException) -> ModelFailed:
        """Log the error (one traceback a second is enough under load) and return what the caller may know of it."""
        instance = f"urn:uuid:{uuid.uuid4()}"
        now = time.monotonic()
        if now >= self._quiet_until:
            _logger.error("the model failed", exc_info=error, extra={"instance": instance, "unlogged": self._unlogged})
            self._quiet_until, self._unlogged = now + 1.0, 0
        else:
            self._unlogged += 1
        return ModelFailed(f"The model raised {type(error).__name__}; the server's log has more.", instance=instance)
