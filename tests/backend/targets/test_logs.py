"""Lines of several replicas and versions, filtered and in order of their time."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backend.deployments.targets.base import VersionKey
from backend.deployments.targets.local.logs import log_path, read_logs
from backend.deployments.targets.log_filter import EVERYTHING, LogFilter
from backend.local.folders import Folders

KEYS = [VersionKey("lab", "wine", version) for version in (1, 2)]
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def line(minute: int, message: str, level: str = "INFO", **more: str) -> str:
    return json.dumps({"time": f"2027-03-01T12:{minute:02}:00.000+00:00", "level": level, "message": message, **more})


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    folders = Folders(tmp_path)
    written = {
        (KEYS[0], 0, ""): [line(4, "d"), line(7, "mail to ada@example.com", trace_id=TRACE)],
        (KEYS[0], 0, ".1"): [line(1, "a"), "Traceback", line(2, "b", "ERROR", trace_id=TRACE)],
        (KEYS[0], 1, ""): [line(3, "c", "WARNING")],
        (KEYS[1], 0, ""): [line(5, "e"), "{not json", line(6, "f", "CRITICAL"), json.dumps(["a", TRACE])],
    }
    for (key, replica, suffix), lines in written.items():
        path = log_path(folders, key, replica)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_name(path.name + suffix).write_text("".join(f"{one}\n" for one in lines))
    return folders


def seen(folders: Folders, wanted: LogFilter = EVERYTHING, tail: int = 100) -> list[str]:
    found = []
    for text in read_logs(folders, KEYS, tail=tail, follow=False, running=lambda: False, wanted=wanted):
        label, _, rest = text.partition(" ")
        with suppress(ValueError, TypeError):
            rest = json.loads(rest)["message"]
        found.append(f"{label} {rest}")
    return found


def test_all_lines_are_in_order_of_their_time(folders: Folders) -> None:
    assert seen(folders) == [
        "1/0 a", "1/0 Traceback", "1/0 b", "1/1 c", "1/0 d", "2/0 e", "2/0 {not json", "2/0 f",
        f'2/0 ["a", "{TRACE}"]', "1/0 mail to [REDACTED:EMAIL]",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (LogFilter(replica=1), ["1/1 c"]),
        (LogFilter(level="WARNING"), ["1/0 b", "1/1 c", "2/0 f"]),
        (LogFilter(trace=TRACE), ["1/0 b", "1/0 mail to [REDACTED:EMAIL]"]),
        (LogFilter(since=datetime(2027, 3, 1, 12, 6, tzinfo=UTC)), ["2/0 f", "1/0 mail to [REDACTED:EMAIL]"]),
        (LogFilter(grep="TRACEBACK"), ["1/0 Traceback"]),
        (LogFilter(grep="ada@example.com"), []),
        (LogFilter(grep="redacted", level="ERROR"), []),
        (LogFilter(trace="0" * 32), []),
    ],
)
def test_each_condition_holds(folders: Folders, wanted: LogFilter, expected: list[str]) -> None:
    assert seen(folders, wanted) == expected


def test_the_tail_counts_what_is_wanted_across_rotation(folders: Folders) -> None:
    assert seen(folders, LogFilter(level="INFO"), tail=1) == ["1/1 c", "2/0 f", "1/0 mail to [REDACTED:EMAIL]"]
    assert seen(folders, LogFilter(level="ERROR"), tail=1) == ["1/0 b", "2/0 f"]
    assert seen(folders, tail=0) == []


def test_what_comes_while_following_is_filtered_too(folders: Folders) -> None:
    path, new = log_path(folders, KEYS[1], 1), line(9, "a new one")  # of a replica that is not there yet
    looks: list[bool] = []

    def running() -> bool:
        if not looks:
            path.write_text(f"{line(9, 'old')}\n{new}\n")
        looks.append(True)
        return len(looks) < 2

    lines = read_logs(folders, KEYS, tail=0, follow=True, running=running, wanted=LogFilter(grep="new"))
    assert [text for text in lines if text] == [f"2/1 {new}"]
