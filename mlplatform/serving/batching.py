"""Adaptive batching without a timer: a call takes whatever has queued up while the one before it ran.

A lone request therefore waits for nothing, and under load the batches grow just as far as the model is slow. Quick models
are called on the event loop, where handing over to a thread would cost more than the call. As soon as one call has taken
longer than :data:`SLOW` the calls move to a worker thread, so that health checks stay quick, and they come back after a
long row of quick ones.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from mlplatform.serving.execution import Answer, Execution
from mlplatform.serving.metrics import Metrics
from mlplatform.serving.problems import ModelTimeout, NotReady, Overloaded, Problem
from mlplatform.serving.rows import Rows
from mlplatform.serving.worker import Worker

SLOW = 0.010
"""Seconds that a call may keep the event loop."""
_QUICK_CALLS_TO_RETURN = 2_000
_MAX_WAITING_ROWS = 100_000
_SWEEP_INTERVAL = 0.05


class Job:
    """Rows that wait for their answer. ``patient`` ones may wait for their turn as long as it takes."""

    __slots__ = ("deadline", "future", "key", "parameters", "patient", "rows")

    def __init__(
        self,
        rows: Rows,
        parameters: dict[str, Any] | None,
        future: "asyncio.Future[Answer]",
        deadline: float,
        *,
        patient: bool = False,
        alone: bool = False,
    ) -> None:
        self.rows = rows
        self.parameters = parameters
        self.key: object = (rows.absent, repr(parameters)) if parameters or rows.absent else None
        if alone:
            self.key = object()  # equal to no other
        self.future = future
        self.deadline = deadline
        self.patient = patient


class Batcher:
    """The queue in front of one model."""

    def __init__(
        self, execution: Execution, worker: Worker, metrics: Metrics, *, max_rows: int, timeout: float, shared: bool
    ) -> None:
        self._execution = execution
        self._worker = worker
        self._metrics = metrics
        self._max_rows = max_rows
        self._timeout = timeout
        self._shared = shared
        self._loop = asyncio.get_running_loop()
        self._queue: deque[Job] = deque()
        self._running: Sequence[Job] = ()
        self._waiting_rows = 0
        self._busy = False
        self._sweeping = False
        self._quick_calls = 0
        self._called_at: float | None = None
        self.threaded = False

    @property
    def waiting_rows(self) -> int:
        """Rows in the queue."""
        return self._waiting_rows

    async def predict(self, rows: Rows, parameters: dict[str, Any] | None, width: int) -> Answer:
        """Return the answer to one request's rows; raise the problem that it met."""
        if not self._shared or rows.count <= self._max_rows:
            return await self._submit(rows, parameters)
        answer: Answer = []
        for start in range(0, rows.count, self._max_rows):  # one part at a time, so that others get their turn
            count = min(self._max_rows, rows.count - start)
            part = Rows(rows.values[start * width : (start + count) * width], count, rows.absent, rows.trace)
            columns = await self._submit(part, parameters)
            answer = [whole + more for whole, more in zip(answer, columns, strict=True)] if answer else columns
        return answer

    @property
    def call_age(self) -> float:
        """Seconds since the call that runs at present began; 0 when none does."""
        return 0.0 if self._called_at is None else time.monotonic() - self._called_at

    def submit_patiently(self, rows: Rows, *, alone: bool = False) -> "asyncio.Future[Answer]":
        """Queue rows of somebody who limits by himself how many wait: their time begins with their call.

        With ``alone`` no other rows share the call.
        """
        future: asyncio.Future[Answer] = self._loop.create_future()
        self._enqueue(Job(rows, None, future, math.inf, patient=True, alone=alone))
        return future

    def _submit(self, rows: Rows, parameters: dict[str, Any] | None) -> "asyncio.Future[Answer]":
        if self._waiting_rows > _MAX_WAITING_ROWS:
            raise Overloaded("Too many rows are waiting for the model.", headers=((b"retry-after", b"1"),))
        future: asyncio.Future[Answer] = self._loop.create_future()
        self._enqueue(Job(rows, parameters, future, time.monotonic() + self._timeout))
        return future

    def _enqueue(self, job: Job) -> None:
        self._queue.append(job)
        self._waiting_rows += job.rows.count
        if not self._busy:
            self._busy = True
            self._loop.call_soon(self._next)

    def _next(self) -> None:
        """Start the next call, if anything waits."""
        jobs = self._take()
        if not jobs:
            self._busy = False
            return
        self._running = jobs
        self._called_at = time.monotonic()
        for job in jobs:
            if job.patient:
                job.deadline = self._called_at + self._timeout
        batches = [job.rows for job in jobs]
        parameters = jobs[0].parameters
        started = time.perf_counter()
        if not self.threaded:
            self._finish(jobs, self._execution.run(batches, parameters), started)
            return

        def work() -> None:
            results = self._execution.run(batches, parameters)
            self._loop.call_soon_threadsafe(self._finish, jobs, results, started)

        self._worker.put(work)
        if not self._sweeping:
            self._sweeping = True
            self._loop.call_later(_SWEEP_INTERVAL, self._sweep)

    def _take(self) -> list[Job]:
        """Take as many jobs as fit into one call; those that have timed out are passed over."""
        queue = self._queue
        jobs: list[Job] = []
        count = 0
        while queue:
            job = queue[0]
            if jobs and (not self._shared or count + job.rows.count > self._max_rows or job.key != jobs[0].key):
                break
            queue.popleft()
            self._waiting_rows -= job.rows.count
            if not job.future.done():
                jobs.append(job)
                count += job.rows.count
        return jobs

    def _finish(self, jobs: Sequence[Job], results: Sequence[Answer | Problem], started: float) -> None:
        elapsed = time.perf_counter() - started
        self._running, self._called_at = (), None
        self._metrics.called(sum(job.rows.count for job in jobs), elapsed)
        self._choose_thread(elapsed)
        late = elapsed > self._timeout or min(job.deadline for job in jobs) < time.monotonic()
        for job, result in zip(jobs, results, strict=True):
            if job.future.done():
                continue
            if late and job.deadline < time.monotonic():
                job.future.set_exception(self._timed_out())
            elif isinstance(result, Problem):
                job.future.set_exception(result)
            else:
                job.future.set_result(result)
        if self._queue:
            self._loop.call_soon(self._next)
        else:
            self._busy = False

    def _choose_thread(self, elapsed: float) -> None:
        if elapsed > SLOW:
            self.threaded, self._quick_calls = True, 0
        elif self.threaded:
            self._quick_calls = self._quick_calls + 1 if elapsed < SLOW / 4 else 0
            self.threaded = self._quick_calls < _QUICK_CALLS_TO_RETURN

    def observe(self, elapsed: float) -> None:
        """Learn from a call that was made outside, such as the last one of warming up."""
        self._choose_thread(elapsed)

    def _sweep(self) -> None:
        """Fail what has waited too long while the worker is at it. Deadlines of the impatient stand in the queue's order."""
        now = time.monotonic()
        for waiting in (self._running, self._queue):
            for job in waiting:
                if job.deadline > now:
                    if job.patient:
                        continue
                    break
                if not job.future.done():
                    job.future.set_exception(self._timed_out())
        if self._busy:
            self._loop.call_later(_SWEEP_INTERVAL, self._sweep)
        else:
            self._sweeping = False

    def abandon(self) -> None:
        """Answer everyone who still waits: the server stops."""
        for waiting in (self._running, self._queue):
            for job in waiting:
                if not job.future.done():
                    job.future.set_exception(NotReady("The server stopped before the model had answered."))

    def _timed_out(self) -> ModelTimeout:
        return ModelTimeout(f"The prediction took longer than {self._timeout:g} s.")
