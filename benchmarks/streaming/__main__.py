"""How many messages a second are answered: our consumer against a FastStream handler that calls the model.

One NATS server with JetStream, a scikit-learn pipeline, messages that lie in the stream before either begins. Both read as a
durable pull consumer, answer into a stream, acknowledge after the answer is confirmed, and are processes of their own that take
turns. The time is that between the first and the last answer, by the server's clock.
"""

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import report
from mlplatform.streaming.control import whole_stream, write_control
from mlplatform.streaming.dev import nats_server

FEATURES = ("alcohol", "malic_acid", "color_intensity", "hue", "proline")
_PATIENCE = 600.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--plain", nargs=4, metavar=("URL", "IN", "OUT", "MODEL"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.plain:
        asyncio.run(plain(*arguments.plain))
        return
    folder = Path(tempfile.mkdtemp(prefix="mlp-stream-bench-"))
    messages, rounds = (2_000, 1) if arguments.quick else (10_000, 3)
    load = os.getloadavg()
    try:
        prepare(folder)
        with nats_server(folder) as url:
            found: dict[str, list[float]] = {"ours": [], "plain": []}
            for turn in range(rounds):
                for side in ("ours", "plain") if turn % 2 else ("plain", "ours"):
                    found[side].append(asyncio.run(measure(folder, url, side, turn, messages)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    rates = {side: median(values) for side, values in found.items()}
    table = [(side, f"{rate:,.0f} messages/s") for side, rate in rates.items()]
    table.append(("ours / plain", f"{rates['ours'] / rates['plain']:.1f}×"))
    report.write(
        "streaming",
        title="Answering a stream",
        command="python -m benchmarks.streaming",
        header=("side", "answered"),
        rows=table,
        notes=f"{messages:,} messages of {len(FEATURES)} numbers on NATS JetStream, logistic regression behind a scaler; "
        f"medians of {rounds} rounds in alternating order, load average {load[0]:.1f} before. Plain is a FastStream "
        "handler that calls `mlflow.pyfunc` for each message, publishes, and lets FastStream acknowledge. Ours also checks "
        "every message and answer against the schema, keeps each message's outcome single, and keeps the order.",
        raw={"messages": messages, "rounds": rounds, "load": list(load), "all": found, **rates},
    )


def prepare(folder: Path) -> None:
    """Save the model and its ``model.yaml``."""
    import mlflow.sklearn
    from mlflow.models import infer_signature
    from sklearn.datasets import load_wine
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    frame = load_wine(as_frame=True).frame
    inputs = frame[list(FEATURES)]
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(inputs, frame["target"])
    signature = infer_signature(inputs, model.predict(inputs))
    mlflow.sklearn.save_model(
        model, folder / "model", signature=signature, input_example=inputs.head(2), pip_requirements=["scikit-learn"]
    )
    inputs.to_json(folder / "rows.json", orient="records")


def spec_for(folder: Path, name: str) -> Path:
    """Write the ``model.yaml`` of a turn."""
    document = {
        "name": "wine",
        "type": "streaming",
        "owner": "group:default/risk",
        "costCentre": "bench",
        "data": [{"name": "wine", "uri": "sklearn://wine", "classification": "public", "load": "a.b:c"}],
        "training": {"entrypoint": "a.b:c"},
        "schema": {
            "inputs": [{"name": feature, "type": "double", "minimum": 0} for feature in FEATURES],
            "outputs": [{"name": "prediction", "type": "long", "enum": [0, 1, 2]}],
        },
        "validation": {
            "evaluator": "classifier",
            "dataset": "wine",
            "target": "target",
            "thresholds": [{"metric": "accuracy_score", "minimum": 0.5}],
        },
        "streaming": {"broker": "nats", "input": f"{name}.in", "output": f"{name}.out", "deadLetter": f"{name}.dead"},
    }
    path = folder / f"{name}.yaml"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


async def measure(folder: Path, url: str, side: str, turn: int, messages: int) -> float:
    """Return the messages a second that a side answers."""
    import nats

    name = f"{side}{turn}"
    client = await nats.connect(url)
    context = client.jetstream()
    await context.add_stream(name=f"{name}-in", subjects=[f"{name}.in"])
    await context.add_stream(name=f"{name}-out", subjects=[f"{name}.out", f"{name}.dead"], duplicate_window=600)
    rows = json.loads((folder / "rows.json").read_text(encoding="utf-8"))
    for number in range(messages):
        await context.publish_async(f"{name}.in", json.dumps(rows[number % len(rows)]).encode())
    await context.publish_async_completed()
    with running(ours(folder, url, name) if side == "ours" else theirs(folder, url, name)):
        until = time.monotonic() + _PATIENCE
        while (await context.stream_info(f"{name}-out")).state.messages < messages:
            assert time.monotonic() < until, f"{side} did not answer {messages} messages in time"
            await asyncio.sleep(0.1)
    first = await context.get_msg(f"{name}-out", seq=1)
    last = await context.get_msg(f"{name}-out", seq=messages)
    await client.close()
    assert first.time is not None
    assert last.time is not None
    return (messages - 1) / (last.time - first.time).total_seconds()


def ours(folder: Path, url: str, name: str) -> list[str]:
    """The command of our consumer."""
    state = folder / name
    state.mkdir()
    write_control(state / "control.json", whole_stream("bench", "wine", 1))
    options: dict[str, Any] = {
        "--model-dir": folder / "model",
        "--spec": spec_for(folder, name),
        "--name": "wine",
        "--version": 1,
        "--environment": "bench",
        "--port": 0,
        "--broker": url,
        "--control": state / "control.json",
        "--state": state,
    }
    return [sys.executable, "-m", "mlplatform.streaming", *(str(part) for pair in options.items() for part in pair)]


def theirs(folder: Path, url: str, name: str) -> list[str]:
    """The command of the plain handler."""
    model = str(folder / "model")
    return [sys.executable, "-m", "benchmarks.streaming", "--plain", url, f"{name}.in", f"{name}.out", model]


async def plain(url: str, subject: str, output: str, folder: str) -> None:
    """Answer messages the way people write it first."""
    import mlflow.pyfunc
    import pandas as pd
    from faststream import FastStream
    from faststream.nats import JStream, NatsBroker, PullSub

    model = mlflow.pyfunc.load_model(folder)
    broker = NatsBroker(url)
    stream = JStream(f"{subject.removesuffix('.in')}-in", declare=False)
    answers = f"{subject.removesuffix('.in')}-out"

    @broker.subscriber(subject, stream=stream, durable="plain", deliver_policy="all", pull_sub=PullSub(batch_size=256))
    async def handle(message: dict[str, float]) -> None:
        answer = model.predict(pd.DataFrame([message]))
        await broker.publish({"prediction": int(answer[0])}, output, stream=answers)

    await FastStream(broker).run()


@contextlib.contextmanager
def running(command: list[str]) -> Iterator[None]:
    """Run a side for the time of a ``with`` block."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


if __name__ == "__main__":
    main()
