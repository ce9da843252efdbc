"""One thread for what must not keep the event loop: loading the model, and calling a slow one."""

import threading
from collections.abc import Callable
from queue import SimpleQueue


class Worker:
    """A daemon thread that runs what it is given, in order: models need not be safe for use by several threads.

    It is no ``ThreadPoolExecutor`` since that one is waited for when the interpreter exits, and a model that hangs would keep
    a drained server alive.
    """

    def __init__(self) -> None:
        self._tasks: SimpleQueue[Callable[[], None]] = SimpleQueue()
        threading.Thread(target=self._work, name="model", daemon=True).start()

    def put(self, task: Callable[[], None]) -> None:
        """Run a function that raises nothing."""
        self._tasks.put(task)

    def _work(self) -> None:
        while True:
            self._tasks.get()()
