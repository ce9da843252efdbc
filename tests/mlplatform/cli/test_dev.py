"""``platform dev``: a trained streaming model on sample messages, with a real NATS server."""

import json
import signal
import subprocess
from pathlib import Path

import pytest

from tests.mlplatform.repositories import Repository, command, make

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SAMPLE = """

def sample():
    for number, row in enumerate(holdout_data()[COLUMNS].to_dict("records")):
        yield {"bottle": f"b{number}", **row, **({"alcohol": -1.0} if number == 3 else {})}
"""
STREAMING = """
streaming:
  broker: nats
  input: cellar.bottles
  output: cellar.growers
  deadLetter: cellar.dead
  key: bottle
  carry: [bottle]
  sample: wine.data:sample
"""


@pytest.fixture
def streaming(tmp_path: Path) -> Repository:
    repository = make(tmp_path / "wine", tmp_path / "home")
    repository.replace("model.yaml", "type: realtime", "type: streaming")
    repository.write("model.yaml", (repository.path / "model.yaml").read_text() + STREAMING)
    repository.write("src/wine/data.py", (repository.path / "src/wine/data.py").read_text() + SAMPLE)
    repository.commit()
    return repository


def test_samples_are_answered_and_what_does_not_fit_is_a_dead_letter(streaming: Repository) -> None:
    early = streaming.platform("dev", "--count", "5")
    assert (early.status, "platform train" in early.err) == (1, True), early
    trained = streaming.platform("train")
    assert trained.status == 0, trained.err
    done = streaming.platform("dev", "--count", "20", "--rate", "200", "--json")
    assert done.status == 0, done.err
    document = json.loads(done.out)
    assert document["sent"] == 20
    assert sorted(one["body"]["bottle"] for one in document["answers"]) == sorted(f"b{n}" for n in range(20) if n != 3)
    assert {type(one["body"]["prediction"]) for one in document["answers"]} == {int}
    (dead,) = document["deadLetters"]
    assert dead["body"]["bottle"] == "b3"
    assert "alcohol" in dead["headers"]["dead-letter-detail"]

    folder = {"cwd": streaming.path, "env": streaming.environment, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([command(), "dev"], **folder) as process:  # type: ignore[call-overload]
        assert process.stdout is not None
        assert process.stdout.readline().startswith("answer: {")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    assert not running_in(str(streaming.path / "build" / "model"))

    away = streaming.platform("dev", "--count", "1", "--broker", "nats://127.0.0.1:9")
    assert (away.status, "the broker can't be used" in away.err) == (1, True), away.err
    assert "Traceback" not in away.err
    wrong = streaming.platform("dev", "--count", "1", "--broker", "http://127.0.0.1")
    assert (wrong.status, "must begin with one of nats://" in wrong.err) == (1, True), wrong.err


def test_other_models_consume_nothing(tmp_path: Path) -> None:
    refused = make(tmp_path / "wine", tmp_path / "home").platform("dev")
    assert (refused.status, "wine is of type realtime" in refused.err) == (1, True), refused.err


def running_in(argument: str) -> list[int]:
    """Return the pids of processes that have this among their arguments."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if argument.encode() in (process / "cmdline").read_bytes():
                found.append(int(process.name))
        except OSError:
            continue
    return found
