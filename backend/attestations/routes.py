"""HTTP routes of the attestations domain."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from sqlalchemy import select

from backend.attestations.models import AttestationRow
from backend.attestations.schemas import AttestationOut, AttestationRequest
from backend.attestations.service import StoredAttestation
from backend.core.container import ServicesOf
from backend.core.http.problems import problems
from backend.core.schemas import Page, Paging
from backend.core.writes import Write
from backend.identity.auth import Caller

router = APIRouter(prefix="/attestations", tags=["attestations"])


@router.post(
    "",
    summary="Record an attestation",
    status_code=201,
    response_model=AttestationOut,
    responses={200: {"model": AttestationOut, "description": "It is there already"}, **problems(401, 403, 422)},
)
def record(services: ServicesOf, caller: Caller, write: Write, body: AttestationRequest) -> Response:
    """Verify a signed gate result about an artefact of a registered model, and keep it."""

    def work(session: Any) -> tuple[AttestationOut, bool]:
        row, new = services.attestations.submit(session, caller, body.envelope, services.registry.model_of)
        return attestation_out(services.attestations.reverify(session, [row])[0]), new

    return write.run_pair(work, AttestationOut)


@router.get("", summary="Attestations of an artefact", responses=problems(401, 422))
def attestations(
    services: ServicesOf,
    caller: Caller,
    page: Paging,
    digest: Annotated[str, Query(pattern=r"^[0-9a-f]{64}$", description="Digest of the artefact.")],
) -> Page[AttestationOut]:
    """Return what was said about an artefact, oldest first, each verified again."""
    (after,) = page.after(str) or ("",)
    with services.database.read() as session:
        query = select(AttestationRow).where(AttestationRow.digest == digest, AttestationRow.id > after)
        rows = session.execute(query.order_by(AttestationRow.id).limit(page.limit + 1)).scalars().all()
        stored = services.attestations.reverify(session, rows)
    return page.page(stored, lambda one: [one.id], attestation_out)


def attestation_out(stored: StoredAttestation) -> AttestationOut:
    """Return an attestation as the API shows it."""
    summary = stored.gate_result.summary if stored.gate_result else ""
    return AttestationOut.model_validate(
        {
            **{name: getattr(stored, name) for name in _COPIED},
            "summary": summary,
            "principal": stored.principal_ref,
            "verified": stored.valid,
            "reason": stored.invalid_reason,
        }
    )


_COPIED = ("id", "digest", "gate", "outcome", "model", "repository", "commit", "key_id", "received_at", "envelope")
