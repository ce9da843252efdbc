"""The embedded MLflow behind the platform's door: who gets in, and what answers there."""

import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.backend.registry.conftest import PUBLIC_NAME, REFUSED, Server

pytestmark = pytest.mark.slow


def test_nobody_gets_in_without_a_token(server: Server) -> None:
    with server.mlflow(None) as anonymous:
        for path in (
            "/api/2.0/mlflow/experiments/search?max_results=5",
            "/ajax-api/2.0/mlflow/experiments/search?max_results=5",
        ):
            answer = anonymous.get(path)
            assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
        answer = anonymous.get(path, headers={"Authorization": "Bearer a.b.c"})
        assert answer.status_code == 401


def test_it_answers_under_the_platforms_own_name_and_no_other(server: Server) -> None:
    with server.mlflow("ada") as ada:
        for name, status in ((PUBLIC_NAME, 200), ("elsewhere.example.com", 403)):
            headers = {"Host": name, "Origin": f"https://{name}"}
            body = {"max_results": 1}
            answer = ada.post("/ajax-api/2.0/mlflow/experiments/search", json=body, headers=headers)
            assert answer.status_code == status, answer.text


def test_a_refused_token_stops_nobody_else_while_the_database_is_locked(server: Server) -> None:
    """Refusing a token writes an audit event, which may have to wait for the database: not on the event loop."""
    lock = sqlite3.connect(server.home / "platform.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    junk_token = {"Authorization": "Bearer junk"}
    with server.mlflow(None) as stranger, ThreadPoolExecutor() as pool:
        try:
            junk = pool.submit(stranger.get, "/api/2.0/mlflow/experiments/search", headers=junk_token)
            signing_in = pool.submit(stranger.post, "/sign-in", data={"token": "junk"})
            time.sleep(1)
            assert httpx.get(f"{server.url}/healthz", timeout=10).status_code == 200
            assert not junk.done()
            assert not signing_in.done()
        finally:
            lock.execute("ROLLBACK")
            lock.close()
        assert (junk.result().status_code, signing_in.result().status_code) == (401, 401)
    refused = server.events("ml-platform.identity.access.refused")[-1]
    assert refused["data"]["source"] == "127.0.0.1"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "registered-models/alias", {"name": "wine", "alias": "champion", "version": "1"}),
        ("DELETE", "registered-models/alias", {"name": "wine", "alias": "champion"}),
        ("POST", "registered-models/create", {"name": "side-door"}),
        ("DELETE", "registered-models/delete", {"name": "wine"}),
        ("POST", "registered-models/rename", {"name": "wine", "new_name": "beer"}),
        ("DELETE", "model-versions/delete", {"name": "wine", "version": "1"}),
        ("POST", "model-versions/create", {"name": "wine", "source": "x"}),
    ],
)
@pytest.mark.parametrize("prefix", ["api/2.0/mlflow", "ajax-api/2.0/mlflow", "api/2.0/preview/mlflow"])
def test_the_registry_is_not_written_through_the_side_door(
    server: Server, prefix: str, method: str, path: str, body: dict[str, str]
) -> None:
    name = server.newcomer()
    with server.mlflow(name) as stranger:
        answer = stranger.request(method, f"/{prefix}/{path}", json=body, follow_redirects=True)
    assert (answer.status_code, answer.headers["content-type"]) == (403, "application/problem+json")
    (event,) = server.events(REFUSED, actor=name)
    assert (event["data"]["method"], event["data"]["source"]) == (method, "127.0.0.1")
    assert event["data"]["path"] == f"/{prefix}/{path}"


@pytest.mark.parametrize(
    "path",
    [
        "/ajax-api/3.0/mlflow/assistant/config",
        "/ajax-api/3.0/mlflow/assistant/message",
        "/ajax-api/2.0/mlflow/webhooks/list",
        "/api/2.0/mlflow/webhooks/create",
        "/ajax-api/2.0/mlflow/gateway-proxy",
        "/gateway/anything/mlflow/invocations",
        "/ajax-api/3.0/jobs/",
        "/ajax-api/3.0/mlflow/gateway/endpoints/list",
        "/ajax-api/2.0/mlflow/upload-artifact?run_uuid=x&path=note.txt",
        "/ajax-api/2.0/mlflow/runs/create-promptlab-run",
        "/ajax-api/3.0/mlflow/issues/invoke",
        "/api/2.0/mlflow/artifacts/presigned-upload-url",
        "/api/2.0/mlflow-artifacts/mpu/create/0/x/artifacts/note.txt",
        "/api/3.0/mlflow/mcp-servers",
        "/ajax-api/3.0/mlflow/made-up-by-a-later-release",
    ],
)
def test_what_a_tracking_server_does_not_need_does_not_answer(server: Server, path: str) -> None:
    name = server.newcomer()
    with server.mlflow(name) as stranger:
        for method in ("GET", "POST"):
            answer = stranger.request(method, path, json={}, follow_redirects=True)
            assert (answer.status_code, answer.headers["content-type"]) == (403, "application/problem+json"), method
    assert [event["data"]["method"] for event in server.events(REFUSED, actor=name)] == [
        "GET",
        "POST",
    ]


@pytest.mark.parametrize(
    "path",
    [
        "mlflow//webhooks/create",
        "mlflow//registered-models/create",
        "mlflow/registered-models//create",
        "mlflow/./registered-models/create",
        "mlflow/registered-models/create/",
        "mlflow/registered-models%2Fcreate",
    ],
)
def test_another_spelling_of_a_path_is_no_way_round(server: Server, path: str) -> None:
    with server.mlflow("ada") as ada:
        answer = ada.post(f"/api/2.0/{path}", json={"name": "spelled"}, follow_redirects=True)
        assert answer.status_code in {403, 404, 405}
        found = ada.get("/api/2.0/mlflow/registered-models/search", params={"filter": "name = 'spelled'"}).json()
    assert found.get("registered_models", []) == []


def test_the_page_asks_for_a_token_and_then_works(server: Server) -> None:
    with server.mlflow(None) as browser:
        assert browser.get("/").headers["location"] == "/mlflow/sign-in"
        assert browser.post("/sign-in", data={"token": "wrong"}).status_code == 401
        signed_in = browser.post("/sign-in", data={"token": server.token("ada")})
        assert (signed_in.status_code, "HttpOnly" in signed_in.headers["set-cookie"]) == (303, True)
        page = browser.get("/")
        assert (page.status_code, "text/html" in page.headers["content-type"]) == (200, True)
        script = page.text.split('src="')[1].split('"')[0]
        assert browser.get(f"/{script.removeprefix('/mlflow/').lstrip('./')}").status_code == 200
        assert browser.get("/ajax-api/2.0/mlflow/experiments/search?max_results=5").status_code == 200
