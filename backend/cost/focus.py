"""A month in the columns of FOCUS 1.0 (https://focus.finops.org), as Parquet or CSV."""

import io
import json
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any

from backend.cost.periods import DAY, Month, start_of
from backend.cost.repository import LineRow
from backend.cost.resources import KINDS, Resource

if TYPE_CHECKING:
    import pyarrow as pa

VERSION = "1.0"
PROVIDER = "ML platform"
_METER = "meter"
_SUM = "day"
_PLACES = Decimal("0.000000001")
_NEVER = (
    "AvailabilityZone", "ChargeClass", "CommitmentDiscountCategory", "CommitmentDiscountId", "CommitmentDiscountName",
    "CommitmentDiscountStatus", "CommitmentDiscountType", "RegionId", "RegionName",
)  # fmt: skip
"""Columns that FOCUS demands and that say nothing here."""


def rows(lines: Iterable[LineRow], month: Month, currency: str) -> Iterator[dict[str, Any]]:
    """Yield the lines of a month as FOCUS has them. Usage that no price covers has no cost and is left out."""
    same = _same(month, currency)
    for own in _own(lines):
        yield {**same, **own}


def table(lines: Iterable[LineRow], month: Month, currency: str) -> "pa.Table":
    """Return a month as an Arrow table, amounts as decimals."""
    import pyarrow as pa

    same, found = _same(month, currency), list(_own(lines))
    columns = [
        pa.repeat(pa.scalar(same[field.name], field.type), len(found))
        if field.name in same
        else pa.array([row[field.name] for row in found], field.type)
        for field in _schema()
    ]
    return pa.Table.from_arrays(columns, schema=_schema())


def parquet(lines: Iterable[LineRow], month: Month, currency: str) -> bytes:
    """Return a month as a Parquet file."""
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(table(lines, month, currency), sink, compression="zstd")
    return sink.getvalue()


def csv(lines: Iterable[LineRow], month: Month, currency: str) -> bytes:
    """Return a month as CSV, times as FOCUS writes them."""
    import csv as csv_module

    sink = io.StringIO()
    writer = csv_module.DictWriter(sink, [field.name for field in _schema()])
    writer.writeheader()
    for row in rows(lines, month, currency):
        writer.writerow({name: _text(value) for name, value in row.items()})
    return sink.getvalue().encode()


def _own(lines: Iterable[LineRow]) -> Iterator[dict[str, Any]]:
    days: dict[date, tuple[datetime, datetime]] = {}
    for line in lines:
        if line.origin == _METER and line.unit_price is None:
            continue
        if line.day not in days:
            days[line.day] = (start_of(line.day), start_of(line.day + DAY))
        yield _row(line, *days[line.day])


def _same(month: Month, currency: str) -> dict[str, Any]:
    """Return what all rows of a month have in common."""
    return {
        **dict.fromkeys(_NEVER),
        "BillingAccountId": PROVIDER,
        "BillingAccountName": PROVIDER,
        "BillingCurrency": currency,
        "BillingPeriodEnd": start_of(month.end),
        "BillingPeriodStart": start_of(month.first),
        "InvoiceIssuerName": PROVIDER,
        "ProviderName": PROVIDER,
        "PublisherName": PROVIDER,
    }


def _row(line: LineRow, start: datetime, end: datetime) -> dict[str, Any]:
    """Return what a row has of its own."""
    metered, shared = line.origin == _METER, line.shared
    kind = KINDS[Resource(line.resource)] if metered else None
    per = kind.priced_in.get(line.pricing_unit, Decimal(1)) if kind is not None else Decimal(1)
    category = kind.category if kind is not None else "Other"
    if shared:
        category = "Management and Governance"
    # What a bill says of a day is one sum; a share of shared cost has neither quantity nor price.
    quantity = line.quantity if metered else None if shared else Decimal(1)
    unit_price = line.unit_price if metered else None if shared else line.list_cost
    sku = "/".join(part for part in (line.resource, line.sku) if part)
    who = f"{line.model} v{line.version}" if line.version else line.model or "nobody"
    place = "/".join(part for part in (line.environment, line.model, str(line.version or "")) if part)
    return {
        "BilledCost": line.cost,
        "ChargeCategory": "Adjustment" if shared else "Usage",
        "ChargeDescription": f"{'share of ' if shared else ''}{sku} of {who}",
        "ChargeFrequency": "Recurring" if shared else "Usage-Based",
        "ChargePeriodEnd": end,
        "ChargePeriodStart": start,
        "ConsumedQuantity": quantity,
        "ConsumedUnit": None if shared else kind.unit if kind is not None else _SUM,
        "ContractedCost": line.list_cost,
        "ContractedUnitPrice": unit_price,
        "EffectiveCost": line.cost,
        "ListCost": line.list_cost,
        "ListUnitPrice": unit_price,
        "PricingCategory": "Standard" if metered else None if shared else "Other",
        "PricingQuantity": None if quantity is None else (quantity / per).quantize(_PLACES),
        "PricingUnit": line.pricing_unit if metered else None if shared else _SUM,
        "ResourceId": place or None,
        "ResourceName": who if line.model else None,
        "ResourceType": "Model version" if line.version else ("Model" if line.model else None),
        "ServiceCategory": category,
        "ServiceName": line.activity or line.resource,
        "SkuId": sku,
        "SkuPriceId": f"{sku}/{line.pricing_unit or line.origin}",
        "SubAccountId": line.owner or None,
        "SubAccountName": line.owner or None,
        "Tags": json.dumps(_tags(line)),
    }


def _tags(line: LineRow) -> dict[str, Any]:
    tags = {
        "model": line.model,
        "version": line.version or None,
        "environment": line.environment or None,
        "activity": line.activity or None,
        "team": line.owner or None,
        "cost-centre": line.cost_centre or None,
        "shared": "true" if line.shared else None,
    }
    return {name: value for name, value in tags.items() if value is not None}


@cache
def _schema() -> "pa.Schema":
    import pyarrow as pa

    money, time = pa.decimal128(38, 9), pa.timestamp("us", "UTC")
    decimals = {
        "BilledCost", "ConsumedQuantity", "ContractedCost", "ContractedUnitPrice", "EffectiveCost", "ListCost", "ListUnitPrice",
        "PricingQuantity",
    }  # fmt: skip
    times = {"BillingPeriodEnd", "BillingPeriodStart", "ChargePeriodEnd", "ChargePeriodStart"}
    names = (
        "AvailabilityZone", "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd",
        "BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargeFrequency", "ChargePeriodEnd",
        "ChargePeriodStart", "CommitmentDiscountCategory", "CommitmentDiscountId", "CommitmentDiscountName",
        "CommitmentDiscountStatus", "CommitmentDiscountType", "ConsumedQuantity", "ConsumedUnit", "ContractedCost",
        "ContractedUnitPrice", "EffectiveCost", "InvoiceIssuerName", "ListCost", "ListUnitPrice", "PricingCategory",
        "PricingQuantity", "PricingUnit", "ProviderName", "PublisherName", "RegionId", "RegionName", "ResourceId", "ResourceName",
        "ResourceType", "ServiceCategory", "ServiceName", "SkuId", "SkuPriceId", "SubAccountId", "SubAccountName", "Tags",
    )  # fmt: skip
    return pa.schema([(name, money if name in decimals else time if name in times else pa.string()) for name in names])


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return f"{value:f}"
    return value.strftime("%Y-%m-%dT%H:%M:%SZ") if hasattr(value, "strftime") else str(value)
