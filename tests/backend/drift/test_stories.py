"""A model that drifts, from the samples of its traffic and late labels to its incident, its budget and a pull request."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from backend.drift.child import environment
from backend.drift.rendering import page
from mlplatform.reference.build import profile
from mlplatform.reference.profile import Part, Reference
from mlplatform.spec.model import Column
from tests.backend.conftest import Someone

from .conftest import Cellar, training_data

pytestmark = pytest.mark.slow

House = tuple[Cellar, Someone, Someone]


def send(who: Someone, labels: list[dict[str, Any]], environment: str = "lab") -> Any:
    return who.post("/drift/models/wine/labels", {"environment": environment, "labels": labels})


def test_a_model_drifts_is_found_and_recovers(cellar: House, tmp_path: Path) -> None:
    here, ada, operator = cellar
    here.add(tmp_path, 1)
    here.make_live("wine", 1)
    here.serve(200)
    first = ada.get(f"/drift/reports/{here.a_day_later()['id']}").json()
    assert (first["outcome"], first["rows"], first["drifted"]) == ("healthy", 200, [])
    assert (first["dataDrifted"], first["predictionDrifted"], first["performanceDrifted"]) == (False, False, None)
    assert {one["part"] for one in first["findings"]} == {"all", "1 <= hue"}
    assert ada.get("/observability/incidents").json()["items"] == []
    assert ada.get("/overview/models/wine").json()["drift"] == "healthy"
    # Next day's wine is stronger.
    here.serve(200, alcohol=14.5)
    second = ada.get(f"/drift/reports/{here.a_day_later()['id']}").json()
    assert second["since"] == first["until"]
    assert second["outcome"] == "drifted"
    assert {one["column"] for one in second["drifted"]} == {"alcohol", "prediction"}
    (incident,) = ada.get("/observability/incidents").json()["items"]
    assert {one["name"] for one in incident["alerts"]} == {"DataDrift", "PredictionDrift"}
    assert "data drift in alcohol" in incident["title"] or "prediction drift" in incident["title"]
    assert [one["name"] for one in ada.get("/overview/models", drift="drifted").json()["items"]] == ["wine"]
    # It goes on: the same incident, and no other.
    here.serve(200, alcohol=14.5)
    here.a_day_later()
    assert len(ada.get("/observability/incidents").json()["items"]) == 1
    here.services.watch.evaluate(here.clock.now().timestamp() + 600)
    slos = {one["slo"]: one for one in ada.get("/observability/models/wine/slos").json()["slos"]}
    assert (slos["like-training"]["total"], slos["like-training"]["bad"]) == (3, 2)
    assert slos["like-training"]["state"] == "breached"
    assert slos["right"]["state"] == "no_data"
    # And it ends.
    here.serve(200)
    last = ada.get(f"/drift/reports/{here.a_day_later()['id']}").json()
    assert last["outcome"] == "healthy"
    (incident,) = ada.get("/observability/incidents").json()["items"]
    assert all(one["ended"] for one in incident["alerts"])
    kinds = [kind for one in operator.events() if (kind := one["type"]).startswith("ml-platform.drift.report.")]
    assert [kind.rpartition(".")[2] for kind in kinds] == ["healthy", "drifted", "drifted", "healthy"]
    spent = [one["alpha"] for one in ada.get("/drift/reports", model="wine").json()["items"]]
    assert sum(spent) == pytest.approx(0.05 * 4 / 91, rel=0.01)


def test_truth_comes_late_again_and_in_any_order(cellar: House, tmp_path: Path) -> None:
    here, ada, _ = cellar
    here.add(tmp_path, 1)
    here.make_live("wine", 1)
    old = here.serve(150)
    here.a_day_later()
    labels = here.truths(old)
    assert send(ada, labels).json() == {"new": 150, "changed": 0, "repeated": 0, "outdated": 0, "sampled": 150}
    assert send(ada, labels[::-1]).json()["repeated"] == 150
    # A label before its prediction is taken over, one that is corrected, and one that is older than what is known.
    early = {"id": "0199c0de-0000-7000-8000-000000000000", "value": 1}
    corrected = {**labels[0], "value": "grown elsewhere", "at": here.clock.now().isoformat()}
    outdated = {**labels[0], "value": 7, "at": "2020-01-01T00:00:00Z"}
    answer = send(ada, [early, corrected, outdated]).json()
    assert answer == {"new": 1, "changed": 1, "repeated": 0, "outdated": 1, "sampled": 1}
    done = ada.get(f"/drift/reports/{here.a_day_later()['id']}").json()
    # There was no traffic, and what was answered the day before is judged now that its truth is known.
    assert (done["rows"], done["labelled"], done["outcome"]) == (0, 150, "healthy")
    assert (done["dataDrifted"], done["performanceDrifted"]) == (None, False)
    # The world changes: the inputs look the same, and the answers are wrong.
    new = here.serve(150)
    send(ada, here.truths(new, wrong=0.5))
    done = ada.get(f"/drift/reports/{here.a_day_later()['id']}").json()
    assert (done["dataDrifted"], done["performanceDrifted"], done["labelled"]) == (False, True, 150)
    assert {one["check"] for one in done["drifted"]} == {"performance"}
    (incident,) = ada.get("/observability/incidents").json()["items"]
    assert [one["name"] for one in incident["alerts"]] == ["PerformanceDrift"]
    here.services.watch.evaluate(here.clock.now().timestamp() + 600)
    slos = {one["slo"]: one for one in ada.get("/observability/models/wine/slos").json()["slos"]}
    assert (slos["right"]["total"], slos["right"]["bad"]) == (2, 1)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_can_not_be_judged_is_said_and_waits(cellar: House, tmp_path: Path) -> None:
    here, ada, _ = cellar
    here.add(tmp_path, 1)
    here.add(tmp_path, 2, reference=False)
    assert ada.post("/drift/models/wine/reports", {"environment": "lab"}).status_code == 409
    here.make_live("wine", 1)
    here.serve(60)
    few = ada.get(f"/drift/reports/{here.a_day_later()['id']}").json()
    assert few["outcome"] == "not_enough_rows"
    assert "60 sampled rows and 0 labelled ones; 100 or 30 are needed" in few["reason"]
    assert ada.get(f"/drift/reports/{few['id']}/html").status_code == 404
    # Its window goes on, also when somebody asks; asked twice it is one report.
    here.serve(60)
    here.move(hours=1)
    asked = ada.post("/drift/models/wine/reports", {"environment": "lab"})
    assert asked.status_code == 202
    assert ada.post("/drift/models/wine/reports", {"environment": "lab"}).json()["id"] == asked.json()["id"]
    here.make()
    done = ada.get(f"/drift/reports/{asked.json()['id']}").json()
    assert (done["rows"], done["outcome"], done["since"], done["scheduled"]) == (120, "healthy", few["since"], False)
    here.make()  # made again it stays as it is
    assert ada.get(f"/drift/reports/{done['id']}").json() == done
    # A version without a reference, and a reference that somebody changed.
    with here.services.database.write() as session:
        from backend.deployments.models import Traffic

        session.delete(session.get_one(Traffic, ("lab", "wine", 1)))
    here.make_live("wine", 2)
    here.serve(120, version=2)
    none = ada.get(f"/drift/reports/{here.a_day_later()['id']}").json()
    assert (none["outcome"], none["dataDrifted"]) == ("no_reference", None)
    assert ada.get("/drift/models/wine").json()["outcome"] == "no_reference"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_who_may_and_what_is_refused(cellar: House, tmp_path: Path) -> None:
    here, ada, operator = cellar
    here.add(tmp_path, 1)
    here.make_live("wine", 1)
    stranger = here.someone("edsger")
    id = "0199c0de-0000-7000-8000-000000000000"
    good = [{"id": id, "value": 1}]
    assert send(stranger, good).status_code == 403
    assert stranger.post("/drift/models/wine/reports", {"environment": "lab"}).status_code == 403
    assert not stranger.get("/drift/models/wine").json()["actions"][0]["allowed"]
    for labels in (
        [],
        [{"id": "x", "value": 1}],
        [{"id": id}],
        [{"id": id, "value": None}],
        [{"id": id, "value": []}],
        [{"id": id, "value": "a\x00"}],
        [{"id": id, "value": 1, "at": "2026-01-01T00:00:00"}],
        [{"id": id, "value": 1, "more": 2}],
        [{"id": id, "value": [1] * 201}],
    ):
        assert send(ada, labels).status_code == 422, labels
    assert send(ada, good, "nowhere").status_code == 422
    assert ada.post("/drift/models/none/labels", {"environment": "lab", "labels": good}).status_code == 404
    assert ada.get("/drift/reports/00000000-0000-7000-8000-000000000000").status_code == 404
    assert ada.get("/drift/reports", outcome="odd").status_code == 422
    refused = {one["type"] for one in operator.events() if one["type"].endswith("refused")}
    assert {"ml-platform.drift.labels.refused", "ml-platform.drift.report.refused"} <= refused
    # The same truth of one prediction twice in one body, and a person's address in it.
    assert send(ada, [*good, *good, {"id": id, "value": "ada.quill@example.com"}]).json()["new"] == 1
    with here.services.database.read() as session:
        from backend.drift.models import GroundTruth

        assert session.get_one(GroundTruth, ("wine", "lab", id)).value == ["[REDACTED:EMAIL]"]
    here.move(days=500)
    here.services.drift.prune()
    with here.services.database.read() as session:
        assert session.get(GroundTruth, ("wine", "lab", id)) is None


HOSTILE = "</script><script>alert(1)</script>"
_CHILD = """
import io, json, socket, sys
def refuse(*_): raise AssertionError("it wants to connect")
socket.socket.connect = refuse
from backend.drift import child
status = child.main()
import evidently.telemetry as theirs
assert not theirs.event_logger.is_enabled(), "Evidently would send"
sys.exit(status)
"""


def test_the_child_judges_sends_nothing_and_makes_a_harmless_page() -> None:
    frame = training_data(500).rename(columns={"hue": HOSTILE})
    frame[HOSTILE] = [HOSTILE if value > 1 else "<b>" for value in frame[HOSTILE]]
    columns = [
        profile(frame, Column.model_validate({"name": "alcohol", "type": "double"}), "input", 500),
        profile(frame, Column.model_validate({"name": HOSTILE, "type": "string"}), "input", 500),
    ]
    reference = Reference(
        model_digest="0" * 64, dataset="a", answered="b", parts=[Part(name="all", rows=500, columns=columns)]
    )
    values = [
        ["input", "alcohol", [20.0 + index % 7 for index in range(200)]],
        ["input", HOSTILE, [HOSTILE, "new"] * 100],
    ]
    asked = {
        "reference": json.loads(reference.model_dump_json(by_alias=True)),
        "alpha": 0.001,
        "windows": [{"labelled": False, "name": "all", "rows": 200, "columns": values}],
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _CHILD],
        input=json.dumps(asked), env=environment(), capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert {one["column"] for one in answer["judgement"]["findings"] if one["drifted"]} == {"alcohol", HOSTILE}
    assert answer["dashboard"]["widgets"]
    # What it draws says the same as what was judged.
    drawn = json.dumps(answer["dashboard"], ensure_ascii=False)
    assert drawn.count("Data drift detected") == 2
    text = page(f"Drift of {HOSTILE}", [HOSTILE], answer["dashboard"])
    assert "<script>alert" not in text
    assert "‹script›alert(1)" in text
    secrets = set(environment()) & {name for name in os.environ if "TOKEN" in name or "SECRET" in name}
    assert not secrets
