"""Payload samples from the model server to whoever reads them, and keys that are rotated under them."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from backend.core.config import Settings
from backend.core.errors import PlatformError
from backend.privacy.keys import EncryptionUnavailable
from backend.privacy.models import PayloadSample
from mlplatform.serving.samples import Place, Sampler, sampler
from tests.backend.conftest import Backend, Someone

from .conftest import EMAIL, House, ended

pytestmark = pytest.mark.slow

WHERE = Place("lab", "wine", "1")


@pytest.fixture
def spool(here: House, monkeypatch: pytest.MonkeyPatch) -> Path:
    here.services.runtime.stop()  # it would take the samples over before a test has looked at them
    here.services.privacy.samples.publish()
    folder = here.home / "samples"
    monkeypatch.setenv("ML_PLATFORM_SAMPLES", str(folder))
    return folder


def take(rate: float, *requests: bytes, answer: bytes = b'{"predictions":[1]}') -> tuple[Sampler, list[str]]:
    taken = sampler(rate, WHERE)
    assert taken is not None
    ids = []
    for request in requests:
        if (id := taken.id_for_one()) is not None:
            taken.take(id, request, answer)
            ids.append(id)
    taken.flush(10)
    return taken, ids


def test_a_sample_is_redacted_sealed_kept_and_read_by_its_prediction(
    here: House, spool: Path, house: tuple[House, Backend], operator: Someone, ada: Someone, tmp_path: Path
) -> None:
    here.add_versions(tmp_path, 1)
    body = json.dumps({"instances": [{"mail": EMAIL, "alcohol": 13.2, "password": "hunter2"}]}).encode()
    _, (id,) = take(1.0, body)
    spooled = b"".join(file.read_bytes() for file in spool.iterdir())
    for secret in (EMAIL.encode(), b"hunter2", b"alcohol", b"13.2"):
        assert secret not in spooled
    here.services.privacy.samples.take_over()
    assert [file.name for file in spool.iterdir()] == ["recipient.json"]
    read = ada.get(f"/privacy/samples/{id}").json()
    assert read["request"] == {
        "instances": [{"mail": "[REDACTED:EMAIL]", "alcohol": 13.2, "password": "[REDACTED:SECRET]"}]
    }
    assert read["answer"] == {"predictions": [1]}
    (listed,) = ada.get("/privacy/samples", environment="lab", model="wine").json()["items"]
    assert (listed["id"], listed["version"]) == (id, 1)
    assert house[1].someone("edsger").get(f"/privacy/samples/{id}").status_code == 403
    assert ada.get("/privacy/samples/00000000-0000-7000-8000-000000000000").status_code == 404
    (event,) = operator.events(type="ml-platform.privacy.sample.read")
    assert event["data"]["prediction"] == id
    assert "alcohol" not in json.dumps(event)
    # In the database there is nothing to be read.
    with here.services.database.read() as session:
        assert b"alcohol" not in session.get_one(PayloadSample, id).sealed


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_taken_over_twice_it_is_there_once_and_nonsense_is_dropped(here: House, spool: Path) -> None:
    take(1.0, b'{"x":1}', b"not json", b'{"x":' + b"1" * 2_000_000 + b"}")
    (file,) = spool.glob("*.sealed")
    content = file.read_bytes()
    lines = content.splitlines()
    moved = json.loads(lines[0]) | {"model": "beer"}
    damaged = json.loads(lines[1]) | {"sealed": "00" * 60}
    file.write_bytes(
        b"\n".join([lines[0], b"nonsense", b"[1]", json.dumps(moved).encode(), json.dumps(damaged).encode()])
    )
    assert here.services.privacy.samples.take_over() == 1
    file.write_bytes(content)
    assert here.services.privacy.samples.take_over() == 2
    found = sorted(json.dumps(one) for one in here.samples())
    assert found == ['{"omitted": "2000006 bytes"}', '{"omitted": "no JSON"}', '{"x": 1}']
    assert here.samples("beer") == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_store_is_bounded_and_the_oldest_go(here: House) -> None:
    samples = here.services.privacy.samples
    samples._settings = samples._settings.model_copy(update={"most": 5})
    for number in range(8):
        here.add_samples({"x": number})
    here.add_samples({"x": "other"}, model="beer")
    assert here.samples() == [{"x": number} for number in range(3, 8)]
    assert here.samples("beer") == [{"x": "other"}]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_without_the_platform_no_samples_are_taken(
    here: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sampler(1.0, WHERE) is None
    monkeypatch.setenv("ML_PLATFORM_SAMPLES", str(tmp_path / "nowhere"))
    assert sampler(1.0, WHERE) is None
    (tmp_path / "recipient.json").write_text('{"id": 1}')
    monkeypatch.setenv("ML_PLATFORM_SAMPLES", str(tmp_path))
    assert sampler(1.0, WHERE) is None


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_rate_is_a_share(spool: Path) -> None:
    _, ids = take(0.3, *[b"{}"] * 60)
    assert len(ids) < 45
    folder = {file.name for file in spool.iterdir()}
    assert len(folder) >= 1


def test_everything_is_read_before_during_and_after_a_rotation(here: House, operator: Someone) -> None:
    with here.services.database.write() as session:
        sealed = here.services.privacy.subject_keys.seal(session, "C-100777", b"token", "vault")
    here.add_samples(*({"x": number} for number in range(450)))
    before = {row["id"]: row for row in operator.get("/privacy/keys").json()["items"]}
    asked = operator.post("/privacy/keys/rotations", {"reason": "yearly"})
    assert asked.status_code == 201
    here.add_samples({"x": 450})
    done = ended(operator, f"/privacy/keys/rotations/{asked.json()['id']}")
    assert (done["state"], done["done"]) == ("done", done["total"])
    assert done["total"] >= 450
    assert here.samples() == [{"x": number} for number in range(451)]
    after = {row["id"]: row for row in operator.get("/privacy/keys").json()["items"]}
    old = next(id for id, row in before.items() if row["purpose"] == "payload-sample")
    assert (before[old]["state"], after[old]["state"]) == ("active", "destroyed")
    with here.services.database.read() as session:
        assert here.services.privacy.subject_keys.open(session, sealed, "vault") == b"token"
    types = [
        event["type"].rpartition("rotation.")[2] for event in operator.events(subject=f"key-rotation:{done['id']}")
    ]
    assert types == ["requested", "started", "finished"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_wrong_or_missing_key_is_named_with_its_setting(here: House) -> None:
    here.add_samples({"x": 1})
    file = here.home / "encryption" / "key"
    kept = file.read_bytes()
    fresh = type(here.services.privacy.keys)
    file.unlink()
    here.services.privacy.samples._keys = fresh(here.services.settings, here.clock)
    with pytest.raises(EncryptionUnavailable) as caught:
        here.samples()
    assert str(file) in caught.value.detail
    assert "mlPlatform.encryption" in str(caught.value.fix)
    file.write_bytes(kept)
    other = here.services.settings.model_dump(by_alias=True)
    other["encryption"]["key"] = {"kind": "local", "path": str(here.home / "other-key")}
    here.services.privacy.samples._keys = fresh(Settings.model_validate(other), here.clock)
    with pytest.raises(EncryptionUnavailable, match="under the key local, which is not configured") as caught:
        here.samples()
    assert "formerKeys" in str(caught.value.fix)
    other["encryption"]["formerKeys"] = [{"kind": "local"}]
    here.services.privacy.samples._keys = fresh(Settings.model_validate(other), here.clock)
    assert here.samples() == [{"x": 1}]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_row_that_was_changed_or_moved_does_not_open(here: House) -> None:
    here.add_samples({"x": 1})
    with here.services.database.write() as session:
        (row,) = session.query(PayloadSample)
        row.model = "beer"
    with pytest.raises(PlatformError, match="is damaged"):
        here.samples("beer")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_rotation_needs_an_administrator_and_is_alone(here: House, operator: Someone, ada: Someone) -> None:
    assert ada.post("/privacy/keys/rotations", {"reason": "yearly"}).status_code == 403
    assert ada.get("/privacy/keys").status_code == 403
    here.services.runtime.stop()
    first = operator.post("/privacy/keys/rotations", {"reason": "yearly"}).json()
    second = operator.post("/privacy/keys/rotations", {"reason": "yearly"})
    assert second.status_code == 409
    assert second.json()["rotation"] == first["id"]


@pytest.mark.slow
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_real_model_server_samples_what_it_answers(here: House, spool: Path, tmp_path: Path) -> None:
    from tests.mlplatform.serving.conftest import Server, save_wine

    saved = save_wine(tmp_path, serving={"samples": {"rate": 1.0}})
    server = Server(saved, tmp_path / "log", name="wine").ready()
    answer = httpx.post(f"{server.url}/v1/models/wine:predict", json={"instances": saved.rows[:1]})
    refused = httpx.post(f"{server.url}/v1/models/wine:predict", json={"instances": [{}]})
    assert server.stop() == 0
    assert (answer.status_code, refused.status_code) == (200, 422)
    assert "x-prediction-id" not in refused.headers
    assert here.services.privacy.samples.take_over() == 1
    with here.services.database.read() as session:
        found: Any = here.services.privacy.samples.get(session, answer.headers["x-prediction-id"])
    assert found.request == {"instances": saved.rows[:1]}
    assert found.answer == answer.json()
    assert abs(found.at - here.clock.now()) < timedelta(minutes=10)
