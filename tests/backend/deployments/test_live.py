"""Watching a rollout: samples for a graph, and everything as it happens."""

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from backend.deployments import repository, samples
from backend.deployments.analysis import CheckResult, Judgement, StepFigures
from tests.marks import on_one_database

from .conftest import ADA, Lab

NOBODY = "00000000-0000-7000-8000-000000000000"
API = "/api/ml-platform"


def events_of(text: str) -> list[tuple[str, str, Any]]:
    """What a stream said: names, ids and data; comments left out."""
    found = []
    for block in text.strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if lines:
            found.append((lines["event"], lines["id"], json.loads(lines["data"])))
    return found


def follow(lab: Lab, id: str, last_event_id: str | None = None) -> list[tuple[str, str, Any]]:
    headers = {**lab.ada.headers, **({"Last-Event-ID": last_event_id} if last_event_id else {})}
    answer = lab.backend.http.get(f"{API}/deployments/{id}/events", headers=headers)
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, "text/event-stream")
    return events_of(answer.text)


def judged(requests: int = 10) -> Judgement:
    side = StepFigures(requests, 1, 12.5, 99.0)
    check = CheckResult("latency", 12.5, 500.0, 0.1, 20.0, "passing")
    unknown = CheckResult("lag", None, None, 0.0, 20.0, "no_data")
    return Judgement(side, side, (check, unknown), enough=True)


def test_a_rollout_is_followed_to_its_end(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "SPACING", timedelta(seconds=0.2))
    lab.deploy(1)
    started = lab.deploy(2, wait=False)
    found = follow(lab, started["id"])
    names = [name for name, _, _ in found]
    assert (names[0], names[-1]) == ("deployment", "end")
    assert names.count("end") == 1
    shown = [data for name, _, data in found if name == "deployment"]
    assert all(one != other for one, other in pairwise(shown))
    assert {data["phase"] for data in shown} >= {"progressing"}
    assert found[-1][2] == lab.deployment(started["id"])

    kept = lab.ada.get(f"/deployments/{started['id']}/samples").json()["items"]
    assert [data for name, _, data in found if name == "sample"] == kept
    assert len(kept) >= 3
    assert [one["seq"] for one in kept] == list(range(1, len(kept) + 1))
    assert kept[0]["canary"]["latencyPercentile"] == 99
    assert kept[-1]["limits"]["latency"] == 500
    steps = {step["index"]: step["kind"] for step in found[-1][2]["steps"]}
    assert {steps[one["step"]] for one in kept} == {"canary"}
    later = lab.ada.get(f"/deployments/{started['id']}/samples", after=kept[1]["seq"], limit=1).json()["items"]
    assert later == kept[2:3]

    # Whoever lost the connection gets what they have not seen.
    place = [name for name, _, _ in found].index("sample")
    again = follow(lab, started["id"], found[place][1])
    assert [data for name, _, data in again if name == "sample"] == kept[1:]
    assert again[-1][0] == "end"
    assert [name for name, _, _ in follow(lab, started["id"], found[-1][1])] == ["end"]


@on_one_database
def test_streams_have_places_and_doors(lab: Lab) -> None:
    done = lab.deploy(1)
    path = f"{API}/deployments/{done['id']}"
    for one in ("events", "samples"):
        assert lab.backend.http.get(f"{path}/{one}").status_code == 401
        assert lab.ada.get(f"/deployments/{NOBODY}/{one}").status_code == 404
    for wrong in ("x", "1", "1-2", "-1-0f1e2d3c4b5a6978"):
        answer = lab.backend.http.get(f"{path}/events", headers={**lab.ada.headers, "Last-Event-ID": wrong})
        assert answer.status_code == 422
    held = [lab.services.streams.place(ADA) for _ in range(8)]
    for one_place in held:
        one_place.__enter__()
    answer = lab.backend.http.get(f"{path}/events", headers=lab.ada.headers)
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (429, "too-many-streams")
    for one_place in held:
        one_place.__exit__(None, None, None)
    for _ in range(10):
        assert [name for name, _, _ in follow(lab, done["id"])] == ["end"]


class TestKeeping:
    """On a deployment that is over, so that no engine writes too."""

    BEGIN = datetime(2026, 1, 1, tzinfo=UTC)

    def kept(self, session: Session, id: str) -> list[tuple[int, float]]:
        session.flush()
        rows = repository.samples(session, id, after=0, limit=10_000)
        return [(row.seq, (row.at - self.BEGIN).total_seconds()) for row in rows]

    def at(self, session: Session, id: str, seconds: float, requests: int = 10) -> bool:
        return samples.keep(session, id, 2, judged(requests), self.BEGIN + timedelta(seconds=seconds))

    def test_a_sample_every_two_seconds_and_none_of_nothing(self, lab: Lab) -> None:
        id = lab.deploy(1)["id"]
        with lab.services.database.write() as session:
            assert not self.at(session, id, 0, requests=0)
            said = [self.at(session, id, tick / 2) for tick in range(9)]
            assert said == [True, False, False, False] * 2 + [True]
            assert self.kept(session, id) == [(1, 0.0), (2, 2.0), (3, 4.0)]
            (row, *_) = repository.samples(session, id, after=0, limit=1)
            assert row.limits == {"latency": 500.0}
            assert row.canary["successRate"] == 0.9

    def test_of_a_long_rollout_there_are_fewer_all_over(self, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(samples, "MOST", 10)
        id = lab.deploy(1)["id"]
        with lab.services.database.write() as session:
            for second in range(200):
                self.at(session, id, second)
                assert len(self.kept(session, id)) <= 10
            seqs, times = zip(*self.kept(session, id), strict=True)
        assert list(seqs) == sorted(set(seqs))
        assert times[0] == 0
        assert times[-1] >= 180
        gaps = {later - earlier for earlier, later in pairwise(times)}
        assert max(gaps) <= 2 * min(gaps)

    def test_what_is_rolled_back_leaves_no_sample(self, lab: Lab) -> None:
        id = lab.deploy(1)["id"]
        with lab.services.database.read() as session:  # never commits
            assert self.at(session, id, 0)
        with lab.services.database.write() as session:
            assert self.kept(session, id) == []


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=400)))
def test_samples_of_any_rollout_fit(age: timedelta) -> None:
    apart = samples.spacing(age)
    assert age / apart < samples.MOST
    assert apart == samples.SPACING or age / apart >= samples.MOST / 2
