"""The folders of versions that are to run, each verified before its first start.

Verifying hashes every file, which takes seconds a gigabyte. So it is done beside the loop that moves traffic: one model's
large artefact must not hold up another one's rollback.
"""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from backend.core.errors import PlatformError
from backend.deployments.targets.base import VersionKey
from backend.registry.models import VersionRow
from backend.registry.service import RegistryService

_LOOK_AGAIN = 30.0
"""Seconds after which an artefact that was not to be had is looked at again."""

_log = logging.getLogger(__name__)


class VerifiedArtefacts:
    """Verifies in a thread of its own, and calls ``verified`` whenever it knows more."""

    def __init__(self, registry: RegistryService, verified: Callable[[], None]) -> None:
        self._registry, self._verified = registry, verified
        self._executor: ThreadPoolExecutor | None = None
        self._guard = threading.Lock()
        self._looking: dict[VersionKey, Future[Path]] = {}
        self._failed_at: dict[VersionKey, float] = {}

    def folder(self, key: VersionKey, version: VersionRow) -> Path | None:
        """Return the version's folder, or ``None`` as long as it is not verified."""
        with self._guard:
            looking = self._looking.get(key)
            if looking is None or self._is_due_again(key):
                self._failed_at.pop(key, None)
                self._executor = self._executor or ThreadPoolExecutor(1, thread_name_prefix="artefacts")
                self._looking[key] = looking = self._executor.submit(self._registry.bundle_path, version)
            else:
                return _result(looking)
        looking.add_done_callback(lambda done: self._done(key, done))
        return _result(looking)

    def fault(self, key: VersionKey) -> str | None:
        """Return why a version can't be run, if its artefact is not to be had."""
        with self._guard:
            looking = self._looking.get(key)
        if looking is None or not looking.done() or (error := looking.exception()) is None:
            return None
        return str(error) if isinstance(error, PlatformError | OSError) else f"{type(error).__name__}: {error}"

    def forget(self, key: VersionKey) -> None:
        """Verify the version anew before it is started the next time."""
        with self._guard:
            self._looking.pop(key, None)
            self._failed_at.pop(key, None)

    def close(self) -> None:
        """Put the verifying down; what was found so far stays known."""
        with self._guard:
            executor, self._executor = self._executor, None
            self._looking = {key: looking for key, looking in self._looking.items() if looking.done()}
        if executor is not None:
            executor.shutdown(wait=False, cancel_futures=True)

    def _is_due_again(self, key: VersionKey) -> bool:
        failed_at = self._failed_at.get(key)
        return failed_at is not None and time.monotonic() - failed_at > _LOOK_AGAIN

    def _done(self, key: VersionKey, done: "Future[Path]") -> None:
        if done.cancelled():
            return
        if (error := done.exception()) is not None:
            # One model's missing artefact must not stop the others.
            _log.error("the artefact of %s is not to be had: %s", key, error)
            with self._guard:
                self._failed_at[key] = time.monotonic()
        self._verified()


def _result(looking: "Future[Path]") -> Path | None:
    return looking.result() if looking.done() and looking.exception() is None else None
