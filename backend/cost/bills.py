"""Bills of clouds, as FOCUS files, and of OpenCost: read as they are, added up by day and model, exactly.

DuckDB reads the file, which may be far larger than memory, and adds up in decimals; only the sums are kept in the database.
What names no model of the platform is shared cost.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy.orm import Session

from backend.access.engine import Decision
from backend.access.resources import Action, PlatformResource
from backend.core.database import lock_for_transaction
from backend.core.errors import Conflict, InvalidInput
from backend.cost import repository
from backend.cost.fixed import MONEY_PLACES
from backend.cost.models import Bill
from backend.cost.money import rounded
from backend.cost.periods import Month
from backend.cost.prices import PriceSheet
from backend.cost.usage import LOCK
from backend.identity.principal import Principal

if TYPE_CHECKING:
    import duckdb

    from backend.core.container import Services

FOCUS, OPEN_COST = "bill", "opencost"
_NEEDED = ("BilledCost", "BillingCurrency", "ChargePeriodStart")
_PLACES = 12
_MEMORY = "512MB"
_SERVICE_LENGTH = 63


class BillRefused(InvalidInput):
    """The file is no bill that can be read, or not wholly."""

    slug: ClassVar[str] = "bill-refused"
    title: ClassVar[str] = "Bill refused"


@dataclass(frozen=True)
class Part:
    """What a bill charges on a day for one thing, in its own currency."""

    day: date
    model: str
    version: int
    environment: str
    service: str
    currency: str
    cost: Decimal


@dataclass(frozen=True)
class Read:
    """A bill as it was read."""

    parts: Sequence[Part]
    rows: int
    digest: str


class Bills:
    """See the module's docstring."""

    def __init__(self, services: "Services", sheet: PriceSheet) -> None:
        self._services, self._sheet = services, sheet

    def may_import(self, session: Session, caller: Principal) -> Decision:
        """Let through whom the policies permit to import bills; return their decision.

        Raises:
            Forbidden: the policies say no.
        """
        return self._services.access.require(
            session,
            caller,
            Action.IMPORT_BILL,
            PlatformResource(),
            detail=f"{caller.ref} may not import bills",
            fix="Platform administrators may.",
            event="ml-platform.cost.bill.refused",
            subject="cost",
        )

    def read(self, path: Path, month: Month) -> Read:
        """Read a FOCUS file, CSV or Parquet.

        Raises:
            BillRefused: it is none, a column is missing, or a row can't be read; it names which.
        """
        settings = self._services.settings.cost
        scratch = path.parent / "scratch"
        return read_focus(
            path, month, model_tag=settings.bill_tag, environment_tag=settings.environment_tag, scratch=scratch
        )

    def keep(
        self,
        session: Session,
        actor: Principal | str,
        *,
        month: Month,
        provider: str,
        origin: str,
        read: Read,
        access: Decision | None = None,
    ) -> tuple[Bill, list[str]]:
        """Put a bill in the place of the one before of this provider and month; return it, and models it names that are none.

        Raises:
            Conflict: the month is closed.
            InvalidInput: a part is in a currency without a rate.
        """
        lock_for_transaction(session, LOCK)
        if repository.closed(session, [str(month)]):
            raise Conflict(f"{month} is closed", fix="A corrected bill belongs to the month in which it comes.")
        known = set(self._services.registry.names(session))
        strangers = sorted({part.model for part in read.parts if part.model and part.model not in known})
        amounts: dict[tuple[Any, ...], Decimal] = {}
        for part in read.parts:
            model = part.model if part.model in known else ""
            key = (part.day, model, part.version if model else 0, part.environment if model else "", part.service)
            cost = part.cost * self._sheet.rate(part.currency, part.day)
            amounts[key] = amounts.get(key, Decimal(0)) + cost
        exact = rounded(amounts, MONEY_PLACES)
        names = ("day", "model", "version", "environment", "service")
        rows = [
            {
                **dict(zip(names, key, strict=True)),
                "provider": provider,
                "month": str(month),
                "origin": origin,
                "cost": cost,
            }
            for key, cost in exact.items()
        ]
        bill = Bill(
            month=str(month),
            provider=provider,
            origin=origin,
            digest=read.digest,
            rows=read.rows,
            total=sum(exact.values(), Decimal(0)),
            imported_by=actor if isinstance(actor, str) else actor.ref,
            imported_at=self._services.clock.now(),
        )
        changed = repository.replace_bill(session, bill, rows)
        # With a bill, metered usage of the whole month may no longer be what is charged.
        by_bill = self._services.settings.cost.basis == "bill"
        today = self._services.clock.now().date()
        repository.mark_dirty(session, {day for day in month if day <= today} | changed if by_bill else changed)
        self._services.audit.append(
            session,
            type="ml-platform.cost.bill.imported",
            subject=f"bill:{provider}/{month}",
            actor=actor,
            data={
                "digest": read.digest,
                "rows": read.rows,
                "total": str(bill.total),
                "currency": self._sheet.currency,
                **({} if access is None else {"access": access.as_json()}),
            },
        )
        return bill, strangers


def read_focus(path: Path, month: Month, *, model_tag: str, environment_tag: str, scratch: Path) -> Read:
    """Read a FOCUS file.

    A charge counts on the day on which its period begins. One of another month, such as a correction, counts on the first day of
    the month whose bill has it.

    Raises:
        BillRefused: it is none, a column is missing, or a row can't be read.
    """
    import duckdb

    with duckdb.connect(config={"memory_limit": _MEMORY, "temp_directory": str(scratch)}) as database:
        database.execute("SET enable_progress_bar = false")
        database.execute("SET TimeZone = 'UTC'")
        try:
            return _read(database, path, month, model_tag, environment_tag)
        except duckdb.Error as fault:
            said = str(fault).splitlines()[0].replace(str(path), "the file")[:300]
            raise BillRefused(f"the file can't be read: {said}", fix="Send CSV with a header, or Parquet.") from None


def _read(
    database: "duckdb.DuckDBPyConnection", path: Path, month: Month, model_tag: str, environment_tag: str
) -> Read:
    with path.open("rb") as file:
        is_parquet = file.read(4) == b"PAR1"
        digest = hashlib.file_digest(file, "sha256").hexdigest() if file.seek(0) == 0 else ""
    source = "read_parquet($path)" if is_parquet else "read_csv($path, header = true, all_varchar = true)"
    found = database.execute(f"DESCRIBE SELECT * FROM {source}", {"path": str(path)}).fetchall()  # noqa: S608
    types = {name: str(kind) for name, kind, *_ in found}
    missing = [name for name in _NEEDED if name not in types]
    if missing:
        raise BillRefused(
            f"the file has no column {', '.join(missing)}",
            fix="Send a bill in FOCUS; https://focus.finops.org has its columns.",
        )
    service = next((f'"{name}"' for name in ("ServiceName", "ServiceCategory") if name in types), "NULL")
    period = '"BillingPeriodStart"' if "BillingPeriodStart" in types else "NULL"
    parts = f"""
        SELECT TRY_CAST("BilledCost" AS DECIMAL(38, {_PLACES})) AS cost,
            "BillingCurrency" AS currency,
            CAST({_in_utc('"ChargePeriodStart"')} AS DATE) AS day,
            strftime({_in_utc(period)}, '%Y-%m') AS period,
            coalesce({_tag("$model_tag", types.get("Tags"))}, '') AS model,
            coalesce({_tag("$environment_tag", types.get("Tags"))}, '') AS environment,
            coalesce({service}, 'other') AS service
        FROM {source}
    """  # noqa: S608
    rows = database.execute(
        f"""
        SELECT day, model, environment, service, currency, period, sum(cost), count(*),
            count(*) FILTER (cost IS NULL), count(*) FILTER (day IS NULL)
        FROM ({parts}) GROUP BY ALL ORDER BY ALL
        """,  # noqa: S608
        {"path": str(path), "model_tag": model_tag, "environment_tag": environment_tag},
    ).fetchall()
    _refuse_faults(rows, month)
    return Read([_part(row, month) for row in rows], sum(int(row[7]) for row in rows), digest)


def _in_utc(column: str) -> str:
    """Return the expression for a time, which may be written with the offset of another place."""
    return f"(TRY_CAST(CAST({column} AS VARCHAR) AS TIMESTAMPTZ) AT TIME ZONE 'UTC')"


def _tag(key: str, kind: str | None) -> str:
    """Return the expression for a tag: the column is a map, a struct, or JSON as text."""
    if kind is None:
        return f"CAST(nullif({key}, {key}) AS VARCHAR)"
    if kind.startswith("MAP"):
        return f'"Tags"[{key}]'
    text = 'CAST(to_json("Tags") AS VARCHAR)' if kind.startswith("STRUCT") else 'CAST("Tags" AS VARCHAR)'
    return f"CASE WHEN json_valid({text}) THEN json_extract_string({text}, '$.\"' || {key} || '\"') END"


def _refuse_faults(rows: Sequence[Sequence[Any]], month: Month) -> None:
    without_cost, without_day = (sum(int(row[index]) for row in rows) for index in (8, 9))
    if without_cost:
        raise BillRefused(
            f"BilledCost of {without_cost} rows is no number", fix="A bill counts as a whole: none of it was imported."
        )
    if without_day:
        raise BillRefused(f"ChargePeriodStart of {without_day} rows is no time", fix="Write it as FOCUS does, in UTC.")
    others = sorted({str(row[5]) for row in rows if row[5] is not None and row[5] != str(month)})
    if others:
        raise BillRefused(
            f"BillingPeriodStart is in {', '.join(others[:5])}, the bill is said to be of {month}",
            fix="Import each month by itself.",
        )
    if not rows:
        raise BillRefused("the file has no rows")


def _part(row: Sequence[Any], month: Month) -> Part:
    day, model, environment, service, currency, _, cost, *_ = row
    return Part(
        day=day if Month.of(day) == month else month.first,
        model=str(model)[:63],
        version=0,
        environment=str(environment)[:63],
        service=str(service)[:_SERVICE_LENGTH],
        currency=str(currency),
        cost=Decimal(cost),
    )
