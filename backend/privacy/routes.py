"""HTTP routes of retention, legal holds and deletion certificates."""

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from sqlalchemy.orm import Session

from backend.core.container import Services, ServicesOf
from backend.core.http.problems import problems
from backend.core.schemas import Page, Paging
from backend.core.writes import Write
from backend.identity.auth import Caller
from backend.privacy import certificates, repository
from backend.privacy.models import Certificate, Kind, LegalHold, RetentionRun
from backend.privacy.policies import retention_of
from backend.privacy.schemas import (
    CertificateDetailOut,
    CertificateOut,
    HoldIn,
    HoldOut,
    PolicyOut,
    PrivacyActionsOut,
    ReasonIn,
    RetentionItemOut,
    RetentionRunIn,
    RetentionRunOut,
)
from mlplatform.attest.errors import AttestationInvalid
from mlplatform.spec.quantities import format_duration

router = APIRouter(prefix="/privacy", tags=["privacy"])

Id = Annotated[str, Path(alias="id", pattern=r"^[0-9a-f-]{36}$")]


@router.get("/actions", summary="What I may do about personal data", responses=problems(401))
def actions(services: ServicesOf, caller: Caller) -> PrivacyActionsOut:
    """Return whether the caller may find people, place and lift holds, and have deleted what is over, and why not."""
    with services.database.read() as session:
        return PrivacyActionsOut(items=services.privacy.actions(session, caller))


@router.get("/retention/policies", summary="How long things are kept", responses=problems(401))
def policies(services: ServicesOf, caller: Caller) -> list[PolicyOut]:
    """Return the limits of the settings, and what models say that is shorter."""
    limits = services.settings.retention
    flat: dict[Kind, tuple[str, timedelta | None]] = {
        Kind.BATCH_OUTPUT: ("batchOutputs", limits.batch_outputs),
        Kind.LOG: ("logs", limits.logs),
        Kind.PAYLOAD_SAMPLE: ("payloadSamples", limits.payload_samples),
        Kind.RUN: ("runs", limits.runs),
        Kind.VERSION: ("versions", limits.versions),
        Kind.ARTEFACT: ("artefacts", limits.artefacts),
        Kind.TOKEN: ("tokens", limits.tokens),
        Kind.UPLOAD: ("uploads", limits.uploads),
        Kind.AUDIT_SEGMENT: ("auditSegments", limits.audit_segments),
        Kind.INCIDENT: ("incidents", limits.incidents),
    }
    found = [_policy(kind, "all", keep, f"mlPlatform.retention.{name}") for kind, (name, keep) in flat.items()]
    found += [
        _policy(Kind.DATASET, folder, keep, "mlPlatform.retention.datasets") for folder, keep in limits.datasets.items()
    ]
    with services.database.read() as session:
        specs = services.registry.newest_specs(session)
    for model, spec in sorted(specs.items()):
        own = retention_of(spec)
        for kind, keep in (
            (Kind.LOG, own.logs),
            (Kind.PAYLOAD_SAMPLE, own.payload_samples),
            (Kind.RUN, own.runs),
            (Kind.VERSION, own.versions),
        ):
            if flat[kind][1] is None or keep < (flat[kind][1] or keep):
                found.append(_policy(kind, f"model:{model}", keep, "model.yaml"))
    return found


@router.post(
    "/retention/runs",
    summary="Delete what is over",
    status_code=201,
    response_model=RetentionRunOut,
    responses=problems(401, 403, 409, 422),
)
def request_run(services: ServicesOf, caller: Caller, write: Write, body: RetentionRunIn) -> Response:
    """Have everything deleted that is over and not held; with `dryRun` only have it listed."""

    def work(session: Session) -> RetentionRunOut:
        run = services.privacy.retention.request(session, caller, dry_run=body.dry_run)
        return _runs_out(session, [run])[0]

    return _woken(services, write.run(work, RetentionRunOut, 201))


@router.get("/retention/runs", summary="Retention runs", responses=problems(401, 422))
def runs(services: ServicesOf, caller: Caller, page: Paging) -> Page[RetentionRunOut]:
    """Return runs, newest first."""
    (after,) = page.after(str) or (None,)
    with services.database.read() as session:
        rows = repository.page_runs(session, after=after, limit=page.limit)
        shown = {row.id: out for row, out in zip(rows, _runs_out(session, list(rows)), strict=True)}
    return page.page(rows, lambda row: [row.id], lambda row: shown[row.id])


@router.get("/retention/runs/{id}", summary="One retention run", responses=problems(401, 404, 422))
def run(services: ServicesOf, caller: Caller, run_id: Id) -> RetentionRunOut:
    """Return a run and what became of how many things."""
    with services.database.read() as session:
        return _runs_out(session, [repository.get(session, RetentionRun, run_id, "retention run")])[0]


@router.get("/retention/runs/{id}/items", summary="What was over", responses=problems(401, 404, 422))
def items(services: ServicesOf, caller: Caller, run_id: Id, page: Paging) -> Page[RetentionItemOut]:
    """Return, one by one, what a run deleted or (dry) would have deleted, and what it kept and why."""
    (after,) = page.after(int) or (-1,)
    with services.database.read() as session:
        repository.get(session, RetentionRun, run_id, "retention run")
        rows = repository.items(session, run_id, after=after, limit=page.limit + 1)
    return page.page(rows, lambda row: [row.index], RetentionItemOut.model_validate)


@router.post(
    "/holds",
    summary="Place a legal hold",
    status_code=201,
    response_model=HoldOut,
    responses=problems(401, 403, 404, 409, 422),
)
def place_hold(services: ServicesOf, caller: Caller, write: Write, body: HoldIn) -> Response:
    """Keep something from being deleted or erased, whatever its age, until the hold is lifted."""
    return write.run(
        lambda session: services.privacy.holds.place(session, caller, body.subject, body.reason), HoldOut, 201
    )


@router.get("/holds", summary="Legal holds", responses=problems(401, 422))
def holds(
    services: ServicesOf,
    caller: Caller,
    page: Paging,
    released: Annotated[bool, Query(description="Also those that were lifted.")] = False,
) -> Page[HoldOut]:
    """Return holds, newest first."""
    (after,) = page.after(str) or (None,)
    with services.database.read() as session:
        rows = repository.page_holds(session, released=released, after=after, limit=page.limit)
    return page.page(rows, lambda row: [row.id], HoldOut.model_validate)


@router.post(
    "/holds/{id}/release",
    summary="Lift a legal hold",
    response_model=HoldOut,
    responses=problems(401, 403, 404, 409, 422),
)
def release_hold(services: ServicesOf, caller: Caller, write: Write, hold_id: Id, body: ReasonIn) -> Response:
    """Lift a hold. What is over goes with the next retention run."""

    def work(session: Session) -> LegalHold:
        return services.privacy.holds.release(session, caller, hold_id, body.reason)

    return write.run(work, HoldOut)


@router.get("/certificates", summary="Deletion certificates", responses=problems(401, 422))
def list_certificates(services: ServicesOf, caller: Caller, page: Paging) -> Page[CertificateOut]:
    """Return certificates of retention runs and erasures, newest first."""
    (after,) = page.after(str) or (None,)
    with services.database.read() as session:
        rows = repository.page_certificates(session, after=after, limit=page.limit)
    return page.page(rows, lambda row: [row.id], lambda row: CertificateOut.model_validate(_certificate(services, row)))


@router.get("/certificates/{id}", summary="One deletion certificate", responses=problems(401, 404, 422))
def certificate(services: ServicesOf, caller: Caller, certificate_id: Id) -> CertificateDetailOut:
    """Return a certificate, with its signed envelope and what that says."""
    with services.database.read() as session:
        row = repository.get(session, Certificate, certificate_id, "deletion certificate")
    return CertificateDetailOut.model_validate(_certificate(services, row))


def _policy(kind: Kind, scope: str, keep: timedelta | None, source: str) -> PolicyOut:
    return PolicyOut(kind=kind, scope=scope, keep=None if keep is None else format_duration(keep), source=source)


def _runs_out(session: Session, rows: list[RetentionRun]) -> list[RetentionRunOut]:
    counts = repository.count_items(session, [row.id for row in rows])
    found = []
    for row in rows:
        signed = repository.certificate_of(session, f"retention-run:{row.id}")
        own = {name: getattr(row, name) for name in RetentionRunOut.model_fields if hasattr(row, name)}
        found.append(RetentionRunOut(**own, counts=counts[row.id], certificate=signed.id if signed else None))
    return found


def _certificate(services: Services, row: Certificate) -> dict[str, Any]:
    try:
        statement: dict[str, Any] | None = certificates.read(row.envelope, services.audit.key.public_key)
    except AttestationInvalid:
        statement = None
    said = statement["predicate"] if statement else {}
    return {
        "id": row.id,
        "about": row.about,
        "created_at": row.created_at,
        "valid": statement is not None and statement["subject"][0]["name"] == row.about,
        "counts": said.get("counts", {}),
        "statement": statement,
        "envelope": row.envelope,
    }


def _woken(services: Services, response: Response) -> Response:
    """Have the runtime look at what was just committed."""
    services.runtime.wake()
    return response
