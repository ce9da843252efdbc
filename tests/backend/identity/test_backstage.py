"""Tokens of a Backstage's plugins, alone and on behalf of a user, against a Backstage that signs with real keys."""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from backend.app import create_app
from backend.core.clock import Clock, SystemClock
from backend.core.config import Settings
from backend.core.config_identity import IdentitySettings
from backend.core.errors import Unavailable
from backend.identity.verification import TokenRefused, TokenVerifier
from tests.http_server import JsonServer

API = "/api/ml-platform"
PLUGIN, USER, LIMITED = "vnd.backstage.plugin", "vnd.backstage.user", "vnd.backstage.limited-user"


def new_key(kid: str) -> ECKey:
    return ECKey.generate_key("P-256", {"kid": kid}, private=True)


class Backstage:
    """The parts of a Backstage that verifying needs: key sets of its plugins and of its users, and who owns what."""

    def __init__(self) -> None:
        self.keys = {"auth": new_key("user"), "catalog": new_key("catalog"), "scaffolder": new_key("scaffolder")}
        self.owned: dict[str, list[str]] = {"user:default/ada": ["user:default/ada", "group:default/risk"]}
        self.asked: list[str] = []
        self.answer: tuple[int, Any] | None = None
        self._server = JsonServer(self._answered)
        self.url, self.close = self._server.url, self._server.close

    def _answered(self, path: str, authorization: str) -> tuple[int, Any]:
        self.asked.append(path)
        return self._answer(path, authorization)

    def _answer(self, path: str, authorization: str) -> tuple[int, Any]:
        if path == "/api/auth/v1/userinfo":
            if self.answer is not None:
                return self.answer
            token = jwt.decode(authorization.removeprefix("Bearer "), self.keys["auth"], ["ES256"])
            user = token.claims["sub"]
            return 200, {"claims": {"sub": user, "ent": self.owned[user]}}
        addresses = {f"/api/{name}/.backstage/auth/v1/jwks.json": name for name in self.keys if name != "auth"}
        name = {**addresses, "/api/auth/.well-known/jwks.json": "auth"}.get(path)
        return (404, {}) if name is None else (200, KeySet([self.keys[name]]).as_dict(private=False))

    def settings(self, **more: Any) -> dict[str, Any]:
        issuer = f"{self.url}/api/auth"
        return {
            "kind": "backstage",
            "issuer": issuer,
            "jwksUri": f"{issuer}/.well-known/jwks.json",
            "audience": "backstage",
            **more,
        }

    def verifier(self, clock: Clock | None = None, **more: Any) -> TokenVerifier:
        settings = IdentitySettings.model_validate({"issuers": [self.settings(**more)]})
        return TokenVerifier(settings, clock or SystemClock(), None)

    def token(self, typ: str, key: str | ECKey, claims: dict[str, Any]) -> str:
        now = int(datetime.now(UTC).timestamp())
        both = {name: one for name, one in {"iat": now, "exp": now + 600, **claims}.items() if one is not None}
        signing = self.keys[key] if isinstance(key, str) else key
        return jwt.encode({"typ": typ, "alg": "ES256", "kid": signing.kid}, both, signing, ["ES256"])

    def plugin(self, name: str = "scaffolder", *, key: str | ECKey | None = None, **claims: Any) -> str:
        """A plugin's own token."""
        return self.token(PLUGIN, key or name, {"sub": name, "aud": "ml-platform", **claims})

    def limited(self, user: str = "user:default/ada", *, key: str | ECKey = "auth", **claims: Any) -> str:
        """What plugins have of a user."""
        return self.token(LIMITED, key, {"sub": user, **claims})

    def user(self, user: str = "user:default/ada", *, key: str | ECKey = "auth", **claims: Any) -> str:
        """What a user's browser has."""
        own = {"iss": f"{self.url}/api/auth", "aud": "backstage", "ent": self.owned.get(user)}
        return self.token(USER, key, {**own, "sub": user, **claims})


@pytest.fixture
def backstage() -> Iterator[Backstage]:
    made = Backstage()
    yield made
    made.close()


def seconds(offset: int) -> int:
    return int(datetime.now(UTC).timestamp()) + offset


def test_a_plugin_alone_is_a_service_without_groups(backstage: Backstage) -> None:
    principal = backstage.verifier().verify(backstage.plugin("catalog"))
    assert (principal.kind, principal.ref, principal.via) == ("service", "service:backstage-catalog", None)
    assert principal.groups == frozenset()
    assert principal.issuer == f"{backstage.url}/api/auth"
    assert backstage.asked == ["/api/catalog/.backstage/auth/v1/jwks.json"]


def test_on_behalf_of_a_user_it_is_the_user_with_their_groups(backstage: Backstage) -> None:
    token = backstage.plugin(obo=backstage.limited(exp=seconds(300)))
    principal = backstage.verifier().verify(token)
    assert (principal.kind, principal.ref) == ("user", "user:default/ada")
    assert principal.groups == {"group:default/risk"}
    assert principal.via == "service:backstage-scaffolder"
    assert principal.expires_at <= datetime.now(UTC) + timedelta(seconds=300)


def test_a_whole_user_token_counts_on_behalf_too(backstage: Backstage) -> None:
    principal = backstage.verifier().verify(backstage.plugin(obo=backstage.user()))
    assert (principal.ref, principal.via) == ("user:default/ada", "service:backstage-scaffolder")
    assert "/api/auth/v1/userinfo" not in backstage.asked


def test_groups_are_asked_for_once_per_token_and_until_it_ends(backstage: Backstage, set_clock: Any) -> None:
    set_clock.moment = datetime.now(UTC)
    check, token = backstage.verifier(set_clock), backstage.user(ent=None)
    for _ in range(3):
        assert check.verify(token).groups == {"group:default/risk"}
    assert backstage.asked.count("/api/auth/v1/userinfo") == 1
    check.verify(backstage.user(ent=None, exp=seconds(500)))
    assert backstage.asked.count("/api/auth/v1/userinfo") == 2
    # Within the leeway it still counts, but what it was told is over.
    set_clock.moment += timedelta(seconds=610)
    check.verify(token)
    assert backstage.asked.count("/api/auth/v1/userinfo") == 3


@pytest.mark.parametrize(
    "answer",
    [
        (503, {}),
        (404, "User info not found"),
        (302, {}),
        (200, {"claims": {"sub": "user:default/ada"}}),
        (200, {"claims": {"sub": "user:default/ada", "ent": "group:default/platform"}}),
        (200, {"claims": {"sub": "user:default/operator", "ent": ["group:default/platform"]}}),
        (200, []),
    ],
)
def test_a_user_whose_groups_nobody_says_is_not_let_in_without(backstage: Backstage, answer: tuple[int, Any]) -> None:
    check, token = backstage.verifier(), backstage.plugin(obo=backstage.limited())
    backstage.answer = answer
    with pytest.raises(Unavailable, match="which groups user:default/ada is in"):
        check.verify(token)
    backstage.answer = None
    assert check.verify(token).groups == {"group:default/risk"}


REFUSED: list[tuple[str, Any, str]] = [
    ("for another plugin", lambda b: b.plugin(aud="catalog"), "another audience"),
    ("for nobody", lambda b: b.plugin(aud=None), "lacks a claim"),
    ("expired", lambda b: b.plugin(exp=seconds(-60)), "expired"),
    ("endless", lambda b: b.plugin(exp=None), "lacks a claim"),
    ("another plugin's key", lambda b: b.plugin("scaffolder", key="catalog"), "key is not one of its issuer's"),
    ("a stranger's key", lambda b: b.plugin(key=new_key("scaffolder")), "signature does not verify"),
    ("signed as a user", lambda b: b.plugin(key="auth"), "key is not one of its issuer's"),
    ("a user token signed by a plugin", lambda b: b.user(key="scaffolder"), "key is not one of its issuer's"),
    ("a limited token by itself", lambda b: b.limited(), "issuer '?.none.'? is not one"),
    ("a limited token with an issuer", lambda b: b.limited(iss=f"{b.url}/api/auth", aud="backstage"), "type"),
    ("obo by a plugin's key", lambda b: b.plugin(obo=b.limited(key="scaffolder")), "key is not one of its issuer's"),
    ("obo by a stranger", lambda b: b.plugin(obo=b.limited(key=new_key("user"))), "signature does not verify"),
    ("obo expired", lambda b: b.plugin(obo=b.limited(exp=seconds(-60))), "expired"),
    ("obo without an end", lambda b: b.plugin(obo=b.limited(exp=None)), "lacks a claim"),
    ("obo of another Backstage", lambda b: b.plugin(obo=b.user(iss="http://other/api/auth")), "no token of a user"),
    ("obo is a plugin's token", lambda b: b.plugin(obo=b.plugin("catalog")), "no token of a user"),
    ("obo names a group", lambda b: b.plugin(obo=b.limited("group:default/platform")), "no user entity ref"),
    ("obo is no token", lambda b: b.plugin(obo="ada"), "not a JSON Web Token"),
    ("obo is no text", lambda b: b.plugin(obo={"sub": "user:default/ada"}), "no user token in `obo`"),
    ("obo is empty", lambda b: b.plugin(obo=""), "not a JSON Web Token"),
]


@pytest.mark.parametrize(("forge", "told"), [one[1:] for one in REFUSED], ids=[one[0] for one in REFUSED])
def test_tokens_that_do_not_count(backstage: Backstage, forge: Any, told: str) -> None:
    with pytest.raises(TokenRefused, match=told):
        backstage.verifier().verify(forge(backstage))


def unsigned(token: str) -> str:
    header = base64.urlsafe_b64encode(json.dumps({"typ": PLUGIN, "alg": "none"}).encode()).decode().rstrip("=")
    return f"{header}.{token.split('.')[1]}."


def test_without_a_signature_nothing_counts(backstage: Backstage) -> None:
    for token in (unsigned(backstage.plugin()), backstage.plugin(obo=unsigned(backstage.limited()))):
        with pytest.raises(TokenRefused, match="'none' is not accepted"):
            backstage.verifier().verify(token)


@pytest.mark.parametrize("name", ["kubernetes", "../../evil", "scaffolder/../auth", "Scaffolder", "", "x" * 500, None])
def test_no_key_is_fetched_for_a_plugin_that_is_not_listed(backstage: Backstage, name: str | None) -> None:
    with pytest.raises(TokenRefused, match="is not one whose tokens count here"):
        backstage.verifier().verify(backstage.plugin(key="scaffolder", sub=name))
    assert backstage.asked == []


def test_which_plugins_count_is_a_setting(backstage: Backstage) -> None:
    check = backstage.verifier(plugins=["catalog"])
    assert check.verify(backstage.plugin("catalog")).ref == "service:backstage-catalog"
    with pytest.raises(TokenRefused, match="plugin 'scaffolder' is not one"):
        check.verify(backstage.plugin("scaffolder"))


def test_a_plugin_that_changes_its_key_is_believed_again(backstage: Backstage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.identity.verification._KEYS_RETRY_SECONDS", -1.0)
    check = backstage.verifier()
    check.verify(backstage.plugin())
    former, backstage.keys["scaffolder"] = backstage.keys["scaffolder"], new_key("scaffolder-2")
    assert check.verify(backstage.plugin()).ref == "service:backstage-scaffolder"
    with pytest.raises(TokenRefused, match="key is not one of its issuer's"):
        check.verify(backstage.plugin(key=former))


def test_a_backstage_is_asked_where_it_is_reached(backstage: Backstage) -> None:
    check = backstage.verifier(issuer="https://backstage.example.org/api/auth", baseUrl=f"{backstage.url}/")
    assert check.verify(backstage.plugin(obo=backstage.limited())).ref == "user:default/ada"


@pytest.mark.parametrize(
    ("issuers", "told"),
    [
        ([{"issuer": "https://b.example/auth"}], "baseUrl: is needed"),
        ([{"plugins": ["../x"]}], "plugins"),
        ([{"kind": "oidc", "plugins": ["catalog"]}], "belong to kind backstage"),
        ([{}, {"issuer": "https://other.example/api/auth"}], "only one Backstage may list a plugin"),
    ],
)
def test_settings_that_can_not_work_are_refused(issuers: list[dict[str, Any]], told: str) -> None:
    usual = {"kind": "backstage", "issuer": "https://b.example/api/auth", "jwksUri": "https://b.example/keys"}
    with pytest.raises(ValueError, match=told):
        IdentitySettings.model_validate({"issuers": [{**usual, **one} for one in issuers]})


def test_what_a_user_does_through_a_plugin_is_on_record_as_theirs_and_says_so(
    backstage: Backstage, settings: Settings
) -> None:
    document = settings.model_dump(by_alias=True)
    document["identity"]["issuers"] = [backstage.settings()]
    with TestClient(create_app(Settings.model_validate(document))) as http:
        headers = {"Authorization": f"Bearer {backstage.plugin(obo=backstage.limited())}"}
        me = http.get(f"{API}/identity/me", headers=headers).json()
        assert (me["ref"], me["groups"], me["via"]) == (
            "user:default/ada",
            ["group:default/risk"],
            "service:backstage-scaffolder",
        )
        with http.app.state.services.database.write() as session:  # type: ignore[attr-defined]
            services = http.app.state.services  # type: ignore[attr-defined]
            caller = services.identity.authenticate(headers["Authorization"].removeprefix("Bearer "), "test")
            services.audit.append(session, type="test.done", subject="test:x", actor=caller)
        (event,) = http.get(f"{API}/audit/events", params={"type": "test.done"}, headers=headers).json()["items"]
        assert event["event"]["actor"] == "user:default/ada"
        assert event["event"]["data"] == {"via": "service:backstage-scaffolder"}
        alone = {"Authorization": f"Bearer {backstage.plugin('catalog')}"}
        assert http.get(f"{API}/registry/models", headers=alone).status_code == 200
        limited = {"Authorization": f"Bearer {backstage.limited()}"}
        assert http.get(f"{API}/identity/me", headers=limited).status_code == 401
        backstage.answer = (503, {})
        late = {"Authorization": f"Bearer {backstage.plugin(obo=backstage.limited(exp=seconds(400)))}"}
        assert http.get(f"{API}/identity/me", headers=late).status_code == 503
