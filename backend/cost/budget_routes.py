"""HTTP routes of budgets and bills."""

import pathlib
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Request, Response
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from backend.access.engine import Decision
from backend.core.container import Services, ServicesOf
from backend.core.errors import InvalidInput, NotFound, PayloadTooLarge
from backend.core.http.problems import problems
from backend.core.writes import Write
from backend.cost import repository
from backend.cost.bills import FOCUS
from backend.cost.periods import MONTH_PATTERN, Month
from backend.cost.routes import MonthIn
from backend.cost.schemas import BillOut, BudgetIn, BudgetOut, Provider, bill_out, budget_out
from backend.identity.auth import Caller
from backend.identity.principal import Principal
from backend.registry.uploads import upload_folder
from mlplatform.spec.model import ENTITY_REF_PATTERN, NAME_PATTERN

router = APIRouter(prefix="/cost", tags=["cost"])

Kind = Literal["team", "model"]
Whose = Annotated[str, Path(pattern=rf"{ENTITY_REF_PATTERN}|{NAME_PATTERN}", max_length=190, examples=["wine"])]
ProviderName = Annotated[Provider, Path(examples=["aws"])]
BillMonth = Annotated[str, Path(pattern=MONTH_PATTERN, examples=["2028-02"])]


@router.get("/budgets", summary="Budgets", responses=problems(401))
def budgets(services: ServicesOf, caller: Caller) -> list[BudgetOut]:
    """Return all budgets with how they stand this month."""
    with services.database.read() as session:
        return [_out(services, session, one.kind, one.name) for one in services.cost.budgets.all(session)]


@router.get("/budgets/{kind}/{name:path}", summary="One budget", responses=problems(401, 404, 422))
def budget(services: ServicesOf, caller: Caller, kind: Kind, name: Whose) -> BudgetOut:
    """Return a budget with how it stands this month."""
    with services.database.read() as session:
        return _out(services, session, kind, name)


@router.put(
    "/budgets/{kind}/{name:path}",
    summary="Set a budget",
    response_model=BudgetOut,
    responses=problems(401, 403, 404, 422),
)
def set_budget(services: ServicesOf, caller: Caller, write: Write, kind: Kind, name: Whose, wish: BudgetIn) -> Response:
    """Set what a team or model may cost in a month; the owner group may, and platform administrators."""

    def work(session: Session) -> BudgetOut:
        services.cost.budgets.set(session, caller, kind, name, monthly=wish.monthly, enforce=wish.enforce)
        session.flush()
        return _out(services, session, kind, name)

    return write.run(work, BudgetOut)


@router.delete(
    "/budgets/{kind}/{name:path}", summary="Take a budget back", status_code=204, responses=problems(401, 403, 404, 422)
)
def remove_budget(services: ServicesOf, caller: Caller, kind: Kind, name: Whose) -> None:
    """Take a budget back that was set here."""
    with services.database.write() as session:
        services.cost.budgets.remove(session, caller, kind, name)


@router.get("/bills", summary="Bills", responses=problems(401, 422))
def bills(services: ServicesOf, caller: Caller, month: MonthIn = None) -> list[BillOut]:
    """Return the bills that were imported, newest month first."""
    with services.database.read() as session:
        return [bill_out(one, services.cost.sheet.currency, []) for one in repository.bills(session, month)]


@router.put(
    "/bills/{month}/{provider}",
    summary="Import a bill",
    response_model=BillOut,
    responses=problems(401, 403, 409, 413, 422, 507),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                kind: {"schema": {"type": "string", "format": "binary"}}
                for kind in ("text/csv", "application/vnd.apache.parquet")
            },
        }
    },
)
async def import_bill(
    services: ServicesOf, caller: Caller, request: Request, month: BillMonth, provider: ProviderName
) -> BillOut:
    """Take a month's bill of a provider in FOCUS, CSV or Parquet, in the place of the one before."""
    access = await run_in_threadpool(_may_import, services, caller)
    with upload_folder(services.registry.uploads) as folder:
        path, received = folder / "bill", 0
        with path.open("wb") as file:
            async for chunk in request.stream():
                received += len(chunk)
                if received > services.settings.cost.bill_bytes:
                    raise PayloadTooLarge(
                        f"the bill is larger than {services.settings.cost.bill_bytes} bytes",
                        fix="Send Parquet, or raise mlPlatform.cost.billBytes.",
                    )
                await run_in_threadpool(file.write, chunk)
        if not received:
            raise InvalidInput("the body is empty", fix="Send the file as the body.")
        return await run_in_threadpool(_imported, services, caller, access, path, Month.parse(month), provider)


def _may_import(services: Services, caller: Principal) -> Decision:
    with services.database.read() as session:
        return services.cost.bills.may_import(session, caller)


def _imported(
    services: Services, caller: Principal, access: Decision, path: pathlib.Path, month: Month, provider: str
) -> BillOut:
    read = services.cost.bills.read(path, month)
    with services.database.write() as session:
        row, unknown = services.cost.bills.keep(
            session, caller, month=month, provider=provider, origin=FOCUS, read=read, access=access
        )
        answer = bill_out(row, services.cost.sheet.currency, unknown)
    services.runtime.wake()
    return answer


def _out(services: Services, session: Session, kind: str, name: str) -> BudgetOut:
    limit = services.cost.budgets.of(session, kind, name)
    if limit is None:
        raise NotFound(f"the {kind} {name[:190]} has no budget", fix="PUT sets one.")
    return budget_out(
        services.cost.budgets.standing(session, limit), services.cost.sheet.currency, str(services.cost.month)
    )
