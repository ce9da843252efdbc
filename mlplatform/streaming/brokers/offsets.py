"""What is open in the partitions of a topic. Kafka remembers one offset a partition: everything before it is done."""

from heapq import heappop, heappush


class Offsets:
    """Follows messages of several partitions until they are done, in whatever order that happens."""

    def __init__(self) -> None:
        self._next: dict[str, int] = {}
        self._open: dict[str, dict[int, float]] = {}
        self._heap: dict[str, list[int]] = {}

    def taken(self, part: str, offset: int, at: float) -> bool:
        """Follow a message that came at this time; false when it is followed already, or was."""
        if offset < self._next.get(part, 0):
            return False
        self._next[part] = offset + 1
        self._open.setdefault(part, {})[offset] = at
        heappush(self._heap.setdefault(part, []), offset)
        return True

    def done(self, part: str, offset: int) -> None:
        """Take note that a message is done; nothing happens when it is not followed."""
        self._open.get(part, {}).pop(offset, None)

    def floors(self) -> dict[str, int]:
        """Return for each partition the first offset that is not done."""
        return {part: self._floor(part) for part in self._next}

    def _floor(self, part: str) -> int:
        heap, waiting = self._heap[part], self._open[part]
        while heap and heap[0] not in waiting:
            heappop(heap)
        return heap[0] if heap else self._next[part]

    def is_open(self, part: str, offset: int) -> bool:
        """Tell whether a message is followed and not done."""
        return offset in self._open.get(part, {})

    def oldest(self) -> float | None:
        """Return when the oldest open message came."""
        return min((at for part in self._open.values() for at in part.values()), default=None)

    def forget(self, part: str) -> None:
        """Follow a partition no longer: somebody else reads it now."""
        for known in (self._next, self._open, self._heap):
            known.pop(part, None)
