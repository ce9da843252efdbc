"""A person planted in samples, logs and the lake: found, erased by two people, proved gone; and what stands in the way."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from backend.audit.verify import verify_database
from backend.core.database import Base
from backend.core.errors import Conflict
from tests.backend.conftest import Backend, Someone

from .conftest import EMAIL, PERSON, House, ended

pytestmark = pytest.mark.slow

SETTLED = ("found", "nothing_found", "erased", "partly_erased", "failed")
OTHERS = {"id": ["C-1", "C-2"], "mail": ["x@example.com", None], "n": [1, 2]}


def find(someone: Someone, *identifiers: str) -> dict[str, Any]:
    asked = someone.post("/privacy/subject-requests", {"identifiers": list(identifiers), "reason": "GDPR article 17"})
    assert asked.status_code == 201, asked.text
    return ended(someone, f"/privacy/subject-requests/{asked.json()['id']}", SETTLED)


def allowed(someone: Someone, path: str) -> dict[str, bool]:
    found = someone.get(path).json()
    return {one["action"]: one["allowed"] for one in found.get("items", found.get("actions"))}


def erase(asker: Someone, confirmer: Someone, id: str) -> dict[str, Any]:
    assert asker.post(f"/privacy/subject-requests/{id}/erasure", {"reason": "asked for"}).status_code == 200
    answer = confirmer.post(f"/privacy/subject-requests/{id}/confirmation", {"reason": "checked"})
    assert answer.status_code == 200, answer.text
    return ended(confirmer, f"/privacy/subject-requests/{id}", SETTLED)


def plant(here: House, tmp_path: Path) -> None:
    """Put the person, and others, everywhere."""
    reference = {
        "name": "orders", "uri": "file:///lake/shop/orders", "role": "training", "classification": "pii",
        "load": "wine.data:load",
    }  # fmt: skip
    here.add_versions(tmp_path, 1, batch=True)
    here.add_versions(tmp_path, 1, data=[reference])
    here.add_versions(tmp_path, 2)
    here.add_samples({"instances": [{"customer": PERSON, "x": 1}]}, {"instances": [{"customer": "C-1", "x": 2}]})
    here.write_log("models/lab/wine/v1-r0.log", "start", json.dumps({"message": f"scored {PERSON}"}), "end of it")
    here.write_log("models/lab/wine/v1-r0.log.1", f"user={EMAIL};", "another line")
    here.write_log("backend.log", f"GET /customers/{PERSON}")
    today = here.clock.now().date()
    here.write_orders(today, {"id": ["C-1", PERSON, "C-2"], "x": [1.0, 2.0, 3.0]})
    here.write_scores(
        today,
        {"id": ["C-1", PERSON, PERSON], "y": [1.0, 2.0, 3.0]},
        {"id": ["C-9"], "y": [9.0]},
    )
    exports = here.lake() / "exports"
    exports.mkdir()
    (exports / "people.csv").write_text(f'\ufeffid,note\r\nC-1,"two\r\nlines"\r\n{PERSON},"likes\r\nwine"\r\nC-2,x\r\n')
    (exports / "people.jsonl").write_text(f'{{"id":"C-1"}}\n{{"who":{{"mail":"{EMAIL.upper()}"}}}}\n')
    (exports / "readme.txt").write_text("not a table")


def test_a_person_is_found_erased_and_proved_erased(
    here: House, operator: Someone, second: Someone, tmp_path: Path
) -> None:
    plant(here, tmp_path)
    with here.services.database.write() as session:
        sealed = here.services.privacy.subject_keys.seal(session, PERSON, b"token", "token-vault")
        other = here.services.privacy.subject_keys.seal(session, "C-900001", b"other", "token-vault")
    found = find(operator, PERSON, EMAIL)
    assert found["state"] == "found"
    day = here.clock.now().date()
    counts = {one["location"]: one["found"] for one in found["findings"] if one["found"]}
    scores = next(name for name in counts if "scores" in name)
    assert counts == {
        "lab/wine": 1,
        "models/lab/wine/v1-r0.log": 1,
        "models/lab/wine/v1-r0.log.1": 1,
        "backend.log": 1,
        f"lab:shop/orders/date={day}/orders.parquet": 1,
        scores: 2,
        "lab:exports/people.csv": 1,
        "lab:exports/people.jsonl": 1,
        "data keys": 1,
    }
    unsearched = [one for one in found["findings"] if one["reason"]]
    assert [(one["location"], one["state"]) for one in unsearched] == [("lab:exports/readme.txt", "failed")]
    assert [(one["model"], one["version"], one["use"]) for one in found["models"]] == [
        ("orders", 1, "scores"),
        ("wine", 1, "trained"),
    ]

    done = erase(operator, second, found["id"])
    assert done["state"] == "erased", done
    assert (done["found"], done["remaining"]) == (10, 0)
    # Nobody else is gone, and everything can still be read.
    assert here.samples() == [{"instances": [{"customer": "C-1", "x": 2}]}]
    logs = here.home / "logs"
    text = (logs / "models/lab/wine/v1-r0.log").read_text()
    assert [line.strip() for line in text.splitlines()] == ["start", "[erased]", "end of it"]
    assert "another line" in (logs / "models/lab/wine/v1-r0.log.1").read_text()
    orders = pl.read_parquet(here.lake() / f"shop/orders/date={day}/orders.parquet", hive_partitioning=False)
    assert orders.rows() == [("C-1", 1.0), ("C-2", 3.0)]
    partition = here.lake() / f"shop/scores/date={day}"
    manifest = json.loads((partition / "_run.json").read_text())
    assert sorted(file["name"] for file in manifest["outputFiles"]) == sorted(
        path.name for path in partition.glob("*.parquet")
    )
    scored = pl.concat(pl.read_parquet(path, hive_partitioning=False) for path in sorted(partition.glob("*.parquet")))
    assert sorted(scored.rows()) == [("C-1", 1.0), ("C-9", 9.0)]
    assert manifest["rowsOut"] == 2
    exports = here.lake() / "exports"
    assert (exports / "people.csv").read_bytes() == b'id,note\r\nC-1,"two\r\nlines"\r\nC-2,x\r\n'
    assert (exports / "people.jsonl").read_text() == '{"id":"C-1"}\n'
    with here.services.database.read() as session:
        with pytest.raises(Conflict, match="its key was destroyed"):
            here.services.privacy.subject_keys.open(session, sealed, "token-vault")
        assert here.services.privacy.subject_keys.open(session, other, "token-vault") == b"other"

    said = operator.get(f"/privacy/certificates/{done['certificate']}").json()
    predicate = said["statement"]["predicate"]
    assert said["valid"]
    assert predicate["counts"] == {"found": 10, "remaining": 0}
    assert (predicate["requestedBy"], predicate["confirmedBy"]) == (operator.ref, second.ref)
    assert predicate["auditLog"]["valid"]
    assert find(operator, PERSON, EMAIL)["state"] == "nothing_found"
    url = here.services.database.url.render_as_string(hide_password=False)
    assert verify_database(url, here.services.audit.key.public_key).valid


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_person_is_nowhere_in_what_the_platform_keeps_of_the_request(
    here: House, operator: Someone, second: Someone, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plant(here, tmp_path)
    done = erase(operator, second, find(operator, PERSON, EMAIL)["id"])
    answers = operator.get(f"/privacy/subject-requests/{done['id']}").text + operator.get("/privacy/certificates").text
    answers += json.dumps(operator.events())
    with here.services.database.read() as session:
        rows = [str(row) for table in Base.metadata.sorted_tables for row in session.execute(table.select())]
    for text in (answers, "\n".join(rows), caplog.text):
        for secret in (PERSON, EMAIL):
            assert secret.lower() not in text.lower()
    # Nor in any file of the platform, the databases and the workflows' among them.
    for file in here.home.rglob("*"):
        if file.is_file():
            content = file.read_bytes().lower()
            assert PERSON.lower().encode() not in content, file
            assert EMAIL.lower().encode() not in content, file


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_two_people_are_needed(here: House, house: tuple[House, Backend], operator: Someone, second: Someone) -> None:
    ada = house[1].someone("ada")
    here.write_log("backend.log", PERSON)
    refused = ada.post("/privacy/subject-requests", {"identifiers": [PERSON], "reason": "curious"})
    assert refused.status_code == 403
    assert allowed(ada, "/privacy/actions") == {"find": False, "hold": False, "delete": False}
    assert allowed(operator, "/privacy/actions") == {"find": True, "hold": True, "delete": True}
    found = find(operator, PERSON)
    path = f"/privacy/subject-requests/{found['id']}"
    assert ada.get(path).status_code == ada.get("/privacy/subject-requests").status_code == 403
    assert allowed(operator, path) == {"erase": True, "confirm": False}
    early = second.post(f"{path}/confirmation", {"reason": "checked"})
    assert early.status_code == 409
    assert "platform privacy erase" in early.json()["fix"]
    assert operator.post(f"{path}/erasure", {"reason": "asked for"}).json()["state"] == "awaiting_confirmation"
    assert allowed(operator, path) == {"erase": False, "confirm": False}
    assert allowed(second, path) == {"erase": False, "confirm": True}
    own = operator.post(f"{path}/confirmation", {"reason": "checked"})
    assert own.status_code == 403
    assert "somebody else" in own.json()["detail"]
    assert ada.post(f"{path}/confirmation", {"reason": "checked"}).status_code == 403
    assert second.post(f"{path}/confirmation", {"reason": "checked"}).json()["state"] == "erasing"
    assert ended(second, path, SETTLED)["state"] == "erased"
    assert second.post(f"{path}/confirmation", {"reason": "checked"}).status_code == 409
    types = [
        event["type"].rpartition("subject.")[2] for event in operator.events(subject=f"subject-request:{found['id']}")
    ]
    assert [name for name in types if "privacy" not in name] == [
        "requested", "searched", "erasure.requested", "erasure.confirmed", "erased",
    ]  # fmt: skip


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_legal_hold_prevents_the_erasure(here: House, operator: Someone, second: Someone, tmp_path: Path) -> None:
    plant(here, tmp_path)
    with here.services.database.write() as session:
        here.services.privacy.subject_keys.seal(session, PERSON, b"token", "token-vault")
    found = find(operator, PERSON)
    key = operator.post("/privacy/holds", {"subject": "kind:subject_key", "reason": "a backup is evidence"}).json()
    kept = operator.post(f"/privacy/subject-requests/{found['id']}/erasure", {"reason": "asked for"})
    assert (kept.status_code, "kind:subject_key is held since" in kept.json()["detail"]) == (409, True)
    operator.post(f"/privacy/holds/{key['id']}/release", {"reason": "settled"})
    hold = operator.post("/privacy/holds", {"subject": "model:wine", "reason": "lawsuit 4711"}).json()
    refused = operator.post(f"/privacy/subject-requests/{found['id']}/erasure", {"reason": "asked for"})
    assert refused.status_code == 409
    assert refused.json()["type"].endswith("under-legal-hold")
    assert "model:wine is held since" in refused.json()["detail"]
    assert "lawsuit 4711" in refused.json()["detail"]
    assert [one["id"] for one in refused.json()["holds"]] == [hold["id"]]
    (told,) = [
        one
        for one in operator.get(f"/privacy/subject-requests/{found['id']}").json()["actions"]
        if one["action"] == "erase"
    ]
    assert (told["allowed"], told["reason"]) == (False, refused.json()["detail"])
    assert here.samples()[0] == {"instances": [{"customer": PERSON, "x": 1}]}
    operator.post(f"/privacy/holds/{hold['id']}/release", {"reason": "settled"})
    # One that is placed between asking and confirming counts, too.
    assert operator.post(f"/privacy/subject-requests/{found['id']}/erasure", {"reason": "x y z"}).status_code == 200
    subject = f"subject-request:{found['id']}"
    last = operator.post("/privacy/holds", {"subject": subject, "reason": "another lawsuit"}).json()
    held = second.post(f"/privacy/subject-requests/{found['id']}/confirmation", {"reason": "checked"})
    assert held.status_code == 409
    operator.post(f"/privacy/holds/{last['id']}/release", {"reason": "settled"})
    assert (
        second.post(f"/privacy/subject-requests/{found['id']}/confirmation", {"reason": "checked"}).status_code == 200
    )
    assert ended(second, f"/privacy/subject-requests/{found['id']}", SETTLED)["state"] == "erased"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_vault_forgets_whom_the_platform_does_not_know(operator: Someone, second: Someone) -> None:
    found = find(operator, PERSON)
    assert found["state"] == "nothing_found"
    path, said = f"/privacy/subject-requests/{found['id']}/vault-erasures", {"vault": "people.vault", "tokens": 2}
    assert operator.post(path, said).status_code == 409
    done = erase(operator, second, found["id"])
    assert (done["state"], done["found"]) == ("erased", 0)
    hold = operator.post("/privacy/holds", {"subject": "kind:token", "reason": "lawsuit 4711"}).json()
    held = operator.post(path, said)
    assert held.status_code == 409
    assert "lawsuit 4711" in held.json()["detail"]
    operator.post(f"/privacy/holds/{hold['id']}/release", {"reason": "settled"})
    for tokens in (2, 1):
        answer = operator.post(path, {**said, "tokens": tokens})
        assert answer.status_code == 200
    (finding,) = answer.json()["findings"]
    assert (finding["kind"], finding["location"], finding["found"], finding["remaining"]) == (
        "token", "people.vault", 3, 0,
    )  # fmt: skip
    events = operator.events(type="ml-platform.privacy.subject.vault.forgotten")
    assert [one["data"]["tokens"] for one in events] == [2, 1]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_partition_that_is_being_written_is_waited_for_or_told(
    here: House, operator: Someone, second: Someone
) -> None:
    from mlplatform.batch.lake import open_lake

    day = here.clock.now().date()
    here.write_orders(day, {"id": [PERSON], "x": [1.0]})
    here.write_log("backend.log", PERSON)
    found = find(operator, PERSON)
    with open_lake(str(here.lake())).alone("shop/orders", "date", day):
        done = erase(operator, second, found["id"])
    assert done["state"] == "partly_erased"
    assert done["message"] == "1 found again"
    states = {one["kind"]: (one["state"], one["remaining"]) for one in done["findings"]}
    assert states == {"log": ("deleted", 0), "dataset": ("failed", 1)}
    assert "another process" in next(one["reason"] for one in done["findings"] if one["kind"] == "dataset")
    partly = operator.get(f"/privacy/certificates/{done['certificate']}").json()
    assert partly["valid"]
    assert partly["about"] == f"subject-request:{found['id']}/attempts/1"
    predicate = partly["statement"]["predicate"]
    assert (predicate["state"], predicate["counts"]) == ("partly_erased", {"found": 2, "remaining": 1})
    (kept,) = predicate["notDeleted"]
    assert (kept["state"], kept["kind"], kept["name"]) == (
        "failed",
        "dataset",
        f"lab:shop/orders/date={day}/orders.parquet",
    )
    assert "another process" in kept["reason"]
    # What is left is erased by asking again, and that has a certificate of its own.
    again = erase(operator, second, found["id"])
    assert again["state"] == "erased"
    whole = operator.get(f"/privacy/certificates/{again['certificate']}").json()
    assert (whole["about"], whole["statement"]["predicate"]["notDeleted"]) == (f"subject-request:{found['id']}", [])
    signed = operator.events(type="ml-platform.privacy.certificate.signed", subject=f"subject-request:{found['id']}")
    assert [one["data"]["certificate"] for one in signed] == [done["certificate"], again["certificate"]]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_can_not_be_read_is_said_and_the_rest_is_erased(here: House, operator: Someone, second: Someone) -> None:
    folder = here.lake() / "shop"
    folder.mkdir(parents=True)
    (folder / "broken.parquet").write_bytes(b"PAR1 this is none")
    (folder / "latin.csv").write_bytes(b"id\n\xff\xfe\n")
    (folder / "good.csv").write_text(f"id\n{PERSON}\n")
    found = find(operator, PERSON)
    told = {one["location"]: one["reason"] for one in found["findings"]}
    assert "no parquet file that can be read" in told["lab:shop/broken.parquet"]
    assert "UnicodeDecodeError" in told["lab:shop/latin.csv"]
    assert erase(operator, second, found["id"])["state"] == "erased"
    assert (folder / "good.csv").read_text() == "id\n"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("identifiers", "said"),
    [(["Bo"], "identifiers/0"), ([EMAIL, "12"], "identifiers/1"), ([], "identifiers"), (["x" * 301], "identifiers")],
)
def test_identifiers_that_mean_nobody_are_refused(operator: Someone, identifiers: list[str], said: str) -> None:
    refused = operator.post("/privacy/subject-requests", {"identifiers": identifiers, "reason": "GDPR"})
    assert refused.status_code == 422
    assert said in refused.text


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_deadline_is_shown_and_overdue_is_seen(house: tuple[House, Backend]) -> None:
    here, backend = house
    here.write_log("backend.log", PERSON)
    operator = backend.someone("operator")
    found = find(operator, PERSON)
    assert found["dueAt"][:10] == (here.clock.now() + timedelta(days=30)).date().isoformat()
    assert not found["overdue"]
    assert operator.get("/privacy/subject-requests", overdue=True).json()["items"] == []
    here.clock.move(days=31)
    later = backend.someone("operator")
    (late,) = later.get("/privacy/subject-requests", overdue=True).json()["items"]
    assert (late["id"], late["overdue"]) == (found["id"], True)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_log_that_is_being_written_loses_the_line_and_nothing_else(
    here: House, operator: Someone, second: Someone
) -> None:
    path = here.write_log("models/lab/wine/v1-r0.log", "first", f"scored {PERSON}")
    with path.open("ab", buffering=0) as writer:
        found = find(operator, PERSON)
        writer.write(b"while it is searched\n")
        done = erase(operator, second, found["id"])
        assert done["state"] == "erased", done
        writer.write(b"and after\n")
    assert [line.strip() for line in path.read_text().splitlines()] == [
        "first", "[erased]", "while it is searched", "and after",
    ]  # fmt: skip


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_erasure_is_not_judged_before_it_was_done(here: House, operator: Someone, second: Someone) -> None:
    """Confirmed when the search's own workflow is past its step for erasing."""
    here.write_log("backend.log", PERSON)
    found = find(operator, PERSON)
    here.services.runtime.stop()
    path = f"/privacy/subject-requests/{found['id']}"
    operator.post(f"{path}/erasure", {"reason": "asked for"})
    second.post(f"{path}/confirmation", {"reason": "checked"})
    here.services.privacy.subjects._prove(found["id"])
    assert operator.get(path).json()["state"] == "erasing"
    here.services.runtime.start()
    assert ended(operator, path, SETTLED)["state"] == "erased"
