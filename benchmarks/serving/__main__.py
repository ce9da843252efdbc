"""Single rows at rising concurrency: ours, the KServe SDK, MLServer and ``mlflow models serve``, in turn on one machine."""

import argparse
import os
import socket
import statistics
import sys
from dataclasses import replace

import httpx

from benchmarks import report
from benchmarks.serving import envoy, load, servers
from benchmarks.serving.servers import Peer

CONCURRENCY = (1, 4, 32)
Figures = dict[str, dict[int, list[load.Result]]]
LOADS: list[float] = []
"""The machine's load average just before measuring: what others were doing meanwhile belongs to the figures."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--no-envoy", action="store_true", help="leave out the rounds through Envoy")
    arguments = parser.parse_args()
    rounds, seconds = (1, 2.0) if arguments.quick else (3, 3.0)
    folder = servers.CACHE / "serving"
    row = servers.save_model(folder)
    through_envoy = not arguments.no_envoy and envoy.binary() is not None
    peers = servers.peers(folder, row, free_ports(4))
    running = servers.Running(folder)
    try:
        for peer in peers:
            if peer.command:
                running.start(peer.name, peer.command, peer.environment, peer.folder)
        for peer in peers:
            answer = servers.wait_for(peer.url, peer.body)
            print(f"{peer.name}: {answer}", flush=True)
        figures = measure(peers, rounds, seconds)
        behind: Figures = {}
        if through_envoy:
            ports = sorted({peer.port for peer in peers})
            listeners = dict(zip(ports, free_ports(len(ports)), strict=True))
            envoy.write(folder / "envoy.json", {listener: port for port, listener in listeners.items()})
            running.start("envoy", envoy.command(folder / "envoy.json"), {}, folder)
            fronted = [replace(peer, port=listeners[peer.port]) for peer in peers]
            for peer in fronted:
                servers.wait_for(peer.url, peer.body)
            behind = measure(fronted, rounds, seconds)
    finally:
        running.stop()
    write(figures, behind, rounds=rounds, seconds=seconds)
    return 0


def measure(peers: list[Peer], rounds: int, seconds: float) -> Figures:
    """Let the servers take turns; each turn begins with a second that is not counted."""
    LOADS.append(os.getloadavg()[0])
    figures: Figures = {peer.name: {level: [] for level in CONCURRENCY} for peer in peers}
    for _ in range(rounds):
        for level in CONCURRENCY:
            for peer in peers:
                load.run(peer.url, peer.body, level, 1)
                result = load.run(peer.url, peer.body, level, seconds)
                figures[peer.name][level].append(result)
                print(
                    f"  {level:>2} × {peer.name}: {result.rate:,.0f}/s, p99 {result.p99:.1f} ms, {result.errors} errors",
                    flush=True,
                )
    return figures


def rate(results: list[load.Result]) -> float:
    return statistics.median(result.rate for result in results)


def p99(results: list[load.Result]) -> float:
    return statistics.median(result.p99 for result in results)


def write(direct: Figures, behind: Figures, *, rounds: int, seconds: float) -> None:
    first = next(iter(direct))
    rows = []
    for label, figures in (("", direct), (" (through Envoy)", behind)):
        for name, levels in figures.items():
            cells = [f"{rate(levels[level]):,.0f}/s" for level in CONCURRENCY]
            top = CONCURRENCY[-1]
            ours = figures[first]
            ratio = f"{rate(ours[top]) / rate(levels[top]):.1f}×" if name != first else "1"
            share = f"{p99(levels[top]) / p99(ours[top]):.1f}×" if name != first else "1"
            rows.append((f"{name}{label}", *cells, f"{p99(levels[top]):.1f} ms", ratio, share))
    errors = sum(
        r.errors
        for figures in (direct, behind)
        for levels in figures.values()
        for results in levels.values()
        for r in results
    )
    report.write(
        "serving",
        title="Model servers, single rows",
        command="python -m benchmarks.serving",
        header=("server", "1", "4", "32", "p99 at 32", "ours, v2 is faster at 32", "and its p99 shorter"),
        rows=rows,
        notes=(
            f"One scikit-learn pipeline of 30 numbers, one process a server, all of them up at once and asked in turn "
            f"by {load.generator()} on the same machine; median of {rounds} round{'s' if rounds > 1 else ''} "
            f"of {seconds:g} s; {errors} errors in all. "
            f"Load average of the machine ({os.cpu_count()} cores) before measuring: "
            f"{', '.join(f'{value:.1f}' for value in LOADS)}. "
            "Ours checks every value against model.yaml and writes metrics; the KServe SDK is given the bare estimator. "
            "Aim at 32: at least 5× the KServe SDK and 4× MLServer, p99 under a third of theirs; at 1 not slower than any."
        ),
        raw={
            label: {
                name: {str(level): [r.raw() for r in results] for level, results in levels.items()}
                for name, levels in figures.items()
            }
            for label, figures in (("direct", direct), ("envoy", behind))
        },
    )


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [item.getsockname()[1] for item in sockets]
    for item in sockets:
        item.close()
    return ports


if __name__ == "__main__":
    try:
        sys.exit(main())
    except httpx.HTTPError as error:
        sys.exit(f"error: {error}")
