"""Following a scaffold: server-sent events read as the standard says, and taken up again where the connection broke."""

import json
from typing import Any

import pytest
from fastapi.responses import StreamingResponse
from hypothesis import given
from hypothesis import strategies as st

from mlplatform.client import PlatformClient
from mlplatform.client.scaffolds import server_sent_events
from mlplatform.pipeline import scaffold
from tests.mlplatform.platform_double import TOKEN, PlatformDouble

PATH = "/scaffolds/4711/events"


def event(name: str, number: int, document: dict[str, Any]) -> str:
    return f"event: {name}\nid: {number}\ndata: {json.dumps(document)}\n\n"


def stream(*texts: str) -> Any:
    return lambda: StreamingResponse(iter(texts), media_type="text/event-stream")


def test_a_connection_that_breaks_is_taken_up_after_the_last_step(
    double: PlatformDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scaffold, "_PAUSE", 0.01)
    steps = [{"seq": number, "step": "render", "state": "done"} for number in (1, 2, 3)]
    half = event("progress", 2, steps[1])[:-10]
    double.fail("GET", PATH, stream(": hello\n\n", event("progress", 1, steps[0]), half))
    double.fail("GET", PATH, stream(event("progress", 2, steps[1])))
    double.fail("GET", PATH, stream(event("progress", 3, steps[2]), event("end", 3, {"state": "done"})))
    seen: list[Any] = []
    with PlatformClient(double.url, TOKEN) as client:
        ended = scaffold.follow(client, {"id": "4711"}, show=seen.append)
    assert ended == {"state": "done"}
    assert seen == steps
    assert [one.headers.get("last-event-id") for one in double.calls("GET", PATH)] == [None, "1", "2"]


names = st.from_regex(r"\A[a-z]{1,8}\Z")
documents = st.dictionaries(st.text(max_size=8), st.text(max_size=20) | st.integers(), max_size=4)


@given(st.lists(st.tuples(names, documents), max_size=6), st.booleans())
def test_what_was_written_is_read(events: list[tuple[str, dict[str, Any]]], indented: bool) -> None:
    lines: list[str] = []
    for name, document in events:
        data = json.dumps(document, indent=1 if indented else None)
        lines += [": comment", f"event: {name}", "id: 7", *(f"data: {line}" for line in data.split("\n")), ""]
    assert list(server_sent_events(iter(lines))) == events
