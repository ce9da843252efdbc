"""A platform with two models whose clock stands still, and usage for them."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from backend.app import build_services
from backend.core.config import Settings
from backend.core.container import Services
from backend.cost.resources import Activity, Resource
from backend.cost.usage import Usage
from tests.conftest import SetClock

from ..conftest import SPEC, make_settings
from ..versions import put_version

PRICES = [
    {"resource": "cpu", "unit": "core-hour", "price": "0.04"},
    {"resource": "cpu-unused", "unit": "core-hour", "price": "0.04"},
    {"resource": "memory", "unit": "GiB-hour", "price": "0.005"},
    {"resource": "memory-unused", "unit": "GiB-hour", "price": "0.005"},
    {"resource": "requests", "unit": "million-requests", "price": "0"},
    {"resource": "rows", "unit": "million-rows", "price": "0"},
    {"resource": "training", "unit": "training-hour", "price": "1"},
]


@pytest.fixture
def clock() -> SetClock:
    made = SetClock()
    made.moment = datetime(2028, 2, 20, 12, 0, tzinfo=UTC)
    return made


@pytest.fixture
def cost_settings() -> dict[str, Any]:
    """What a test may change before the platform is made."""
    return {"prices": PRICES}


@pytest.fixture
def settings(tmp_path: Path, database_url: str, cost_settings: dict[str, Any]) -> Settings:
    target = {
        "name": "risk",
        "url": "json://127.0.0.1:1/",
        "severities": ["ticket", "info"],
        "groups": ["group:default/risk"],
    }
    return make_settings(tmp_path / "home", database_url, cost=cost_settings, notifications={"targets": [target]})


@pytest.fixture
def services(settings: Settings, clock: SetClock, tmp_path: Path) -> Iterator[Services]:
    built = build_services(settings, clock)
    model = tmp_path / "model"
    model.mkdir()
    (model / "MLmodel").write_text("{}")
    for number, name in enumerate(("wine", "beer"), 1):
        put_version(built, number, {**SPEC, "name": name}, model)
    yield built
    built.database.close()


@pytest.fixture
def use(services: Services) -> Callable[..., None]:
    """Write usage down and make the lines of its days."""

    def used(
        day: datetime,
        quantity: str,
        *,
        model: str = "wine",
        resource: Resource = Resource.CPU,
        version: int = 1,
        environment: str = "production",
        activity: Activity = Activity.SERVING,
        sku: str = "",
        id: str | None = None,
    ) -> None:
        record = Usage(
            id=id or f"{model}-{resource}-{version}-{environment}-{day.isoformat()}-{quantity}",
            model=model,
            resource=resource,
            quantity=Decimal(quantity),
            started_at=day,
            ended_at=day + timedelta(minutes=30),
            activity=activity,
            version=version,
            environment=environment,
            sku=sku,
        )
        with services.database.write() as session:
            services.cost.usage.take(session, "test", [record])
        refresh(services)

    return used


def refresh(services: Services) -> None:
    """Make all lines anew that have to be."""
    from backend.cost import repository

    with services.database.read() as session:
        days = repository.dirty(session)
    for day in days:
        with services.database.write() as session:
            services.cost.refresh(session, day)
