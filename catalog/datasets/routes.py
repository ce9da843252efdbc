"""HTTP routes of data sets."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from sqlalchemy.orm import Session

from backend.access.resources import Action
from backend.core.actions import tried
from backend.core.container import Services, ServicesOf
from backend.core.http.problems import problems
from backend.core.schemas import Page, Paging
from backend.core.writes import Write
from backend.identity.auth import Caller
from backend.identity.principal import Principal
from catalog.datasets import repository
from catalog.datasets.models import Dataset
from catalog.datasets.schemas import (
    ColumnOut,
    ConfirmationIn,
    DatasetDetailOut,
    DatasetOut,
    InheritanceOut,
    InheritedOut,
    ScanIn,
)
from catalog.datasets.service import ColumnProposal, inherited_class
from mlplatform.spec.model import NAME_PATTERN, Classification, ModelSpec

router = APIRouter(tags=["data sets"])

DatasetId = Annotated[str, Path(alias="id", pattern=r"^[0-9a-f-]{36}$", description="Id of the data set.")]
Reference = Annotated[str | None, Query(max_length=200, pattern=r"^[^\x00]*$", examples=["group:default/risk"])]


@router.get("/datasets", summary="Data sets", responses=problems(401, 422))
def datasets(
    services: ServicesOf,
    caller: Caller,
    page: Paging,
    owner: Reference = None,
    classification: Classification | None = None,
    entity: Annotated[Reference, Query(description="Ref of its Resource in the catalog.")] = None,
) -> Page[DatasetOut]:
    """Return data sets by name."""
    with services.database.read() as session:
        rows = repository.datasets(
            session,
            owner=owner,
            classification=classification.value if classification else None,
            entity=entity.lower() if entity else None,
            after=page.after(str),
            limit=page.limit + 1,
        )
    return page.page(rows, lambda row: [row.name], DatasetOut.model_validate)


@router.get("/datasets/{id}", summary="One data set", responses=problems(401, 404, 422))
def dataset(services: ServicesOf, caller: Caller, id: DatasetId) -> DatasetDetailOut:
    """Return a data set with its columns."""
    with services.database.read() as session:
        return detail(services, session, caller, services.datasets.get(session, id))


@router.post(
    "/datasets/scans",
    summary="Propose a classification",
    response_model=DatasetDetailOut,
    responses=problems(401, 403, 409, 422),
)
def propose(services: ServicesOf, caller: Caller, write: Write, scan: ScanIn) -> Response:
    """Take in what a scan of a data set found. What a person confirmed stays, and waits for a person where the scan says more."""
    columns = [
        ColumnProposal(
            one.name, one.type, one.classification, one.reason, [found.model_dump() for found in one.evidence]
        )
        for one in scan.columns
    ]

    def work(session: Session) -> DatasetDetailOut:
        row = services.datasets.propose(
            session, caller, name=scan.name, entity=scan.entity.lower(), owner=scan.owner, columns=columns
        )
        return detail(services, session, caller, row)

    return write.run(work, DatasetDetailOut)


@router.post(
    "/datasets/{id}/confirmation",
    summary="Confirm a classification",
    response_model=DatasetDetailOut,
    responses=problems(401, 403, 404, 409, 422),
)
def confirm(services: ServicesOf, caller: Caller, write: Write, id: DatasetId, decision: ConfirmationIn) -> Response:
    """Decide columns by a person's word; members of the owner group may."""

    def work(session: Session) -> DatasetDetailOut:
        row = services.datasets.confirm(session, caller, id, decision.columns, decision.reason)
        return detail(services, session, caller, row)

    return write.run(work, DatasetDetailOut)


@router.get(
    "/registry/models/{name}/versions/{version}/classification",
    summary="How sensitive a version is",
    responses=problems(401, 404, 422),
)
def inheritance(
    services: ServicesOf,
    caller: Caller,
    name: Annotated[str, Path(pattern=NAME_PATTERN, max_length=63, examples=["wine"])],
    version: Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$", examples=["3", "champion"])],
) -> InheritanceOut:
    """Return the class that a version inherits from what it was trained on."""
    with services.database.read() as session:
        row = services.registry.get_version(session, name, version)
        found = services.datasets.inherited(session, ModelSpec.model_validate(row.spec))
    return InheritanceOut(
        model=row.model,
        version=row.version,
        classification=inherited_class(found),
        datasets=[InheritedOut.model_validate(one) for one in found],
    )


def detail(services: Services, session: Session, caller: Principal, row: Dataset) -> DatasetDetailOut:
    """Return a data set as the API shows it to somebody."""
    columns = repository.columns(session, [row.id])[row.id]
    return DatasetDetailOut(
        **DatasetOut.model_validate(row).model_dump(by_alias=False),
        columns=[ColumnOut.model_validate(one) for one in columns],
        actions=[tried("confirm", lambda: services.datasets.may(session, caller, Action.CONFIRM_CLASSIFICATION, row))],
    )
