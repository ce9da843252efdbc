"""A detector spread over processes: reading text is where a scan's time goes, and it needs no memory in common."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from itertools import repeat
from multiprocessing import get_context
from types import TracebackType

from mlplatform.pii.detectors import DetectionFailed, Detector, Entity, Text

_CHUNK = 128
_WORTH_IT = 512
"""Texts from which on it pays to start processes, each of which loads the model."""


class PooledDetector:
    """Implements :class:`~mlplatform.pii.detectors.Detector`; the answers are those of one process, in the same order."""

    def __init__(self, make: Callable[[], Detector], workers: int | None = None) -> None:
        self._make = make
        self._workers = workers or os.cpu_count() or 1
        self._here: Detector | None = None
        self._pool: ProcessPoolExecutor | None = None
        self._asked = 0

    @property
    def name(self) -> str:
        """The name of the detector that is spread."""
        return self._own().name

    def __enter__(self) -> "PooledDetector":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def detect(self, texts: Sequence[Text], kinds: frozenset[str] | None = None) -> list[list[Entity]]:
        """Return what each text holds; a few texts are read here, many by all processes."""
        self._asked += len(texts)
        if self._workers == 1 or self._asked < _WORTH_IT or len(texts) <= _CHUNK // 2:
            return self._own().detect(texts, kinds)
        if self._pool is None:
            self._pool = ProcessPoolExecutor(self._workers, mp_context=get_context("spawn"))
        size = min(_CHUNK, -(-len(texts) // self._workers))
        chunks = [texts[start : start + size] for start in range(0, len(texts), size)]
        try:
            answers = list(self._pool.map(_detect, repeat(self._make), chunks, repeat(kinds)))
        except BrokenProcessPool as error:
            raise DetectionFailed("a process of the scan was killed", "use fewer --workers, or more memory") from error
        return [entities for answer in answers for entities in answer]

    def _own(self) -> Detector:
        if self._here is None:
            self._here = _made(self._make)
        return self._here


@cache
def _made(make: Callable[[], Detector]) -> Detector:
    """Return the detector of this process, made before its first chunk."""
    return make()


def _detect(make: Callable[[], Detector], texts: Sequence[Text], kinds: frozenset[str] | None) -> list[list[Entity]]:
    return _made(make).detect(texts, kinds)
