"""A model served with and without traces and payload samples: the same server behind Envoy, in turn on one machine."""

import argparse
import json
import os
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from backend.deployments.targets.local import envoy_tracing
from benchmarks import report
from benchmarks.serving import envoy, load, servers
from benchmarks.serving.__main__ import free_ports
from mlplatform.serving.samples import FOLDER_VARIABLE, RECIPIENT

CONNECTIONS = 16


@dataclass(frozen=True)
class Variant:
    """What is switched on: of which part of the requests there are spans and payload samples."""

    name: str
    spans: float = 0
    samples: float = 0


VARIANTS = (
    Variant("nothing"),
    Variant("nothing, once more"),
    Variant("spans of 1 % of the requests (default)", spans=0.01),
    Variant("payload samples of 1 %", samples=0.01),
    Variant("spans of 1 % and samples of 1 %", spans=0.01, samples=0.01),
    Variant("spans of all requests", spans=1),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two short rounds")
    arguments = parser.parse_args()
    rounds, seconds = (2, 1.0) if arguments.quick else (30, 1.0)
    folder = servers.CACHE / "tracing"
    row = servers.save_model(folder)
    body = {"inputs": [{"name": "predict", "shape": [1, len(row)], "datatype": "FP64", "data": list(row.values())}]}
    ports = free_ports(2 * len(VARIANTS) + 1)
    sink, upstreams, listeners = ports[0], ports[1 : len(VARIANTS) + 1], ports[len(VARIANTS) + 1 :]
    running = servers.Running(folder)
    urls = [f"http://127.0.0.1:{port}/v2/models/{servers.NAME}/infer" for port in listeners]
    rates: dict[str, list[float]] = {one.name: [] for one in VARIANTS}
    costs: dict[str, list[list[float]]] = {one.name: [] for one in VARIANTS}
    try:
        running.start("sink", [sys.executable, "-m", "benchmarks.tracing.sink", str(sink)], {}, Path.cwd())
        for variant, port in zip(VARIANTS, upstreams, strict=True):
            _start(running, folder, variant, port, f"http://127.0.0.1:{sink}")
        _write_envoy(folder / "envoy.json", listeners, upstreams, f"http://127.0.0.1:{sink}")
        running.start("envoy", envoy.command(folder / "envoy.json"), {}, folder)
        for url in urls:
            servers.wait_for(url, body)
            load.run(url, body, CONNECTIONS, 1.0)
        of_servers = [psutil.Process(pid) for pid in running.pids[1 : len(VARIANTS) + 1]]
        of_envoy = psutil.Process(running.pids[-1])
        busy = os.getloadavg()[0]
        for number in range(rounds):
            # Each round begins with another variant, so that none is always the one behind a busy one.
            order = [(place + number) % len(VARIANTS) for place in range(len(VARIANTS))]
            for place in order:
                watched = (of_servers[place], of_envoy)
                before = [_processor_seconds(one) for one in watched]
                result = load.run(urls[place], body, CONNECTIONS, seconds)
                assert result.errors == 0, result
                rates[VARIANTS[place].name].append(result.rate)
                spent = [_processor_seconds(one) - was for one, was in zip(watched, before, strict=True)]
                costs[VARIANTS[place].name].append([1e6 * one / result.requests for one in spent])
    finally:
        running.stop()
    _report(rates, costs, rounds, seconds, busy)
    return 0


def _start(running: servers.Running, folder: Path, variant: Variant, port: int, collector: str) -> None:
    spec: dict[str, Any] = json.loads((folder / "model.yaml").read_text())
    environment = {}
    if variant.samples:
        spec["serving"] = {"samples": {"rate": variant.samples}}
        spool = folder / f"spool-{port}"
        spool.mkdir()
        (spool / RECIPIENT).write_text(json.dumps(_recipient()))
        environment[FOLDER_VARIABLE] = str(spool)
    if variant.spans:
        environment |= {"OTEL_EXPORTER_OTLP_ENDPOINT": collector, "OTEL_TRACES_SAMPLER_ARG": "0"}
    path = folder / f"model-{port}.yaml"
    path.write_text(json.dumps(spec))
    command = [sys.executable, "-m", "mlplatform.serving", "--model-dir", str(folder / "mlflow"), "--spec", str(path)]
    command += ["--name", servers.NAME, "--version", "1", "--port", str(port)]
    running.start(f"server-{port}", command, environment, folder)


def _processor_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _recipient() -> dict[str, str]:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    return {"id": "benchmark", "x25519": X25519PrivateKey.generate().public_key().public_bytes_raw().hex()}


def _write_envoy(config: Path, listeners: list[int], upstreams: list[int], collector: str) -> None:
    envoy.write(config, dict(zip(listeners, upstreams, strict=True)))
    document = json.loads(config.read_text())
    for listener, variant in zip(document["static_resources"]["listeners"], VARIANTS, strict=True):
        if variant.spans:
            manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
            manager["tracing"] = envoy_tracing.tracing(collector, variant.spans)
    document["static_resources"]["clusters"].append(envoy_tracing.collector(collector))
    document["layered_runtime"] = envoy_tracing.runtime()
    config.write_text(json.dumps(document))


def _report(
    rates: dict[str, list[float]], costs: dict[str, list[list[float]]], rounds: int, seconds: float, busy: float
) -> None:
    plain = statistics.median(map(sum, costs[VARIANTS[0].name]))
    rows = []
    for name, found in costs.items():
        middle = statistics.median(map(sum, found))
        server, proxy = (statistics.median(one[place] for one in found) for place in (0, 1))
        more = "-" if name == VARIANTS[0].name else f"{100 * (middle / plain - 1):+.1f} %"
        rate = f"{statistics.median(rates[name]):,.0f}/s"
        rows.append((name, f"{middle:,.0f} µs", f"{server:,.0f} µs", f"{proxy:,.0f} µs", more, rate))
    report.write(
        "tracing",
        title="What watching costs a served model",
        command="python -m benchmarks.tracing",
        header=("with", "processor time a request", "of the server", "of Envoy", "more than nothing", "requests"),
        rows=rows,
        notes=(
            f"One scikit-learn pipeline behind Envoy, single rows over {CONNECTIONS} connections; medians of {rounds} rounds of "
            f"{seconds:g} s in turn. Processor time is that of Envoy and the server together: requests a second vary by more "
            f"than what is looked for when others use the machine; the second `nothing` shows what of a difference "
            f"means nothing. Load ({load.generator()}) and collector share the {os.cpu_count()} cores; load average at the start "
            f"{busy:.1f}. Trace ids in logs are always there, and so in all of them."
        ),
        raw={"rates": rates, "microseconds": costs, "rounds": rounds, "seconds": seconds},
    )


if __name__ == "__main__":
    sys.exit(main())
