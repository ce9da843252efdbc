"""Deletion certificates: what was and was not deleted, signed with the audit log's key. Counts and digests, never values."""

import base64
from collections.abc import Mapping
from typing import Any

from securesystemslib.dsse import Envelope
from sqlalchemy.orm import Session

from backend.audit.service import PLATFORM
from backend.core.container import Services
from backend.core.ids import new_id
from backend.privacy import repository
from backend.privacy.models import Certificate
from mlplatform.attest.dsse import sign
from mlplatform.attest.errors import AttestationInvalid
from mlplatform.attest.keys import PublicKey
from mlplatform.attest.statement import STATEMENT_TYPE, strict_json

PREDICATE = "urn:ml-platform:deletion-certificate:v1"


def certify(services: Services, session: Session, about: str, digest: str, said: dict[str, Any]) -> Certificate:
    """Make the certificate about a run or a request, once; ``digest`` speaks for all that it counts."""
    found = repository.certificate_of(session, about)
    if found is not None:
        return found
    now = services.clock.now()
    statement = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": about, "digest": {"sha256": digest}}],
        "predicateType": PREDICATE,
        "predicate": {"certifiedAt": now.isoformat(), **said},
    }
    row = Certificate(id=new_id(), about=about, created_at=now, envelope=sign(statement, services.audit.key))
    session.add(row)
    services.audit.append(
        session,
        type="ml-platform.privacy.certificate.signed",
        subject=about.partition("/")[0],
        actor=PLATFORM,
        data={"certificate": row.id, "digest": digest, **said.get("counts", {})},
    )
    session.flush()
    return row


def read(envelope: Mapping[str, Any], key: PublicKey) -> dict[str, Any]:
    """Return what a certificate says.

    Raises:
        AttestationInvalid: it was not signed with this key, was changed, or is no deletion certificate.
    """
    try:
        parsed = Envelope.from_dict({**envelope, "signatures": [dict(one) for one in envelope["signatures"]]})
        signatures = [one.signature for one in parsed.signatures.values() if one.keyid == key.keyid]
    except (KeyError, TypeError, ValueError, AttributeError):
        raise AttestationInvalid("the certificate is no signed envelope") from None
    if not any(key.verify(parsed.pae(), bytes.fromhex(one)) for one in signatures):
        raise AttestationInvalid("the certificate is not signed with the audit log's key", code="bad_signature")
    statement = strict_json(base64.b64decode(envelope["payload"]))
    if not isinstance(statement, dict) or statement.get("predicateType") != PREDICATE:
        raise AttestationInvalid("this is no deletion certificate", code="unknown_predicate")
    return statement
