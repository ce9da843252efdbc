"""Compute many updates at once, in a bounded number of processes.

Rendering is one processor's work, so threads would not help. A process that hangs, dies or eats memory costs its own
repository an error and no other's.
"""

import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, as_completed
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from scaffolder.update.errors import UpdateError, WorkerLost
from scaffolder.update.models import Request, Update

if TYPE_CHECKING:
    from scaffolder.sandbox import Limits
    from scaffolder.update.engine import UpdateEngine

_SECONDS = 120.0
_MEMORY = 4 * 1024**3
_UPDATES = 200
"""After so many updates a process is replaced, so that what it keeps can't grow for ever."""


@dataclass(frozen=True)
class EngineOptions:
    """What a process needs to make its engine: see :class:`TemplateStore` and :class:`UpdateEngine`.

    With ``box``, a folder for it, versions are rendered in a box with its ``limits``: for a template of others.
    """

    template: Path
    cache: Path
    addresses: frozenset[str] = frozenset()
    answers_file: str | None = None
    derived: Mapping[str, str] | None = None
    box: Path | None = None
    limits: "Limits | None" = None


class UpdatePool:
    """Worker processes that compute updates; a context manager, safe to use from several threads.

    Args:
        options: What to update from.
        workers: How many processes; one for each processor if not said otherwise.
        timeout: Seconds that one update may take.
        memory: Bytes of address space that a process may have.
    """

    def __init__(
        self, options: EngineOptions, *, workers: int | None = None, timeout: float = _SECONDS, memory: int = _MEMORY
    ) -> None:
        import multiprocessing

        from pebble import ProcessPool

        # A server process that has Copier loaded forks the workers: they start at once, and inherit no thread or lock.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__, "scaffolder.update.preload"])
        self.workers = workers or os.cpu_count() or 1
        self._timeout = timeout
        self._pool = ProcessPool(
            max_workers=self.workers,
            max_tasks=_UPDATES,
            initializer=_start,
            initargs=[options, memory],
            context=context,
        )

    def __enter__(self) -> "UpdatePool":
        """Return the pool."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for what was begun; where an error ends the block, end it instead."""
        if kind is None:
            self._pool.close()  # type: ignore[no-untyped-call]
        else:
            self._pool.stop()  # type: ignore[no-untyped-call]
        self._pool.join()

    def submit(self, request: Request) -> "Future[Update]":
        """Have an update computed; the future's error is one of :class:`UpdateError`."""
        outcome: Future[Update] = Future()
        outcome.set_running_or_notify_cancel()
        begun = self._pool.schedule(_update, args=[request], timeout=self._timeout)
        begun.add_done_callback(lambda done: _settle(outcome, done, request, self._timeout))
        return outcome

    def update(self, request: Request) -> Update:
        """Compute one update and wait for it.

        Raises:
            UpdateError: as :meth:`UpdateEngine.update`, and WorkerLost where the process had to be ended.
        """
        return self.submit(request).result()

    def update_all(self, requests: Iterable[Request]) -> Iterator[tuple[Request, Update | UpdateError]]:
        """Compute updates as processes become free, and return each with its request as it is done.

        Only as many requests are taken as there are processes, twice, so that a long list costs no memory.
        """
        waiting: dict[Future[Update], Request] = {}
        source = iter(requests)
        while True:
            while len(waiting) < 2 * self.workers and (request := next(source, None)) is not None:
                waiting[self.submit(request)] = request
            if not waiting:
                return
            done = next(as_completed(waiting))
            request = waiting.pop(done)
            try:
                yield request, done.result()
            except UpdateError as fault:
                yield request, fault


_engine = threading.local()


def _start(options: EngineOptions, memory: int) -> None:
    import resource

    from scaffolder.update.engine import UpdateEngine
    from scaffolder.update.store import TemplateStore
    from scaffolder.update.suggest import DERIVED

    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    store = TemplateStore(options.template, cache=options.cache, addresses=options.addresses)
    derived = DERIVED if options.derived is None else options.derived
    renderer = None
    if options.box is not None:
        from scaffolder.sandbox import BoxedRenderer, Sandbox

        renderer = BoxedRenderer(Sandbox(options.box / str(os.getpid()), options.limits))
    _engine.it = UpdateEngine(store, renderer=renderer, answers_file=options.answers_file, derived=derived)


def _update(request: Request) -> Update | UpdateError:
    """Compute an update in a worker; errors are returned, so that they cross with all they say."""
    engine: UpdateEngine = _engine.it
    try:
        return engine.update(Path(request.repository), request.head, request.target, data=request.data)
    except UpdateError as fault:
        fault.__cause__ = None
        return fault
    except MemoryError:
        return WorkerLost(f"updating {request.repository} takes more memory than a worker may have")


def _settle(outcome: "Future[Update]", done: "Future[Update | UpdateError]", request: Request, timeout: float) -> None:
    from pebble import ProcessExpired

    try:
        result = done.result()
    except TimeoutError:
        outcome.set_exception(WorkerLost(f"updating {request.repository} took more than {timeout:g} seconds"))
    except ProcessExpired:
        outcome.set_exception(WorkerLost(f"the process that updated {request.repository} died"))
    except BaseException as fault:
        outcome.set_exception(fault)
    else:
        if isinstance(result, Update):
            outcome.set_result(result)
        else:
            outcome.set_exception(result)
