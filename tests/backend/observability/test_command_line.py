"""`platform slo`, `traffic`, `incidents` and `metrics` as an engineer uses them."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.marks import on_one_database

from ..command_line import Command, commands
from .conftest import Ward
from .test_incidents import RESOLUTION, alert, send

pytestmark = [pytest.mark.slow, on_one_database]

NOBODY = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def observability() -> dict[str, Any]:
    return {"alertmanagers": ["user:default/edsger"]}


@pytest.fixture
def ada(ward: Ward, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    monkeypatch.chdir(tmp_path)
    return commands(ward.backend, monkeypatch, capsys)("ada")


def fail(ward: Ward) -> None:
    """Have v1 live, and half of its requests fail."""
    ward.deploy(1)
    ward.at = ward.services.clock.now().timestamp() - 1_800
    ward.watch.evaluation.sample(ward.hand.samples(), ward.at)
    ward.pass_minutes(20, 1, requests=600, errors=300, slow=60)
    ward.judge()


def test_error_budgets_and_the_status_that_says_one_is_gone(ward: Ward, ada: Command) -> None:
    assert ada("slo", "--model", "wine")[:2] == (0, "wine is live nowhere, or its model.yaml has no slos\n")
    fail(ward)
    status, text, _ = ada("slo", "--model", "wine")
    assert status == 1
    (row,) = [line for line in text.splitlines() if line.startswith("availability  ")]
    assert "breached" in row
    assert "x over" in row
    assert "availability in lab: fast burn since" in text
    status, found, _ = ada("slo", "--model", "wine", "--json")
    assert (status, found["state"], len(found["slos"])) == (1, "breached", 2)

    status, out, said = ada("slo", "--model", "nobody")
    assert (status, out) == (1, "")
    assert "there is no model 'nobody'" in said
    status, out, _ = ada("slo", "--model", "nobody", "--json")
    assert (status, out["error"]["slug"]) == (1, "not-found")
    status, _, said = ada("slo")
    assert (status, "name one with --model" in said) == (1, True)


def test_traffic_over_time_as_lines_as_a_table_and_as_a_document(
    ward: Ward, ada: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = ("traffic", "--model", "wine", "--env", "lab")
    assert "wine in lab answered nothing from" in ada(*place)[1]
    fail(ward)
    status, text, _ = ada(*place)
    assert status == 0
    lines = {line.split("  ")[1].strip(): line for line in text.splitlines() if line.startswith("  ")}
    assert list(lines) == ["requests/s", "errors", "p50 ms", "p95 ms", "p99 ms"]
    assert "v1 (live)" in text
    assert re.search(r"[▁▂▃▄▅▆▇█]{15,}", lines["requests/s"])
    assert re.search(r"most 5[\d.]+ %, may be 0.1 %: over it in \d+ of \d+ points", lines["errors"])
    assert re.search(r"may be 500: over it in \d+ of \d+ points", lines["p99 ms"])
    assert "may be" not in lines["p50 ms"]
    assert "\x1b" not in text

    monkeypatch.setattr("mlplatform.cli.output.coloured", lambda stream: True)
    assert "\x1b[31m" in ada(*place)[1]
    monkeypatch.undo()

    status, table, _ = ada(*place, "--window", "6h", "--table")
    head, *rows = table.splitlines()
    assert head.split("  ")[0] == "time (UTC)"
    assert any(" v1 " in row and re.search(r" 5\d(\.\d)? %", row) for row in rows)
    status, found, _ = ada(*place, "--json")
    assert (status, found["model"], found["versions"][0]["version"]) == (0, "wine", 1)
    assert sum(one["requests"] for one in found["versions"][0]["points"]) == 12_000
    assert ada(*place, "--from", "2h", "--to", "1h", "--json")[1]["versions"] == []


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("--model", "nobody", "--env", "lab"), 1, "there is no model 'nobody'"),
        (("--model", "wine", "--env", "mars"), 1, "there is no environment 'mars'"),
        (("--model", "wine", "--env", "lab", "--window", "2h"), 2, "'2h' is not one of"),
        (("--model", "wine", "--env", "lab", "--from", "yesterday"), 2, "neither a span such as 15m nor a time"),
        (("--model", "wine", "--env", "lab", "--from", "1h", "--to", "2h"), 1, "has to begin before it ends"),
        (("--model", "wine", "--env", "lab", "--to", "40d"), 1, "what was so long ago is not kept"),
    ],
)
def test_traffic_of_what_is_not_there_or_makes_no_sense(
    arguments: tuple[str, ...], status: int, said: str, ada: Command
) -> None:
    found, out, told = ada("traffic", *arguments)
    assert (found, out) == (status, "")
    assert said in told


def test_an_incident_is_found_taken_in_hand_and_resolved(ward: Ward, ada: Command, tmp_path: Path) -> None:
    assert ada("incidents", "list")[:2] == (0, "there is no incident\n")
    ward.deploy(1)
    (id,) = send(ward.backend.someone("edsger"), alert(ward, age=0))
    status, text, _ = ada("incidents", "list", "--state", "open", "--severity", "page")
    assert (status, id in text, "ModelNotReady of wine" in text) == (0, True, True)
    status, text, _ = ada("incidents", "show", id)
    assert status == 0
    assert "page, open, wine in lab, since" in text
    assert "changed before:" in text
    assert "v1 was promoted in lab" in text
    status, text, _ = ada("incidents", "ack", id, "--comment", "on it")
    assert (status, text) == (0, "ModelNotReady of wine: you have it\n")
    status, _, said = ada("incidents", "ack", id)
    assert (status, "user:default/ada has acknowledged the incident already" in said) == (1, True)
    status, done, _ = ada("incidents", "resolve", id, "--cause", "change", "--resolution", "taken back", "--json")
    assert (status, done["state"], done["cause"]) == (0, "resolved", "change")
    status, out, said = ada("incidents", "resolve", id, "--cause", "change", "--resolution", "again", "--json")
    assert (status, out["error"]["slug"], "the incident was resolved by" in said) == (1, "conflict", True)
    assert ada("incidents", "list", "--state", "open", "--json")[1] == {"items": []}
    file = tmp_path / "docs" / "postmortem.md"
    assert ada("incidents", "postmortem", id, "--output", str(file))[0] == 0
    assert "* Cause: change" in file.read_text()
    status, _, said = ada("incidents", "postmortem", id, "--output", str(file))
    assert (status, "use --force" in said) == (1, True)


def test_incidents_that_are_not_there_or_not_ones_own(
    ward: Ward, ada: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("show", "ack", "postmortem"):
        status, out, said = ada("incidents", name, NOBODY)
        assert (status, out) == (1, "")
        assert said.splitlines()[:2] == [
            f"error: there is no incident '{NOBODY}'", "  `platform incidents list` shows them."
        ]  # fmt: skip
    status, out, _ = ada("incidents", "show", "4711", "--json")
    assert (status, "error" in out) == (1, True)
    assert ada("incidents", "list", "--state", "burning")[0] == 2
    assert ada("incidents", "list", "--last", "0")[0] == 2
    (id,) = send(ward.backend.someone("edsger"), alert(ward))
    assert ada("incidents", "resolve", id, "--cause", "bad luck", "--resolution", "x")[0] == 2
    assert ada("incidents", "resolve", id, "--cause", RESOLUTION["cause"])[0] == 2
    edsger = commands(ward.backend, monkeypatch, capsys)("edsger")
    status, _, said = edsger("incidents", "ack", id)
    assert (status, "user:default/edsger may not acknowledge this incident" in said) == (1, True)
    assert "Members of group:default/risk may." in said


def test_figures_of_the_platform(ward: Ward, ada: Command) -> None:
    ward.deploy(1)
    status, text, _ = ada("metrics")
    assert status == 0
    assert text.splitlines()[0].split()[:2] == ["figure", "value"]
    (row,) = [line for line in text.splitlines() if line.startswith("deployment-success-rate ")]
    assert "100 %" in row
    status, found, _ = ada("metrics", "--days", "7", "--json")
    assert (status, found["days"], len(found["items"]) > 5) == (0, 7, True)
    status, found, _ = ada("metrics", "deployment-success-rate", "--json")
    assert (status, found["figure"]["name"], len(found["evidence"])) == (0, "deployment-success-rate", 1)
    assert "month" in ada("metrics", "deployment-success-rate")[1]
    status, out, said = ada("metrics", "happiness")
    assert (status, out, "happiness" in said) == (1, "", True)
    assert ada("metrics", "--days", "0")[0] == 2
