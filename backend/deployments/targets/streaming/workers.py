"""What the workers of streaming versions answer over HTTP on this machine."""

import http.client
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from backend.deployments.targets.base import TargetUnavailable, VersionKey
from mlplatform.streaming.handover import Progress
from mlplatform.streaming.position import Position

_TIMEOUT_SECONDS = 2.0


@dataclass(frozen=True)
class Worker:
    """One replica of a version that can be asked."""

    key: VersionKey
    replica: int
    port: int

    def assignment(self) -> dict[str, Any] | None:
        """Return what the worker does at the moment; ``None`` if it does not answer."""
        answer = self._get("/assignment")
        return None if answer is None or answer[0] != 200 else _document(answer[1])

    def metrics(self) -> str | None:
        """Return its figures in Prometheus' text format; ``None`` if it does not answer."""
        answer = self._get("/metrics")
        return None if answer is None or answer[0] != 200 else answer[1]

    def progress(self, query: str) -> Progress | str:
        """Return how far consumer groups have come, or why that can't be told."""
        answer = self._get(f"/progress?{query}")
        if answer is None:
            return f"replica {self.replica} of {self.key} does not answer"
        document = _document(answer[1]) or {}
        if answer[0] != 200:
            return str(document.get("trouble") or f"replica {self.replica} of {self.key} answers {answer[0]}")
        try:
            done = {str(group): Position.from_json(place) for group, place in document["done"].items()}
            return Progress(Position.from_json(document["head"]), done)
        except (KeyError, TypeError, ValueError, AttributeError):
            return f"replica {self.replica} of {self.key} answers what can't be read"

    def _get(self, path: str) -> tuple[int, str] | None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_TIMEOUT_SECONDS)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode("utf-8", "replace")
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()


def progress_of(workers: Sequence[Worker], groups: Sequence[str]) -> Progress:
    """Ask whoever answers first how far these groups have come.

    Raises:
        TargetUnavailable: nobody can tell, as while the broker is away.
    """
    return _first(workers, urlencode([("group", group) for group in groups]))


def progress_of_all(workers: Sequence[Worker], prefix: str) -> Progress:
    """The same for all groups whose names begin so."""
    return _first(workers, urlencode({"prefix": prefix}))


def _first(workers: Sequence[Worker], query: str) -> Progress:
    said = "no replica is ready that could ask the broker"
    for worker in workers:
        answer = worker.progress(query)
        if isinstance(answer, Progress):
            return answer
        said = answer
    raise TargetUnavailable(f"the positions in the stream can't be read: {said}")


def _document(text: str) -> dict[str, Any] | None:
    try:
        document = json.loads(text)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None
