"""HTTP routes of the registry domain."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from backend.core.container import ServicesOf
from backend.core.http.problems import problems
from backend.core.schemas import Page, Paging, PlainText
from backend.identity.auth import Caller
from backend.registry.models import ModelRow, VersionRow
from backend.registry.registration import Registration
from backend.registry.repository import find_models, find_versions
from backend.registry.schemas import Manifest, ModelOut, VersionOut
from backend.registry.uploads import FormReader, upload_folder
from mlplatform.spec.model import NAME_PATTERN

router = APIRouter(prefix="/registry", tags=["registry"])

ModelName = Annotated[
    str, Path(alias="name", pattern=NAME_PATTERN, max_length=63, description="Name of the model.", examples=["wine"])
]
VersionName = Annotated[
    str,
    Path(
        alias="version",
        pattern=r"^([1-9][0-9]{0,8}|[a-z][a-z-]{0,30})$",
        description="Number, or the alias `champion` or `challenger`.",
        examples=["champion"],
    ),
]
_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["manifest", "bundle"],
                    "additionalProperties": False,
                    "properties": {
                        "manifest": {"$ref": "#/components/schemas/Manifest"},
                        "bundle": {
                            "type": "string",
                            "format": "binary",
                            "description": "Tar (gzip or plain) of `model/` and `environment/`.",
                        },
                    },
                },
                "encoding": {
                    "manifest": {"contentType": "application/json"},
                    "bundle": {"contentType": "application/x-tar"},
                },
            }
        },
    }
}


@router.get("/models", summary="Models", responses=problems(401, 422))
def models(
    services: ServicesOf,
    caller: Caller,
    page: Paging,
    owner: Annotated[PlainText | None, Query(max_length=190, description="Ref of the owner group.")] = None,
    q: Annotated[PlainText | None, Query(max_length=100, description="Part of the name or description.")] = None,
) -> Page[ModelOut]:
    """Return models by name."""
    (after,) = page.after(str) or ("",)
    with services.database.read() as session:
        rows = find_models(session, owner=owner, q=q, after=after, limit=page.limit + 1)
        shown = {out.name: out for out in services.registry.models_out(session, list(rows))}
    return page.page(rows, lambda row: [row.name], lambda row: shown[row.name])


@router.get("/models/{name}", summary="One model", responses=problems(401, 404, 422))
def model(services: ServicesOf, caller: Caller, name: ModelName) -> ModelOut:
    """Return a model."""
    with services.database.read() as session:
        row: ModelRow = services.registry.get_model(session, name)
        return services.registry.models_out(session, [row])[0]


@router.get("/models/{name}/versions", summary="Versions of a model", responses=problems(401, 404, 422))
def versions(services: ServicesOf, caller: Caller, page: Paging, name: ModelName) -> Page[VersionOut]:
    """Return a model's versions, newest first."""
    (before,) = page.after(int) or (None,)
    with services.database.read() as session:
        services.registry.get_model(session, name)
        rows = find_versions(session, name, before=before, limit=page.limit + 1)
        shown = {out.version: out for out in services.registry.versions_out(session, list(rows))}
    return page.page(rows, lambda row: [row.version], lambda row: shown[row.version])


@router.post(
    "/models/{name}/versions",
    summary="Register a version",
    status_code=201,
    response_model=VersionOut,
    responses={
        200: {"model": VersionOut, "description": "The same content was registered before"},
        **problems(401, 403, 409, 413, 422, 503, 507),
    },
    openapi_extra=_FORM,
)
async def register(services: ServicesOf, caller: Caller, request: Request, name: ModelName) -> Response:
    """Register a trained model with its lineage and attestations; the first registration makes the model.

    The same digest from the same commit gives the version that is there already, so repeating a request whose answer was
    lost is safe without an `Idempotency-Key`.
    """
    limits = services.settings.limits
    with upload_folder(services.registry.uploads) as folder:
        reader = FormReader(
            request.headers.get("content-type", ""),
            folder,
            {"manifest": limits.manifest_bytes, "bundle": limits.bundle_bytes},
        )
        await reader.read(request.stream())
        registration = Registration(services.registry, services.database, caller, name, folder)
        version, new = await run_in_threadpool(registration.run)
    body = version.model_dump_json(by_alias=True)
    return Response(body, status_code=201 if new else 200, media_type="application/json")


@router.get("/models/{name}/versions/{version}", summary="One version", responses=problems(401, 404, 422))
def version(services: ServicesOf, caller: Caller, name: ModelName, version: VersionName) -> VersionOut:
    """Return a version by number or alias."""
    with services.database.read() as session:
        row: VersionRow = services.registry.get_version(session, name, version)
        return services.registry.version_out(session, row)


@router.get(
    "/models/{name}/versions/{version}/bundle",
    summary="A version's bundle",
    response_class=StreamingResponse,
    responses={
        200: {"content": {"application/x-tar": {"schema": {"type": "string", "format": "binary"}}}},
        **problems(401, 404, 422, 503),
    },
)
def bundle(services: ServicesOf, caller: Caller, name: ModelName, version: VersionName) -> Response:
    """Return the tar with the version's `model/` and `environment/`, checked against its digest before it is sent."""
    with services.database.read() as session:
        row = services.registry.get_version(session, name, version)
    return StreamingResponse(
        services.registry.pack_bundle(row),
        media_type="application/x-tar",
        headers={"Content-Disposition": f'attachment; filename="{row.model}-{row.version}.tar"'},
    )


SCHEMAS = (Manifest,)
"""Bodies that FastAPI does not see by itself, for the OpenAPI document."""
