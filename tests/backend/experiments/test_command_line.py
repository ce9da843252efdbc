"""`platform experiment` as an engineer uses it, against the real backend on a scripted target."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mlplatform.cli import session
from mlplatform.cli.app import run
from mlplatform.client import PlatformClient
from tests.backend.experiments.lab import Lab, answered, predict, running_lab, taking

pytestmark = pytest.mark.slow

Command = Callable[..., tuple[int, Any, str]]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with running_lab(tmp_path_factory.mktemp("lab"), None) as found:
        found.deploy(1)
        yield found


@pytest.fixture
def command(lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command as ada: status, what it prints (as JSON where asked), and what it says on standard error."""

    @contextmanager
    def connected() -> Iterator[PlatformClient]:
        with PlatformClient("http://testserver", lab.ada.token) as client:
            client._transport._http._transport = lab.backend.http._transport
            yield client

    monkeypatch.setattr(session, "connected", connected)

    def as_ada(*arguments: str) -> tuple[int, Any, str]:
        capsys.readouterr()
        status = run(["experiment", *arguments])
        out, err = capsys.readouterr()
        return status, json.loads(out) if "--json" in arguments and out else out, err

    return as_ada


def test_a_shadow_run_is_started_seen_and_stopped(lab: Lab, command: Command) -> None:
    place = ("--model", "wine", "--env", "lab", "--version", "2")
    status, begun, _ = command("start", "shadow", *place, "--percent", "50", "--tolerance", "0.1", "--json")
    assert status == 0, begun
    assert (begun["kind"], begun["tolerance"]) == ("shadow", 0.1)
    id = begun["id"]
    lab.until(id, lambda one: one["phase"] == "running")
    one = taking(id)
    for version, value in ((1, 1.0), (2, 3.0)):
        records = lab.records(version)
        records.take(one, 0.01, 200, answered(value))
        records.flush(10)
    lab.until(id, lambda one: one["figures"]["compared"] == 1)
    _, text, _ = command("show", id, "--differing", "5")
    assert "0 of 1 compared answers agree (0.00 %)" in text
    assert "outputs[0].data[0]: 1.0 and 3.0" in text
    assert "running" in command("list", "--phase", "running")[1]
    status, _, said = command("start", "shadow", *place)
    assert (status, f"platform experiment stop {id}" in said) == (1, True)
    assert command("decide", id, "promote")[0] == 2
    assert command("stop", id, "--reason", "seen enough")[0] == 0
    status, _, said = command("stop", id, "--reason", "again")
    assert (status, "has ended already" in said) == (1, True)
    assert "keep" in command("decide", id, "keep", "--reason", "answers differ")[1]


def test_outcomes_come_from_a_file(lab: Lab, command: Command, tmp_path: Path) -> None:
    ab = ("start", "ab", "--model", "wine", "--env", "lab", "--version", "2", "--percent", "50", "--key", "x-user")
    assert command(*ab, "--metric", "clicked", "--effect", "0")[0] == 2
    id = command(*ab, "--metric", "clicked", "--effect", "0.1", "--json")[1]["id"]
    lab.until(id, lambda one: one["phase"] == "running")
    ids = predict(lab, id)
    file = tmp_path / "clicks.csv"
    file.write_text("prediction_id,value\n" + "".join(f"{one},1\n" for one in ids[1][:5]))
    status, text, _ = command("outcomes", id, str(file))
    assert (status, text.splitlines()[0]) == (0, "5 new, 0 known already, 0 after the decision")
    file.write_text(f"value,prediction_id\n0,{ids[1][0]}\n1,{ids[1][1]}\n1,0199f7a1-3c1e-7b55-9f64-0c7a52f0a1d2\n")
    status, told, _ = command("outcomes", id, str(file), "--json")
    assert (status, told["repeated"], told["conflicting"], len(told["unknown"])) == (1, 1, [ids[1][0]], 1)
    for content, said in (
        ("id,value\n", "lacks the columns"),
        ("prediction_id,value\n", "holds no outcome"),
        ("prediction_id,value\nx,much\n", "line 2"),
    ):
        file.write_text(content)
        status, _, error = command("outcomes", id, str(file))
        assert (status, said in error) == (1, True), error
    assert command("outcomes", id, str(tmp_path / "none.csv"))[0] == 1
    assert "60 predictions" in command("show", id)[1]
    assert command("stop", id, "--reason", "done")[0] == 0
