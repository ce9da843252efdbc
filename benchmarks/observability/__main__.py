"""How fast readings of live versions are taken into the store, how much memory that takes, and how fast budgets are asked for."""

import argparse
import shutil
import tempfile
import time
import tracemalloc
from datetime import timedelta
from pathlib import Path
from statistics import quantiles
from typing import Any

import numpy as np

from backend.core.database import Database
from backend.deployments.targets.base import Sample, VersionKey
from backend.deployments.targets.local.samples import LATENCY_BOUNDS
from backend.migrations import upgrade
from backend.observability import repository
from backend.observability.burn import judge
from backend.observability.series import TIERS, WIDTH, pack
from backend.observability.store import REQUESTS, SampleStore, counts_of
from benchmarks import report
from mlplatform.generate.objectives import Objective, objectives
from mlplatform.spec.model import ModelSpec, Slo

NOW = 1_790_000_000.0
SECONDS = 28 * 86_400 + 600
MODEL: dict[str, Any] = {
    "name": "m",
    "type": "realtime",
    "owner": "group:default/risk",
    "costCentre": "C",
    "data": [{"name": "d", "uri": "file://d", "classification": "public", "load": "m.data:load"}],
    "training": {"entrypoint": "m.train:train"},
    "schema": {"inputs": [{"name": "x", "type": "double"}], "outputs": [{"name": "y", "type": "double"}]},
    "validation": {
        "evaluator": "regressor",
        "dataset": "d",
        "target": "y",
        "thresholds": [{"metric": "r2_score", "minimum": 0}],
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    models, rounds, queries = (100, 20, 100) if quick else (500, 60, 1_000)
    folder = Path(tempfile.mkdtemp(prefix="mlp-observability-bench-"))
    try:
        database = Database(f"sqlite:///{folder / 'platform.db'}")
        upgrade(database, folder)
        ingested = ingest(database, models, rounds)
        fill(database, models)
        asked = ask(database, models, queries)
        size = sum(path.stat().st_size for path in folder.glob("platform.db*"))
        database.close()
    finally:
        shutil.rmtree(folder)
    rows = [
        ("readings taken in", f"{ingested['readings']:,.0f} a second"),
        ("requests that these stand for", f"{ingested['requests']:,.0f} a second"),
        ("one flush of all models", f"{1000 * ingested['flush']:.0f} ms"),
        ("memory of the store between flushes, at most", f"{ingested['peak'] / 2**20:.1f} MiB"),
        ("error budget and all burn rates over 28 days, p50 / p99", f"{asked['p50']:.1f} / {asked['p99']:.1f} ms"),
        ("database with thirty days of all models", f"{size / 2**20:.0f} MiB"),
    ]
    report.write(
        "observability",
        title="Samples and error budgets",
        command="python -m benchmarks.observability",
        header=("what", "ours"),
        rows=rows,
        notes=f"{models} models on SQLite, {rounds} rounds of readings with the histogram that Envoy gives, "
        f"1,000 requests each; a flush every third round, which is counted with the requests. Counts are random, "
        "which is the worst case for packing. What a reading costs does not depend on how many requests it stands for, so the "
        "second row is the first one times 1,000, flushes included. Aim: 50,000 request samples a second on 2 cores.",
        raw={**ingested, **asked, "models": models, "bytes": size},
    )


def ingest(database: Database, models: int, rounds: int) -> dict[str, float]:
    """Take rounds of readings of all models, a flush after every third."""
    store = SampleStore()
    with database.read() as session:
        store.load(session)
    keys = [VersionKey("production", f"m{number}", 1) for number in range(models)]
    store.take([sample(key, 0) for key in keys], NOW)
    taking, flushing, taken = 0.0, [], 0
    tracemalloc.start()
    for number in range(rounds):
        at = NOW + 10 * (number + 1)
        samples = [sample(key, 1_000 * (number + 1)) for key in keys]
        start = time.perf_counter()
        store.take(samples, at)
        taking += time.perf_counter() - start
        taken += len(samples)
        if number % 3 == 2:
            start = time.perf_counter()
            with database.write() as session:
                store.flush(session, at)
            store.written(at)
            flushing.append(time.perf_counter() - start)
        if number == 5:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()  # it makes everything slower
            taking, flushing, taken = 0.0, [], 0
    return {
        "readings": taken / taking,
        "requests": 1_000 * taken / (taking + sum(flushing)),
        "flush": sum(flushing) / len(flushing),
        "peak": float(peak),
    }


def fill(database: Database, models: int) -> None:
    """Write thirty days of every model, as packed chunks."""
    dice = np.random.default_rng(7)
    for tier in TIERS:
        table = dice.poisson(300 * tier.step, (tier.slots, WIDTH)).astype(np.int64)
        table[:, 1] = dice.poisson(0.2, tier.slots)
        data, last = pack(table), int(NOW) // tier.span * tier.span
        for number in range(models):
            rows: list[dict[str, object]] = [
                {
                    "environment": "production",
                    "model": f"m{number}",
                    "version": 1,
                    "measure": REQUESTS,
                    "step": tier.step,
                    "start": last - tier.span * back,
                    "data": data,
                }
                for back in range(tier.keep // tier.span + 1)
            ]
            with database.write() as session:
                repository.replace_chunks(session, rows)


def ask(database: Database, models: int, queries: int) -> dict[str, float]:
    """Judge objectives of models in turn, each from what is stored."""
    own = objective()
    took = []
    for number in range(queries):
        start = time.perf_counter()
        with database.read() as session:
            counts = counts_of(
                session, "production", f"m{number % models}", REQUESTS, now=NOW, seconds=SECONDS, threshold_ms=300.0
            )
        judge(own, counts, NOW)
        took.append(1000 * (time.perf_counter() - start))
    cuts = quantiles(took, n=100, method="inclusive")
    return {"p50": cuts[49], "p99": cuts[98]}


def objective() -> Objective:
    """Return an objective as most models have it."""
    slo = Slo(name="latency", indicator="latency", objective=99, threshold=timedelta(milliseconds=300))
    return objectives(ModelSpec.model_validate({**MODEL, "slos": [slo]}))[0]


def sample(key: VersionKey, requests: int) -> Sample:
    """Return counters of a version that answers most requests within 20 ms."""
    latency: tuple[tuple[float, int], ...] = tuple(
        (bound, requests if bound >= 20 else int(requests * bound / 20)) for bound in LATENCY_BOUNDS
    )
    return Sample(key, requests, requests // 500, latency)


if __name__ == "__main__":
    main()
