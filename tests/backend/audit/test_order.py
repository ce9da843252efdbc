"""Pages of the audit log, from either end."""

from typing import Any

from ..conftest import Backend, Someone


def happen(backend: Backend, *subjects: str) -> list[int]:
    with backend.services.database.write() as session:
        append = backend.services.audit.append
        return [append(session, type="test.done", subject=one, actor="service:test").seq for one in subjects]


def pages(someone: Someone, limit: int, **query: Any) -> list[list[int]]:
    """Sequence numbers, page by page."""
    found: list[list[int]] = []
    cursor: dict[str, str] = {}
    while True:
        answer = someone.get("/audit/events", limit=limit, **query, **cursor)
        assert answer.status_code == 200, answer.text
        found.append([one["seq"] for one in answer.json()["items"]])
        if answer.json()["nextCursor"] is None:
            return found
        cursor = {"cursor": answer.json()["nextCursor"]}


def test_the_newest_come_first_page_by_page(backend: Backend, ada: Someone) -> None:
    wine = happen(backend, "model:wine", "model:beer", "model:wine/versions/1", "model:wine")
    del wine[1]
    assert pages(ada, 2, subject="model:wine", order="newest") == [[wine[2], wine[1]], [wine[0]]]
    assert pages(ada, 2, subject="model:wine") == pages(ada, 2, subject="model:wine", order="oldest")
    everything = [seq for page in pages(ada, 3, order="newest") for seq in page]
    assert everything == [seq for page in pages(ada, 3) for seq in page][::-1]

    # What happens while somebody turns pages moves nothing.
    first = ada.get("/audit/events", limit=2, order="newest", type="test.done").json()
    happen(backend, "model:wine")
    second = ada.get("/audit/events", limit=2, order="newest", type="test.done", cursor=first["nextCursor"]).json()
    done = [one["seq"] for one in ada.get("/audit/events", order="newest", type="test.done", limit=500).json()["items"]]
    assert [one["seq"] for one in first["items"] + second["items"]] == done[1:5]
    assert ada.get("/audit/events", order="odd").status_code == 422
