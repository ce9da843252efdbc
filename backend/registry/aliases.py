"""Keeps MLflow's aliases like the platform's own, from a thread: moving traffic must not wait for MLflow."""

import logging
import queue
import threading
from collections.abc import Callable

_log = logging.getLogger(__name__)
_RETRY_SECONDS = 5.0


class AliasMirror:
    """Brings MLflow up to date for each model that was noted; what failed is tried again."""

    def __init__(self, sync: Callable[[str], None]) -> None:
        self._sync = sync
        self._queue: queue.Queue[str | None] = queue.Queue()
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()

    def start(self) -> None:
        """Start the thread."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._work, name="alias-mirror", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread after what it is doing; whatever is left is done at the next start."""
        self._stopping.set()
        self._queue.put(None)
        if self._thread is not None:
            self._thread.join(timeout=10)
            self._thread = None

    def note(self, model: str) -> None:
        """Remember that a model's aliases changed."""
        self._queue.put(model)

    def _work(self) -> None:
        while not self._stopping.is_set():
            model = self._queue.get()
            if model is None:
                continue
            try:
                self._sync(model)
            except Exception:
                _log.exception("can't mirror aliases to MLflow; will try again", extra={"model": model})
                if not self._stopping.wait(_RETRY_SECONDS):
                    self._queue.put(model)
