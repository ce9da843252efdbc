"""What holds for every request, whichever route it goes to."""

import logging
import re
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from backend.app import create_app
from backend.core.config import Settings

API = "/api/ml-platform"


def test_every_answer_has_an_id_and_security_headers(backend: Any) -> None:
    for path in ("/healthz", f"{API}/identity/me", "/nowhere"):
        headers = backend.http.get(path).headers
        assert re.match(r"^[0-9a-f-]{36}$", headers["x-request-id"])
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in headers["content-security-policy"]
    assert backend.http.get("/healthz", headers={"X-Request-Id": "abc-1"}).headers["x-request-id"] == "abc-1"
    assert backend.http.get("/healthz", headers={"X-Request-Id": "a b"}).headers["x-request-id"] != "a b"


@pytest.mark.parametrize(
    ("method", "path", "status", "slug"),
    [
        ("GET", "/nowhere", 404, "not-found"),
        ("GET", f"{API}/registry/models/no-such-model", 404, "not-found"),
        ("DELETE", f"{API}/identity/me", 405, "method-not-allowed"),
        ("GET", f"{API}/registry/models?limit=0", 422, "invalid-input"),
        ("GET", f"{API}/registry/models?cursor=!!", 422, "invalid-input"),
        ("GET", f"{API}/audit/events?from=yesterday", 422, "invalid-input"),
    ],
)
def test_failures_are_problem_details(backend: Any, ada: Any, method: str, path: str, status: int, slug: str) -> None:
    answer = backend.http.request(method, path, headers=ada.headers)
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (answer.status_code, problem["status"], problem["type"]) == (
        status,
        status,
        f"urn:ml-platform:problem:{slug}",
    )
    assert problem["title"]
    assert problem["detail"]
    assert problem["instance"] == path.split("?")[0]


def test_each_fault_of_a_body_has_its_pointer(ada: Any) -> None:
    problem = ada.post("/identity/signing-keys", {"publicKey": 1, "extra": 2}).json()
    assert {error["pointer"] for error in problem["errors"]} == {"/publicKey", "/proof", "/extra"}
    answer = ada.http.post(
        f"{API}/identity/signing-keys", content=b"{", headers={**ada.headers, "Content-Type": "application/json"}
    )
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/")


def test_a_large_body_is_refused_announced_or_not(backend: Any, ada: Any) -> None:
    limit = backend.services.settings.limits.body_bytes
    announced = ada.http.post(f"{API}/identity/signing-keys", content=b"x" * (limit + 1), headers=ada.headers)
    chunked = ada.http.post(
        f"{API}/identity/signing-keys", content=iter([b"x" * 65536] * (limit // 65536 + 2)), headers=ada.headers
    )
    for answer in (announced, chunked):
        assert (answer.status_code, answer.json()["type"]) == (413, "urn:ml-platform:problem:payload-too-large")


def test_an_unexpected_error_tells_nothing_but_the_request_id(
    backend: Any, ada: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("the secret inside")

    monkeypatch.setattr(backend.services.registry, "models_out", broken)
    with caplog.at_level(logging.ERROR):
        answer = ada.get("/registry/models")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.json()["requestId"] == answer.headers["x-request-id"]
    assert any(record.exc_info for record in caplog.records)


def test_readiness_follows_the_database_and_health_does_not(backend: Any) -> None:
    assert backend.http.get("/readyz").status_code == 200
    database = backend.services.database
    ping, database.ping = database.ping, lambda: (_ for _ in ()).throw(OSError("gone"))
    assert (backend.http.get("/readyz").status_code, backend.http.get("/healthz").status_code) == (503, 200)
    database.ping = ping


def test_metrics_count_by_route_template(backend: Any, ada: Any) -> None:
    for name in ("one", "two"):
        ada.get(f"/registry/models/{name}")
    metrics = backend.http.get("/metrics").text
    counted = re.findall(
        r'ml_platform_http_requests_total\{method="GET",route="([^"]*models[^"]*)",status="404"\} (\S+)', metrics
    )
    assert [count for _, count in counted] == ["2.0"]
    assert "{name}" in counted[0][0]
    assert 'ml_platform_audit_events_total{type="ml-platform.identity.login.issued"}' in metrics


def test_what_is_public_is_a_short_list(backend: Any) -> None:
    document = backend.http.get("/openapi.json").json()
    public = {
        f"{method.upper()} {path}"
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if not operation.get("security")
    }
    assert public == {
        "GET /healthz",
        "GET /readyz",
        "GET /metrics",
        f"GET {API}/identity/.well-known/openid-configuration",
        f"GET {API}/identity/.well-known/jwks.json",
        f"POST {API}/identity/token",
    }


def test_every_route_is_described(backend: Any) -> None:
    document = backend.http.get("/openapi.json").json()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            place = f"{method} {path}"
            assert operation["summary"], place
            assert operation["tags"], place
            for status, response in operation["responses"].items():
                if status.startswith(("4", "5")):
                    assert list(response["content"]) == ["application/problem+json"], place


def test_migrations_make_exactly_the_tables_of_the_models(services: Any) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    import backend.deployments.models  # noqa: F401
    from backend.core.database import Base

    with services.database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_a_database_with_campaigns_in_it_is_brought_up_to_date(tmp_path: Path) -> None:
    from alembic import command
    from alembic.config import Config

    import backend.migrations
    from backend.core.database import Database

    database = Database(f"sqlite:///{tmp_path}/platform.db")
    config = Config()
    config.set_main_option("script_location", str(Path(backend.migrations.__file__).parent))
    with database.engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0009")
        campaign = {"at": "2026-03-01 12:00:00+00:00"}
        connection.execute(
            text(
                "INSERT INTO campaigns (id, template, version, waves, parallelism, state, wave, advanced, collected, "
                "keep_requests, requested_by, requested_at) VALUES ('c', 't', 'v1', '[3]', 4, 'running', 0, 0, 0, 0, 'u', :at)"
            ),
            campaign,
        )
        connection.execute(
            text(
                "INSERT INTO campaign_members (campaign_id, position, host, org, name, wave, state, conflicts, updated_at) "
                "VALUES ('c', 0, 'local', 'models', 'churn', 0, 'pending', '[]', :at)"
            ),
            campaign,
        )
        connection.commit()
        command.upgrade(config, "head")
        found = connection.execute(text("SELECT repository, m.name FROM campaigns JOIN campaign_members m")).one()
        assert tuple(found) == ("", "churn")
    database.close()


def test_writers_wait_for_each_other(services: Any) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def count(_: int) -> None:
        with services.database.write() as session:
            value = session.execute(text("SELECT count(*) FROM idempotent_writes")).scalar_one()
            session.execute(
                text("INSERT INTO idempotent_writes VALUES ('p', :key, 'r', 200, :body, :at)"),
                {"key": f"{value}-{_}", "body": b"", "at": "2026-03-01 12:00:00+00:00"},
            )

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(40)))
    with services.database.read() as session:
        assert session.execute(text("SELECT count(*) FROM idempotent_writes")).scalar_one() == 40


PORTAL = "http://127.0.0.1:7007"


def test_a_page_of_backstage_may_ask_before_it_has_a_token(backend: Any, ada: Any) -> None:
    before = len(ada.events(type="ml-platform.deployments."))
    answer = backend.http.options(
        f"{API}/deployments",
        headers={
            "Origin": PORTAL,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type,idempotency-key,if-none-match,last-event-id",
        },
    )
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == PORTAL
    assert {"GET", "POST", "PUT", "DELETE"} == set(answer.headers["access-control-allow-methods"].split(", "))
    assert "access-control-allow-credentials" not in answer.headers
    assert len(ada.events(type="ml-platform.deployments.")) == before


@pytest.mark.parametrize(
    ("origin", "method", "header"),
    [
        ("http://evil.example", "GET", "authorization"),
        ("http://127.0.0.1:7007.evil.example", "GET", "authorization"),
        ("null", "GET", "authorization"),
        (PORTAL, "PATCH", "authorization"),
        (PORTAL, "GET", "x-other"),
    ],
)
def test_other_pages_and_other_requests_are_not_allowed(backend: Any, origin: str, method: str, header: str) -> None:
    asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": header}
    answer = backend.http.options(f"{API}/deployments", headers={"Origin": origin, **asked})
    assert answer.status_code == 400
    if origin != PORTAL:
        assert "access-control-allow-origin" not in answer.headers


def test_a_page_can_read_errors_too(backend: Any, ada: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr("backend.registry.service.RegistryService.get_model", broken)
    for path, headers, status in (
        ("/identity/me", {}, 401),
        ("/nowhere", ada.headers, 404),
        ("/registry/models/wine", ada.headers, 500),
        ("/identity/me", ada.headers, 200),
    ):
        answer = backend.http.get(f"{API}{path}", headers={**headers, "Origin": PORTAL})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (status, PORTAL)
        exposed = set(answer.headers["access-control-expose-headers"].lower().split(", "))
        assert exposed == {"etag", "retry-after", "location", "x-request-id"}
        assert "Origin" in answer.headers["vary"]
        stranger = backend.http.get(f"{API}{path}", headers={**headers, "Origin": "http://evil.example"})
        assert "access-control-allow-origin" not in stranger.headers


def test_pages_of_a_portal_that_is_off_are_not_allowed(settings: Settings) -> None:
    off = settings.model_copy(update={"portal": settings.portal.model_copy(update={"enabled": False})})
    http = TestClient(create_app(off))
    answer = http.get("/healthz", headers={"Origin": PORTAL})
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers
