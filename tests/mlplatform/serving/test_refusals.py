"""Wrong requests over HTTP: each a clear 4xx as problem details, and the server goes on."""

import json
import socket

import pytest

INFER = "/v2/models/wine/infer"
PREDICT = "/v1/models/wine:predict"


def slug(response) -> str:
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["x-model-version"] == "3"
    document = response.json()
    assert document["status"] == response.status_code
    assert document["detail"] == document["error"]
    return document["type"].removeprefix("urn:ml-platform:problem:")


@pytest.mark.parametrize("path", [INFER, PREDICT])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[1,]",
        b'{"instances": [[NaN]]}',
        b'{"inputs": [{"data": [1e999]}]}',
        b"\xff\xfe",
        b'"',
        b"[" * 100_000,
    ],
)
def test_not_json(wine, path, body):
    response = wine.post(path, content=body)
    assert (response.status_code, slug(response)) == (400, "malformed-request")


@pytest.mark.parametrize("path", [INFER, PREDICT])
@pytest.mark.parametrize(
    "body", [None, 1, "x", [], {}, {"inputs": 5}, {"instances": 5}, {"instances": None, "inputs": None}]
)
def test_not_a_request(wine, path, body):
    response = wine.post(path, json=body)
    assert (response.status_code, slug(response)) == (400, "malformed-request")


def test_rows_that_do_not_fit(wine, models):
    row = models("wine").rows[0]
    cases = {
        "Column alcohol in row 0 is missing.": {key: value for key, value in row.items() if key != "alcohol"},
        "Column alcohol in row 0 is outside of 0 to 30.": {**row, "alcohol": 31},
        "Column ash in row 0 is outside of 0 to 1.79769e+308.": {**row, "ash": -1},
        "Column hue in row 0 is missing (null).": {**row, "hue": None},
        "Column hue in row 0 is not a number.": {**row, "hue": "1"},
    }
    for detail, bad in cases.items():
        response = wine.post(PREDICT, json={"instances": [bad]})
        assert (response.status_code, slug(response), response.json()["detail"]) == (422, "invalid-input", detail)


def test_outputs_and_id_must_make_sense(wine, models):
    values = list(models("wine").rows[0].values())
    request = {"inputs": [{"name": "x", "shape": [1, 13], "datatype": "FP64", "data": values}]}
    assert wine.post(INFER, json={**request, "outputs": [{"name": "vintage"}]}).status_code == 422
    assert wine.post(INFER, json={**request, "outputs": ["prediction"]}).status_code == 422
    assert wine.post(INFER, json={**request, "id": 5}).status_code == 400
    assert wine.post(INFER, json=request).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/v2/models/beer",
        "/v2/models/beer/infer",
        "/v2/models/wine/versions/4",
        "/v2/models/wine/versions/4/infer",
        "/v1/models/beer:predict",
        "/v3",
        "/v2/models/../wine",
        "/%00",
    ],
)
def test_what_is_not_here(wine, path):
    for response in (wine.get(path), wine.post(path, json={})):
        assert (response.status_code, slug(response)) == (404, "not-found")
        assert "wine version 3" in response.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", INFER, "POST"),
        ("PUT", PREDICT, "POST"),
        ("POST", "/v2", "GET, HEAD"),
        ("DELETE", "/v2/health/ready", "GET, HEAD"),
    ],
)
def test_wrong_method(wine, method, path, allowed):
    response = wine.request(method, path)
    assert (response.status_code, slug(response), response.headers["allow"]) == (405, "method-not-allowed", allowed)


def test_head(wine):
    response = wine.head("/v2/health/ready")
    assert (response.status_code, response.content) == (200, b"")


def test_too_large_a_body_whether_told_or_not(wine):
    big = json.dumps({"instances": [[1.0] * 13] * 30_000}).encode()
    assert len(big) > 1_048_576
    told = wine.post(PREDICT, content=big)
    assert (told.status_code, slug(told), told.json()["maxBytes"]) == (413, "payload-too-large", 1_048_576)
    untold = wine.post(PREDICT, content=(big[start : start + 65_536] for start in range(0, len(big), 65_536)))
    assert (untold.status_code, slug(untold)) == (413, "payload-too-large")


def test_too_large_a_body_is_refused_before_it_is_sent(wine_server):
    host, port = wine_server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_too_many_rows(wine):
    response = wine.post(PREDICT, json={"instances": [[1] * 13] * 10_001})
    assert (response.status_code, response.json()["maxRows"]) == (413, 10_000)


def test_a_request_larger_than_a_batch_is_answered_whole(wine, models):
    rows = models("wine").rows
    answer = wine.post(PREDICT, json={"instances": rows * 10}).json()["predictions"]
    assert len(answer) == len(rows) * 10
    assert answer[: len(rows)] * 10 == answer


def test_binary_tensors_are_refused_clearly(wine):
    response = wine.post(INFER, content=b"{}", headers={"inference-header-content-length": "2"})
    assert response.status_code == 400
    assert "Binary tensor data" in response.json()["detail"]
