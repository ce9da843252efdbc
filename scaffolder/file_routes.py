"""HTTP routes for what repositories of the embedded git host hold."""

from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Response
from fastapi.responses import StreamingResponse

from backend.core.container import ServicesOf
from backend.core.http.etag import is_known
from backend.core.http.problems import problems
from backend.identity.auth import Caller
from scaffolder.files import RepositoryFiles
from scaffolder.pull_routes import HostName, Name, Org

router = APIRouter(prefix="/git/{host}/{org}/{name}", tags=["repository files"])

Ref = Annotated[
    str | None,
    Query(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$",
        max_length=200,
        description="Branch, tag or commit; the default branch if left out.",
        examples=["main"],
    ),
]
FilePath = Annotated[
    str, Path(alias="path", pattern=r"^[^\x00-\x1f\x7f\\]+$", max_length=500, examples=["catalog-info.yaml"])
]
IfNoneMatch = Annotated[
    str, Header(max_length=1000, description="`ETag` of an earlier answer; 304 if it is still the same.")
]
_ARCHIVE, _BYTES = "application/gzip", "application/octet-stream"
_SAFE = {"X-Content-Type-Options": "nosniff", "Cache-Control": "private, no-cache"}


@router.get(
    "/archive",
    summary="A repository's files as an archive",
    response_class=Response,
    responses={
        200: {"content": {_ARCHIVE: {"schema": {"type": "string", "format": "binary"}}}, "description": "The archive"},
        304: {"description": "The same as before"},
        **problems(401, 404, 422),
    },
)
def archive(
    services: ServicesOf,
    caller: Caller,
    host: HostName,
    org: Org,
    name: Name,
    ref: Ref = None,
    if_none_match: IfNoneMatch = "",
) -> Response:
    """Return the files at a commit as a gzipped tar, all in one folder. The `ETag` is the commit.

    For repositories of an embedded host; for others `422` names where they are.
    """
    files = RepositoryFiles.of(services, host, org, name)
    commit = files.commit(ref)
    headers = {"ETag": f'"{commit}"', **_SAFE}
    if is_known(headers["ETag"], if_none_match):
        return Response(status_code=304, headers=headers)
    headers["Content-Disposition"] = f'attachment; filename="{name}-{commit[:12]}.tar.gz"'
    return StreamingResponse(files.archive(commit), media_type=_ARCHIVE, headers=headers)


@router.get(
    "/files/{path:path}",
    summary="One file of a repository",
    response_class=Response,
    responses={
        200: {"content": {_BYTES: {"schema": {"type": "string", "format": "binary"}}}, "description": "The file"},
        304: {"description": "The same as before"},
        **problems(401, 404, 422),
    },
)
def file(
    services: ServicesOf,
    caller: Caller,
    host: HostName,
    org: Org,
    name: Name,
    path: FilePath,
    ref: Ref = None,
    if_none_match: IfNoneMatch = "",
) -> Response:
    """Return a file's bytes as they are; nothing in them is taken for a page. The `ETag` is the blob's id.

    For repositories of an embedded host; for others `422` names where they are.
    """
    files = RepositoryFiles.of(services, host, org, name)
    found = files.file(files.commit(ref), path)
    headers = {"ETag": f'"{found.blob}"', **_SAFE}
    if is_known(headers["ETag"], if_none_match):
        return Response(status_code=304, headers=headers)
    return Response(files.content(found), media_type=_BYTES, headers=headers)
