"""What is over goes, once, with a certificate; what is needed or held stays, and why is said."""

import base64
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from backend.audit.verify import verify_database
from backend.core.errors import Conflict
from backend.observability import incident_repository
from backend.observability.raised import Raised
from backend.privacy import certificates
from backend.privacy.models import Kind
from backend.registry.models import VersionRow
from evidence.notes import VerifierKey
from evidence.verify import verify_pack
from mlplatform.attest.errors import AttestationInvalid
from tests.backend.conftest import Backend, Someone
from tests.backend.evidence.test_export import exported, fetched, rows

from .conftest import House, retention_run

pytestmark = pytest.mark.slow

YEARS = timedelta(days=3000)


def fill(here: House, tmp_path: Path) -> None:
    """Put one thing of each kind that is over, and one that is not."""
    today = here.clock.now().date()
    here.add_versions(tmp_path, 1, 2, 3, 4)
    here.add_versions(tmp_path, 1, batch=True)
    here.make_live("wine", 2)
    with here.services.database.write() as session:
        for row in session.query(VersionRow):
            row.created_at -= YEARS
    here.write_log("models/lab/wine/v1-r0.log", "old", age=YEARS)
    here.write_log("models/lab/wine/v2-r0.log", "new")
    here.write_log("batch/lab/orders/2020-01-01.log", "old", age=YEARS)
    here.write_log("backend.log", "the platform's own", age=YEARS)
    here.write_log("backend.log.1", "the platform's own, rotated", age=YEARS)
    for age in (10, 100):
        here.write_orders(today - timedelta(days=age), {"id": [1], "x": [1.0]})
        here.write_scores(today - timedelta(days=age), {"id": [1], "y": [1.0]})
    here.add_samples({"x": 1}, {"x": 2}, at=here.clock.now() - timedelta(days=8))
    here.add_samples({"x": 3})
    for folder in (here.services.registry.artefacts / ("e" * 64), here.services.registry.uploads / "cut-off"):
        folder.mkdir(parents=True)
        (folder / "file").write_text("left")
        here.age(folder, timedelta(days=30))


def names(here: House) -> set[str]:
    days = {age: here.clock.now().date() - timedelta(days=age) for age in (10, 100)}
    return {
        f"dataset lab:shop/orders:date={days[100]}",
        f"batch_output lab:shop/scores:date={days[100]}",
        "log models/lab/wine/v1-r0.log",
        "log batch/lab/orders/2020-01-01.log",
        "log backend.log.1",
        f"payload_sample lab/wine@{(here.clock.now() - timedelta(days=7)).isoformat()}",
        "version wine/1",
        "version wine/3",
        f"artefact {'e' * 64}",
        "upload cut-off",
    }


def test_a_dry_run_lists_exactly_what_the_run_deletes(
    here: House, operator: Someone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(here, tmp_path)
    erased: list[str] = []
    store = here.services.registry.store
    monkeypatch.setattr(store, "unregister", lambda model, version: erased.append(f"{model}/{version.version}"))
    monkeypatch.setattr(store, "erase_run", erased.append)
    bundle = {row.version: row.bundle for row in _versions(here) if row.model == "wine"}

    dry, listed = retention_run(operator, dry_run=True)
    assert set(listed) == names(here)
    assert set(listed.values()) == {"planned"}
    assert dry["certificate"] is None
    assert here.samples() == [{"x": 1}, {"x": 2}, {"x": 3}]
    assert erased == []

    done, gone = retention_run(operator)
    assert set(gone) == names(here)
    assert set(gone.values()) == {"deleted"}, operator.get(f"/privacy/retention/runs/{done['id']}/items").text
    assert here.samples() == [{"x": 3}]
    assert erased == ["wine/1", "run1", "wine/3", "run3"]
    artefacts = here.services.registry.artefacts
    assert {number for number, name in bundle.items() if (artefacts / name).exists()} == {2, 4}
    assert {path.name for path in (here.home / "logs").rglob("*.log*")} == {"v2-r0.log", "backend.log"}
    assert len(list((here.lake() / "shop").glob("*/date=*"))) == 2

    again, nothing = retention_run(operator)
    assert nothing == {}
    assert again["certificate"]
    url = here.services.database.url.render_as_string(hide_password=False)
    assert verify_database(url, here.services.audit.key.public_key).valid
    deleted = [event["data"]["name"] for event in operator.events(type="ml-platform.privacy.retention.deleted")]
    assert {name.partition(" ")[2] for name in names(here)} == set(deleted)
    assert len(deleted) == len(names(here))


def _versions(here: House) -> list[VersionRow]:
    with here.services.database.read() as session:
        return list(here.services.registry.all_versions(session))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_certificate_says_what_was_and_was_not_deleted(
    here: House, operator: Someone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deletion that fails half-way goes on with the rest."""
    fill(here, tmp_path)

    def broken(model: str, version: Any) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(here.services.registry.store, "unregister", broken)
    done, states = retention_run(operator)
    assert {name for name, state in states.items() if state == "failed"} == {"version wine/1", "version wine/3"}
    assert sum(state == "deleted" for state in states.values()) == len(states) - 2
    found = operator.get(f"/privacy/certificates/{done['certificate']}").json()
    said = found["statement"]["predicate"]
    assert found["valid"]
    assert said["counts"] == {"deleted": len(states) - 2, "failed": 2}
    assert {one["name"] for one in said["notDeleted"]} == {"wine/1", "wine/3"}
    assert "Input/output error" in said["notDeleted"][0]["reason"]
    # They are not offered again as if nothing had happened: their rows say that they are gone.
    listed = operator.get("/privacy/certificates").json()["items"]
    assert [one["id"] for one in listed] == [found["id"]]

    key = here.services.audit.key.public_key
    changed = {**found["envelope"], "payload": found["envelope"]["payload"][:-8] + "AAAAAAA="}
    for wrong in (changed, {**found["envelope"], "signatures": []}, {}):
        with pytest.raises(AttestationInvalid):
            certificates.read(wrong, key)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_is_held_stays_until_the_hold_is_lifted(here: House, operator: Someone, ada: Someone) -> None:
    here.write_log("models/lab/wine/v1-r0.log", "old", age=YEARS)
    here.add_samples({"x": 1}, at=here.clock.now() - timedelta(days=8))
    assert operator.post("/privacy/holds", {"subject": "model:wine", "reason": "a lawsuit"}).status_code == 404
    assert ada.post("/privacy/holds", {"subject": "environment:lab", "reason": "a lawsuit"}).status_code == 403
    hold = operator.post("/privacy/holds", {"subject": "environment:lab", "reason": "a lawsuit"}).json()
    done, states = retention_run(operator)
    assert set(states.values()) == {"kept"}
    assert len(states) == 2
    item = operator.get(f"/privacy/retention/runs/{done['id']}/items").json()["items"][0]
    assert "environment:lab is held since" in item["reason"]
    assert "a lawsuit" in item["reason"]
    assert done["counts"]["log"] == {"kept": 1}

    lifted = operator.post(f"/privacy/holds/{hold['id']}/release", {"reason": "settled"})
    assert lifted.status_code == 200
    assert operator.post(f"/privacy/holds/{hold['id']}/release", {"reason": "settled"}).status_code == 409
    assert operator.get("/privacy/holds").json()["items"] == []
    assert len(operator.get("/privacy/holds", released=True).json()["items"]) == 1
    assert set(retention_run(operator)[1].values()) == {"deleted"}
    events = [event["type"].rpartition("hold.")[2] for event in operator.events(subject="environment:lab")]
    assert events[-2:] == ["placed", "released"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("subject", "status", "said"),
    [
        ("everything", 201, ""),
        ("kind:log", 201, ""),
        ("kind:stream", 201, ""),
        ("kind:subject_key", 201, ""),
        ("dataset:shop/orders", 201, ""),
        ("kind:nonsense", 404, "Known are: artefact"),
        ("environment:moon", 404, "lab, production"),
        ("dataset:nowhere", 404, "shop/orders"),
        ("model:unknown/versions/3", 404, "there is no model"),
        ("subject-request:0", 404, "no data-subject request"),
        ("incident:0", 404, "there is no incident"),
        ("nonsense", 422, "Write everything, environment:NAME"),
        ("model:Not A Name", 422, "nothing that can be held"),
    ],
)
def test_a_hold_needs_something_that_is_known(operator: Someone, subject: str, status: int, said: str) -> None:
    answer = operator.post("/privacy/holds", {"subject": subject, "reason": "a lawsuit"})
    assert answer.status_code == status, answer.text
    assert said in answer.text


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_clock_that_went_back_deletes_nothing(house: tuple[House, Backend]) -> None:
    here, backend = house
    retention_run(backend.someone("operator"))
    here.clock.move(hours=-2)
    # Tokens of the time before are refused by themselves.
    refused = backend.someone("operator").post("/privacy/retention/runs", {"dryRun": False})
    assert refused.status_code == 409
    assert refused.json()["type"].endswith("clock-went-back")
    assert "Set the clock right" in refused.json()["fix"]
    assert backend.someone("ada").post("/privacy/retention/runs", {}).status_code == 403


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_partition_that_is_being_written_is_kept(here: House, operator: Someone, tmp_path: Path) -> None:
    from mlplatform.batch.lake import open_lake

    here.add_versions(tmp_path, 1, batch=True)
    day = here.clock.now().date() - timedelta(days=100)
    here.write_orders(day, {"id": [1], "x": [1.0]})
    with open_lake(str(here.lake())).alone("shop/orders", "date", day):
        assert set(retention_run(operator)[1].values()) == {"kept"}
    assert set(retention_run(operator)[1].values()) == {"deleted"}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_deleted_version_can_not_be_deployed_or_fetched(here: House, ada: Someone, tmp_path: Path) -> None:
    here.add_versions(tmp_path, 1, 2)
    with here.services.database.write() as session:
        here.services.registry.lock_version(session, "wine", 1).deleted_at = here.clock.now()
    refused = ada.post("/deployments", {"model": "wine", "version": 1, "environment": "lab"})
    assert refused.status_code == 409
    assert "retention was over" in refused.json()["detail"]
    with here.services.database.read() as session, pytest.raises(Conflict, match="retention was over"):
        here.services.registry.bundle_path(here.services.registry.get_version(session, "wine", 1))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_schedule_starts_runs(house: tuple[House, Backend], tmp_path: Path) -> None:
    here, backend = house
    operator = backend.someone("operator")
    retention = here.services.privacy.retention
    settings = here.services.settings
    scheduled = settings.model_copy(
        update={"retention": settings.retention.model_copy(update={"schedule": "0 3 * * *"})}
    )
    here.services.settings = scheduled
    retention._follow_schedule()
    assert operator.get("/privacy/retention/runs").json()["items"] == []
    here.add_versions(tmp_path, 1)
    retention._follow_schedule()
    assert operator.get("/privacy/retention/runs").json()["items"] == []
    here.clock.move(days=1)
    retention._follow_schedule()
    retention._follow_schedule()
    (run,) = backend.someone("operator").get("/privacy/retention/runs").json()["items"]
    assert (run["scheduled"], run["requestedBy"]) == (True, "service:ml-platform")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_policies_are_shown_with_where_they_come_from(here: House, ada: Someone, tmp_path: Path) -> None:
    here.add_versions(tmp_path, 1, retention={"logs": "5d", "payloadSamples": "400d"})
    shown = {(one["kind"], one["scope"]): one for one in ada.get("/privacy/retention/policies").json()}
    assert shown["log", "all"] == {"kind": "log", "scope": "all", "keep": "365d", "source": "mlPlatform.retention.logs"}
    assert shown["log", "model:wine"]["keep"] == "5d"
    assert ("payload_sample", "model:wine") not in shown
    assert shown["dataset", "shop/orders"]["keep"] == "30d"
    assert shown["version", "all"]["keep"] is None
    assert {kind for kind, _ in shown} == {str(kind) for kind in Kind}


@pytest.mark.slow
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_runs_in_mlflow_go_for_good_unless_a_version_came_from_them(here: House, operator: Someone) -> None:
    settings = here.services.settings
    here.services.settings = settings.model_copy(
        update={"retention": settings.retention.model_copy(update={"runs": timedelta(days=30)})}
    )
    store = here.services.registry.store
    client = store.client()
    experiment = client.create_experiment("someones")
    now = here.clock.now()
    old, kept = (
        client.create_run(experiment, start_time=int((now - timedelta(days=age)).timestamp() * 1000)).info.run_id
        for age in (60, 5)
    )
    client.log_param(old, "C", 1.0)
    assert retention_run(operator)[1] == {f"run {old}": "deleted"}
    assert [run.info.run_id for run in client.search_runs([experiment], run_view_type=3)] == [kept]
    shutil.rmtree(store.folder, ignore_errors=True)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_incidents_go_years_after_they_were_resolved_and_a_hold_keeps_them(
    here: House, operator: Someone, tmp_path: Path
) -> None:
    here.add_versions(tmp_path, 1)
    now = here.clock.now()
    ids = {}
    for name, age in {"old": YEARS, "held": YEARS, "recent": timedelta(days=10), "open": YEARS}.items():
        # Each about another environment, or they would be one incident.
        raised = Raised(
            name="ModelNotReady", model="wine", environment=name, slo=None, burn=None, severity="ticket",
            summary="it is not ready", description="", runbook=None, began=now - age, ended=None, source="test",
        )  # fmt: skip
        with here.services.database.write() as session:
            (ids[name],) = here.services.incidents.take(session, [raised])
        if name == "open":
            continue
        body = {"cause": "other", "resolution": "it was the disk"}
        assert operator.post(f"/observability/incidents/{ids[name]}/resolution", body).status_code == 200
        with here.services.database.write() as session:
            here.services.incidents.get(session, ids[name]).resolved_at = now - age
    before = {name: operator.get(f"/observability/incidents/{id}").json() for name, id in ids.items()}
    hold = {"subject": f"incident:{ids['held']}", "reason": "a lawsuit"}
    assert operator.post("/privacy/holds", hold).status_code == 201

    done, states = retention_run(operator)
    assert states == {f"incident {ids['old']}": "deleted", f"incident {ids['held']}": "kept"}
    assert operator.get(f"/observability/incidents/{ids['old']}").status_code == 404
    for name in ("held", "recent", "open"):
        assert operator.get(f"/observability/incidents/{ids[name]}").json() == before[name]
    found = operator.get(f"/privacy/certificates/{done['certificate']}").json()
    assert found["valid"]
    assert found["statement"]["predicate"]["byKind"] == {"incident": {"deleted": 1, "kept": 1}}
    # What was done about it is on record still, and the log with all of it verifies.
    events = [one["type"].rpartition(".")[2] for one in operator.events(subject=f"model:wine/incidents/{ids['old']}")]
    assert events == ["opened", "resolved"]
    key = here.services.settings.home / "audit" / "key.pub"
    here.clock.move(minutes=1)
    file = fetched(operator, exported(operator, to=here.clock.now().isoformat()), tmp_path)
    assert verify_pack(file, VerifierKey(base64.b64decode(key.read_text()))).faults == []
    named = {row["subject"] for row in rows(file, "incidents")}
    assert f"model:wine/incidents/{ids['old']}" in named
    with here.services.database.read() as session:
        assert incident_repository.entries(session, ids["old"]) == []
