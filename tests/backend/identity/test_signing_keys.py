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
    answer = ada.post("/identity/signing-keys", {"publicKey": public_key})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/publicKey")


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
    body = {"publicKey": base64.b64encode(SigningKey.generate().public_bytes).decode()}
    first = ada.post("/identity/signing-keys", body, **{"Idempotency-Key": "k1"})
    again = ada.post("/identity/signing-keys", body, **{"Idempotency-Key": "k1"})
    assert (first.json(), first.headers.get("idempotency-replayed")) == (again.json(), None)
    assert again.headers["idempotency-replayed"] == "true"
    other = {"publicKey": base64.b64encode(SigningKey.generate().public_bytes).decode()}
    answer = ada.post("/identity/signing-keys", other, **{"Idempotency-Key": "k1"})
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:ml-platform:problem:idempotency-key-reused")
    assert ada.post("/identity/signing-keys", other, **{"Idempotency-Key": "k2"}).status_code == 200
    assert ada.post("/identity/signing-keys", other, **{"Idempotency-Key": "two words"}).status_code == 422


def test_another_callers_idempotency_key_is_another_key(backend: Any, ada: Any) -> None:
    body = {"publicKey": base64.b64encode(SigningKey.generate().public_bytes).decode()}
    grace = backend.someone("grace")
    answers = [one.post("/identity/signing-keys", body, **{"Idempotency-Key": "k"}).json() for one in (ada, grace)]
    assert [answer["principal"] for answer in answers] == ["user:default/ada", "user:default/grace"]
