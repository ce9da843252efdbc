"""A platform whose clock is moved by hand, with data of every class, and what tests ask of its access."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from backend.app import build_services, create_app
from backend.core.config import Settings
from backend.core.container import Services
from backend.identity.principal import Principal, PrincipalKind
from backend.registry.models import ModelRow
from catalog.entities import Resource
from catalog.models import LocationState
from catalog.reader import Reading
from catalog.service import Found, Place
from tests.conftest import SetClock
from tests.waiting import wait_until

from ..conftest import Backend, Someone, make_settings

RISK, SEARCH, PLATFORM_TEAM = "group:default/risk", "group:default/search", "group:default/platform"
REASON = "training churn v7 on the spring data"
DATASETS = {
    "weather": "public",
    "prices": "internal",
    "contracts": "confidential",
    "customers": "pii",
    "health": "sensitive-pii",
    "unlabelled": None,
}


def person(name: str, *groups: str, ref: str | None = None, on_behalf_of: str | None = None) -> Principal:
    """A verified caller, as the identity domain hands them on."""
    full = ref or f"user:default/{name}"
    kind = PrincipalKind(full.partition(":")[0])
    until = datetime(2100, 1, 1, tzinfo=UTC)
    return Principal(kind, full, frozenset(groups), "test", until, on_behalf_of=on_behalf_of)


ADA, GRACE = person("ada", RISK), person("grace", RISK)
EDSGER, OPERATOR = person("edsger", SEARCH), person("operator", PLATFORM_TEAM)
CI = person("", ref="repository:local/wine", on_behalf_of="user:default/ada")


def add_data(services: Services) -> None:
    """Put a model and the datasets into the tables, owned by risk."""
    documents = []
    for name, classification in DATASETS.items():
        labels = {} if classification is None else {"ml-platform/classification": classification}
        documents.append(
            {
                "apiVersion": "backstage.io/v1alpha1",
                "kind": "Resource",
                "metadata": {"name": name, "labels": labels},
                "spec": {"type": "dataset", "owner": RISK},
            }
        )
    reading = Reading(entities=[Resource.model_validate(one) for one in documents], documents=documents)
    with services.database.write() as session:
        found = Found(LocationState.FRESH, reading)
        services.catalog.register(session, "service:test", Place("local", "models", "data"), found)
        session.add(
            ModelRow(
                name="wine", type="realtime", owner=RISK, system=None, tier=2, cost_centre="CC-42",
                repository="local/wine", created_at=services.clock.now(), created_by="user:default/ada",
            )
        )  # fmt: skip


@pytest.fixture
def access_settings() -> dict[str, Any]:
    """What a test's ``mlPlatform.access`` holds; overridden where something else is wanted."""
    return {}


@pytest.fixture
def settings(settings: Settings, access_settings: dict[str, Any]) -> Settings:
    return make_settings(settings.home, settings.database.url, access=access_settings)


@pytest.fixture
def services(settings: Settings, set_clock: SetClock) -> Iterator[Services]:
    """The services without HTTP and without the runtime, which tests drive step by step."""
    built = build_services(settings, set_clock)
    add_data(built)
    yield built
    built.database.close()


@dataclass
class House:
    """A running backend and its clock."""

    backend: Backend
    services: Services
    clock: SetClock

    def someone(self, name: str) -> Someone:
        return self.backend.someone(name)

    def check(self, who: Someone, resource: str, purpose: str | None = None, action: str = "read") -> dict[str, Any]:
        answer = who.post("/access/decisions", {"action": action, "resource": resource, "purpose": purpose})
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.json()
        return document

    def until_state(self, who: Someone, path: str, state: str) -> dict[str, Any]:
        found: dict[str, Any] = {}

        def reached() -> bool:
            nonlocal found
            found = who.get(path).json()
            return found.get("state") == state

        wait_until(reached, 60, lambda: str(found))
        return found


@pytest.fixture
def house(settings: Settings, set_clock: SetClock) -> Iterator[House]:
    app = create_app(settings, clock=set_clock)
    add_data(app.state.services)
    with TestClient(app, raise_server_exceptions=False) as http:
        yield House(Backend(http, app.state.services), app.state.services, set_clock)


DAY = timedelta(days=1)
