"""Verifies tokens: signature, issuer, audience, time, type; with the keys that each issuer publishes."""

import json
import logging
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol

import httpx
from joserfc import jws, jwt
from joserfc.errors import (
    BadSignatureError,
    ClaimError,
    ExpiredTokenError,
    InvalidClaimError,
    JoseError,
    MissingClaimError,
)
from joserfc.jwk import KeySet

from backend.core.clock import Clock
from backend.core.config_identity import PLUGIN_PATTERN, IdentitySettings, IssuerSettings
from backend.core.errors import Unavailable
from backend.identity.backstage import LIMITED_TOKEN, PLUGIN_ID, PLUGIN_TOKEN, USER_TOKEN, Ownership
from backend.identity.claims import Claimed, ClaimsRefused, backstage_user, external_principal, local_principal
from backend.identity.local_issuer import TOKEN_TYPE, LocalIssuer
from backend.identity.principal import Principal, PrincipalKind

ALGORITHMS = ("ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA", "Ed25519")
"""Signatures with a key pair only: never ``none``, never a shared secret that a public key could be passed off as."""

_TYPES: dict[str, frozenset[str]] = {
    "local": frozenset({TOKEN_TYPE}),
    "backstage": frozenset({USER_TOKEN}),
    "github": frozenset({"jwt", ""}),
    "gitlab": frozenset({"jwt", ""}),
    "kubernetes": frozenset({"jwt", ""}),
    "oidc": frozenset({"jwt", "at+jwt", ""}),
}
_LONGEST_TOKEN = 16_384
_KEYS_FRESH_SECONDS = 600.0
_KEYS_RETRY_SECONDS = 30.0
_LARGEST_KEY_SET = 1 << 20

_log = logging.getLogger(__name__)


class TokenRefused(Exception):
    """The token does not count; the message may be shown to whoever sent it."""


class _Keys(Protocol):
    def find(self, kid: str | None) -> KeySet: ...


class RemoteKeys:
    """The keys that an issuer publishes, fetched when needed.

    They are fetched again when they are old, and when a token names a key that is not among them (the issuer has
    changed keys) — but at most once in a while, so that made-up key ids don't turn into requests to the issuer.
    """

    def __init__(self, uri: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._uri, self._monotonic = uri, monotonic
        self._lock = threading.Lock()
        self._keys: KeySet | None = None
        self._fetched = self._tried = float("-inf")

    def find(self, kid: str | None) -> KeySet:
        """Return the issuer's keys, among which is ``kid`` if the issuer has it."""
        with self._lock:
            now = self._monotonic()
            unknown = self._keys is None or (kid is not None and all(key.kid != kid for key in self._keys))
            old = now - self._fetched > _KEYS_FRESH_SECONDS
            if (unknown or old) and now - self._tried > _KEYS_RETRY_SECONDS:
                self._tried = now
                self._fetch(now)
            if self._keys is None:
                raise Unavailable(
                    "the token's issuer does not give out its keys at the moment", fix="Try again in a minute."
                )
            return self._keys

    def _fetch(self, now: float) -> None:
        try:
            answer = httpx.get(self._uri, timeout=5, follow_redirects=False)
            answer.raise_for_status()
            if len(answer.content) > _LARGEST_KEY_SET:
                raise ValueError("the key set is too large")
            self._keys, self._fetched = KeySet.import_key_set(answer.json()), now
        except (httpx.HTTPError, ValueError, KeyError, TypeError, JoseError) as error:
            # The keys we have stay in use: an issuer that is down for a moment must not lock everybody out.
            _log.warning("can't fetch the keys of an issuer", extra={"uri": self._uri, "error": str(error)})


class _OwnKeys:
    def __init__(self, issuer: LocalIssuer) -> None:
        self._keys = issuer.key_set()

    def find(self, kid: str | None) -> KeySet:
        return self._keys


@dataclass(frozen=True)
class _Trusted:
    """One issuer: its name, keys, audience, and how its claims are read; of a Backstage also whom to ask for groups."""

    issuer: str
    kind: str
    audience: str
    keys: _Keys
    read: Callable[[Any], Claimed]
    ownership: Ownership | None = None


@dataclass(frozen=True)
class _Plugin:
    """A plugin of a Backstage whose own tokens count."""

    keys: RemoteKeys
    backstage: _Trusted


class TokenVerifier:
    """Turns a token into a principal, or says why it does not count."""

    def __init__(self, settings: IdentitySettings, clock: Clock, local: LocalIssuer | None) -> None:
        self._clock = clock
        self._leeway = int(settings.leeway.total_seconds())
        self._trusted: dict[str, _Trusted] = {}
        self._plugins: dict[str, _Plugin] = {}
        for one in settings.issuers:
            trusted = self._trusted[one.issuer] = _external(one, settings.audience, clock)
            if one.kind == "backstage":
                for name in one.plugins:
                    keys = RemoteKeys(f"{one.backstage_url}/api/{name}/.backstage/auth/v1/jwks.json")
                    self._plugins[name] = _Plugin(keys, trusted)
        if local is not None:
            self._trusted[local.issuer] = _Trusted(
                local.issuer, "local", local.audience, _OwnKeys(local), local_principal
            )

    def verify(self, token: str) -> Principal:
        """Return whose token it is.

        Raises:
            TokenRefused: it does not verify.
            Unavailable: the issuer's keys, or a user's groups, can't be had.
        """
        header, claims = _unverified(token)
        try:
            if _type(header) == PLUGIN_TOKEN:
                return self._through_plugin(token, header, claims)
            return self._of_issuer(token, header, claims)
        except ClaimsRefused as error:
            raise TokenRefused(str(error)) from None

    def _of_issuer(self, token: str, header: dict[str, Any], claims: dict[str, Any]) -> Principal:
        issuer = claims.get("iss")
        trusted = self._trusted.get(issuer) if isinstance(issuer, str) else None
        if trusted is None:
            raise TokenRefused(f"the token's issuer {_shown(issuer)} is not one that this platform trusts")
        if _type(header) not in _TYPES[trusted.kind]:
            raise TokenRefused(f"the token's type {_shown(header.get('typ'))} is not one of its issuer's")
        claims = self._signed_claims(token, header.get("kid"), trusted.keys)
        expires = self._check(claims, trusted.audience)
        said = trusted.read(claims)
        if trusted.ownership is not None and not isinstance(claims.get("ent"), list):
            said = backstage_user({**claims, "ent": trusted.ownership.of(token, said.ref, expires)})
        return _principal(said, trusted.issuer, expires)

    def _through_plugin(self, token: str, header: dict[str, Any], claims: dict[str, Any]) -> Principal:
        """Return the plugin that calls, or the user for whom it does."""
        name = claims.get("sub")
        # Looked up before any key is fetched: the name is part of the address that they are fetched from.
        known = isinstance(name, str) and re.fullmatch(PLUGIN_PATTERN, name) is not None
        plugin = self._plugins.get(str(name)) if known else None
        if plugin is None:
            raise TokenRefused(f"the Backstage plugin {_shown(name)} is not one whose tokens count here")
        claims = self._signed_claims(token, header.get("kid"), plugin.keys)
        expires = self._check(claims, PLUGIN_ID)
        service = f"service:backstage-{name}"
        if "obo" not in claims:
            return _principal(Claimed(PrincipalKind.SERVICE, service), plugin.backstage.issuer, expires)
        user = self._obo(claims["obo"], plugin.backstage)
        return replace(user, via=service, expires_at=min(expires, user.expires_at))

    def _obo(self, token: Any, backstage: _Trusted) -> Principal:
        """Return the user whose token a plugin's token holds."""
        if not isinstance(token, str):
            raise TokenRefused("the plugin's token holds no user token in `obo`")
        header, claims = _unverified(token)
        if _type(header) == USER_TOKEN and claims.get("iss") == backstage.issuer:
            return self._of_issuer(token, header, claims)
        if _type(header) != LIMITED_TOKEN:
            raise TokenRefused("the plugin's token holds no token of a user of that Backstage in `obo`")
        claims = self._signed_claims(token, header.get("kid"), backstage.keys)
        expires = self._check(claims, None)
        said, ownership = backstage_user(claims), backstage.ownership
        assert ownership is not None
        owned = ownership.of(token, said.ref, expires)
        return _principal(backstage_user({**claims, "ent": owned}), backstage.issuer, expires)

    def _signed_claims(self, token: str, kid: Any, issuer: _Keys) -> dict[str, Any]:
        kid = kid if isinstance(kid, str) else None
        keys = issuer.find(kid)
        try:
            return dict(jwt.decode(token, keys.get_by_kid(kid), list(ALGORITHMS)).claims)
        except BadSignatureError:
            raise TokenRefused("the token's signature does not verify") from None
        except (JoseError, ValueError, TypeError):
            raise TokenRefused("the token's key is not one of its issuer's") from None

    def _check(self, claims: dict[str, Any], audience: str | None) -> datetime:
        """Refuse claims that don't count now, or not for this audience; return when they end."""
        wanted: dict[str, Any] = {} if audience is None else {"aud": {"essential": True, "value": audience}}
        registry = jwt.JWTClaimsRegistry(
            now=int(self._clock.now().timestamp()),
            leeway=self._leeway,
            exp={"essential": True},
            sub={"essential": True},
            **wanted,
        )
        try:
            registry.validate(claims)
            return datetime.fromtimestamp(claims["exp"], UTC)
        except ExpiredTokenError:
            raise TokenRefused("the token has expired") from None
        except MissingClaimError as error:
            raise TokenRefused(f"the token lacks a claim: {error.description}") from None
        except InvalidClaimError as error:
            if error.claim == "aud":
                message = f"the token is for another audience, not for {audience}"
            else:
                message = f"the token's claim `{error.claim}` is not valid now"
            raise TokenRefused(message) from None
        except (ClaimError, ValueError, OverflowError, OSError):
            raise TokenRefused("the token's claims are not valid") from None


def _external(settings: IssuerSettings, audience: str, clock: Clock) -> _Trusted:
    return _Trusted(
        settings.issuer,
        settings.kind,
        settings.audience or audience,
        RemoteKeys(settings.jwks_uri),
        lambda claims: external_principal(settings, claims),
        Ownership(settings.backstage_url, clock) if settings.kind == "backstage" else None,
    )


def _principal(said: Claimed, issuer: str, expires: datetime) -> Principal:
    return Principal(
        said.kind,
        said.ref,
        said.groups,
        issuer,
        expires,
        on_behalf_of=said.on_behalf_of,
        run=said.run,
        commit=said.commit,
    )


def _type(header: dict[str, Any]) -> str:
    return str(header.get("typ") or "").lower()


def _unverified(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read header and claims to see whose keys are needed; nothing of it is believed yet, but some refused."""
    if len(token) > _LONGEST_TOKEN:
        raise TokenRefused("the token is too long to be one")
    try:
        compact = jws.extract_compact(token.encode("ascii"))
        claims = json.loads(compact.payload)
        header = compact.headers()
    except (JoseError, ValueError, TypeError, RecursionError):
        raise TokenRefused("the token is not a JSON Web Token") from None
    if not isinstance(claims, dict):
        raise TokenRefused("the token is not a JSON Web Token")
    if header.get("alg") not in ALGORITHMS:
        raise TokenRefused(f"the token's algorithm {_shown(header.get('alg'))} is not accepted")
    return dict(header), claims


def _shown(value: Any) -> str:
    """Quote what a stranger sent, short and printable."""
    return repr(value)[:100] if isinstance(value, str) else "(none)"
