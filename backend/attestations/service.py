"""Which signed gate results count: verified when they come, and again whenever they are read.

A signature counts when its key was bound to a principal before the attestation came and is not revoked, when that
principal may act for the model, and when the statement names the repository that the model belongs to.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.access.resources import Action, ModelResource
from backend.attestations.models import AttestationRow
from backend.audit.service import AuditService
from backend.core.clock import Clock
from backend.core.database import lock_for_transaction
from backend.core.errors import InvalidInput, NotFound, PlatformError
from backend.core.ids import new_id
from backend.identity.principal import Principal
from backend.identity.service import IdentityService, KeyBinding
from mlplatform.attest import dsse
from mlplatform.attest.errors import AttestationInvalid
from mlplatform.attest.statement import ParsedStatement, Subject, parse_statement, require_subject
from mlplatform.gates.result import GateResult

if TYPE_CHECKING:
    from backend.access.engine import Decision
    from backend.access.service import AccessService

REFUSED = "ml-platform.attestations.attestation.refused"
RECORDED = "ml-platform.attestations.attestation.recorded"

_FIXES = {
    "unknown_key": "Bind the key with `platform register` (or POST /identity/signing-keys) before it signs.",
    "wrong_subject": "Run the gates again in the model's own repository, on this artefact.",
    "revoked_key": "Sign again with a key that is not revoked.",
    "not_allowed": "Sign as the model's repository or as a member of its owner group.",
}


class AttestationRefused(InvalidInput):
    """An attestation that does not count; ``code`` says why."""

    slug: ClassVar[str] = "attestation-invalid"
    title: ClassVar[str] = "Attestation refused"


class ModelRules(Protocol):
    """What an attestation is held against: the model that it is about."""

    @property
    def name(self) -> str:
        """Name of the model."""
        ...

    @property
    def owner(self) -> str:
        """Ref of the group that owns it."""
        ...

    @property
    def repository(self) -> str:
        """Id of the repository that it belongs to."""
        ...


@dataclass(frozen=True)
class Verified:
    """An attestation that counts, not stored yet."""

    envelope: Mapping[str, Any]
    statement: ParsedStatement
    binding: KeyBinding
    access: "Decision"
    """Whether whoever presented it may attest for the model; a signature of the model's repository counts in any case."""


@dataclass(frozen=True)
class StoredAttestation:
    """A stored attestation; ``invalid_reason`` says why it does not count (any more), if it doesn't."""

    id: str
    digest: str
    gate: str
    outcome: str
    model: str
    repository: str
    commit: str
    key_id: str
    principal_ref: str
    principal_kind: str
    received_at: datetime
    subject: Subject | None
    gate_result: GateResult | None
    envelope: Mapping[str, Any]
    invalid_reason: str | None

    @property
    def valid(self) -> bool:
        """Whether it counts now."""
        return self.invalid_reason is None


class AttestationService:
    """Verifies and stores attestations. ``access`` is set when the platform is built, since it knows models by the registry."""

    access: "AccessService"

    def __init__(self, clock: Clock, audit: AuditService, identity: IdentityService) -> None:
        self._clock, self._audit, self._identity = clock, audit, identity

    def verify(
        self,
        session: Session,
        caller: Principal,
        envelope: Mapping[str, Any],
        *,
        model: ModelRules,
        subject: Subject | None = None,
    ) -> Verified:
        """Check an attestation that a caller presents for a model, or with ``subject`` for one version of it.

        Raises:
            AttestationRefused: it does not count.
        """
        digest = None if subject is None else subject.digest
        try:
            statement, binding, decision = self._signed(session, caller, envelope, model)
            said = statement.subject
            require_subject(said, subject or replace(said, model=model.name, repository=model.repository))
        except AttestationInvalid as error:
            raise self._refused(caller, model.name, digest, error.code, error.reason) from None
        if binding.repository not in (None, statement.subject.repository):
            reason = f"the key is bound for the repository {binding.repository}, not for {statement.subject.repository}"
            raise self._refused(caller, model.name, said.digest, "not_allowed", reason)
        return Verified(envelope, statement, binding, decision)

    def submit(
        self,
        session: Session,
        caller: Principal,
        envelope: Mapping[str, Any],
        find_model: Callable[[Session, str, str], ModelRules],
    ) -> tuple[AttestationRow, bool]:
        """Verify and store one attestation about a registered artefact; returns it, and whether it is new.

        ``find_model`` takes a model's name and an artefact's digest, and raises ``NotFound`` where there is no such version.

        Raises:
            AttestationRefused: it does not count.
            Forbidden: the caller may not act for that model.
        """
        try:
            about = dsse_subject(envelope)
        except AttestationInvalid as error:
            raise self._refused(caller, None, None, error.code, error.reason) from None
        try:
            model = find_model(session, about.model, about.digest)
        except NotFound as error:
            raise self._refused(caller, about.model, about.digest, "wrong_subject", error.detail) from None
        self.access.require(
            session,
            caller,
            Action.ATTEST,
            _resource(model),
            detail=f"{caller.ref} may not attest for the model {model.name}",
            fix=f"Members of {model.owner} and the repository {model.repository} may.",
            event=REFUSED,
        )
        return self.store(session, caller, self.verify(session, caller, envelope, model=model))

    def store(self, session: Session, caller: Principal, verified: Verified) -> tuple[AttestationRow, bool]:
        """Store a verified attestation; the same one again returns what is there."""
        text = json.dumps(verified.envelope, sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(text.encode()).hexdigest()
        statement, binding = verified.statement, verified.binding
        about = statement.subject
        lock_for_transaction(session, f"attestations:{about.digest}")
        present = session.execute(
            select(AttestationRow).where(
                AttestationRow.digest == about.digest,
                AttestationRow.envelope_digest == digest,
                AttestationRow.principal == binding.principal,
            )
        ).scalar_one_or_none()
        if present is not None:
            return present, False
        row = AttestationRow(
            id=new_id(),
            digest=about.digest,
            gate=statement.gate_result.gate.value,
            outcome=statement.gate_result.outcome.value,
            model=about.model,
            repository=about.repository,
            commit=about.commit,
            key_id=binding.key.keyid,
            principal=binding.principal,
            principal_kind=binding.principal_kind,
            received_at=self._clock.now(),
            envelope=text,
            envelope_digest=digest,
        )
        session.add(row)
        session.flush()
        self._audit.append(
            session,
            type=RECORDED,
            subject=f"model:{row.model}",
            actor=caller,
            data={
                "attestation": row.id,
                "digest": row.digest,
                "gate": row.gate,
                "outcome": row.outcome,
                "summary": statement.gate_result.summary,
                "keyId": row.key_id,
                "signer": row.principal,
                "envelopeDigest": digest,
                "access": verified.access.as_json(),
            },
        )
        return row, True

    def for_digest(self, session: Session, digest: str) -> list[StoredAttestation]:
        """Return what was said about an artefact, oldest first, each verified again."""
        query = select(AttestationRow).where(AttestationRow.digest == digest).order_by(AttestationRow.id)
        rows = session.execute(query).scalars().all()
        return self.reverify(session, rows)

    def envelopes(self, session: Session, ids: Sequence[str]) -> dict[str, str]:
        """Return the envelopes of these attestations, in the text that their digest is of."""
        query = select(AttestationRow.id, AttestationRow.envelope).where(AttestationRow.id.in_(ids))
        return {row.id: row.envelope for row in session.execute(query)}

    def reverify(self, session: Session, rows: Sequence[AttestationRow]) -> list[StoredAttestation]:
        """Verify stored attestations again: signature, columns, and that the key is still bound."""
        keys = sorted({row.key_id for row in rows})
        bindings = self._identity.bindings(session, keys) if keys else []
        return [self._reverified(row, bindings) for row in rows]

    def _reverified(self, row: AttestationRow, bindings: Sequence[KeyBinding]) -> StoredAttestation:
        envelope: Mapping[str, Any] = json.loads(row.envelope)
        reason, result, about = None, None, None
        own = [one for one in bindings if one.key.keyid == row.key_id and one.principal == row.principal]
        fitting = [one for one in own if one.repository in (None, row.repository)]
        if not fitting:
            reason = "its key is not bound to its signer"
        elif not any(one.counted_at(row.received_at) for one in fitting):
            reason = "its key was revoked, or bound only after it came"
        else:
            try:
                statement, _ = dsse.verify(envelope, {row.key_id: fitting[0].key})
                result = statement.gate_result
                about = statement.subject
                said = (about.digest, result.gate, result.outcome, about.model, about.repository, about.commit)
                if said != (row.digest, row.gate, row.outcome, row.model, row.repository, row.commit):
                    reason = "what is stored about it differs from what was signed"
            except AttestationInvalid as error:
                reason = error.reason
        return StoredAttestation(
            id=row.id,
            digest=row.digest,
            gate=row.gate,
            outcome=row.outcome,
            model=row.model,
            repository=row.repository,
            commit=row.commit,
            key_id=row.key_id,
            principal_ref=row.principal,
            principal_kind=row.principal_kind,
            received_at=row.received_at,
            subject=about,
            gate_result=result,
            envelope=envelope,
            invalid_reason=reason,
        )

    def _signed(
        self, session: Session, caller: Principal, envelope: Mapping[str, Any], model: ModelRules
    ) -> tuple[ParsedStatement, KeyBinding, "Decision"]:
        """Return the signed statement, the binding that makes the signature count, and whether the caller may attest."""
        bindings = self._identity.bindings(session, dsse.key_ids(envelope))
        statement, key_id = dsse.verify(envelope, {one.key.keyid: one.key for one in bindings})
        own = [one for one in bindings if one.key.keyid == key_id]
        current = [one for one in own if one.counted_at(self._clock.now())]
        if not current:
            raise self._refused(caller, model.name, statement.subject.digest, "revoked_key", "the key was revoked")
        # Groups are known of the caller only, so a signer who is somebody else must be the model's own repository.
        decision = self.access.decide(session, caller, Action.ATTEST, _resource(model))
        allowed = {f"repository:{model.repository}", *([caller.ref] if decision.allowed else [])}
        counting = [one for one in current if one.principal in allowed]
        if not counting:
            signer = current[0].principal
            reason = f"its signer {signer} is neither the caller nor the model's repository"
            if signer == caller.ref:
                reason = f"its signer {signer} may not attest for the model: {decision.explanation}"
            raise self._refused(caller, model.name, statement.subject.digest, "not_allowed", reason)
        fits = [one for one in counting if one.repository in (None, statement.subject.repository)]
        return statement, min(fits or counting, key=lambda one: one.principal != caller.ref), decision

    def _refused(
        self, caller: Principal, model: str | None, digest: str | None, code: str, reason: str
    ) -> PlatformError:
        error = AttestationRefused(f"the attestation does not count: {reason}", fix=_FIXES.get(code), code=code)
        subject = f"model:{model[:100]}" if model else f"principal:{caller.ref}"
        return error.audited(type=REFUSED, subject=subject, actor=caller.ref, code=code, digest=digest)


def _resource(model: ModelRules) -> ModelResource:
    return ModelResource(model.name, model.owner, model.repository)


def dsse_subject(envelope: Mapping[str, Any]) -> Subject:
    """Return what an envelope claims to be about, before anything is verified.

    Raises:
        AttestationInvalid: it can't be read.
    """
    dsse.key_ids(envelope)
    return parse_statement(base64.b64decode(envelope["payload"])).subject
