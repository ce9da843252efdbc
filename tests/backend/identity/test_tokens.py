"""Whose tokens are believed, and what the others are told."""

import base64
import hmac
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

from backend.app import create_app
from backend.core.clock import SystemClock
from backend.core.config import Settings
from backend.core.config_identity import IdentitySettings, IssuerSettings
from backend.core.errors import Unavailable
from backend.identity.limiter import EventLimiter
from backend.identity.verification import RemoteKeys, TokenRefused, TokenVerifier
from tests.http_server import JsonServer

API = "/api/ml-platform"
ME = f"{API}/identity/me"


class Issuer:
    """A real issuer: an HTTP server with a key set, and the private keys to it."""

    def __init__(self) -> None:
        self.keys = [ECKey.generate_key("P-256", {"kid": "one"}, private=True)]
        self.requests = 0
        self.is_down = False
        self._server = JsonServer(self._answered)
        self.url, self.close = self._server.url, self._server.close

    def _answered(self, _path: str, _authorization: str) -> tuple[int, Any]:
        self.requests += 1
        return (503 if self.is_down else 200), KeySet(self.keys).as_dict(private=False)

    def token(self, claims: dict[str, Any] | None = None, *, key: Any = None, **header: Any) -> str:
        now = int(datetime.now(UTC).timestamp())
        usual = {"iss": self.url, "aud": "ml-platform", "iat": now, "exp": now + 600, "sub": "user:default/ada"}
        both = {name: value for name, value in {**usual, **(claims or {})}.items() if value is not None}
        key = key or self.keys[0]
        return jwt.encode({"alg": "ES256", "kid": key.kid, **header}, both, key, [header.get("alg", "ES256")])


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    made = Issuer()
    yield made
    made.close()


def verifier(issuer: Issuer, kind: str, name: str | None = None, **more: Any) -> TokenVerifier:
    settings = IdentitySettings(
        issuers=[
            IssuerSettings.model_validate({"issuer": name or issuer.url, "jwksUri": issuer.url, "kind": kind, **more})
        ]
    )
    return TokenVerifier(settings, SystemClock(), None)


def test_a_github_workflow_is_its_repository(issuer: Issuer) -> None:
    name = "https://token.actions.githubusercontent.com"
    claims = {"iss": name, "sub": "repo:acme/wine:ref:refs/heads/main", "repository": "acme/wine"}
    principal = verifier(issuer, "github", name).verify(issuer.token(claims))
    assert (principal.kind, principal.ref) == ("repository", "repository:github.com/acme/wine")
    assert principal.groups == frozenset()
    with pytest.raises(TokenRefused, match="different repositories"):
        verifier(issuer, "github", name).verify(issuer.token({**claims, "repository": "acme/other"}))


def test_a_ci_token_says_who_started_the_job_and_for_which_commit(issuer: Issuer) -> None:
    name = "https://token.actions.githubusercontent.com"
    claims = {
        "iss": name,
        "sub": "repo:acme/wine:ref:refs/heads/main",
        "repository": "acme/wine",
        "ref": "refs/heads/main",
        "actor": "Ada-L",
        "run_id": "4711",
        "sha": "c" * 40,
    }
    check = verifier(
        issuer, "github", name, refs=["refs/heads/main", "refs/tags/v*"], users={"grace-h": "user:ml/grace"}
    )
    principal = check.verify(issuer.token(claims))
    assert principal.on_behalf_of == "user:default/ada-l"
    assert principal.run == "https://github.com/acme/wine/actions/runs/4711"
    assert principal.commit == "c" * 40
    assert check.verify(issuer.token({**claims, "actor": "grace-h"})).on_behalf_of == "user:ml/grace"
    assert check.verify(issuer.token({**claims, "actor": "renovate[bot]"})).on_behalf_of == "service:renovate"
    assert check.verify(issuer.token({**claims, "actor": "../x", "sha": "main", "run_id": 7})).on_behalf_of is None
    assert check.verify(issuer.token({**claims, "ref": "refs/tags/v1.0"})).commit == "c" * 40
    with pytest.raises(TokenRefused, match="git ref 'refs/heads/mine'; accepted is refs/heads/main or"):
        check.verify(issuer.token({**claims, "ref": "refs/heads/mine"}))


def test_a_gitlab_token_says_the_same(issuer: Issuer) -> None:
    name = "https://gitlab.example.org"
    claims = {
        "iss": name,
        "sub": "project_path:ml/wine:ref_type:branch:ref:main",
        "project_path": "ml/wine",
        "ref": "main",
        "ref_type": "branch",
        "user_login": "ada",
        "job_id": "99",
        "sha": "d" * 40,
    }
    check = verifier(issuer, "gitlab", name, refs=["refs/heads/main"])
    principal = check.verify(issuer.token(claims))
    assert (principal.on_behalf_of, principal.commit) == ("user:default/ada", "d" * 40)
    assert principal.run == "https://gitlab.example.org/ml/wine/-/jobs/99"
    with pytest.raises(TokenRefused, match="git ref 'refs/tags/main'"):
        check.verify(issuer.token({**claims, "ref_type": "tag"}))


def test_a_gitlab_job_is_its_project(issuer: Issuer) -> None:
    name = "https://gitlab.example.org"
    claims = {"iss": name, "sub": "project_path:ml/teams/wine:ref_type:branch", "project_path": "ml/teams/wine"}
    principal = verifier(issuer, "gitlab", name).verify(issuer.token(claims))
    assert principal.ref == "repository:gitlab.example.org/ml/teams/wine"


CLUSTER = "https://kubernetes.default.svc.cluster.local"
ACCOUNTS = [
    {"namespace": "ci-risk", "name": "churn-ci", "repository": "github.com/acme/churn"},
    {"namespace": "ci-search", "name": "*", "repository": "git.example.org/search/{name}"},
]


def service_account(namespace: str, name: str) -> dict[str, Any]:
    """The claims of a projected service-account token, as Kubernetes writes them."""
    return {
        "iss": CLUSTER,
        "sub": f"system:serviceaccount:{namespace}:{name}",
        "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": name, "uid": "4711"}},
    }


def test_a_service_account_of_a_cluster_is_the_repository_that_the_settings_say(issuer: Issuer) -> None:
    check = verifier(issuer, "kubernetes", CLUSTER, serviceAccounts=ACCOUNTS)
    principal = check.verify(issuer.token(service_account("ci-risk", "churn-ci")))
    assert (principal.kind, principal.ref) == ("repository", "repository:github.com/acme/churn")
    assert (
        check.verify(issuer.token(service_account("ci-search", "rank"))).ref == "repository:git.example.org/search/rank"
    )


@pytest.mark.parametrize(
    ("claims", "told"),
    [
        (service_account("ci-risk", "rank"), "ci-risk/rank is mapped to no repository"),
        (service_account("default", "churn-ci"), "default/churn-ci is mapped to no repository"),
        ({"iss": CLUSTER, "sub": "system:serviceaccount:ci-risk"}, "no service account"),
        ({"iss": CLUSTER, "sub": "system:serviceaccount:ci-search:a:b"}, "no service account"),
        ({"iss": CLUSTER, "sub": "system:node:ci-search"}, "no service account"),
        (service_account("ci-search", "../../platform"), "no service account"),
    ],
)
def test_other_accounts_are_nobody(issuer: Issuer, claims: dict[str, Any], told: str) -> None:
    with pytest.raises(TokenRefused, match=told):
        verifier(issuer, "kubernetes", CLUSTER, serviceAccounts=ACCOUNTS).verify(issuer.token(claims))


@pytest.mark.parametrize(
    ("kind", "accounts", "told"),
    [
        ("kubernetes", [], "that kind needs it"),
        ("github", ACCOUNTS, "belongs to kind kubernetes"),
        ("kubernetes", [{"namespace": "ci", "name": "*", "repository": "github.com/acme/churn"}], "needs {name}"),
        ("kubernetes", [{"namespace": "ci", "name": "a", "repository": "github.com/acme/{org}"}], "only {name}"),
        ("kubernetes", [{"namespace": "*", "name": "a", "repository": "github.com/acme/churn"}], "namespace"),
    ],
)
def test_a_mapping_that_would_give_away_too_much_is_refused(
    issuer: Issuer, kind: str, accounts: list[dict[str, str]], told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        verifier(issuer, kind, CLUSTER, serviceAccounts=accounts)


def test_a_backstage_user_brings_groups(issuer: Issuer) -> None:
    claims = {"aud": "backstage", "ent": ["user:default/ada", "group:default/risk"]}
    token = issuer.token(claims, typ="vnd.backstage.user")
    principal = verifier(issuer, "backstage", audience="backstage", baseUrl=issuer.url).verify(token)
    assert (principal.ref, principal.groups) == ("user:default/ada", {"group:default/risk"})
    with pytest.raises(TokenRefused, match="type"):
        verifier(issuer, "backstage", audience="backstage", baseUrl=issuer.url).verify(
            issuer.token(claims, typ="vnd.backstage.limited-user")
        )


def test_an_oidc_user_and_an_oidc_service(issuer: Issuer) -> None:
    check = verifier(issuer, "oidc", userClaim="preferred_username", groupsClaim="roles")
    user = check.verify(issuer.token({"sub": "4711", "preferred_username": "ada", "roles": ["/risk", "no group"]}))
    assert (user.ref, user.groups) == ("user:default/ada", {"group:default/risk"})
    service = check.verify(issuer.token({"sub": "4712", "client_id": "nightly"}))
    assert (service.kind, service.ref) == ("service", "service:nightly")
    with pytest.raises(TokenRefused, match="no entity name"):
        check.verify(issuer.token({"preferred_username": "ada@example.org"}))


@pytest.mark.parametrize(
    "sub", ["group:default/platform", "repository:github.com/acme/wine", "user:ada", "ada", "user:default/../x", ""]
)
def test_a_backstage_subject_that_is_no_user_is_refused(issuer: Issuer, sub: str) -> None:
    token = issuer.token({"aud": "backstage", "sub": sub}, typ="vnd.backstage.user")
    with pytest.raises(TokenRefused):
        verifier(issuer, "backstage", audience="backstage", baseUrl=issuer.url).verify(token)


def seconds(offset: int) -> int:
    return int(datetime.now(UTC).timestamp()) + offset


@pytest.mark.parametrize(
    ("claims", "told"),
    [
        ({"exp": seconds(-3600)}, "expired"),
        ({"nbf": seconds(3600)}, "`nbf` is not valid now"),
        ({"iat": seconds(3600)}, "`iat` is not valid now"),
        ({"aud": "somebody-else"}, "another audience"),
        ({"aud": ["a", "b"]}, "another audience"),
        ({"aud": None}, "lacks a claim"),
        ({"exp": None}, "lacks a claim"),
        ({"exp": "tomorrow"}, "not valid"),
        ({"exp": 10**30}, "not valid"),
        ({"iss": "https://evil.example"}, "not one that this platform trusts"),
        ({"iss": None}, "not one that this platform trusts"),
        ({"iss": ["x"]}, "not one that this platform trusts"),
    ],
)
def test_claims_that_are_not_believed(issuer: Issuer, claims: dict[str, Any], told: str) -> None:
    with pytest.raises(TokenRefused, match=told):
        verifier(issuer, "oidc").verify(issuer.token({"preferred_username": "ada", **claims}))


def test_a_clock_that_is_a_little_off_is_forgiven(issuer: Issuer) -> None:
    check = verifier(issuer, "oidc")
    check.verify(issuer.token({"preferred_username": "ada", "exp": seconds(-10)}))
    with pytest.raises(TokenRefused, match="expired"):
        check.verify(issuer.token({"preferred_username": "ada", "exp": seconds(-60)}))


def _part(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def unsigned(issuer: Issuer) -> str:
    body = issuer.token({"preferred_username": "ada"}).split(".")[1]
    header = b'{"alg":"none"}'
    return f"{_part(header)}.{body}."


def signed_with_the_public_key(issuer: Issuer) -> str:
    # By hand: no library signs like this any more, but some verify it.
    body = issuer.token({"preferred_username": "ada"}).split(".")[1]
    header = b'{"alg":"HS256","kid":"one"}'
    signed = f"{_part(header)}.{body}"
    secret = issuer.keys[0].as_pem(private=False)
    return f"{signed}.{_part(hmac.digest(secret, signed.encode(), 'sha256'))}"


def signed_with_another_key(issuer: Issuer) -> str:
    return issuer.token({"preferred_username": "ada"}, key=ECKey.generate_key("P-256", {"kid": "one"}, private=True))


def signed_with_an_unknown_key(issuer: Issuer) -> str:
    return issuer.token({"preferred_username": "ada"}, key=RSAKey.generate_key(2048, {"kid": "two"}), alg="RS256")


def changed_afterwards(issuer: Issuer) -> str:
    head, _, signature = issuer.token({"preferred_username": "ada"}).split(".")
    return f"{head}.{issuer.token({'preferred_username': 'eve'}).split('.')[1]}.{signature}"


@pytest.mark.parametrize(
    ("forge", "told"),
    [
        (unsigned, "'none' is not accepted"),
        (signed_with_the_public_key, "'HS256' is not accepted"),
        (signed_with_another_key, "signature does not verify"),
        (signed_with_an_unknown_key, "key is not one of its issuer's"),
        (changed_afterwards, "signature does not verify"),
        (lambda _: "a.b.c", "not a JSON Web Token"),
        (lambda _: "", "not a JSON Web Token"),
        (lambda _: "ü" * 10, "not a JSON Web Token"),
        (lambda _: "x" * 20_000, "too long"),
    ],
)
def test_forged_tokens(issuer: Issuer, forge: Any, told: str) -> None:
    with pytest.raises(TokenRefused, match=told):
        verifier(issuer, "oidc").verify(forge(issuer))


def test_a_new_key_of_the_issuer_is_learnt_and_a_made_up_one_is_not_a_flood(issuer: Issuer) -> None:
    moment = [0.0]
    keys = RemoteKeys(issuer.url, monotonic=lambda: moment[0])
    assert [key.kid for key in keys.find("one")] == ["one"]
    for _ in range(100):
        keys.find("made-up")
    assert issuer.requests == 1
    issuer.keys.append(ECKey.generate_key("P-256", {"kid": "two"}, private=True))
    moment[0] = 31.0
    assert "two" in [key.kid for key in keys.find("two")]
    assert issuer.requests == 2


def test_keys_stay_in_use_while_the_issuer_is_down_and_retracted_ones_go(issuer: Issuer) -> None:
    moment = [0.0]
    keys = RemoteKeys(issuer.url, monotonic=lambda: moment[0])
    keys.find("one")
    issuer.is_down, moment[0] = True, 1000.0
    assert [key.kid for key in keys.find("one")] == ["one"]
    issuer.is_down, moment[0] = False, 2000.0
    issuer.keys = [ECKey.generate_key("P-256", {"kid": "two"}, private=True)]
    assert [key.kid for key in keys.find("one")] == ["two"]


def test_an_issuer_that_never_answered_is_a_503() -> None:
    with pytest.raises(Unavailable):
        RemoteKeys("http://127.0.0.1:1/jwks").find("one")


def test_floods_of_refusals_are_counted_not_written() -> None:
    moment = [0.0]
    limiter = EventLimiter(burst=3, every_seconds=10, monotonic=lambda: moment[0])
    assert [limiter.admit("a") for _ in range(5)] == [0, 0, 0, None, None]
    assert limiter.admit("b") == 0
    moment[0] = 10.0
    assert [limiter.admit("a"), limiter.admit("a")] == [2, None]


def test_the_embedded_issuer_signs_users_and_repositories_in(backend: Any, ada: Any) -> None:
    me = ada.get("/identity/me").json()
    assert (me["kind"], me["ref"], me["groups"]) == ("user", "user:default/ada", ["group:default/risk"])
    ci = backend.repository("github.com/acme/wine").get("/identity/me").json()
    assert (ci["kind"], ci["ref"], ci["groups"]) == ("repository", "repository:github.com/acme/wine", [])
    assert [event["type"] for event in ada.events(subject="principal:user:default/ada")] == [
        "ml-platform.identity.login.issued"
    ]


def test_the_embedded_issuer_is_described_for_others(backend: Any, ada: Any) -> None:
    document = backend.http.get(f"{API}/identity/.well-known/openid-configuration").json()
    assert document["issuer"] == ada.get("/identity/me").json()["issuer"]
    keys = KeySet.import_key_set(backend.http.get(f"{API}/identity/.well-known/jwks.json").json())
    assert jwt.decode(ada.token, keys, ["ES256"]).claims["sub"] == "user:default/ada"
    assert all("d" not in key.as_dict(private=False) for key in keys)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"secret": "guessed-it", "user": "user:default/ada"}, 401),
        ({"secret": "", "user": "user:default/ada"}, 422),
        ({"secret": "?", "user": "user:default/nobody"}, 422),
        ({"secret": "?", "user": "group:default/platform"}, 422),
        ({"secret": "?"}, 422),
        ({"secret": "?", "user": "user:default/nobody", "repository": "local/wine"}, 422),
        ({"secret": "?", "repository": "../../etc"}, 422),
    ],
)
def test_sign_ins_that_fail(backend: Any, ada: Any, body: dict[str, str], status: int) -> None:
    if body["secret"] == "?":
        body = {**body, "secret": backend.services.identity.local.secret_file.read_text()}
    answer = backend.http.post(f"{API}/identity/token", json=body)
    assert answer.status_code == status, answer.text
    assert "accessToken" not in answer.text
    assert body["secret"] == "" or body["secret"] not in answer.text
    if status == 401:
        (event,) = ada.events(type="ml-platform.identity.login.refused")
        assert event["data"]["source"] == "testclient"


def test_a_refused_token_leaves_an_event_without_the_token(backend: Any, ada: Any) -> None:
    answer = backend.http.get(ME, headers={"Authorization": f"Bearer {ada.token[:-4]}AAAA"})
    assert (answer.status_code, answer.json()["detail"]) == (401, "the token's signature does not verify")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    (event,) = ada.events(type="ml-platform.identity.access.refused")
    assert event["data"]["reason"] == "the token's signature does not verify"
    assert ada.token not in json.dumps(event)


def test_no_token_is_told_how_to_get_one_and_leaves_no_event(backend: Any, ada: Any) -> None:
    for headers in ({}, {"Authorization": "Basic YTpi"}):
        answer = backend.http.get(ME, headers=headers)
        assert (answer.status_code, "platform login" in answer.json()["fix"]) == (401, True)
    assert ada.events(type="ml-platform.identity.access.refused") == []


def test_secrets_are_readable_by_their_owner_only(settings: Settings, backend: Any) -> None:
    for name in ("identity/login-secret", "identity/signing-key.pem", "audit/key"):
        assert (settings.home / name).stat().st_mode & 0o777 == 0o600, name


def test_a_secret_that_others_can_read_stops_the_platform(settings: Settings, backend: Any) -> None:
    (settings.home / "identity" / "login-secret").chmod(0o644)
    with pytest.raises(PermissionError, match="may be read by others"):
        create_app(settings)


def test_tokens_survive_a_restart_and_end_on_time(settings: Settings, set_clock: Any) -> None:
    set_clock.moment = datetime.now(UTC)
    with TestClient(create_app(settings, clock=set_clock)) as http:
        secret = Path(settings.home / "identity" / "login-secret").read_text()
        token = http.post(f"{API}/identity/token", json={"secret": secret, "user": "user:default/ada"}).json()
    with TestClient(create_app(settings, clock=set_clock)) as http:
        headers = {"Authorization": f"Bearer {token['accessToken']}"}
        assert http.get(ME, headers=headers).status_code == 200
        set_clock.moment += timedelta(hours=13)
        answer = http.get(ME, headers=headers)
        assert (answer.status_code, answer.json()["detail"]) == (401, "the token has expired")
