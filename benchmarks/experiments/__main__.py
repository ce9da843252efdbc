"""How often the sequential test sees what is not there, how soon it sees what is, and what writing down costs a request.

Beside it stands a t-test that is looked at as often: what people do who watch a dashboard.
"""

import argparse
import json
import math
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from backend.experiments.sequential import RATIO_EVIDENCE, ratio_evidence
from benchmarks import report
from mlplatform.serving.experiments import Recorder
from mlplatform.serving.samples import RECIPIENT, Place

ALPHA, LEAST, EFFECT = 0.05, 100, 0.05
Floats = NDArray[np.float64]


def looked_at(champion: Floats, challenger: Floats) -> tuple[Floats, Floats, Floats]:
    """Return after each pair of outcomes: the difference, its variance, and the test's log likelihood ratio."""
    n = np.arange(1, champion.shape[1] + 1)
    sums = [arm.cumsum(axis=1) for arm in (champion, challenger)]
    squares = [(arm * arm).cumsum(axis=1) for arm in (champion, challenger)]
    spread = [np.maximum(q - s * s / n, 0) / np.maximum(n - 1, 1) for s, q in zip(sums, squares, strict=True)]
    variance, difference = (spread[0] + spread[1]) / n, (sums[1] - sums[0]) / n
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = 0.5 * np.log(variance / (variance + EFFECT**2)) + difference**2 * EFFECT**2 / (
            2 * variance * (variance + EFFECT**2)
        )
    return difference, variance, np.nan_to_num(ratio, nan=-np.inf)


def row(name: str, champion: Floats, challenger: Floats) -> dict[str, object]:
    """Play runs, and return how often and when each test decided."""
    difference, variance, ratio = looked_at(champion, challenger)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.nan_to_num(np.abs(difference) / np.sqrt(variance))
    sure = ratio >= -math.log(ALPHA)
    naive = z >= norm.ppf(1 - ALPHA / 2)
    for one in (sure, naive):
        one[:, : LEAST - 1] = False
    when = np.where(sure.any(axis=1), sure.argmax(axis=1) + 1, champion.shape[1])
    return {
        "case": name,
        "sequential": float(sure.any(axis=1).mean()),
        "naive": float(naive.any(axis=1).mean()),
        "fixed": float((z[:, -1] >= norm.ppf(1 - ALPHA / 2)).mean()),
        "median": float(np.median(when)),
    }


def writing_down(count: int) -> float:
    """Return the microseconds that a request waits for a server to write it down."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    public = X25519PrivateKey.generate().public_key().public_bytes_raw()
    headers = [(b"x-experiment", b"018f"), (b"x-experiment-unit", b"ada"), (b"x-request-id", b"r")]
    headers += [(b"accept", b"*/*"), (b"user-agent", b"bench"), (b"content-type", b"application/json")]
    answer = json.dumps({"outputs": [{"name": "prediction", "shape": [1], "data": [1.0]}]}).encode()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / RECIPIENT).write_text(json.dumps({"id": "key", "x25519": public.hex()}))
        recorder = Recorder(Path(folder), Place("lab", "wine", "1"))
        spent = 0.0
        for index in range(count):
            began = time.perf_counter()
            taking = recorder.taking(headers)
            if taking is not None:
                recorder.take(taking, 0.001, 200, answer)
            spent += time.perf_counter() - began
            if index % 100 == 99:
                recorder.flush(10)
    return spent / count * 1e6


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--keys", type=int, default=5000, help="of each version")
    options = parser.parse_args()
    size, rng = (options.runs, options.keys), np.random.default_rng(26)

    def share(rate: float) -> Floats:
        return rng.binomial(1, rate, size).astype(np.float64)

    cases = [
        row("no difference, one in two", share(0.5), share(0.5)),
        row("no difference, one in fifty", share(0.02), share(0.02)),
        row("no difference, skewed", rng.exponential(1, size), rng.exponential(1, size)),
        row("5 points of 50 %", share(0.5), share(0.55)),
        row("10 points of 50 %", share(0.5), share(0.6)),
    ]
    wrong = 0
    for _ in range(options.runs):
        mine = rng.binomial(1, 0.3, options.keys).cumsum()
        looks = range(100, options.keys, 100)
        wrong += any(ratio_evidence(n - int(mine[n - 1]), int(mine[n - 1]), 0.3) >= RATIO_EVIDENCE for n in looks)
    cost = writing_down(5000)
    report.write(
        "experiments",
        title="Experiments: the sequential test, looked at after every key",
        command="python -m benchmarks.experiments",
        header=("case", "decided", "a t-test, looked at as often", "a t-test, looked at once", "median keys to decide"),
        rows=[
            (
                str(one["case"]),
                f"{100 * float(str(one['sequential'])):.1f} %",
                f"{100 * float(str(one['naive'])):.1f} %",
                f"{100 * float(str(one['fixed'])):.1f} %",
                f"{float(str(one['median'])):,.0f}",
            )
            for one in cases
        ],
        notes=(
            f"{options.runs:,} runs of {options.keys:,} keys a version, false alarm rate {ALPHA}, effect {EFFECT}. A right split "
            f"of keys was called wrong in {wrong} of {options.runs:,} runs. A request of an experiment waits {cost:.0f} µs for "
            f"its server to write it down ({os.cpu_count()} cores, shared)."
        ),
        raw={"cases": cases, "splitCalledWrong": wrong, "microsecondsPerRequest": cost, "runs": options.runs},
    )


if __name__ == "__main__":
    main()
