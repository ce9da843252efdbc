"""Identity's operations: who calls, tokens of the embedded issuer, and whose signature a key makes."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.access.resources import Action, PlatformResource
from backend.audit.service import AuditService
from backend.core.clock import Clock
from backend.core.config import Settings
from backend.core.database import lock_for_transaction
from backend.core.errors import Conflict, Forbidden, InvalidInput, NotFound, Unauthenticated
from backend.core.ids import new_id
from backend.identity.limiter import EventLimiter
from backend.identity.local_issuer import LocalIssuer
from backend.identity.models import SigningKeyRow
from backend.identity.principal import Principal
from backend.identity.verification import TokenRefused, TokenVerifier
from mlplatform.attest.keys import PublicKey, possession_text

if TYPE_CHECKING:
    from backend.access.service import AccessService

_SIGN_IN = "Get a token with `platform login`, or from a configured issuer."


@dataclass(frozen=True)
class KeyBinding:
    """A principal that a signing key speaks for."""

    key: PublicKey
    principal: str
    principal_kind: str
    repository: str | None
    created_at: datetime
    revoked_at: datetime | None

    def counted_at(self, moment: datetime) -> bool:
        """Say whether a signature received at that moment counts: bound before it, and not revoked since."""
        return self.created_at <= moment and self.revoked_at is None


class IdentityService:
    """See the module's docstring. ``access`` is set when the platform is built."""

    access: "AccessService"

    def __init__(self, settings: Settings, clock: Clock, audit: AuditService) -> None:
        self._settings, self._clock, self._audit = settings, clock, audit
        self._limiter = EventLimiter()
        local = settings.identity.local_issuer
        self.local: LocalIssuer | None = None
        if local.enabled:
            self.local = LocalIssuer(
                Path(settings.home) / "identity",
                issuer=settings.local_issuer,
                audience=settings.identity.audience,
                lifetime=local.token_lifetime,
            )
        self._verifier = TokenVerifier(settings.trusted, clock, self.local)

    def authenticate(self, token: str | None, source: str) -> Principal:
        """Return whose token it is.

        A token that does not verify leaves an audit event (limited per ``source``); none at all leaves no trace, since
        that is what every browser and probe sends first.

        Raises:
            Unauthenticated: there is no token, or it does not count.
        """
        if not token:
            raise Unauthenticated("this needs a token", fix=_SIGN_IN)
        try:
            return self._verifier.verify(token)
        except TokenRefused as refused:
            self._record("ml-platform.identity.access.refused", source, str(refused))
            raise Unauthenticated(str(refused), fix=_SIGN_IN) from None

    def sign_in(
        self, session: Session, *, secret: str, user: str | None, repository: str | None
    ) -> tuple[str, datetime]:
        """Mint a token of the embedded issuer and record it.

        Raises:
            Unauthenticated: the secret is wrong.
            InvalidInput: there is no such user.
        """
        local = self._enabled_local()
        if not local.is_secret(secret):
            raise Unauthenticated(
                "the login secret is wrong", fix=f"It is the contents of {local.secret_file.name} under HOME/identity."
            )
        groups: list[str] = []
        if user is not None:
            known = {one.ref: one.groups for one in self._settings.identity.local_issuer.users}
            if user not in known:
                names = ", ".join(sorted(known)) or "none"
                raise InvalidInput(
                    f"user: {user} is none of the embedded issuer's users ({names})",
                    fix="Add the user under mlPlatform.identity.localIssuer.users in app-config.yaml.",
                ).audited(type="ml-platform.identity.login.refused", subject=f"principal:{user}", actor=user)
            groups = list(known[user])
        subject = f"repository:{repository}" if repository else str(user)
        person = user if repository else None
        token, expires = local.mint(subject, [] if repository else groups, self._clock.now(), on_behalf_of=person)
        self._audit.append(
            session,
            type="ml-platform.identity.login.issued",
            subject=f"principal:{subject}",
            actor=subject,
            data={"expiresAt": expires, **({"onBehalfOf": person} if person else {})},
        )
        return token, expires

    def refuse_sign_in(self, source: str, reason: str) -> None:
        """Record a sign-in with a wrong secret, limited per source."""
        self._record("ml-platform.identity.login.refused", source, reason)

    def bind_key(
        self, session: Session, caller: Principal, *, public_key: str, proof: str, repository: str | None
    ) -> SigningKeyRow:
        """Make a key speak for the caller; the same again returns the same binding.

        Raises:
            Forbidden: a repository can't bind a key for another one, and nobody one whose private half they don't have.
            Conflict: the binding was revoked.
        """
        if caller.repository is not None and repository not in (None, caller.repository):
            raise Forbidden(f"{caller.ref} can't bind a key for {repository}").audited(
                type="ml-platform.identity.signing_key.refused",
                subject=f"principal:{caller.ref}",
                actor=caller.ref,
                repository=repository,
            )
        key = PublicKey(base64.b64decode(public_key))
        if not key.verify(possession_text(caller.ref, repository), base64.b64decode(proof)):
            raise Forbidden(
                f"{caller.ref} did not show that the key's private half is theirs",
                fix="Sign the caller's own ref and the repository with it, as the API describes.",
            ).audited(
                type="ml-platform.identity.signing_key.refused",
                subject=f"principal:{caller.ref}",
                actor=caller.ref,
                keyId=key.keyid,
            )
        limited_to = caller.repository or repository or ""
        lock_for_transaction(session, f"signing-key:{key.keyid}:{caller.ref}")
        found = session.execute(
            select(SigningKeyRow).where(
                SigningKeyRow.key_id == key.keyid,
                SigningKeyRow.principal == caller.ref,
                SigningKeyRow.repository == limited_to,
            )
        ).scalar_one_or_none()
        if found is not None:
            if found.revoked_at is not None:
                raise Conflict(
                    "this key was revoked", fix="Make a new key: delete the key file beside your credentials."
                )
            return found
        row = SigningKeyRow(
            id=new_id(),
            key_id=key.keyid,
            public_key=public_key,
            principal=caller.ref,
            principal_kind=caller.kind.value,
            repository=limited_to,
            created_at=self._clock.now(),
        )
        session.add(row)
        self._audit.append(
            session,
            type="ml-platform.identity.signing_key.bound",
            subject=f"principal:{caller.ref}",
            actor=caller,
            data={"keyId": key.keyid, "repository": limited_to or None},
        )
        return row

    def revoke_key(self, session: Session, caller: Principal, key_id: str) -> list[SigningKeyRow]:
        """Take a key's voice away: the caller's own binding, or (platform administrators) everybody's.

        Raises:
            NotFound: the caller has bound no such key.
        """
        query = select(SigningKeyRow).where(SigningKeyRow.key_id == key_id, SigningKeyRow.revoked_at.is_(None))
        decision = self.access.decide(session, caller, Action.REVOKE_SIGNING_KEY, PlatformResource())
        if not decision.allowed:
            query = query.where(SigningKeyRow.principal == caller.ref)
        rows = list(session.execute(query).scalars())
        if not rows:
            raise NotFound(f"no key {key_id} is bound to {caller.ref}")
        for row in rows:
            row.revoked_at = self._clock.now()
            self._audit.append(
                session,
                type="ml-platform.identity.signing_key.revoked",
                subject=f"principal:{row.principal}",
                actor=caller,
                data={"keyId": key_id, "repository": row.repository or None, "access": decision.as_json()},
            )
        return rows

    def keys_of(self, session: Session, caller: Principal) -> list[SigningKeyRow]:
        """Return the caller's keys, newest first."""
        query = select(SigningKeyRow).where(SigningKeyRow.principal == caller.ref)
        return list(session.execute(query.order_by(SigningKeyRow.id.desc()).limit(200)).scalars())

    def bindings(self, session: Session, key_ids: Sequence[str]) -> list[KeyBinding]:
        """Return all bindings of these keys, oldest first, revoked ones too."""
        query = select(SigningKeyRow).where(SigningKeyRow.key_id.in_(key_ids)).order_by(SigningKeyRow.created_at)
        return [
            KeyBinding(
                key=PublicKey(base64.b64decode(row.public_key)),
                principal=row.principal,
                principal_kind=row.principal_kind,
                repository=row.repository or None,
                created_at=row.created_at,
                revoked_at=row.revoked_at,
            )
            for row in session.execute(query).scalars()
        ]

    def _enabled_local(self) -> LocalIssuer:
        if self.local is None:
            raise NotFound("the embedded issuer is switched off", fix="Use a token of one of the configured issuers.")
        return self.local

    def discovery(self) -> dict[str, object]:
        """Return the embedded issuer's discovery document."""
        issuer = self._enabled_local().issuer
        return {
            "issuer": issuer,
            "jwks_uri": f"{issuer}/.well-known/jwks.json",
            "token_endpoint": f"{issuer}/token",
            "response_types_supported": ["token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        }

    def public_keys(self) -> dict[str, object]:
        """Return the embedded issuer's public keys."""
        return self._enabled_local().public_keys()

    def _record(self, type: str, source: str, reason: str) -> None:
        left_out = self._limiter.admit(source)
        if left_out is None:
            return
        self._audit.record_refusal(
            type=type,
            subject="principal:unknown",
            actor="principal:unknown",
            data={"source": source, "reason": reason, "leftOut": left_out},
        )
