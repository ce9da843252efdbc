"""The embedded store of samples: what live versions did, in bounded space, for thirty days.

Readings are gathered in memory and written by :meth:`SampleStore.flush`, the counters that they end at in the same
transaction. So after a crash the next reading goes on from what is stored: nothing is counted twice, and what came in
between is shared among the slots of the time that was missed.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from backend.deployments.targets.base import Sample, VersionKey
from backend.observability import repository
from backend.observability.burn import Counts
from backend.observability.repository import SeriesKey
from backend.observability.series import (
    TIERS,
    Reading,
    Row,
    Rows,
    Tier,
    as_json,
    from_json,
    good_edge,
    growth,
    pack,
    rows_of,
    spread,
    unpack,
)

ChunkKey = tuple[str, str, int, str, int, int]
"""A series with a step and a start, or with a step and a slot."""
REQUESTS = "requests"
_PLAIN = 2
_LONGEST_GAP = 30 * 86_400.0


def moments(slo: str) -> str:
    """Return the measure under which an objective's moments are counted."""
    return f"slo:{slo}"


class SampleStore:
    """One object per process that samples; not to be used by several threads at once."""

    def __init__(self) -> None:
        self._readings: dict[SeriesKey, Reading] = {}
        self._fresh: dict[SeriesKey, Reading] = {}
        """What was read since the last flush."""
        self._moments: set[SeriesKey] = set()
        self._pending: dict[ChunkKey, Row] = {}
        self._watched = False
        self._loaded = False

    def load(self, session: Session) -> None:
        """Go on from the counters that were stored last."""
        self._readings, self._fresh, self._pending, self._moments = {}, {}, {}, set()
        for row in repository.all_series(session):
            found = from_json(row.last) if row.last is not None else None
            if found is not None:
                self._readings[row.environment, row.model, row.version, row.measure] = found
        self._watched, self._loaded = False, True

    @property
    def loaded(self) -> bool:
        """Whether :meth:`load` was called."""
        return self._loaded

    @property
    def held(self) -> int:
        """How many rows of counts wait in memory to be written."""
        return len(self._pending)

    def take(self, samples: Iterable[Sample], at: float, serving: set[VersionKey] | None = None) -> None:
        """Take a reading of all versions' counters at a time.

        ``serving`` are those that users' requests go to: what others do, such as one that gets copies of requests, is
        followed and not counted. The same reading again adds nothing.
        """
        own = list(samples)
        for sample, row in zip(own, rows_of(own), strict=True):
            where = sample.key
            key = (where.environment, where.model, where.version, REQUESTS)
            after, before = Reading(at, row), self._readings.get(key)
            self._readings[key] = self._fresh[key] = after
            counts = growth(before, after, watched=self._watched)
            if counts.any() and (serving is None or where in serving):
                start = max(before.at, at - _LONGEST_GAP) if before is not None else at
                self._add(key, counts, start, at)
        self._watched = True

    def moment(self, key: VersionKey, slo: str, at: float, *, bad: bool) -> None:
        """Count a moment at which an objective held or did not."""
        series = (key.environment, key.model, key.version, moments(slo))
        self._moments.add(series)
        self._add(series, np.array([1, int(bad)], dtype=np.int64), at, at)

    def flush(self, session: Session, now: float) -> None:
        """Write what was gathered, and delete what is too old.

        It stays in memory until :meth:`written` says that the transaction was committed.
        """
        spans = {tier.step: tier for tier in TIERS}
        # After a long gap there is more than a fine tier keeps.
        pending = {key: row for key, row in self._pending.items() if key[5] * key[4] >= now - spans[key[4]].keep}
        places = {key: _chunk(key, spans[key[4]]) for key in pending}
        stored = repository.chunks(session, set(places.values()))
        opened: dict[ChunkKey, Rows] = {}
        for key, counts in pending.items():
            chunk, tier = places[key], spans[key[4]]
            if chunk not in opened:
                data = stored.get(chunk)
                rows = None if data is None else unpack(data, tier.slots).astype(np.int64)
                if rows is None or rows.shape[1] != len(counts):
                    rows = np.zeros((tier.slots, len(counts)), dtype=np.int64)
                opened[chunk] = rows
            opened[chunk][key[5] - chunk[5] // tier.step] += counts
        names = ("environment", "model", "version", "measure", "step", "start")
        repository.replace_chunks(
            session, [{**dict(zip(names, key, strict=True)), "data": pack(rows)} for key, rows in opened.items()]
        )
        known: dict[SeriesKey, Reading | None] = {**dict.fromkeys(self._moments), **self._fresh}
        repository.replace_series(
            session,
            [
                {
                    **dict(zip(names, key, strict=False)),
                    "last": None if one is None else as_json(one),
                    "at": datetime.fromtimestamp(now if one is None else one.at, UTC),
                }
                for key, one in known.items()
            ],
        )
        for tier in TIERS:
            repository.drop_chunks(session, tier.step, int(now) - tier.keep - tier.span)
        repository.drop_series(session, datetime.fromtimestamp(now - TIERS[-1].keep, UTC))

    def written(self, now: float) -> None:
        """Forget what was written, and versions of which nothing was heard for longer than anything is kept."""
        self._pending.clear()
        self._moments.clear()
        self._fresh.clear()
        oldest = now - TIERS[-1].keep
        self._readings = {key: one for key, one in self._readings.items() if one.at >= oldest}

    def _add(self, key: SeriesKey, counts: Row, start: float, end: float) -> None:
        for tier in TIERS:
            for slot, row in spread(counts, start, end, tier):
                place = (*key, tier.step, slot)
                present = self._pending.get(place)
                self._pending[place] = row if present is None else present + row


def _chunk(key: ChunkKey, tier: Tier) -> ChunkKey:
    environment, model, version, measure, step, slot = key
    return environment, model, version, measure, step, slot * step // tier.span * tier.span


def counts_of(
    session: Session,
    environment: str,
    model: str,
    measure: str,
    *,
    now: float,
    seconds: float,
    threshold_ms: float | None = None,
    version: int | None = None,
) -> Counts:
    """Return what a model's versions did in the last seconds: the newest of it finely, the older more coarsely.

    Bad are errors, or with a threshold answers that may have been slower.
    """
    good = None if threshold_ms is None else good_edge(threshold_ms)
    parts: list[NDArray[np.float64]] = []
    until = (int(now) // TIERS[0].step + 1) * TIERS[0].step
    for tier, age in zip(TIERS, (3_600.0, 86_400.0, seconds), strict=True):
        # Borders of the coarsest slots are borders of all others, so nothing is counted twice where tiers meet.
        border = int((now - min(age, seconds)) // TIERS[-1].step) * TIERS[-1].step
        if border >= until:
            continue
        slots = np.zeros((2, (until - border) // tier.step), dtype=np.int64)
        first = border // tier.span * tier.span
        for number, start, data in repository.chunks_of(session, environment, model, measure, tier.step, first):
            low, high = max(start, border), min(start + tier.span, until)
            if low < high and version in (None, number):
                table = unpack(data, tier.slots)[(low - start) // tier.step : (high - start) // tier.step]
                slots[:, (low - border) // tier.step : (high - border) // tier.step] += _all_and_bad(table, good)
        middles = np.minimum(border + tier.step * (np.arange(slots.shape[1]) + 0.5), now)
        some = slots[0] > 0
        parts.insert(0, np.vstack([middles[some], slots[:, some]]))
        until = border
    at, total, bad = np.hstack(parts)
    return Counts(at, total, bad)


def _all_and_bad(table: NDArray[Any], good: int | None) -> Rows:
    if good is None or table.shape[1] == _PLAIN:
        return table[:, :2].T
    total = table[:, 2:].sum(axis=1, dtype=np.int64)
    return np.vstack([total, total - table[:, 2 : 2 + good].sum(axis=1, dtype=np.int64)])
