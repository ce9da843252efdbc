"""What is suspected of an incident: changes of every kind before it, ranked anew when it gets worse."""

import time
from datetime import timedelta
from typing import Any

import pytest

from backend.audit.service import PLATFORM
from backend.core.ids import new_id
from backend.experiments.lifecycle import Lifecycle
from backend.experiments.models import Choice, Experiment, Kind, Outcome, Phase
from catalog.datasets.service import ColumnProposal
from mlplatform.spec.model import Classification
from tests.marks import on_one_database

from ..deployments.conftest import ADA
from .conftest import Ward
from .test_incidents import alert, send

pytestmark = [pytest.mark.slow, on_one_database]


@pytest.fixture
def observability() -> dict[str, Any]:
    return {"alertmanagers": ["user:default/edsger"]}


def experiment(ward: Ward, kind: Kind, *events: str, environment: str = "lab", **more: Any) -> str:
    """Have it on record that an experiment began, ended or was decided."""
    row = Experiment(
        id=new_id(), kind=kind, model="wine", environment=environment, champion=1, challenger=2, percent=10,
        phase=Phase.RUNNING, outcome=None, reason="v2 gets 10 % of the keys in x-user beside v1",
    )  # fmt: skip
    with ward.services.database.write() as session:
        for event in events:
            if event == "ended":
                row.phase, row.outcome = Phase.ENDED, Outcome.CHALLENGER_WORSE
            Lifecycle(ward.services).record(session, event, row, PLATFORM, **more)
    return row.id


def scanned(ward: Ward) -> None:
    """Have it on record that a scan looked at the model's data set."""
    columns = [ColumnProposal("alcohol", "double", Classification.PUBLIC, "nothing was found")]
    with ward.services.database.write() as session:
        ward.services.datasets.propose(
            session, ADA, name="sklearn://wine", entity="resource:default/wine", owner="group:default/risk",
            columns=columns,
        )  # fmt: skip


def suspects(ward: Ward, id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ward.incident(id)["suspects"]
    return found


def test_experiments_and_changes_of_data_are_suspected(ward: Ward) -> None:
    alertmanager = ward.backend.someone("edsger")
    split = experiment(ward, Kind.AB, "started")
    experiment(ward, Kind.SHADOW, "started")
    experiment(ward, Kind.AB, "started", environment="production")
    scanned(ward)
    (id,) = send(alertmanager, alert(ward, age=0))
    found = suspects(ward, id)
    assert [(one["kind"], one["what"]) for one in found] == [
        ("experiment", "an A/B experiment began in lab: v2 gets 10 % of the keys in x-user beside v1"),
        ("data", "sklearn://wine was changed (scanned)"),
        ("experiment", "a shadow run began in lab: v2 gets 10 % of the keys in x-user beside v1"),
    ]
    assert found[0]["experiment"] == split
    assert found[1]["by"] == "user:default/ada"


def test_of_one_experiment_one_moment_is_suspected(ward: Ward) -> None:
    experiment(ward, Kind.AB, "started", "ended", "decided", decision=Choice.KEEP)
    experiment(ward, Kind.SHADOW, "ended")
    experiment(ward, Kind.SHADOW, "decided", decision=Choice.PROMOTE)
    (id,) = send(ward.backend.someone("edsger"), alert(ward, age=0))
    assert [one["what"] for one in suspects(ward, id)] == [
        "an A/B experiment began in lab: v2 gets 10 % of the keys in x-user beside v1",
        "a shadow run of v2 ended in lab (challenger worse)",
        "a shadow run of v2 was decided: promote the challenger",
    ]


def test_drift_is_suspected_of_what_came_after_it_and_not_of_itself(ward: Ward) -> None:
    def drifted() -> None:
        data = {"environment": "lab", "version": 1, "drifted": [{"column": "hue"}, {"column": "hue"}]}
        with ward.services.database.write() as session:
            ward.services.audit.append(
                session, type="ml-platform.drift.report.drifted", subject="model:wine/drift/1", actor=PLATFORM,
                data=data,
            )  # fmt: skip

    alertmanager = ward.backend.someone("edsger")
    drifted()
    (ticket,) = send(alertmanager, alert(ward, "InputDrift", age=1, severity="warning"))
    assert suspects(ward, ticket) == []
    time.sleep(1.1)  # an alert says when it began in whole seconds
    send(alertmanager, alert(ward, "ModelNotReady", age=0))
    assert [one["what"] for one in suspects(ward, ticket)] == ["what v1 is asked or answers had drifted in hue"]


def test_who_is_suspected_is_asked_again_when_a_ticket_becomes_a_page(ward: Ward) -> None:
    alertmanager = ward.backend.someone("edsger")
    ward.deploy(1)
    (id,) = send(alertmanager, alert(ward, "SlowBurn", age=0, severity="warning"))
    assert suspects(ward, id)[0]["version"] == 1
    ward.deploy(2)
    send(alertmanager, alert(ward, "DeadLetters", age=0, severity="warning"))
    assert suspects(ward, id)[0]["version"] == 1, "another ticket is no news about the cause"
    send(alertmanager, alert(ward, "ModelNotReady", age=0))
    whole = ward.incident(id)
    assert (whole["severity"], whole["suspects"][0]["version"]) == ("page", 2)
    said = [one["text"] for one in whole["timeline"] if one["kind"] == "suspected"]
    assert [text.partition(" was ")[0] for text in said] == ["v1", "v2"]
    events = {
        one["type"].rpartition(".")[2]: one["data"] for one in ward.ada.events(subject=f"model:wine/incidents/{id}")
    }
    assert events["opened"]["suspects"][0]["version"] == 1
    assert (events["escalated"]["severity"], events["escalated"]["suspects"][0]["version"]) == ("page", 2)


def test_an_alert_that_joins_an_incident_is_on_record_once(ward: Ward) -> None:
    alertmanager = ward.backend.someone("edsger")
    first = alert(ward, age=2)
    (id,) = send(alertmanager, first)
    joining = [alert(ward, f"Alert{number}", age=1) for number in range(3)]
    for _ in range(4):
        assert send(alertmanager, first, *joining) == [id]
    send(alertmanager, alert(ward, "Alert0", ended=True))
    send(alertmanager, alert(ward, "Alert0", age=0))
    events = ward.ada.events(subject=f"model:wine/incidents/{id}")
    joined = [one["data"] for one in events if one["type"].endswith(".joined")]
    assert [one["alert"] for one in joined] == ["Alert0", "Alert1", "Alert2"]
    assert {(one["raisedBy"], one["environment"]) for one in joined} == {("alertmanager", "lab")}
    assert len(events) == 1 + 3


def test_a_storm_leaves_as_many_events_as_an_incident_keeps_names(ward: Ward) -> None:
    """Ten thousand alerts of a thousand names, sent again and again."""
    alertmanager = ward.backend.someone("edsger")
    (id,) = send(alertmanager, alert(ward))
    storm = [alert(ward, f"Alert{number % 1000}", age=number / 10_000) for number in range(10_000)]
    for _ in range(2):
        send(alertmanager, *storm)
    found = ward.incident(id)
    assert len(ward.incidents()) == 1
    assert (len(found["alerts"]), found["received"]) == (100, 1 + 2 * 1000)
    kinds = [one["type"].rpartition(".")[2] for one in ward.ada.events(subject=f"model:wine/incidents/{id}")]
    assert (kinds.count("opened"), kinds.count("joined")) == (1, 99)
    with ward.services.database.read() as session:
        began = ward.services.incidents.get(session, id).began_at
    assert began <= ward.services.clock.now() - timedelta(minutes=5)
