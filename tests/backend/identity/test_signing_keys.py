"""Whose voice a signing key is."""

import base64
from typing import Any

import pytest

from mlplatform.attest.keys import SigningKey


def test_binding_is_idempotent_and_recorded_once(ada: Any) -> None:
    first, again = ada.bind_key(), ada.bind_key()
    assert first.status_code == again.status_code == 200
    assert first.json() == again.json()
    assert first.json()["keyId"] == ada.key.keyid
    assert first.json()["principal"] == "user:default/ada"
    (event,) = ada.events(type="ml-platform.identity.signing_key.bound")
    assert event["data"]["keyId"] == ada.key.keyid
    assert [one["keyId"] for one in ada.get("/identity/signing-keys").json()] == [ada.key.keyid]


def test_a_repository_binds_for_itself_only(backend: Any, ada: Any) -> None:
    ci = backend.repository("local/wine")
    assert ci.bind_key().json()["repository"] == "local/wine"
    answer = ci.bind_key("local/other")
    assert answer.status_code == 403
    (event,) = ada.events(type="ml-platform.identity.signing_key.refused")
    assert event["actor"] == "repository:local/wine"


@pytest.mark.parametrize(
    "public_key",
    ["", "AAAA", "not base64!", base64.b64encode(b"x" * 31).decode(), base64.b64encode(b"x" * 33).decode()],
)
def test_what_is_no_key_is_refused(ada: Any, public_key: str) -> None:
    answer = ada.post("/identity/signing-keys", {**ada.key_binding(ada.key), "publicKey": public_key})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/publicKey")


def test_nobody_binds_a_key_that_is_not_theirs(backend: Any, ada: Any) -> None:
    """Else what ada signed could be made to look as if edsger had."""
    edsger = backend.someone("edsger")
    stolen = ada.key_binding(ada.key)
    answer = edsger.post("/identity/signing-keys", stolen)
    assert (answer.status_code, "private half" in answer.json()["detail"]) == (403, True), answer.text
    (event,) = ada.events(type="ml-platform.identity.signing_key.refused")
    assert (event["actor"], event["data"]["keyId"]) == ("user:default/edsger", ada.key.keyid)
    for proof in ("", "AAAA", "not base64!"):
        wrong = ada.post("/identity/signing-keys", {**stolen, "proof": proof})
        assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/proof")


def test_a_revoked_key_stays_revoked(backend: Any, ada: Any) -> None:
    ada.bind_key()
    grace = backend.someone("grace")
    assert grace.delete(f"/identity/signing-keys/{ada.key.keyid}").status_code == 404
    assert ada.delete(f"/identity/signing-keys/{ada.key.keyid}").json()[0]["revokedAt"]
    assert ada.bind_key().status_code == 409
    assert ada.delete(f"/identity/signing-keys/{ada.key.keyid}").status_code == 404


def test_an_administrator_revokes_anybodys_key(backend: Any, ada: Any) -> None:
    ada.bind_key()
    assert backend.someone("operator").delete(f"/identity/signing-keys/{ada.key.keyid}").status_code == 200


def test_the_same_idempotency_key_gives_the_same_answer_once(ada: Any) -> None:
    body = ada.key_binding(SigningKey.generate())
    first = ada.post("/identity/signing-keys", body, **{"Idempotency-Key": "k1"})
    again = ada.post("/identity/signing-keys", body, **{"Idempotency-Key": "k1"})
    assert (first.json(), first.headers.get("idempotency-replayed")) == (again.json(), None)
    assert again.headers["idempotency-replayed"] == "true"
    other = ada.key_binding(SigningKey.generate())
    answer = ada.post("/identity/signing-keys", other, **{"Idempotency-Key": "k1"})
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:ml-platform:problem:idempotency-key-reused")
    assert ada.post("/identity/signing-keys", other, **{"Idempotency-Key": "k2"}).status_code == 200
    assert ada.post("/identity/signing-keys", other, **{"Idempotency-Key": "two words"}).status_code == 422


def test_another_callers_idempotency_key_is_another_key(backend: Any, ada: Any) -> None:
    key, answers = SigningKey.generate(), []
    for one in (ada, backend.someone("grace")):
        answers.append(one.post("/identity/signing-keys", one.key_binding(key), **{"Idempotency-Key": "k"}).json())
    assert [answer["principal"] for answer in answers] == ["user:default/ada", "user:default/grace"]
