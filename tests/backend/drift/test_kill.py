"""kill -9 of the backend anywhere in a report: the next one makes it, once, with one incident and one line in the audit log."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.app import build_services
from backend.audit.models import AuditRow
from backend.audit.verify import verify_database
from backend.core.clock import SystemClock
from backend.core.config import Settings
from backend.drift.models import DriftReport
from backend.observability.models import Incident
from tests.backend.privacy.conftest import privacy_settings
from tests.killing import Forker, alive
from tests.waiting import wait_until

from .conftest import Cellar
from .drift_process import FOLLOWED

pytestmark = [pytest.mark.fault, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def backends() -> Iterator[Forker]:
    made = Forker("tests.backend.drift.drift_process")
    yield made
    made.close()


def cases(*points: str, on_postgres: tuple[str, ...]) -> pytest.MarkDecorator:
    """All points on SQLite, some on PostgreSQL."""
    found = [pytest.param("sqlite", point, id=f"sqlite-{point}") for point in points]
    found += [
        pytest.param("postgres", point, id=f"postgres-{point}", marks=pytest.mark.postgres) for point in on_postgres
    ]
    return pytest.mark.parametrize(("database_url", "kill_at"), found, indirect=["database_url"])


@cases("child:1", "judged:1", "kept:1", "made:1", on_postgres=("judged:1", "made:1"))
def test_a_report_is_made_once(settings: Settings, tmp_path: Path, backends: Forker, kill_at: str) -> None:
    settings = privacy_settings(settings.home, settings.database.url)
    services = build_services(settings, SystemClock())
    here = Cellar(services, SystemClock(), random.Random(4), None, [])  # type: ignore[arg-type]
    here.add(tmp_path, 1)
    here.make_live("wine", 1)
    here.serve(200, alcohol=16)
    with services.database.write() as session:
        id = services.drift.begin(session, "wine", "lab", 1)[0].id

    def found() -> DriftReport:
        with services.database.read() as session:
            return services.drift.get(session, id)

    file = tmp_path / "settings.json"
    file.write_text(settings.model_dump_json(by_alias=True))
    with backends.process(str(file), kill_at) as pid:
        wait_until(lambda: not alive(pid), 200)
    assert (found().state == "done") is (kill_at == "made:1")
    with backends.process(str(file), "never"):
        wait_until(lambda: (settings.home / FOLLOWED).exists(), 200, lambda: found().state)
    made = found()
    assert (made.outcome, made.rows) == ("drifted", 200)
    events = [kind for kind in _events(services) if kind.startswith("ml-platform.drift.")]
    assert events == ["ml-platform.drift.report.drifted"]
    with services.database.read() as session:
        (incident,) = session.query(Incident)
        assert set(incident.alerts) == {"DataDrift", "PredictionDrift"}
        assert session.query(DriftReport).count() == 1
    url = services.database.url.render_as_string(hide_password=False)
    assert verify_database(url, services.audit.key.public_key).valid
    services.database.close()


def _events(services: Any) -> list[str]:
    with services.database.read() as session:
        return [json.loads(row.event)["type"] for row in session.query(AuditRow).order_by(AuditRow.seq)]
