"""Trying a live version by hand: the example fits the schema, and what the model answers is passed on."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from backend.deployments.trial import _tensor
from mlplatform.serving.columns import CheckedColumn
from mlplatform.spec.model import Column, ColumnType
from tests.marks import on_one_database

from .conftest import PLACE, Lab

NUMBERS = st.none() | st.floats(-1e19, 1e19) | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-9, 9)
NUMERIC = sorted({ColumnType.INTEGER, ColumnType.LONG, ColumnType.FLOAT, ColumnType.DOUBLE})


def takes(column: Column) -> bool:
    """Whether the column takes the value of its example, and says that it is of the example's type."""
    checked, tensor = CheckedColumn.of(column), _tensor(column)
    checked.coerce(tensor["data"][0])
    return bool(tensor["datatype"] == checked.datatype and tensor["shape"] == [1] and tensor["name"] == column.name)


@pytest.mark.parametrize("type", list(ColumnType))
def test_a_value_of_each_type_is_taken(type: ColumnType) -> None:
    assert takes(Column(name="x", type=type))


@given(type=st.sampled_from(NUMERIC), low=NUMBERS, high=NUMBERS)
def test_a_number_is_within_its_limits(type: ColumnType, low: float | None, high: float | None) -> None:
    assume(low is None or high is None or low <= high)
    column = Column(name="x", type=type, minimum=low, maximum=high)
    checked = CheckedColumn.of(column)
    assume(checked.low <= checked.high)
    if checked.integral:
        assume(-(-checked.low // 1) <= checked.high // 1)
    assert takes(column)


@given(
    type=st.sampled_from(NUMERIC),
    values=st.lists(st.integers(-100, 100), min_size=1, max_size=5),
    limit=st.none() | st.integers(-100, 100),
)
def test_one_of_a_list_is_one_that_is_within_the_limits(type: ColumnType, values: list[int], limit: int | None) -> None:
    assume(limit is None or max(values) >= limit)
    assert takes(Column(name="x", type=type, minimum=limit, enum=list(values)))


@given(st.lists(st.text(max_size=5), min_size=1, max_size=3))
def test_one_of_a_list_of_texts(values: list[str]) -> None:
    assert takes(Column(name="x", type=ColumnType.STRING, enum=list(values)))


@contextmanager
def in_place_of_the_proxy(lab: Lab, answer: Callable[[str, Any], tuple[int, bytes]]) -> Iterator[None]:
    """Listen where Envoy would, and answer by a function of path and body."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status, body = answer(self.path, json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(status)
            self.send_header("x-model-version", "1")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_given: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    ingress = lab.services.settings.ingress
    before = ingress.port
    ingress.__dict__["port"] = server.server_address[1]
    try:
        yield
    finally:
        ingress.__dict__["port"] = before
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_example_is_sent_and_the_answer_passed_on(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in (f"{PLACE}/example", f"{PLACE}/trial"):
        answer = lab.ada.get(path) if path.endswith("example") else lab.ada.post(path, {"request": {}})
        assert (answer.status_code, answer.json()["fix"]) == (409, "Deploy one first.")
    lab.deploy(1)
    # A proxy of the machine's is not for what is on the machine itself.
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "")

    example = lab.ada.get(f"{PLACE}/example").json()
    assert [column["name"] for column in example["columns"]] == ["alcohol", "hue"]
    assert example["request"]["inputs"][0] == {"name": "alcohol", "shape": [1], "datatype": "FP64", "data": [0.0]}

    seen: list[tuple[str, Any]] = []

    def answer_422(path: str, body: Any) -> tuple[int, bytes]:
        seen.append((path, body))
        return 422, b'{"error": "hue is missing"}'

    with in_place_of_the_proxy(lab, answer_422):
        tried = lab.ada.post(f"{PLACE}/trial", {"request": example["request"]})
    assert tried.status_code == 200, tried.text
    took = tried.json().pop("milliseconds")
    assert took >= 0
    assert {**tried.json(), "milliseconds": 0} == {
        "status": 422,
        "body": {"error": "hue is missing"},
        "version": 1,
        "milliseconds": 0,
    }
    assert seen == [("/lab/wine/v2/models/wine/infer", example["request"])]

    for body, shown in ((b"\xffplain", "\ufffdplain"), (b" " * (2**20 + 1), "(the answer is too long to be shown)")):
        with in_place_of_the_proxy(lab, lambda _path, _body, body=body: (500, body)):
            tried = lab.ada.post(f"{PLACE}/trial", {"request": {}})
            assert (tried.json()["status"], tried.json()["body"]) == (500, shown)

    silent = lab.ada.post(f"{PLACE}/trial", {"request": {}})
    assert (silent.status_code, silent.json()["detail"]) == (503, "the model does not answer: ConnectError")


@on_one_database
def test_what_takes_no_requests(lab: Lab) -> None:
    for path in ("/environments/nowhere/models/wine", "/environments/lab/models/nothing"):
        assert lab.ada.get(f"{path}/example").status_code == 404
        assert lab.ada.post(f"{path}/trial", {"request": {}}).status_code == 404
    with lab.services.database.write() as session:
        lab.services.registry.get_model(session, "wine").type = "batch"
    answer = lab.ada.get(f"{PLACE}/example")
    assert (answer.status_code, answer.json()["detail"]) == (409, "wine is a batch model and takes no requests")
    assert lab.ada.post(f"{PLACE}/trial", {"request": {}}).status_code == 409
    assert lab.ada.post(f"{PLACE}/trial", {"request": [1]}).status_code == 422
    assert lab.backend.http.get(f"/api/ml-platform{PLACE}/example").status_code == 401


@on_one_database
def test_environments_come_in_the_order_of_the_configuration(lab: Lab) -> None:
    assert lab.ada.get("/environments").json()["items"] == [
        {"name": "lab", "approvalRequired": False},
        {"name": "staging", "approvalRequired": False},
        {"name": "production", "approvalRequired": True},
    ]
    assert lab.backend.http.get("/api/ml-platform/environments").status_code == 401
