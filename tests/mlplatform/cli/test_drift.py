"""``platform drift`` as people meet it."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mlplatform.cli import session
from mlplatform.cli.commands.drift.labels import labels
from mlplatform.cli.commands.drift.reports import run
from mlplatform.cli.errors import CliError

ID = "0199c0de-0000-7000-8000-00000000000{}"


class Double:
    """A platform that remembers what it is sent."""

    def __init__(self) -> None:
        self.sent: list[list[dict[str, Any]]] = []
        self.outcome = "healthy"

    def send_labels(self, model: str, environment: str, sent: list[dict[str, Any]]) -> dict[str, int]:
        assert (model, environment) == ("wine", "lab")
        self.sent.append(sent)
        return {"new": len(sent), "changed": 0, "repeated": 0, "outdated": 0, "sampled": 1}

    def ask_drift_report(self, model: str, environment: str) -> dict[str, Any]:
        return {"id": "1"}

    def drift_report(self, id: str) -> dict[str, Any]:
        finding = {
            "part": "all", "side": "input", "column": "alcohol", "check": "distribution", "test": "ks", "rows": 200,
            "p": 1e-9, "distance": 0.5, "drifted": self.outcome == "drifted",
        }  # fmt: skip
        return {
            "id": "1", "model": "wine", "version": 1, "environment": "lab", "state": "done", "outcome": self.outcome,
            "rows": 200, "labelled": 0, "since": "2026-03-01T00:00:00Z", "until": "2026-03-02T00:00:00Z", "reason": None,
            "alpha": 5e-4, "bound": 1e-4, "findings": [finding], "retraining": None,
            "skipped": [{"part": "all", "side": "input", "column": "when", "reason": "a datetime has no distribution"}],
        }  # fmt: skip


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> Double:
    made = Double()

    @contextlib.contextmanager
    def connected() -> Iterator[Double]:
        yield made

    monkeypatch.setattr(session, "connected", connected)
    return made


def call(command: Any, *arguments: str) -> Any:
    return CliRunner().invoke(command, [*arguments, "--model", "wine", "--env", "lab"], standalone_mode=False)


def test_csv_and_json_lines_say_the_same(double: Double, tmp_path: Path) -> None:
    table, lines = tmp_path / "labels.csv", tmp_path / "labels.jsonl"
    table.write_text(
        f"id,value,at\n{ID.format(1)},1.5,2026-03-01T00:00:00Z\n{ID.format(2)},red,\n{ID.format(3)},true,\n"
    )
    rows = [{"id": ID.format(1), "value": 1.5, "at": "2026-03-01T00:00:00Z"}, {"id": ID.format(2), "value": "red"}]
    rows.append({"id": ID.format(3), "value": True})
    lines.write_text("\n".join(json.dumps(row) for row in rows) + "\n\n")
    for file in (table, lines):
        done = call(labels, str(file))
        assert done.exception is None, done.exception
        assert "3 labels of wine in lab: 3 new, 0 changed" in done.output
    assert double.sent == [rows, rows]
    many = tmp_path / "many.csv"
    many.write_text("id,value\n" + "".join(f"{ID.format(1)},{number}\n" for number in range(5001)))
    assert json.loads(call(labels, str(many), "--json").output)["new"] == 5001
    assert [len(sent) for sent in double.sent[2:]] == [5000, 1]


def test_messages_are_named_by_their_ids_and_rows_by_day_and_key(double: Double, tmp_path: Path) -> None:
    messages, table, lines = tmp_path / "messages.csv", tmp_path / "late.csv", tmp_path / "late.jsonl"
    messages.write_text("id,value\norder 17,1\n")
    table.write_text("day,carrier,flight,value\n2026-03-01,UA,1545,true\n")
    row = {"day": "2026-03-01", "key": {"carrier": "UA", "flight": "1545"}, "value": True}
    lines.write_text(json.dumps(row))
    for file in (messages, table, lines):
        done = call(labels, str(file))
        assert done.exception is None, done.exception
    assert double.sent == [[{"id": "order 17", "value": 1}], [row], [row]]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "has no column id and value"),
        (b"id,value\n", "holds no label"),
        (b"id,truth\n", "has no column value"),
        (b"id,value\n,1\n", ":2: has no id"),
        (b"day,value\n2026-03-01,1\n", "has no column with a key"),
        (b"day,order\n2026-03-01,1\n", "has no column value"),
        (b"day,order,value\nyesterday,7,1\n", ":2: 'yesterday' is no day"),
        (b"day,order,value\n2026-03-01\n", ":2: has no key"),
        (b'{"day": "2026-03-01", "value": 1}', ":1: has no key"),
        (f"id,value\n{ID.format(1)},\n".encode(), ":2: has no value"),
        (f"id,value\n{ID.format(1)},NaN\n".encode(), ":2: has no value"),
        (f'{{"id": "{ID.format(1)}", "value": null}}'.encode(), ":1: has no value"),
        (b'{"id": 1}\n{broken', ":1: has no value"),
        (b"{broken", ":1: is no JSON"),
        (b"\xff\xfe", "can't be read"),
    ],
)
def test_a_wrong_file_is_named_with_its_line_and_nothing_is_sent(
    double: Double, tmp_path: Path, content: bytes, said: str
) -> None:
    file = tmp_path / "labels"
    file.write_bytes(content)
    done = call(labels, str(file))
    assert isinstance(done.exception, CliError)
    assert said in str(done.exception)
    assert double.sent == []


def test_the_exit_status_says_whether_something_has_drifted(double: Double) -> None:
    done = call(run)
    assert (done.return_value, "wine v1 in lab: healthy" in done.output) == (0, True)
    double.outcome = "drifted"
    done = call(run)
    assert done.return_value == 1
    assert "not judged: when (all): a datetime has no distribution" in done.output
