"""Audit events as they happen."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from backend.app import create_app
from backend.core.config import Settings
from tests.waiting import wait_until

API = "/api/ml-platform"


class Platform:
    """A backend whose clock the test sets: a stream ends with its token."""

    def __init__(self, http: TestClient, clock: Any) -> None:
        self.http, self._clock = http, clock
        self.services = http.app.state.services  # type: ignore[attr-defined]
        secret = self.services.identity.local.secret_file.read_text()
        body = {"secret": secret, "user": "user:default/ada"}
        token = http.post(f"{API}/identity/token", json=body).json()["accessToken"]
        self.headers = {"Authorization": f"Bearer {token}"}

    def happen(self, *types: str, subject: str = "test:x") -> list[int]:
        with self.services.database.write() as session:
            return [
                self.services.audit.append(session, type=type, subject=subject, actor="service:test").seq
                for type in types
            ]

    @contextmanager
    def followed(self, last: int | None = None, **query: str) -> Iterator[list[str]]:
        """Follow while the block runs; afterwards the list holds what was streamed."""
        said: list[str] = []
        headers = {**self.headers, **({} if last is None else {"Last-Event-ID": str(last)})}

        def read() -> None:
            said.append(self.http.get(f"{API}/audit/events/stream", params=query, headers=headers).text)

        reader = threading.Thread(target=read)
        reader.start()
        wait_until(lambda: self.services.streams._open.total() == 1, 10)
        yield said
        self._clock.moment += timedelta(hours=13)
        reader.join(10)
        assert not reader.is_alive()
        assert self.services.streams._open.total() == 0


@pytest.fixture
def platform(settings: Settings, set_clock: Any) -> Iterator[Platform]:
    set_clock.moment = datetime.now(UTC)
    with TestClient(create_app(settings, clock=set_clock)) as http:
        yield Platform(http, set_clock)


def ids(text: str) -> list[int]:
    return [int(line.removeprefix("id: ")) for line in text.splitlines() if line.startswith("id: ")]


def test_it_begins_with_what_happens_from_now_on(platform: Platform) -> None:
    platform.happen("test.before")
    with platform.followed(type="test.") as said:  # the platform has events of its own
        seqs = platform.happen("test.one", "test.two")
        wait_a_look()
    assert ids(said[0]) == seqs
    assert said[0].count("event: audit\n") == 2
    assert '"type":"test.one"' in said[0]
    assert '"prevHash":"' in said[0]


def test_it_goes_on_after_the_last_event_and_shows_only_what_is_wanted(platform: Platform) -> None:
    first, *_, third = platform.happen("test.one", "other.two", "test.three")
    with platform.followed(last=first, type="test.") as said:
        (fourth,) = platform.happen("test.four", subject="test:x/below")
        platform.happen("other.five")
        wait_a_look()
    assert ids(said[0]) == [third, fourth]


def test_who_has_a_new_token_goes_on(platform: Platform) -> None:
    (seq,) = platform.happen("test.one")
    with platform.followed(last=seq - 1, subject="test:x") as said:
        wait_a_look()
    assert ids(said[0]) == [seq]
    answer = platform.http.get(f"{API}/audit/events/stream", headers=platform.headers)
    assert (answer.status_code, answer.json()["detail"]) == (401, "the token has expired")


def test_a_silent_stream_gives_signs_of_life(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastapi.routing._PING_INTERVAL", 0.1)
    with platform.followed(subject="nothing:at-all") as said:
        wait_a_look()
    assert said[0].startswith(":")
    assert ids(said[0]) == []


def wait_a_look() -> None:
    """Wait until a stream has certainly looked again."""
    threading.Event().wait(1.2)


@pytest.mark.parametrize("last", ["x", "-1", "1" * 30])
def test_what_is_no_id_is_refused(platform: Platform, last: str) -> None:
    headers = {**platform.headers, "Last-Event-ID": last}
    assert platform.http.get(f"{API}/audit/events/stream", headers=headers).status_code == 422
