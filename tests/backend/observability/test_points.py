"""Points over time: they add up to what was counted whichever tier they are read from, and quantiles lie in the right bucket."""

import math
from bisect import bisect_left
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.core.database import Database
from backend.deployments.targets.base import VersionKey
from backend.observability import points as module
from backend.observability.points import MOST_POINTS, Grid, grid, known, quantiles, rows_by_version
from backend.observability.series import EDGES, TIERS, WIDTH, Rows
from backend.observability.store import REQUESTS

from .test_series import KEY, sample, started, write

NOW = 1_790_000_123.0
HOURS = {"1h": 1, "6h": 6, "1d": 24, "7d": 168, "30d": 720}


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    made = Database(database_url)
    yield made
    made.close()


def read(database: Database, points: Grid, model: str = "wine") -> dict[int, Rows]:
    with database.read() as session:
        return rows_by_version(session, "production", model, REQUESTS, points, WIDTH)


@given(
    parts=st.lists(st.lists(st.floats(0.01, 59_999.0), max_size=40), min_size=1, max_size=5),
    share=st.floats(0.01, 1.0),
)
def test_a_quantile_of_merged_histograms_lies_in_the_bucket_of_the_exact_one(
    parts: list[list[float]], share: float
) -> None:
    answers = sorted(value for part in parts for value in part)
    merged = np.zeros((1, len(EDGES)), dtype=np.int64)
    for part in parts:
        for value in part:
            merged[0, bisect_left(EDGES, value)] += 1
    ((found,),) = quantiles(merged, [share])
    if not answers:
        assert math.isnan(found)
        return
    bucket = bisect_left(EDGES, answers[max(math.ceil(share * len(answers)), 1) - 1])
    assert (EDGES[bucket - 1] if bucket else 0.0) <= found <= EDGES[bucket]


def test_answers_beyond_the_last_finite_edge_are_told_as_that() -> None:
    row = np.zeros((1, len(EDGES)), dtype=np.int64)
    row[0, -1] = 7
    assert quantiles(row).tolist() == [[60_000.0] * 3]


@given(hours=st.floats(0.001, 744.0), ago=st.floats(0.0, 743.0))
def test_whatever_the_window_its_points_are_few_and_made_of_whole_slots_that_are_kept(hours: float, ago: float) -> None:
    until = NOW - ago * 3_600
    since = until - hours * 3_600
    points = grid(since, until, NOW)
    assert points.points <= MOST_POINTS + 1
    assert points.step % points.tier.step == 0
    assert points.start <= since < points.start + points.step
    assert points.end - points.step < until <= points.end
    assert points.tier is TIERS[-1] or since >= NOW - points.tier.keep


def test_an_hour_is_shown_finely_and_a_month_reads_no_fine_slots() -> None:
    shown = {name: grid(NOW - hours * 3_600, NOW, NOW) for name, hours in HOURS.items()}
    assert {name: (one.step, one.tier.step) for name, one in shown.items()} == {
        "1h": (20, 10), "6h": (120, 60), "1d": (300, 300), "7d": (3_600, 300), "30d": (10_800, 300)
    }  # fmt: skip


def test_points_of_every_window_add_up_to_what_was_counted(database: Database) -> None:
    store, beginning = started(database), NOW - 30 * 86_400
    second = VersionKey("production", "wine", 2)
    store.take([sample(0), sample(0, key=second)], beginning)
    total = 0
    for at in (NOW - 20 * 86_400, NOW - 5 * 86_400, NOW - 7_200, NOW - 1_800, NOW - 10):
        total += 1_000
        store.take([sample(total, total // 100, slow=total // 10), sample(total // 2, key=second)], at)
        write(store, database, at)
    month = grid(beginning, NOW, NOW)
    rows = read(database, month)
    assert {version: (int(one[:, 0].sum()), int(one[:, 1].sum())) for version, one in rows.items()} == {
        1: (5_000, 50), 2: (2_500, 0)
    }  # fmt: skip
    assert all(one[:, 2:].sum() == one[:, 0].sum() for one in rows.values())
    for hours in HOURS.values():
        fine = grid(NOW - hours * 3_600, NOW, NOW)
        # The same time from the coarsest slots, between borders that both have.
        common = max(fine.step, 600)
        first, last = -(-fine.start // common) * common, int(NOW // common) * common
        coarse = Grid(first, 300, (last - first) // 300, TIERS[-1])
        inside = (fine.at >= first) & (fine.at < last)
        assert read(database, fine)[1][inside].sum(axis=0).tolist() == read(database, coarse)[1].sum(axis=0).tolist()


def test_only_what_a_window_needs_of_a_model_is_read(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    store = started(database)
    others = [VersionKey("production", f"model-{number}", 1) for number in range(20)]
    for minute in range(0, 3 * 1_440, 30):
        store.take([sample(minute, key=one) for one in (KEY, *others)], NOW - 3 * 86_400 + minute * 60)
    write(store, database, NOW)
    opened: list[int] = []
    unpack = module.unpack
    monkeypatch.setattr(module, "unpack", lambda data, slots: opened.append(slots) or unpack(data, slots))
    assert read(database, grid(NOW - 30 * 86_400, NOW, NOW))[1][:, 0].sum() > 0
    assert len(opened) <= 5
    opened.clear()
    read(database, grid(NOW - 2 * 86_400, NOW - 1.5 * 86_400, NOW))
    assert len(opened) <= 2


def test_a_version_is_known_from_its_first_request_to_its_last_reading(database: Database) -> None:
    store = started(database)
    store.take([sample(0)], NOW - 1_000)
    store.take([sample(0)], NOW - 600)
    store.take([sample(60)], NOW - 595)
    store.take([sample(60)], NOW - 300)
    write(store, database, NOW - 300)
    points = grid(NOW - 3_600, NOW, NOW)
    rows = read(database, points)[1]
    inside, seconds = known(rows, NOW - 300, points)
    told = rows[inside]
    assert told[0, 0] > 0
    assert told[:, 0].sum() == 60
    assert told[-1, 0] == 0
    assert points.at[inside][-1] + seconds[-1] == NOW - 300
