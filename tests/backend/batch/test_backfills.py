"""Ranges of days: what is planned, what is scored, and what is left alone."""

import os
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.batch.backfills import planned
from mlplatform.batch.lake import LakeFile
from mlplatform.batch.manifest import Identity, InputFile, Manifest
from mlplatform.spec.batch import Batch
from tests.marks import on_one_database
from tests.waiting import wait_until

from .conftest import MODEL, Running, day

DIGEST = "d" * 64
FILE = LakeFile("a.parquet", 10, "mark")


def scored(model: str, version: int, digest: str, file: LakeFile) -> Manifest:
    at = datetime(2013, 1, 1, tzinfo=UTC)
    return Manifest(
        identity=Identity(model=model, version=version, model_digest=digest, spec_digest="s"),
        environment="lab",
        day="2013-01-01",
        run_id="r",
        engine="polars",
        started_at=at,
        finished_at=at,
        rows_in=1,
        rows_out=1,
        rows_rejected=0,
        model_seconds=0,
        input_path="x",
        input_files=[InputFile(name=file.name, bytes=file.bytes, mark=file.mark, digest="x")],
        input_digest="x",
        output_files=[],
        output_digest="x",
    )


class OneDay:
    """A lake that has one day, as a test says."""

    def __init__(self, files: list[LakeFile], manifest: Manifest | None) -> None:
        self._files, self._manifest = files, manifest

    def files(self, *_place: object) -> list[LakeFile]:
        return self._files

    def manifest(self, *_place: object) -> Manifest | None:
        return self._manifest


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(
    there=st.booleans(),
    empty=st.booleans(),
    manifest=st.none()
    | st.tuples(st.sampled_from([MODEL, "other"]), st.integers(1, 3), st.sampled_from([DIGEST, "e"])),
    touched=st.booleans(),
    version=st.integers(1, 3),
    scored_by=st.none() | st.integers(1, 3),
)
def test_what_is_planned_for_a_day(
    there: bool, empty: bool, manifest: tuple[str, int, str] | None, touched: bool, version: int, scored_by: int | None
) -> None:
    """A day is scored exactly if it has input, was asked for, and is not as this version would leave it."""
    read = LakeFile(FILE.name, FILE.bytes, "other") if touched else FILE
    lake: Any = OneDay([] if empty else [FILE], scored(*manifest, read) if manifest else None)
    batch = Batch.model_validate({"input": "in", "output": "out", "keys": ["id"]})
    plan = planned(lake, batch, day(0), MODEL, version, DIGEST, there=there, scored_by=scored_by)
    mine = manifest is not None and manifest[0] == MODEL
    by = manifest[1] if manifest is not None and mine else None
    same = manifest is not None and mine and manifest[1:] == (version, DIGEST)
    asked = scored_by is None or by == scored_by
    has_input = there and not empty
    assert plan.version == by
    assert plan.scored == (asked and has_input and not (same and not touched))
    if not plan.scored:
        assert plan.state == ("not_asked_for" if not asked else "no_input" if not has_input else "unchanged")


pytestmark = pytest.mark.timeout(400)
slow = pytest.mark.slow


@slow
def test_a_range_is_planned_scored_and_then_unchanged(shop: Running) -> None:
    shop.write(1, 2, 4)
    shop.until(shop.request(2)["id"])
    plan = shop.ada.post("/batch/backfills/plan", shop.range(0, 5)).json()
    assert [(one["day"][-2:], one["state"]) for one in plan["days"]] == [
        ("01", "no_input"),
        ("02", "missing"),
        ("03", "unchanged"),
        ("04", "no_input"),
        ("05", "missing"),
        ("06", "no_input"),
    ]
    assert plan["toScore"] == 2
    assert shop.read(1) == []
    made = shop.backfill(0, 5)
    done = shop.filled(made["id"])
    assert (done["state"], done["days"], done["done"], done["failed"]) == ("succeeded", 2, 2, 0), done
    assert done["skipped"] == {"no_input": 3, "unchanged": 1}
    assert done["message"] == "2 of 2 days scored"
    assert len(shop.read(1)) == len(shop.read(4)) == 3
    again = shop.backfill(0, 5)
    assert (again["state"], again["days"], again["message"]) == ("succeeded", 0, "no day of the range needs scoring")
    runs = shop.runs(backfill=made["id"])
    assert {run["cause"] for run in runs} == {"backfill"}
    shop.write(1, rows=7)
    changed = shop.ada.post("/batch/backfills/plan", shop.range(1, 1)).json()
    assert changed["days"][0]["state"] == "changed"


@slow
@on_one_database
def test_days_that_fail_do_not_keep_the_others(shop: Running) -> None:
    shop.write(1, 3)
    shop.write(2, value=-1.0)
    done = shop.filled(shop.backfill(1, 3, parallelism=1)["id"])
    assert (done["state"], done["message"], done["failed"]) == ("failed", "2 of 3 days scored, 1 not", 1)
    assert len(shop.read(3)) == 3
    (finished,) = shop.events("backfill.finished")
    assert finished["data"]["counts"] == {"failed": 1, "succeeded": 2}


@slow
@on_one_database
def test_a_cancelled_backfill_ends_what_runs_and_keeps_what_is_done(shop: Running) -> None:
    shop.write(*range(1, 9))
    made = shop.backfill(1, 8, parallelism=1)
    wait_until(lambda: shop.ada.get(f"/batch/backfills/{made['id']}").json()["done"] >= 1, 120)
    ended = shop.ada.post(f"/batch/backfills/{made['id']}/cancel", {"reason": "enough"}).json()
    assert ended["state"] == "cancelled"
    wait_until(lambda: all(run["state"] not in ("pending", "running") for run in shop.runs()), 20)
    assert len(shop.runs(backfill=made["id"])) < 8
    assert shop.read(1)
    assert shop.ada.post(f"/batch/backfills/{made['id']}/cancel", {"reason": "again"}).status_code == 409


@slow
@on_one_database
def test_only_what_a_version_has_scored(shop: Running) -> None:
    shop.write(1, 2, 3)
    shop.until(shop.request(1)["id"])
    shop.add_version(2)
    shop.make_live(2)
    shop.until(shop.request(2)["id"])
    scored_days = shop.ada.get(f"/environments/lab/models/{MODEL}/batch/scored", version=2).json()["days"]
    assert scored_days == [str(day(2))]
    plan = shop.ada.post("/batch/backfills/plan", shop.range(1, 3, version=1, scoredBy=2)).json()
    assert [one["state"] for one in plan["days"]] == ["not_asked_for", "other_version", "not_asked_for"]


@slow
@pytest.mark.parametrize(
    ("first", "last", "more", "status", "said"),
    [
        (3, 1, {}, 422, "2013-01-02 is before /from 2013-01-04"),
        (0, 4000, {}, 422, "is more than 3660 days"),
        (0, 1, {"version": 9}, 404, "has no version 9"),
        (0, 1, {"parallelism": 0}, 422, "parallelism"),
    ],
)
@on_one_database
def test_ranges_that_are_refused(
    shop: Running, first: int, last: int, more: dict[str, Any], status: int, said: str
) -> None:
    answer = shop.ada.post("/batch/backfills", shop.range(first, last, reason="try", **more))
    assert (answer.status_code, said in answer.json()["detail"]) == (status, True), answer.text
    stranger = shop.backend.someone("edsger").post("/batch/backfills", shop.range(0, 1, reason="try"))
    assert stranger.status_code == 403


@slow
@pytest.mark.fault
@on_one_database
def test_a_backfill_whose_processes_are_killed_goes_on(shop: Running) -> None:
    shop.write(*range(1, 6))
    made = shop.backfill(1, 5)
    killed = 0
    while killed < 2:
        for path in Path("/proc").glob("[0-9]*"):
            try:
                command = (path / "cmdline").read_bytes()
            except OSError:
                continue
            if b"mlplatform.batch" in command and str(shop.lake).encode() in command:
                os.kill(int(path.name), signal.SIGKILL)
                killed += 1
                break
    done = shop.filled(made["id"])
    assert done["state"] == "succeeded", done
    assert all(len(shop.read(number)) == 3 for number in range(1, 6))
