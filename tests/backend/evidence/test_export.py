"""Evidence packs through the doors: exported over HTTP, written as durable work, verified with what an auditor has."""

import base64
import csv
import io
import os
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from backend.audit.events import NewEvent
from backend.audit.models import AuditSealing, SealingState
from backend.core.ids import new_id
from backend.core.workflows.runtime import RuntimeStopping
from backend.evidence.checks import ControlState
from backend.evidence.models import EvidencePack, PackState
from backend.evidence.work import EvidenceWork
from evidence.checkpoint import open_checkpoint
from evidence.notes import VerifierKey
from evidence.verify import verify_pack
from mlplatform.gates.result import Gate
from tests.backend.audit.test_log import _GUARDS
from tests.marks import on_one_database
from tests.waiting import wait_until

from ..conftest import Backend, Someone, Trained

pytestmark = pytest.mark.slow

FROM = "2026-01-01T00:00:00Z"


def period(**more: Any) -> dict[str, Any]:
    return {"from": "2020-01-01T00:00:00Z", "to": datetime.now(UTC).isoformat(), **more}


def exported(someone: Someone, **more: Any) -> dict[str, Any]:
    answer = someone.post("/evidence/packs", period(**more))
    assert answer.status_code == 202, answer.text
    id = answer.json()["id"]

    def ended() -> Any:
        pack = someone.get(f"/evidence/packs/{id}").json()
        return pack if pack["state"] in ("done", "failed") else None

    pack: dict[str, Any] = wait_until(ended, 60)
    return pack


def fetched(someone: Someone, pack: dict[str, Any], folder: Path) -> Path:
    answer = someone.get(f"/evidence/packs/{pack['id']}/content")
    assert answer.status_code == 200, answer.text
    file = folder / "pack.zip"
    file.write_bytes(answer.content)
    return file


def rows(file: Path, name: str) -> list[dict[str, str]]:
    with zipfile.ZipFile(file) as zipped:
        return list(csv.DictReader(io.StringIO(zipped.read(f"csv/{name}.csv").decode())))


@pytest.fixture
def operator(backend: Backend) -> Someone:
    return backend.someone("operator")


@pytest.fixture
def key(backend: Backend) -> VerifierKey:
    """What the platform's operator gives the auditor."""
    file = backend.services.settings.home / "audit" / "key.pub"
    return VerifierKey(base64.b64decode(file.read_text()))


def ship(backend: Backend, ada: Someone, trained: Trained) -> None:
    """Register a version with its attestations, and have it approved for production by somebody else."""
    assert ada.bind_key().status_code in (200, 201)
    trained.attestations = [trained.attest(ada, gate) for gate in Gate]
    assert ada.register(trained).status_code == 201
    answer = ada.post("/deployments", {"model": "wine", "version": 1, "environment": "production"})
    assert answer.status_code == 201, answer.text
    id = answer.json()["id"]
    grace = backend.someone("grace")
    assert (
        grace.post(f"/deployments/{id}/approval", {"decision": "approve", "comment": "looks right"}).status_code == 200
    )


def test_a_quarter_is_exported_and_verified(
    backend: Backend, ada: Someone, operator: Someone, key: VerifierKey, trained: Trained, tmp_path: Path
) -> None:
    published = open_checkpoint(ada.get("/audit/checkpoint").json()["checkpoint"], key)
    ship(backend, ada, trained)
    pack = exported(operator)
    assert pack["state"] == "done", pack["reason"]
    file = fetched(operator, pack, tmp_path)
    result = verify_pack(file, key, [published])
    assert result.valid, result.faults
    assert (result.compared, result.attestations) == (1, len(Gate))
    assert result.events == pack["events"] == pack["written"]
    (deployment,) = rows(file, "deployments")
    assert (deployment["author"], deployment["requested_by"]) == ("user:default/ada", "user:default/ada")
    assert (deployment["decision"], deployment["decided_by"]) == ("approved", "user:default/grace")
    assert "pii=passed" in deployment["gates"]
    (version,) = rows(file, "versions")
    assert version["commit"] == "a" * 40
    assert "wine-measurements" in version["data"]
    assert [one["type"].rpartition(".")[2] for one in operator.events(type="ml-platform.evidence.")] == [
        "requested",
        "written",
        "downloaded",
    ]


@on_one_database
def test_what_was_made_before_the_period_comes_with_proofs(
    backend: Backend, ada: Someone, operator: Someone, key: VerifierKey, trained: Trained, tmp_path: Path
) -> None:
    ship(backend, ada, trained)
    since = datetime.now(UTC).isoformat()
    id = ada.get("/deployments").json()["items"][0]["id"]
    assert ada.post(f"/deployments/{id}/abort", {"reason": "second thoughts"}).status_code == 200
    file = fetched(operator, exported(operator, **{"from": since}), tmp_path)
    result = verify_pack(file, key)
    assert result.valid, result.faults
    assert result.manifest is not None
    assert result.manifest.first > 5
    (deployment,) = rows(file, "deployments")
    assert (deployment["author"], deployment["decided_by"]) == ("user:default/ada", "user:default/grace")
    assert result.attestations == len(Gate)


@on_one_database
def test_a_period_whose_events_are_sealed_is_exported_as_before(
    backend: Backend, ada: Someone, operator: Someone, key: VerifierKey, trained: Trained, tmp_path: Path
) -> None:
    ship(backend, ada, trained)
    services = backend.services
    seal(backend, 600)
    since = datetime.now(UTC).isoformat()
    id = ada.get("/deployments").json()["items"][0]["id"]
    assert ada.post(f"/deployments/{id}/abort", {"reason": "second thoughts"}).status_code == 200
    file = fetched(operator, exported(operator), tmp_path)
    result = verify_pack(file, key)
    assert result.valid, result.faults
    assert result.events > 600
    whole = rows(file, "deployments")
    # A later period, whose context lies in the segment.
    file = fetched(operator, exported(operator, **{"from": since}), tmp_path)
    result = verify_pack(file, key)
    assert result.valid, result.faults
    assert (result.attestations, result.manifest is not None and result.manifest.first > 600) == (len(Gate), True)
    (deployment,) = rows(file, "deployments")
    assert (deployment["author"], deployment["decided_by"]) == (whole[0]["author"], "user:default/grace")
    (segment,) = operator.get("/audit/segments").json()["items"]
    (services.settings.home / "audit" / "segments" / f"{segment['name']}.jsonl.gz").unlink()
    pack = exported(operator)
    assert pack["state"] == "failed"
    assert f"lie in the sealed segment {segment['name']}, which can't be read: its file is missing" in pack["reason"]
    answer = operator.get("/audit/events", limit=5)
    assert answer.status_code == 503
    assert answer.json()["type"].endswith("segment-unreadable")
    verified = operator.get("/audit/verification").json()
    assert (verified["valid"], verified["faults"][0]["kind"]) == (False, "removed")


def seal(backend: Backend, count: int) -> None:
    """Fill the log up, and have all whole blocks sealed as if they were old enough."""
    services = backend.services
    events = [NewEvent("test.thing.done", "model:none", "user:default/ada") for _ in range(count)]
    with services.database.write() as session:
        services.audit.append_many(session, events)
        now = services.clock.now()
        row = AuditSealing(
            id=new_id(),
            state=SealingState.RUNNING,
            scheduled=False,
            requested_by="service:ml-platform",
            requested_at=now,
            before=now + timedelta(days=1),
            segments=0,
            events=0,
            bytes=0,
        )
        session.add(row)
    services.runtime.wake()

    def over() -> bool:
        with services.database.read() as session:
            return services.sealing.get(session, row.id).state != SealingState.RUNNING

    wait_until(over, 60)


def test_who_may_not_export_is_refused_on_record(ada: Someone, operator: Someone) -> None:
    for answer in (ada.post("/evidence/packs", period()), ada.get("/evidence/packs")):
        assert answer.status_code == 403
        assert "the role auditor" in answer.json()["fix"]
    assert operator.events(type="ml-platform.evidence.pack.refused")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"to": FROM, "from": FROM}, "/to: must be later than from"),
        ({"from": "2027-01-01T00:00:00Z", "to": FROM}, "/to: must be later"),
        ({"to": "2999-01-01T00:00:00Z"}, "lies in the future"),
        ({"from": "2026-01-01T00:00:00"}, "/from"),
        ({"from": "yesterday"}, "/from"),
        ({"control": "CC99.9"}, "/control: CC99.9 is unknown"),
        ({"control": ""}, "/control"),
        ({"sampleSize": -1}, "/sampleSize"),
        ({"extra": 1}, "/extra"),
    ],
)
@on_one_database
def test_a_wrong_wish_names_the_member(operator: Someone, change: dict[str, Any], said: str) -> None:
    answer = operator.post("/evidence/packs", {**period(), **change})
    assert answer.status_code == 422
    assert said in answer.text
    assert operator.get("/evidence/packs").json()["items"] == []


@on_one_database
def test_packs_are_listed_and_their_files_end(backend: Backend, operator: Someone) -> None:
    packs = [exported(operator)["id"], exported(operator, control="CC8.1")["id"]]
    page = operator.get("/evidence/packs", limit=1).json()
    assert [one["id"] for one in page["items"]] == packs[1:]
    rest = operator.get("/evidence/packs", limit=1, cursor=page["nextCursor"]).json()
    assert [one["id"] for one in rest["items"]] == packs[:1]
    backend.services.evidence.file_of(packs[0]).unlink()
    assert operator.get(f"/evidence/packs/{packs[0]}/content").status_code == 404
    missing = operator.get("/evidence/packs/00000000-0000-7000-8000-000000000000")
    assert missing.status_code == 404


@on_one_database
def test_a_log_that_was_tampered_with_is_not_packed(backend: Backend, operator: Someone) -> None:
    operator.bind_key()
    with backend.services.database.engine.execution_options(writing=True).begin() as connection:
        for (drop,) in connection.execute(text(_GUARDS[connection.dialect.name])).all():
            connection.execute(text(drop))
        connection.execute(
            text("UPDATE audit_events SET event = replace(event, 'operator', 'eve') WHERE actor LIKE '%operator'")
        )
    pack = exported(operator)
    assert pack["state"] == "failed"
    assert "do not make the root that was signed; run `platform audit verify`" in pack["reason"]
    answer = operator.get(f"/evidence/packs/{pack['id']}/content")
    assert answer.status_code == 409
    assert list(backend.services.evidence.folder.glob("*")) == []


@on_one_database
def test_whoever_keeps_the_controls_says_how_they_stood(
    backend: Backend, operator: Someone, key: VerifierKey, tmp_path: Path
) -> None:
    def states(_session: Any, since: datetime, until: datetime, control: str | None) -> list[ControlState]:
        assert since < until
        known = [ControlState("X-1", "Backups are restored", False, "Not in March.", ("2026-03",))]
        return [one for one in known if control in (None, one.control)]

    backend.services.evidence.controls = states
    file = fetched(operator, exported(operator, control="X-1"), tmp_path)
    assert verify_pack(file, key).valid
    with zipfile.ZipFile(file) as zipped:
        assert '"target-id": "x-1"' in zipped.read("oscal-assessment-results.json").decode()
    assert operator.post("/evidence/packs", period(control="X-2")).status_code == 422


@on_one_database
def test_a_pack_that_was_interrupted_is_written_from_the_beginning(
    backend: Backend, operator: Someone, key: VerifierKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = backend.services
    services.runtime.stop()
    id = operator.post("/evidence/packs", period()).json()["id"]
    work, write = EvidenceWork(services), EvidenceWork._progress
    calls = 0

    def stopping(self: EvidenceWork, id: str, done: int, *, events: int | None = None) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise RuntimeStopping
        monkeypatch.setattr(services.runtime, "_leading", True)
        monkeypatch.setattr(services.runtime, "_stopping", False)
        write(self, id, done, events=events)

    monkeypatch.setattr(EvidenceWork, "_progress", stopping)
    with pytest.raises(RuntimeStopping):
        work.write(id)
    assert list(services.evidence.folder.glob("*")) == []
    with services.database.read() as session:
        assert session.get(EvidencePack, id).state == PackState.RUNNING  # type: ignore[union-attr]
    work.write(id)
    assert verify_pack(services.evidence.file_of(id), key).valid
    # A killed process comes back to a step that was done already.
    work.write(id)
    with services.database.read() as session:
        assert session.get(EvidencePack, id).state == PackState.DONE  # type: ignore[union-attr]


@on_one_database
def test_files_are_not_kept_for_ever(backend: Backend, operator: Someone) -> None:
    pack = exported(operator)
    file = backend.services.evidence.file_of(pack["id"])
    work = EvidenceWork(backend.services)
    work.beat(changed=False)
    assert file.exists()
    long_ago = (datetime.now(UTC) - timedelta(days=31)).timestamp()
    os.utime(file, (long_ago, long_ago))
    work._swept = float("-inf")
    work.beat(changed=False)
    assert not file.exists()
