"""A month in the columns of FOCUS 1.0 (https://focus.finops.org), as Parquet or CSV."""

import io
import json
from collections.abc import Iterable, Sequence
from decimal import Decimal
from functools import cache
from operator import attrgetter
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
_ONE = Decimal(1)
_named = attrgetter(
    "origin",
    "shared",
    "model",
    "version",
    "environment",
    "activity",
    "resource",
    "sku",
    "pricing_unit",
    "owner",
    "cost_centre",
)
"""What of a line is in words, in the order in which :func:`_words` takes it."""
_NEVER = (
    "AvailabilityZone", "ChargeClass", "CommitmentDiscountCategory", "CommitmentDiscountId", "CommitmentDiscountName",
    "CommitmentDiscountStatus", "CommitmentDiscountType", "RegionId", "RegionName",
)  # fmt: skip
"""Columns that FOCUS demands and that say nothing here."""


def table(lines: Iterable[LineRow], month: Month, currency: str) -> "pa.Table":
    """Return the lines of a month as an Arrow table, amounts as decimals.

    Usage that no price covers has no cost and is left out.
    """
    import pyarrow as pa

    kept = [line for line in lines if line.origin != _METER or line.unit_price is not None]
    same, amounts = _same(month, currency), _amounts(kept)
    # What is in words is the same on every day of a month: it is made once, and each line says which it has.
    known: dict[tuple[Any, ...], int] = {}
    which = pa.array([known.setdefault(_named(line), len(known)) for line in kept], pa.int32())
    words = [_words(*one) for one in known]
    columns = []
    for field in _schema():
        if field.name in same:
            columns.append(pa.repeat(pa.scalar(same[field.name], field.type), len(kept)))
        elif field.name in amounts:
            columns.append(pa.array(amounts[field.name], field.type))
        else:
            columns.append(pa.array([one[field.name] for one in words], field.type).take(which))
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
    for batch in table(lines, month, currency).to_batches(max_chunksize=10_000):
        writer.writerows({name: _text(value) for name, value in row.items()} for row in batch.to_pylist())
    return sink.getvalue().encode()


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


def _amounts(lines: Sequence[LineRow]) -> dict[str, list[Any]]:
    """Return amounts and times of lines, by column."""
    days = {day: (start_of(day), start_of(day + DAY)) for day in {line.day for line in lines}}
    quantities, prices, priced = [], [], []
    for line in lines:
        metered, shared = line.origin == _METER, line.shared
        # What a bill says of a day is one sum; a share of shared cost has neither quantity nor price.
        quantity = line.quantity if metered else None if shared else _ONE
        quantities.append(quantity)
        prices.append(line.unit_price if metered else None if shared else line.list_cost)
        per = KINDS[Resource(line.resource)].priced_in.get(line.pricing_unit) if metered else None
        priced.append(quantity if per is None or quantity is None else (quantity / per).quantize(_PLACES))
    cost, list_cost = [line.cost for line in lines], [line.list_cost for line in lines]
    return {
        "BilledCost": cost,
        "ChargePeriodEnd": [days[line.day][1] for line in lines],
        "ChargePeriodStart": [days[line.day][0] for line in lines],
        "ConsumedQuantity": quantities,
        "ContractedCost": list_cost,
        "ContractedUnitPrice": prices,
        "EffectiveCost": cost,
        "ListCost": list_cost,
        "ListUnitPrice": prices,
        "PricingQuantity": priced,
    }


def _words(
    origin: str,
    shared: bool,
    model: str,
    version: int,
    environment: str,
    activity: str,
    resource: str,
    sku: str,
    pricing_unit: str,
    owner: str,
    cost_centre: str,
) -> dict[str, Any]:
    """Return what a row says besides amounts and times."""
    metered = origin == _METER
    kind = KINDS[Resource(resource)] if metered else None
    category = kind.category if kind is not None else "Other"
    what = "/".join(part for part in (resource, sku) if part)
    who = f"{model} v{version}" if version else model or "nobody"
    place = "/".join(part for part in (environment, model, str(version or "")) if part)
    tags = {
        "model": model,
        "version": version or None,
        "environment": environment or None,
        "activity": activity or None,
        "team": owner or None,
        "cost-centre": cost_centre or None,
        "shared": "true" if shared else None,
    }
    return {
        "ChargeCategory": "Adjustment" if shared else "Usage",
        "ChargeDescription": f"{'share of ' if shared else ''}{what} of {who}",
        "ChargeFrequency": "Recurring" if shared else "Usage-Based",
        "ConsumedUnit": None if shared else kind.unit if kind is not None else _SUM,
        "PricingCategory": "Standard" if metered else None if shared else "Other",
        "PricingUnit": pricing_unit if metered else None if shared else _SUM,
        "ResourceId": place or None,
        "ResourceName": who if model else None,
        "ResourceType": "Model version" if version else ("Model" if model else None),
        "ServiceCategory": "Management and Governance" if shared else category,
        "ServiceName": activity or resource,
        "SkuId": what,
        "SkuPriceId": f"{what}/{pricing_unit or origin}",
        "SubAccountId": owner or None,
        "SubAccountName": owner or None,
        "Tags": json.dumps({name: value for name, value in tags.items() if value is not None}),
    }


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
