"""Answers that are good until something is committed."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast

from backend.core.database import Database

Answer = TypeVar("Answer")

_MOST = 256


class Remembered:
    """Keeps what was computed from the database, as long as nothing in it changes; safe to share between threads.

    An answer can be older than the data by nothing: the database's version is asked for before each use and before each
    computation. The least used answers go when there are many.
    """

    def __init__(self, database: Database, *, most: int = _MOST) -> None:
        self._database, self._most = database, most
        self._guard = threading.Lock()
        self._version = ""
        self._answers: OrderedDict[Hashable, Any] = OrderedDict()

    def get(self, key: Hashable, compute: Callable[[], Answer]) -> Answer:
        """Return the answer of this key, computed now if it is not known any more."""
        version = self._database.version()
        with self._guard:
            if version == self._version and key in self._answers:
                self._answers.move_to_end(key)
                return cast(Answer, self._answers[key])
        answer = compute()
        with self._guard:
            # What was computed meanwhile from other data is not mixed with this.
            if version != self._version:
                self._answers.clear()
                self._version = version
            self._answers[key] = answer
            if len(self._answers) > self._most:
                self._answers.popitem(last=False)
        return answer
