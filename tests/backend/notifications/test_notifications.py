"""The outbox: who is told what, with which file, and who may see it."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import ValidationError
from sqlalchemy import text

from backend.app import create_app
from backend.compliance.checks.base import Deviation, Result
from backend.core.config import Settings
from backend.core.config_observability import ObservabilitySettings
from backend.core.container import Services
from backend.notifications.models import Notification
from backend.notifications.service import Notice
from tests.conftest import SetClock
from tests.marks import on_one_database

from ..conftest import SPEC, Backend, make_settings
from ..pager import Pager, answering
from ..versions import put_version

pytestmark = pytest.mark.slow

RISK, PLATFORM = "group:default/risk", "group:default/platform"


@pytest.fixture
def pager() -> Iterator[type[Pager]]:
    with answering() as one:
        yield one


@pytest.fixture
def settings(tmp_path: Path, database_url: str, pager: type[Pager]) -> Settings:
    url = f"json://127.0.0.1:{pager.port}/"
    both = ["ticket", "info"]
    targets: list[dict[str, Any]] = [
        {"name": "pages", "url": url},
        {"name": "risk", "url": url, "severities": both, "groups": ["group:default/Risk"]},
        {"name": "reports", "url": url, "severities": both, "kinds": ["cost-report"]},
        {"name": "platform", "url": url, "severities": both, "groups": [PLATFORM]},
    ]
    return make_settings(tmp_path / "home", database_url, notifications={"targets": targets})


@pytest.fixture
def backend(settings: Settings, set_clock: SetClock) -> Iterator[Backend]:
    app = create_app(settings, clock=set_clock)
    yield Backend(TestClient(app, raise_server_exceptions=False), app.state.services)
    app.state.services.database.close()


def notice(**changes: Any) -> Notice:
    said: dict[str, Any] = {
        "kind": "budget", "subject": "budget:team/x", "event": "warned", "owner": RISK, "severity": "ticket",
        "title": "half of it is gone", "lines": ["one", "two"], **changes,
    }  # fmt: skip
    return Notice(**said)


def tell(services: Services, *notices: Notice, once: bool = False) -> list[str]:
    """Return which targets are told of what was not told before."""
    with services.database.write() as session:
        before = {one.id for one in session.query(Notification)}
        for one in notices:
            services.notifications.tell(session, one, once=once)
        session.flush()
        return sorted(one.target for one in session.query(Notification) if one.id not in before)


def test_targets_say_what_they_want(backend: Backend) -> None:
    services = backend.services
    assert tell(services, notice()) == ["risk"]
    assert tell(services, notice(severity="page")) == ["pages"]
    assert tell(services, notice(owner="group:default/search")) == []
    assert tell(services, notice(kind="cost-report", severity="info", owner="group:default/search")) == ["reports"]
    assert tell(services, notice(kind="cost-report", severity="info", owner=PLATFORM)) == ["platform", "reports"]


def test_a_step_that_is_called_again_tells_once(backend: Backend) -> None:
    assert tell(backend.services, notice(), once=True) == ["risk"]
    assert tell(backend.services, notice(), once=True) == []
    assert tell(backend.services, notice(event="exceeded"), once=True) == ["risk"]


@on_one_database
def test_a_file_goes_along_as_long_as_it_is_there(backend: Backend, pager: type[Pager]) -> None:
    services = backend.services
    (services.settings.home / "report.pdf").write_bytes(b"%PDF-1.7")
    tell(services, notice(attachment=Path("report.pdf")), notice(attachment=Path("gone.pdf")), notice())
    with services.database.read() as session:
        ids = [one.id for one in session.query(Notification).order_by(Notification.id)]
    for id in ids:
        services.notifications.make(id)
        services.notifications.make(id)  # as after a kill: it is sent already
    files = [[base64.b64decode(one["base64"]) for one in sent["attachments"]] for sent in pager.taken]
    assert files == [[b"%PDF-1.7"], [], []]
    assert {(sent["title"], sent["message"]) for sent in pager.taken} == {("[ticket] half of it is gone", "one\ntwo")}


@on_one_database
def test_administrators_see_who_was_told_what(backend: Backend) -> None:
    tell(backend.services, notice(), notice(kind="support"), notice(severity="page"))
    operator = backend.someone("operator")
    assert backend.someone("ada").get("/notifications").status_code == 403
    page = operator.get("/notifications", limit=2).json()
    assert [one["target"] for one in page["items"]] == ["pages", "risk"]
    rest = operator.get("/notifications", limit=2, cursor=page["nextCursor"]).json()["items"]
    assert [(one["kind"], one["subject"], one["state"], one["attempt"]) for one in rest] == [
        ("budget", "budget:team/x", "pending", 1)
    ]
    assert len(operator.get("/notifications", kind="support").json()["items"]) == 1
    assert operator.get("/notifications", state="sent").json()["items"] == []
    assert operator.get("/notifications", kind="weather").status_code == 422


def test_a_control_that_fails_is_told_to_whose_model_it_is_and_to_the_platform(
    backend: Backend, tmp_path: Path
) -> None:
    services = backend.services
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "MLmodel").write_text("{}")
    for name in ("wine", "beer"):
        put_version(services, 1, {**SPEC, "name": name}, tmp_path / "model")

    def keep(*models: str) -> list[tuple[str, str]]:
        found = tuple(Deviation(f"model:{one}", f"{one} is not approved", None, one) for one in models)
        with services.database.write() as session:
            before = {one.id for one in session.query(Notification)}
            services.controls.keep(session, {"deployments.approved": Result(2, found)})
            session.flush()
            new = [one for one in session.query(Notification).order_by(Notification.id) if one.id not in before]
        return sorted((one.target, one.body.splitlines()[0]) for one in new)

    assert keep() == []
    assert keep("wine") == [("platform", "1 of 2: wine is not approved"), ("risk", "wine is not approved")]
    assert keep("wine") == [], "what was told is not told again"
    assert keep("wine", "beer") == [("risk", "beer is not approved")]
    assert keep() == []
    with services.database.read() as session:
        told = session.query(Notification).filter(Notification.target == "platform").one()
    assert told.title == "[ticket] failing: Where approval is demanded, somebody approved"


def test_overdue_access_reviews_are_told(backend: Backend, set_clock: SetClock) -> None:
    from catalog.own import OwnSources

    services = backend.services
    OwnSources(services).sync()
    with services.database.write() as session:
        review = services.reviews.open(session, "service:ml-platform", "March 2026")
        id = review.id
    reviews = services.settings.access.reviews
    titles = []
    for wait in (reviews.remind_after, reviews.escalate_after, reviews.expire_after):
        opened = set_clock.moment.replace(day=1, hour=12, month=3)
        set_clock.moment = opened + wait
        with services.database.write() as session:
            while services.reviews.advance(session, id):
                pass
        with services.database.read() as session:
            told = session.query(Notification).order_by(Notification.id).all()
        titles.append(sorted({(one.target, one.event) for one in told}))
    assert ("risk", "reminded") in titles[0]
    assert ("platform", "escalated") in titles[1]
    assert ("risk", "escalated") not in titles[1]
    assert ("platform", "expired") in titles[2]


@pytest.mark.parametrize(("key", "value"), [("notifications", []), ("notifyFor", "1d")])
def test_where_the_settings_went_is_said(key: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=f"{key} is now mlPlatform.notifications"):
        ObservabilitySettings.model_validate({key: value})


def test_notifications_and_findings_of_an_older_platform_stay(database_url: str) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    import backend.migrations
    from backend.compliance.models import FailingModel
    from backend.core.database import Database

    database = Database(database_url)
    config = Config()
    config.set_main_option("script_location", str(Path(backend.migrations.__file__).parent))
    before = str(ScriptDirectory.from_config(config).get_revision("0022").down_revision)
    at = "2026-03-01 12:00:00+00:00"
    with database.engine.connect() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, before)
        for statement in (
            "INSERT INTO notifications (id, incident_id, target, event, title, body, attempt, state, asked_at, due_at) "
            "VALUES ('n', 'i', 'pager', 'opened', 't', 'b', 1, 'pending', :at, :at)",
            'INSERT INTO compliance_checks ("check", state, summary, examined, exceptions, evaluated_at, since) '
            "VALUES ('c', 'failing', 's', 1, '[]', :at, :at)",
            "INSERT INTO compliance_failing_models (model, \"check\") VALUES ('wine', 'c')",
        ):
            connection.execute(text(statement), {"at": at})
        connection.commit()
        command.upgrade(config, "head")
        connection.commit()
    with database.read() as session:
        (row,) = session.query(Notification)
        (found,) = session.query(FailingModel)
    assert (row.kind, row.subject, row.severity, row.state) == ("incident", "incident:i", "page", "pending")
    assert found.since.isoformat() == "2026-03-01T12:00:00+00:00"
    with database.engine.connect() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, before)
        assert connection.execute(text("SELECT incident_id FROM notifications")).scalar_one() == "i"
    database.close()
