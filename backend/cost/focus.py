"""A month in the columns of FOCUS 1.0 (https://focus.finops.org), as Parquet or CSV."""

import io
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from backend.cost.models import CostDay
from backend.cost.periods import Month, start_of
from backend.cost.resources import KINDS, Resource

if TYPE_CHECKING:
    import pyarrow as pa

VERSION = "1.0"
PROVIDER = "ML platform"
_METER = "meter"
_SUM = "day"
_PLACES = Decimal("0.000000001")


def rows(lines: Iterable[CostDay], month: Month, currency: str) -> Iterator[dict[str, Any]]:
    """Yield the lines of a month as FOCUS has them. Usage that no price covers has no cost and is left out."""
    for line in lines:
        if line.origin == _METER and line.unit_price is None:
            continue
        yield _row(line, month, currency)


def table(lines: Iterable[CostDay], month: Month, currency: str) -> "pa.Table":
    """Return a month as an Arrow table, amounts as decimals."""
    import pyarrow as pa

    return pa.Table.from_pylist(list(rows(lines, month, currency)), schema=_schema())


def parquet(lines: Iterable[CostDay], month: Month, currency: str) -> bytes:
    """Return a month as a Parquet file."""
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(table(lines, month, currency), sink, compression="zstd")
    return sink.getvalue()


def csv(lines: Iterable[CostDay], month: Month, currency: str) -> bytes:
    """Return a month as CSV, times as FOCUS writes them."""
    import csv as csv_module

    sink = io.StringIO()
    writer = csv_module.DictWriter(sink, [field.name for field in _schema()])
    writer.writeheader()
    for row in rows(lines, month, currency):
        writer.writerow({name: _text(value) for name, value in row.items()})
    return sink.getvalue().encode()


def _row(line: CostDay, month: Month, currency: str) -> dict[str, Any]:
    metered = line.origin == _METER
    start = start_of(line.day)
    kind = KINDS[Resource(line.resource)] if metered else None
    per = kind.priced_in.get(line.pricing_unit, Decimal(1)) if kind is not None else Decimal(1)
    category = kind.category if kind is not None else "Other"
    if line.shared:
        category = "Management and Governance"
    # What a bill says of a day is one sum; a share of shared cost has neither quantity nor price.
    quantity = line.quantity if metered else None if line.shared else Decimal(1)
    unit_price = line.unit_price if metered else None if line.shared else line.list_cost
    sku = "/".join(part for part in (line.resource, line.sku) if part)
    tags: Mapping[str, Any] = {
        "model": line.model,
        "version": line.version or None,
        "environment": line.environment or None,
        "activity": line.activity or None,
        "team": line.owner or None,
        "cost-centre": line.cost_centre or None,
        "shared": "true" if line.shared else None,
    }
    who = f"{line.model} v{line.version}" if line.version else line.model or "nobody"
    return {
        "AvailabilityZone": None,
        "BilledCost": line.cost,
        "BillingAccountId": PROVIDER,
        "BillingAccountName": PROVIDER,
        "BillingCurrency": currency,
        "BillingPeriodEnd": start_of(month.end),
        "BillingPeriodStart": start_of(month.first),
        "ChargeCategory": "Adjustment" if line.shared else "Usage",
        "ChargeClass": None,
        "ChargeDescription": f"{'share of ' if line.shared else ''}{sku} of {who}",
        "ChargeFrequency": "Usage-Based" if not line.shared else "Recurring",
        "ChargePeriodEnd": start + timedelta(days=1),
        "ChargePeriodStart": start,
        "CommitmentDiscountCategory": None,
        "CommitmentDiscountId": None,
        "CommitmentDiscountName": None,
        "CommitmentDiscountStatus": None,
        "CommitmentDiscountType": None,
        "ConsumedQuantity": quantity,
        "ConsumedUnit": None if line.shared else kind.unit if kind is not None else _SUM,
        "ContractedCost": line.list_cost,
        "ContractedUnitPrice": unit_price,
        "EffectiveCost": line.cost,
        "InvoiceIssuerName": PROVIDER,
        "ListCost": line.list_cost,
        "ListUnitPrice": unit_price,
        "PricingCategory": "Standard" if metered else None if line.shared else "Other",
        "PricingQuantity": None if quantity is None else (quantity / per).quantize(_PLACES),
        "PricingUnit": line.pricing_unit if metered else None if line.shared else _SUM,
        "ProviderName": PROVIDER,
        "PublisherName": PROVIDER,
        "RegionId": None,
        "RegionName": None,
        "ResourceId": "/".join(part for part in (line.environment, line.model, str(line.version or "")) if part)
        or None,
        "ResourceName": who if line.model else None,
        "ResourceType": "Model version" if line.version else ("Model" if line.model else None),
        "ServiceCategory": category,
        "ServiceName": line.activity or line.resource,
        "SkuId": sku,
        "SkuPriceId": f"{sku}/{line.pricing_unit or line.origin}",
        "SubAccountId": line.owner or None,
        "SubAccountName": line.owner or None,
        "Tags": json.dumps({name: value for name, value in tags.items() if value is not None}),
    }


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
