"""Drift of what runs have scored: rows of the lake, read where they lie, and labels by day and key."""

import random
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest

from backend.app import build_services
from backend.batch.models import BatchRun, Cause, RunState
from backend.core.config import Settings
from backend.core.ids import new_id
from backend.privacy.models import PayloadSample
from mlplatform.spec.model import ModelSpec
from tests.conftest import SetClock
from tests.marks import on_one_database

from ..drift_reports import drift_report
from .conftest import BODY, MODEL, Running, Shop, day

pytestmark = [pytest.mark.slow, pytest.mark.timeout(500)]


def trained(seed: int = 1, rows: int = 2000) -> pd.DataFrame:
    draw = random.Random(seed)
    frame = pd.DataFrame({"x": [draw.lognormvariate(1, 1) for _ in range(rows)]})
    frame["y"], frame["error"] = frame["x"], [abs(draw.gauss(0, 0.1)) for _ in range(rows)]
    return frame


def write(shop: Shop, number: int, seed: int, *, times: float = 1.0, rows: int = 300) -> list[float]:
    """Write a day's orders, in two files."""
    values = [times * value for value in trained(seed, rows)["x"]]
    folder = shop.lake / "shop/orders" / f"date={day(number)}"
    folder.mkdir(parents=True, exist_ok=True)
    frame = pl.DataFrame({"id": list(range(rows)), "x": values, "note": ["not the model's business"] * rows})
    frame[:100].write_parquet(folder / "a.parquet")
    frame[100:].write_parquet(folder / "b.parquet")
    return values


@on_one_database
def test_days_are_silent_until_one_drifts(shop: Running) -> None:
    shop.add_version(2, BODY.format(factor=1), reference=trained())
    shop.make_live(2)
    values = write(shop, 1, 2)
    shop.until(shop.request(1)["id"])
    healthy = drift_report(shop.ada, MODEL)
    assert (healthy["outcome"], healthy["rows"], healthy["drifted"]) == ("healthy", 300, []), healthy["reason"]
    assert healthy["reason"] is None
    # The truth of that day, for some of its rows and one that it does not have.
    draw = random.Random(3)
    told: list[dict[str, Any]] = [
        {"day": str(day(1)), "key": {"id": number}, "value": values[number] + draw.gauss(0, 0.1)}
        for number in range(0, 200, 2)
    ]
    told.append({"day": str(day(1)), "key": {"id": "4711"}, "value": 1})
    answer = shop.ada.post(f"/drift/models/{MODEL}/labels", {"environment": "lab", "labels": told})
    assert answer.json() == {"new": 101, "changed": 0, "repeated": 0, "outdated": 0, "sampled": 101}
    again = [{**told[0], "key": {"id": "0"}}]  # as a CSV file has it
    assert (
        shop.ada.post(f"/drift/models/{MODEL}/labels", {"environment": "lab", "labels": again}).json()["repeated"] == 1
    )
    # Orders grow; the input of another day is written again after it was scored.
    write(shop, 2, 4, times=5)
    write(shop, 3, 5)
    for number in (2, 3):
        shop.until(shop.request(number)["id"])
    write(shop, 3, 6)
    drifted = drift_report(shop.ada, MODEL)
    assert (drifted["outcome"], drifted["rows"], drifted["labelled"]) == ("drifted", 300, 100), drifted["reason"]
    assert {one["column"] for one in drifted["drifted"]} == {"x", "y"}
    assert (drifted["dataDrifted"], drifted["performanceDrifted"]) == (True, False)
    assert drifted["reason"] == f"left out was {day(3)}: scored by another version or from another input since"
    (incident,) = shop.ada.get("/observability/incidents").json()["items"]
    assert {one["name"] for one in incident["alerts"]} == {"DataDrift", "PredictionDrift"}
    with shop.services.database.read() as session:
        assert session.query(PayloadSample).count() == 0
    for labels, said in (
        ([{"id": "1", "value": 1}], "Give `day`, and in `key` id."),
        ([{"day": str(day(1)), "key": {"order": 1}, "value": 1}], "batch.keys are id."),
    ):
        refused = shop.ada.post(f"/drift/models/{MODEL}/labels", {"environment": "lab", "labels": labels})
        assert (refused.status_code, refused.json()["fix"]) == (422, said)


@on_one_database
def test_a_report_is_due_when_there_is_something_to_judge(
    settings: Settings, python_model: Callable[[str], Path], set_clock: SetClock
) -> None:
    set_clock.moment = datetime.now(set_clock.moment.tzinfo)
    shop = Shop(build_services(settings, set_clock), python_model)
    shop.add_version(1)
    shop.make_live(1)
    services = shop.services

    def due() -> bool:
        with services.database.read() as session:
            spec = ModelSpec.model_validate(services.registry.get_version(session, MODEL, 1).spec)
            return services.drift.due(session, MODEL, "lab", 1, spec)

    set_clock.move(days=2)
    assert not due()
    for cause, state in ((Cause.TRIAL, RunState.SUCCEEDED), (Cause.MANUAL, RunState.UNCHANGED)):
        _ran(shop, cause, state)
    set_clock.move(hours=1)
    assert not due()
    _ran(shop, Cause.SCHEDULE, RunState.SUCCEEDED)
    set_clock.move(hours=1)
    assert due()
    with services.database.write() as session:
        services.drift.begin(session, MODEL, "lab", 1)
    assert not due()
    services.database.close()


def _ran(shop: Shop, cause: Cause, state: RunState) -> None:
    now = shop.services.clock.now()
    with shop.services.database.write() as session:
        session.add(
            BatchRun(
                id=new_id(), environment="lab", model=MODEL, version=1, day=day(1), cause=cause, state=state,
                requested_by="user:default/ada", requested_at=now, started_at=now, finished_at=now,
            )
        )  # fmt: skip
