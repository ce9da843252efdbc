"""The four keys of DORA, and the events and months behind every figure."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backend.overview.measures import Measure, Sample, middle, number, per_week, share

from .conftest import Ward
from .test_incidents import RESOLUTION, alert, observability, pager, send

pytestmark = pytest.mark.slow

__all__ = ["observability", "pager"]


def measure(*samples: tuple[datetime, float], value: Any = middle) -> Measure:
    return Measure("x", "hours", None, "", value, [Sample(at, "model:wine", one) for at, one in samples])


def test_months_are_calendar_months_whatever_the_year_and_the_leap_day() -> None:
    now = datetime(2028, 3, 1, 0, 0, 30, tzinfo=UTC)
    leap, march, old = (datetime(2028, 2, 29, 23, 59, 59, tzinfo=UTC), now, datetime(2027, 12, 1, tzinfo=UTC))
    months = measure((leap, 2), (leap, 4), (march, 9), (old, 1), (old - timedelta(seconds=1), 7)).trend(now, 4)
    assert [(one.month, one.value, one.count) for one in months] == [
        ("2027-12", 1, 1), ("2028-01", None, 0), ("2028-02", 3, 2), ("2028-03", 9, 1)
    ]  # fmt: skip


def test_a_frequency_is_by_week_of_what_has_passed_of_a_month() -> None:
    now = datetime(2026, 3, 8, tzinfo=UTC)
    (month,) = measure(*[(now - timedelta(days=day), 1) for day in range(1, 8)], value=per_week).trend(now, 1)
    assert (month.value, month.count) == (7, 7)
    assert measure(value=per_week).trend(datetime(2026, 3, 1, tzinfo=UTC), 1)[0].value is None


def test_nothing_to_count_is_no_number() -> None:
    since = datetime(2026, 3, 1, tzinfo=UTC)
    assert [measure(value=one).figure(since, 30).value for one in (middle, share, number)] == [None, None, 0]


@pytest.mark.slow
def test_the_four_keys_follow_from_rollouts_rollbacks_and_incidents(ward: Ward) -> None:
    ward.deploy(1)
    ward.deploy(2)
    alertmanager = ward.backend.someone("edsger")
    (id,) = send(alertmanager, alert(ward, age=0))
    answer = ward.ada.post("/environments/lab/models/wine/rollback", {"reason": "it errs"})
    assert answer.status_code == 200, answer.text
    send(alertmanager, alert(ward, age=0, ended=True))
    assert ward.ada.post(f"/observability/incidents/{id}/resolution", RESOLUTION).status_code == 200

    found = {one["name"]: one for one in ward.ada.get("/overview/figures").json()}
    assert found["change-failure-rate"]["value"] == 50
    assert found["change-failure-rate"]["count"] == 2
    assert found["deployment-frequency"]["value"] == pytest.approx(2 * 7 / 30)
    assert 0 <= found["change-lead-hours-median"]["value"] < 0.1
    assert (found["restore-minutes-median"]["count"], found["restore-minutes-median"]["value"] < 2) == (1, True)

    detail = ward.ada.get("/overview/figures/change-failure-rate", months=2, limit=1).json()
    assert {**detail["figure"], "trend": []} == found["change-failure-rate"]
    assert [one["count"] for one in detail["trend"]] == [0, 2]
    assert (len(detail["evidence"]), detail["more"], detail["evidence"][0]["value"]) == (1, 1, 1)
    subject = detail["evidence"][0]["subject"]
    assert ward.ada.events(subject=subject), "the events behind it can be looked up"
    path = ward.ada.get("/overview/figures/golden-path-share").json()
    assert [one["note"] for one in path["evidence"]] == ["not from the golden path"] * len(path["evidence"])
    unknown = ward.ada.get("/overview/figures/made-up")
    assert (unknown.status_code, "change-failure-rate" in unknown.json()["fix"]) == (404, True)
