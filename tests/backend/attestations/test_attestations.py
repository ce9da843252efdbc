"""Which signatures count, when they come and whenever they are read."""

import copy
from typing import Any

import pytest
from sqlalchemy import text

from mlplatform.gates.result import Gate, Outcome


@pytest.fixture
def registered(ada: Any, trained: Any) -> Any:
    ada.bind_key()
    assert ada.register(trained).status_code == 201
    return trained


def post(someone: Any, envelope: Any) -> Any:
    return someone.post("/attestations", {"envelope": envelope})


def test_an_attestation_is_kept_once(ada: Any, registered: Any) -> None:
    envelope = registered.attest(ada, Gate.SCHEMA)
    first, again = post(ada, envelope), post(ada, envelope)
    assert (first.status_code, again.status_code) == (201, 200), first.text
    assert first.json() == again.json()
    stored = ada.get("/attestations", digest=registered.digest).json()["items"]
    assert stored == [first.json()]
    assert (stored[0]["gate"], stored[0]["principal"], stored[0]["verified"]) == ("schema", "user:default/ada", True)
    assert stored[0]["envelope"] == envelope
    (event,) = ada.events(type="ml-platform.attestations.attestation.recorded")
    assert event["data"]["keyId"] == ada.key.keyid


def test_several_are_paged(ada: Any, registered: Any) -> None:
    for outcome in (Outcome.FAILED, Outcome.PASSED, Outcome.NOT_EVALUATED):
        assert post(ada, registered.attest(ada, Gate.PII, outcome)).status_code == 201
    first = ada.get("/attestations", digest=registered.digest, limit=2).json()
    second = ada.get("/attestations", digest=registered.digest, limit=2, cursor=first["nextCursor"]).json()
    assert [one["outcome"] for one in first["items"] + second["items"]] == ["failed", "passed", "not_evaluated"]
    assert second["nextCursor"] is None


def by_unknown_key(backend: Any, ada: Any, registered: Any) -> Any:
    return registered.attest(backend.someone("grace"), Gate.SCHEMA)


def from_other_repository(backend: Any, ada: Any, registered: Any) -> Any:
    return registered.attest(ada, Gate.SCHEMA, repository="local/other")


def about_other_model(backend: Any, ada: Any, registered: Any) -> Any:
    return registered.attest(ada, Gate.SCHEMA, model="beer")


def about_an_artefact_nobody_registered(backend: Any, ada: Any, registered: Any) -> Any:
    return registered.attest(ada, Gate.SCHEMA, digest="e" * 64)


def with_changed_payload(backend: Any, ada: Any, registered: Any) -> Any:
    envelope = registered.attest(ada, Gate.SCHEMA, Outcome.FAILED)
    other = registered.attest(ada, Gate.SCHEMA, Outcome.PASSED)
    return {**envelope, "payload": other["payload"]}


def without_signatures(backend: Any, ada: Any, registered: Any) -> Any:
    return {**registered.attest(ada, Gate.SCHEMA), "signatures": []}


def of_other_type(backend: Any, ada: Any, registered: Any) -> Any:
    return {**registered.attest(ada, Gate.SCHEMA), "payloadType": "text/plain"}


def by_revoked_key(backend: Any, ada: Any, registered: Any) -> Any:
    envelope = registered.attest(ada, Gate.SCHEMA)
    assert ada.delete(f"/identity/signing-keys/{ada.key.keyid}").status_code == 200
    return envelope


def by_somebody_else(backend: Any, ada: Any, registered: Any) -> Any:
    grace = backend.someone("grace")
    grace.bind_key()
    return registered.attest(grace, Gate.SCHEMA)


def by_key_for_another_repository(backend: Any, ada: Any, registered: Any) -> Any:
    ada.key = type(ada.key).generate()
    ada.bind_key("local/other")
    return registered.attest(ada, Gate.SCHEMA)


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (by_unknown_key, "unknown_key"),
        (from_other_repository, "wrong_subject"),
        (about_other_model, "wrong_subject"),
        (about_an_artefact_nobody_registered, "wrong_subject"),
        (with_changed_payload, "bad_signature"),
        (without_signatures, "malformed"),
        (of_other_type, "wrong_payload_type"),
        (by_revoked_key, "revoked_key"),
        (by_somebody_else, "not_allowed"),
        (by_key_for_another_repository, "not_allowed"),
        (lambda *_: {}, "wrong_payload_type"),
        (lambda *_: {"payload": 1, "payloadType": [], "signatures": "x"}, "malformed"),
    ],
)
def test_what_does_not_count_is_refused_with_its_code_and_an_event(
    backend: Any, ada: Any, registered: Any, make: Any, code: str
) -> None:
    answer = post(ada, make(backend, ada, registered))
    problem = answer.json()
    accepted = {code, "malformed"} if make.__name__ == "<lambda>" else {code}
    assert (answer.status_code, problem["type"]) == (422, "urn:ml-platform:problem:attestation-invalid"), problem
    assert problem["code"] in accepted
    (event,) = ada.events(type="ml-platform.attestations.attestation.refused")
    assert (event["actor"], event["data"]["code"]) == ("user:default/ada", problem["code"])
    assert ada.get("/attestations", digest=registered.digest).json()["items"] == []


def test_a_stranger_may_not_attest(backend: Any, ada: Any, registered: Any) -> None:
    edsger = backend.someone("edsger")
    edsger.bind_key()
    answer = post(edsger, registered.attest(edsger, Gate.SCHEMA))
    assert answer.status_code == 403
    (event,) = ada.events(type="ml-platform.attestations.attestation.refused")
    assert event["actor"] == "user:default/edsger"


def test_what_the_repository_signed_may_be_brought_by_a_person(backend: Any, ada: Any, registered: Any) -> None:
    ci = backend.repository("local/wine")
    ci.bind_key()
    answer = post(ada, registered.attest(ci, Gate.SCHEMA))
    assert (answer.status_code, answer.json()["principal"]) == (201, "repository:local/wine")


def test_a_revoked_key_takes_back_what_it_signed_before(ada: Any, registered: Any) -> None:
    assert post(ada, registered.attest(ada, Gate.SCHEMA)).status_code == 201
    ada.delete(f"/identity/signing-keys/{ada.key.keyid}")
    (stored,) = ada.get("/attestations", digest=registered.digest).json()["items"]
    assert (stored["verified"], stored["reason"]) == (False, "its key was revoked, or bound only after it came")


@pytest.mark.parametrize(
    ("column", "value"), [("outcome", "passed"), ("gate", "pii"), ("repository", "local/x"), ("model", "m")]
)
def test_a_row_that_was_changed_in_the_database_does_not_count(
    backend: Any, ada: Any, registered: Any, column: str, value: str
) -> None:
    assert post(ada, registered.attest(ada, Gate.SCHEMA, Outcome.FAILED)).status_code == 201
    with backend.services.database.engine.begin() as connection:
        connection.execute(text(f"UPDATE attestations SET {column} = :value"), {"value": value})
    with backend.services.database.read() as session:
        (stored,) = backend.services.attestations.for_digest(session, registered.digest)
    assert not stored.valid
    assert stored.invalid_reason == "what is stored about it differs from what was signed"


def test_an_envelope_that_was_changed_in_the_database_does_not_count(backend: Any, ada: Any, registered: Any) -> None:
    import json

    envelope = registered.attest(ada, Gate.SCHEMA, Outcome.FAILED)
    post(ada, envelope)
    forged = copy.deepcopy(envelope)
    forged["payload"] = registered.attest(ada, Gate.SCHEMA, Outcome.PASSED)["payload"]
    with backend.services.database.engine.begin() as connection:
        connection.execute(
            text("UPDATE attestations SET envelope = :text, outcome = 'passed'"), {"text": json.dumps(forged)}
        )
    (stored,) = ada.get("/attestations", digest=registered.digest).json()["items"]
    assert (stored["verified"], stored["reason"]) == (False, "the signature does not fit the payload")
