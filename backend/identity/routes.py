"""HTTP routes of the identity domain."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from backend.core.container import ServicesOf
from backend.core.errors import Unauthenticated
from backend.core.http.problems import problems
from backend.core.writes import Write
from backend.identity.auth import Caller, source_of
from backend.identity.models import SigningKeyRow
from backend.identity.schemas import (
    JsonWebKeySet,
    OpenIdConfiguration,
    PrincipalOut,
    SigningKeyOut,
    SigningKeyRequest,
    TokenOut,
    TokenRequest,
)

router = APIRouter(prefix="/identity", tags=["identity"])


@router.get(
    "/.well-known/openid-configuration", summary="The embedded issuer's discovery document", responses=problems(404)
)
def discovery(services: ServicesOf) -> OpenIdConfiguration:
    """OpenID Connect Discovery of the embedded issuer, for others that verify its tokens."""
    return OpenIdConfiguration.model_validate(services.identity.discovery())


@router.get("/.well-known/jwks.json", summary="The embedded issuer's public keys", responses=problems(404))
def public_keys(services: ServicesOf) -> JsonWebKeySet:
    """JSON Web Key Set (RFC 7517) to verify the embedded issuer's tokens with."""
    return JsonWebKeySet.model_validate(services.identity.public_keys())


@router.post("/token", summary="Sign in with the embedded issuer", responses=problems(401, 404, 422))
def sign_in(services: ServicesOf, request: Request, body: TokenRequest) -> TokenOut:
    """Give out a token to whoever can read the platform's login secret. Switched off where there is a real issuer."""
    try:
        with services.database.write() as session:
            token, expires = services.identity.sign_in(
                session, secret=body.secret, user=body.user, repository=body.repository
            )
    except Unauthenticated as refused:
        services.identity.refuse_sign_in(source_of(request), refused.detail)
        raise
    return TokenOut(access_token=token, expires_at=expires)


@router.get("/me", summary="Who the token says I am", responses=problems(401))
def me(caller: Caller) -> PrincipalOut:
    """Return the caller as the platform sees them."""
    return PrincipalOut(
        kind=caller.kind,
        ref=caller.ref,
        groups=sorted(caller.groups),
        issuer=caller.issuer,
        expires_at=caller.expires_at,
        on_behalf_of=caller.on_behalf_of,
        run=caller.run,
        via=caller.via,
    )


@router.post(
    "/signing-keys",
    summary="Bind a signing key to me",
    response_model=SigningKeyOut,
    responses=problems(401, 403, 409, 422),
)
def bind_signing_key(services: ServicesOf, caller: Caller, write: Write, body: SigningKeyRequest) -> Response:
    """From now on, attestations that this key signs count as the caller's. The same again changes nothing."""
    return write.run(
        lambda session: _key(
            services.identity.bind_key(
                session, caller, public_key=body.public_key, proof=body.proof, repository=body.repository
            )
        ),
        SigningKeyOut,
    )


@router.get("/signing-keys", summary="My signing keys", responses=problems(401))
def signing_keys(services: ServicesOf, caller: Caller) -> list[SigningKeyOut]:
    """Return the caller's keys, newest first."""
    with services.database.read() as session:
        return [SigningKeyOut.model_validate(_key(row)) for row in services.identity.keys_of(session, caller)]


@router.delete(
    "/signing-keys/{keyId}",
    summary="Revoke a signing key",
    response_model=list[SigningKeyOut],
    responses=problems(401, 404, 422),
)
def revoke_signing_key(
    services: ServicesOf,
    caller: Caller,
    write: Write,
    key_id: Annotated[str, Path(alias="keyId", pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the public key.")],
) -> Response:
    """Attestations signed with it don't count any more, whenever they were made."""
    return write.run(
        lambda session: [_key(row) for row in services.identity.revoke_key(session, caller, key_id)],
        list[SigningKeyOut],
    )


def _key(row: SigningKeyRow) -> dict[str, Any]:
    return {
        "keyId": row.key_id,
        "principal": row.principal,
        "repository": row.repository or None,
        "createdAt": row.created_at,
        "revokedAt": row.revoked_at,
    }
