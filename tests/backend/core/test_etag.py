"""Whoever has an answer already is not sent it again."""

from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from backend.core.http.etag import EntityTags, is_known

API = "/api/ml-platform"
TAGS = st.text(st.characters(min_codepoint=0x23, max_codepoint=0x7E), max_size=20).map(lambda text: f'"{text}"')


def served(response: Any, *, path: str = f"{API}/x") -> TestClient:
    async def answer(_request: Any) -> Response:
        made: Response = response()
        return made

    app = Starlette(routes=[Route(path, answer, methods=["GET", "POST"])])
    app.add_middleware(EntityTags, prefix=API)
    return TestClient(app)


def test_the_same_answer_has_the_same_tag_and_is_not_sent_again(backend: Any, ada: Any) -> None:
    first = ada.get("/registry/models")
    tag = first.headers["etag"]
    assert tag.startswith('"')
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = backend.http.get(f"{API}/registry/models", headers={**ada.headers, "If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert "content-type" not in again.headers
        assert again.headers["x-request-id"]
    for other in ('"other"', f"{tag[1:-1]}", f'"x{tag[1:]}', ""):
        again = backend.http.get(f"{API}/registry/models", headers={**ada.headers, "If-None-Match": other})
        assert (again.status_code, again.content) == (200, first.content)


def test_another_answer_has_another_tag(backend: Any, ada: Any) -> None:
    tag = ada.get("/identity/me").headers["etag"]
    grace = backend.someone("grace")
    assert grace.get("/identity/me").headers["etag"] != tag


def test_a_page_of_backstage_can_use_it(backend: Any, ada: Any) -> None:
    origin = "http://127.0.0.1:7007"
    tag = ada.get("/registry/models").headers["etag"]
    asked = {**ada.headers, "Origin": origin, "If-None-Match": tag}
    answer = backend.http.get(f"{API}/registry/models", headers=asked)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (304, origin)
    assert "etag" in answer.headers["access-control-expose-headers"].lower()


def test_who_may_not_read_is_not_told_that_nothing_changed(backend: Any, ada: Any) -> None:
    answer = backend.http.get(f"{API}/registry/models", headers={"If-None-Match": "*"})
    assert answer.status_code == 401
    assert "etag" not in answer.headers


@pytest.mark.parametrize(
    "response",
    [
        lambda: PlainTextResponse("[]"),
        lambda: JSONResponse({}, status_code=404),
        lambda: JSONResponse({}, status_code=201),
        lambda: JSONResponse({}, media_type="application/problem+json"),
        lambda: StreamingResponse(iter([b"{", b"}"]), media_type="application/json"),
        lambda: StreamingResponse(iter([b"data: 1\n\n"]), media_type="text/event-stream"),
    ],
)
def test_what_is_no_whole_json_answer_passes_as_it_is(response: Any) -> None:
    plain = served(response, path="/other").get("/other")
    answer = served(response).get(f"{API}/x", headers={"If-None-Match": "*"})
    assert (answer.status_code, answer.content) == (plain.status_code, plain.content)
    assert "etag" not in answer.headers


def test_a_stream_is_not_held_back() -> None:
    sent: list[bytes] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"application/x-tar")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        assert sent == [b"one"]
        await send({"type": "http.response.body", "body": b"two"})

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            sent.append(message["body"])

    async def run() -> None:
        scope = {"type": "http", "method": "GET", "path": f"{API}/x", "headers": []}
        await EntityTags(app, prefix=API)(scope, None, send)  # type: ignore[arg-type]

    anyio.run(run)
    assert sent == [b"one", b"two"]


def test_only_reading_has_tags() -> None:
    client = served(lambda: JSONResponse({}))
    assert "etag" in client.get(f"{API}/x").headers
    assert "etag" not in client.post(f"{API}/x").headers
    assert "etag" not in served(lambda: JSONResponse({}), path="/other").get("/other").headers


def test_a_tag_that_the_route_gave_is_kept() -> None:
    client = served(lambda: JSONResponse({}, headers={"ETag": 'W/"seven"'}))
    assert client.get(f"{API}/x").headers["etag"] == 'W/"seven"'
    assert client.get(f"{API}/x", headers={"If-None-Match": '"seven"'}).status_code == 304


@given(TAGS, st.lists(TAGS, max_size=4), st.booleans())
def test_a_tag_is_found_in_a_list_if_it_is_there(tag: str, others: list[str], weak: bool) -> None:
    listed = [*others, f"W/{tag}" if weak else tag]
    assert is_known(tag, " , ".join(listed))
    assert is_known(tag, ", ".join(others)) == (tag in others)
