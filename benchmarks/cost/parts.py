"""What is measured, each part in a process of its own."""

import json
import multiprocessing
import resource
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
from sqlalchemy import insert

from backend.app import build_services
from backend.core.config import Settings
from backend.core.container import Services
from backend.cost import focus, repository
from backend.cost.periods import Month
from backend.cost.resources import Activity, Resource
from backend.cost.schemas import UsageBatchIn
from backend.registry.models import ModelRow

MODELS = 500
MONTH = Month(2028, 2)
NOW = datetime(2028, 3, 1, 6, tzinfo=UTC)
BATCH = 10_000
RESOURCES = (Resource.CPU, Resource.MEMORY, Resource.REQUESTS)


class Clock:
    def now(self) -> datetime:
        return NOW


def apart(work: Callable[..., dict[str, float]], *arguments: Any) -> dict[str, float]:
    """Measure in a process of its own, whose peak of memory is that of the work alone."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measured, (work, arguments))


def _measured(work: Callable[..., dict[str, float]], arguments: tuple[Any, ...]) -> dict[str, float]:
    found = work(*arguments)
    return {**found, "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def make_bill(path: Path, rows: int) -> None:
    """A tenth of the rows names no model."""
    with duckdb.connect() as database:
        database.execute(
            f"""
            COPY (
                SELECT CAST((hash(i) % 1000000) / 1e7 AS DECIMAL(20, 10)) AS BilledCost, 'USD' AS BillingCurrency,
                    TIMESTAMP '2028-02-01' AS BillingPeriodStart,
                    TIMESTAMP '2028-02-01' + to_hours(CAST(hash(i + 1) % (29 * 24) AS BIGINT)) AS ChargePeriodStart,
                    'Service ' || (hash(i + 2) % 8) AS ServiceName,
                    CASE WHEN i % 10 = 0 THEN '{{}}' ELSE '{{"ml-platform-model": "model-' || (hash(i + 3) % {MODELS})
                        || '", "ml-platform-environment": "production"}}' END AS Tags
                FROM range({rows}) AS numbers(i)
            ) TO '{path}' (FORMAT parquet)
            """
        )


def platform(home: Path) -> Services:
    settings = Settings.model_validate({"home": str(home), "mlflow": {"embedded": False}})
    services = build_services(settings, Clock())
    row = {
        "description": "", "type": "realtime", "owner": "group:default/risk", "system": None, "tier": 2, "cost_centre": "CC",
        "repository": "local/x", "created_at": NOW, "created_by": "user:default/ada",
    }  # fmt: skip
    with services.database.write() as session:
        session.execute(insert(ModelRow), [{**row, "name": f"model-{number}"} for number in range(MODELS)])
    return services


def ingest(home: Path, records: int) -> dict[str, float]:
    services = platform(home)
    checked = whole = 0.0
    for first in range(0, records, BATCH):
        body = json.dumps({"records": [_record(number) for number in range(first, first + BATCH)]})
        before = time.perf_counter()
        usage = [one.as_usage() for one in UsageBatchIn.model_validate_json(body).records]
        checked += time.perf_counter() - before
        with services.database.write() as session:
            services.cost.usage.take(session, "bench", usage)
        whole += time.perf_counter() - before
    return {"rate": records / whole, "checked": records / checked}


def _record(number: int) -> dict[str, Any]:
    end = NOW - timedelta(minutes=number % 1440)
    return {
        "id": f"meter-{number}",
        "model": f"model-{number % MODELS}",
        "environment": "production",
        "activity": Activity.SERVING,
        "resource": RESOURCES[number % 3],
        "quantity": f"{number % 60}.125",
        "start": (end - timedelta(minutes=1)).isoformat(),
        "end": end.isoformat(),
    }


def month_end(home: Path, bill: Path) -> dict[str, float]:
    services = platform(home)
    started = time.perf_counter()
    read = services.cost.bills.read(bill, MONTH)
    with services.database.write() as session:
        services.cost.bills.keep(session, "bench", month=MONTH, provider="aws", origin="bill", read=read)
    for day in MONTH:
        with services.database.write() as session:
            services.cost.refresh(session, day)
    with services.database.read() as session:
        summary = services.cost.summary(session, MONTH, "model")
        lines = repository.lines(session, MONTH.first, MONTH.end)
        content = focus.parquet(lines, MONTH, "USD")
    seconds = time.perf_counter() - started
    assert sum(line.cost for line in lines) == sum((part.cost for part in read.parts), Decimal(0)).quantize(
        Decimal("1e-9")
    )
    return {"seconds": seconds, "total": float(summary.total), "lines": len(lines), "bytes": len(content)}


def with_pandas(bill: Path) -> dict[str, float]:
    import pandas as pd

    started = time.perf_counter()
    frame = pd.read_parquet(bill, dtype_backend="pyarrow")
    frame["cost"] = frame["BilledCost"].astype(float)
    frame["day"] = frame["ChargePeriodStart"].dt.floor("D")
    names = {text: json.loads(text).get("ml-platform-model", "") for text in frame["Tags"].unique()}
    frame["model"] = frame["Tags"].map(names)
    sums = frame.groupby(["day", "model", "ServiceName"])["cost"].sum().reset_index()
    direct, shared = sums[sums["model"] != ""], sums[sums["model"] == ""]
    weights = direct.groupby(["day", "model"])["cost"].sum()
    weights = (weights / weights.groupby(level="day").transform("sum")).rename("weight").reset_index()
    split = shared.drop(columns="model").merge(weights, on="day")
    split["cost"] *= split["weight"]
    lines = pd.concat([direct, split[["day", "model", "ServiceName", "cost"]]])
    lines.to_parquet(bill.with_name("pandas.parquet"))
    by_model = lines.groupby("model")["cost"].sum().round(2)
    return {"seconds": time.perf_counter() - started, "total": float(lines["cost"].sum()), "lines": len(by_model)}
