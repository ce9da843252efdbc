"""Verifies tokens: signature, issuer, audience, time, type; with the keys that each issuer publishes."""

import json
import logging
import threading
import time
from collections.abc import Callable
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
from backend.core.config_identity import IdentitySettings, IssuerSettings
from backend.core.errors import Unavailable
from backend.identity.claims import Claimed, ClaimsRefused, external_principal, local_principal
from backend.identity.local_issuer import TOKEN_TYPE, LocalIssuer
from backend.identity.principal import Principal

ALGORITHMS = ("ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA", "Ed25519")
"""Signatures with a key pair only: never ``none``, never a shared secret that a public key could be passed off as."""

_TYPES: dict[str, frozenset[str]] = {
    "local": frozenset({TOKEN_TYPE}),
    "backstage": frozenset({"vnd.backstage.user"}),
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


class _Trusted:
    """One issuer: its name, keys, audience, and how its claims are read."""

    def __init__(self, kind: str, audience: str, keys: _Keys, read: Callable[[Any], Claimed]) -> None:
        self.kind, self.audience, self.keys, self.read = kind, audience, keys, read


class TokenVerifier:
    """Turns a token into a principal, or says why it does not count."""

    def __init__(self, settings: IdentitySettings, clock: Clock, local: LocalIssuer | None) -> None:
        self._clock = clock
        self._leeway = int(settings.leeway.total_seconds())
        self._trusted: dict[str, _Trusted] = {}
        for one in settings.issuers:
            self._trusted[one.issuer] = _external(one, settings.audience)
        if local is not None:
            self._trusted[local.issuer] = _Trusted("local", local.audience, _OwnKeys(local), local_principal)

    def verify(self, token: str) -> Principal:
        """Return whose token it is.

        Raises:
            TokenRefused: it does not verify.
            Unavailable: the issuer's keys can't be had.
        """
        header, claims = _unverified(token)
        algorithm = header.get("alg")
        if algorithm not in ALGORITHMS:
            raise TokenRefused(f"the token's algorithm {_shown(algorithm)} is not accepted")
        issuer = claims.get("iss")
        trusted = self._trusted.get(issuer) if isinstance(issuer, str) else None
        if trusted is None or not isinstance(issuer, str):
            raise TokenRefused(f"the token's issuer {_shown(issuer)} is not one that this platform trusts")
        if str(header.get("typ") or "").lower() not in _TYPES[trusted.kind]:
            raise TokenRefused(f"the token's type {_shown(header.get('typ'))} is not one of its issuer's")
        claims = self._signed_claims(token, header.get("kid"), trusted)
        self._check(claims, trusted)
        try:
            said = trusted.read(claims)
        except ClaimsRefused as error:
            raise TokenRefused(str(error)) from None
        return Principal(
            said.kind,
            said.ref,
            said.groups,
            issuer,
            datetime.fromtimestamp(claims["exp"], UTC),
            on_behalf_of=said.on_behalf_of,
            run=said.run,
            commit=said.commit,
        )

    def _signed_claims(self, token: str, kid: Any, trusted: _Trusted) -> dict[str, Any]:
        kid = kid if isinstance(kid, str) else None
        keys = trusted.keys.find(kid)
        try:
            return dict(jwt.decode(token, keys.get_by_kid(kid), list(ALGORITHMS)).claims)
        except BadSignatureError:
            raise TokenRefused("the token's signature does not verify") from None
        except (JoseError, ValueError, TypeError):
            raise TokenRefused("the token's key is not one of its issuer's") from None

    def _check(self, claims: dict[str, Any], trusted: _Trusted) -> None:
        registry = jwt.JWTClaimsRegistry(
            now=int(self._clock.now().timestamp()),
            leeway=self._leeway,
            exp={"essential": True},
            sub={"essential": True},
            aud={"essential": True, "value": trusted.audience},
        )
        try:
            registry.validate(claims)
            datetime.fromtimestamp(claims["exp"], UTC)
        except ExpiredTokenError:
            raise TokenRefused("the token has expired") from None
        except MissingClaimError as error:
            raise TokenRefused(f"the token lacks a claim: {error.description}") from None
        except InvalidClaimError as error:
            if error.claim == "aud":
                message = f"the token is for another audience, not for {trusted.audience}"
            else:
                message = f"the token's claim `{error.claim}` is not valid now"
            raise TokenRefused(message) from None
        except (ClaimError, ValueError, OverflowError, OSError):
            raise TokenRefused("the token's claims are not valid") from None


def _external(settings: IssuerSettings, audience: str) -> _Trusted:
    return _Trusted(
        settings.kind,
        settings.audience or audience,
        RemoteKeys(settings.jwks_uri),
        lambda claims: external_principal(settings, claims),
    )


def _unverified(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read header and claims to see whose keys are needed; nothing of it is believed yet."""
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
    return dict(header), claims


def _shown(value: Any) -> str:
    """Quote what a stranger sent, short and printable."""
    return repr(value)[:100] if isinstance(value, str) else "(none)"
