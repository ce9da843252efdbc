"""A target that plays a script: versions start, answer, err and die as a test wants it. Its state lies in files.

It stands in for machines, not for the engine: it survives the engine's death as Envoy and model servers do, and it keeps
what it was told, so a test can ask afterwards where the traffic went.
"""

import fcntl
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from backend.deployments.targets.base import (
    ReplicaSetSpec,
    ReplicaState,
    Route,
    Sample,
    TargetUnavailable,
    VersionKey,
    WarmResult,
)
from backend.deployments.targets.log_filter import EVERYTHING, LogFilter
from mlplatform.spec.model import ModelSpec

EDGES = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 5000.0, float("inf"))


@dataclass
class ScriptedTarget:
    """Keeps ``script.json`` (what the test wants) and ``state.json`` (what became of it) in a folder."""

    folder: Path

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.folder / "script.json").exists():
            self.play()

    # What a test says.

    def play(self, *, rate: float = 1000.0, down: bool = False, **versions: dict[str, Any]) -> None:
        """Set the script: requests a second, and per version (``v2={...}``) how it behaves.

        ``starts`` is "ready", "never" or why it fails; ``warms`` is "well" or what is wrong; ``errors`` is the share of
        failed requests; ``latency`` is in milliseconds; ``dead`` takes all its replicas down.
        """
        script = {"rate": rate, "down": down, "versions": versions}
        replace(self.folder / "script.json", script)

    @property
    def state(self) -> dict[str, Any]:
        path = self.folder / "state.json"
        return json.loads(path.read_text()) if path.exists() else new_state()

    @property
    def weights(self) -> dict[int, int]:
        """The traffic as it was applied last (of the one model that tests use)."""
        routes = self.state["routes"]
        return {int(version): weight for version, weight in routes[0]["weights"]} if routes else {}

    @property
    def running(self) -> list[int]:
        return sorted(int(version) for version in self.state["running"])

    @property
    def user_errors(self) -> int:
        return sum(figures["errors"] for figures in self.state["figures"].values())

    # What the engine asks.

    def start(self, spec: ReplicaSetSpec) -> None:
        with self._changing() as state:
            state["running"].setdefault(str(spec.key.version), {"key": list(key(spec.key)), "replicas": spec.replicas})
            state["starts"].append(spec.key.version)

    def stop(self, key: VersionKey) -> None:
        with self._changing() as state:
            state["running"].pop(str(key.version), None)

    def replicas(self, key: VersionKey | None = None) -> list[ReplicaState]:
        found = []
        for version, one in self.state["running"].items():
            own = VersionKey(*one["key"])
            behaviour = self._behaviour(version)
            starts = behaviour.get("starts", "ready")
            state, message = ("ready", None) if starts == "ready" else ("starting", None)
            if starts not in ("ready", "never"):
                state, message = "failed", starts
            if behaviour.get("dead"):
                state, message = "starting", None
            for replica in range(one["replicas"]):
                found.append(ReplicaState(own, replica, state, 18000 + own.version, 1, message))  # type: ignore[arg-type]
        return [one for one in found if key is None or one.key == key]

    def apply(self, routes: Sequence[Route]) -> None:
        self._reachable()
        with self._changing() as state:
            self._run_traffic(state)
            state["routes"] = [
                {
                    "key": [route.environment, route.model],
                    "weights": [list(pair) for pair in route.weights],
                    "mirror": list(route.mirror) if route.mirror else None,
                    "warm": list(route.warm),
                    "experiment": list(astuple(route.experiment)) if route.experiment else None,
                }
                for route in routes
            ]
            for route in routes:
                assert sum(weight for _, weight in route.weights) == 100
                shown = {str(version): weight for version, weight in route.weights}
                if not state["history"] or state["history"][-1] != shown:
                    state["history"].append(shown)

    def sample(self) -> dict[VersionKey, Sample]:
        self._reachable()
        with self._changing() as state:
            self._run_traffic(state)
            figures = state["figures"]
            place = state["routes"][0]["key"] if state["routes"] else ["", ""]
        return {
            VersionKey(*place, int(version)): Sample(
                VersionKey(*place, int(version)), one["requests"], one["errors"], cumulative(one["buckets"])
            )
            for version, one in figures.items()
        }

    def warm(self, key: VersionKey, spec: ModelSpec) -> WarmResult:
        said = self._behaviour(key.version).get("warms", "well")
        return WarmResult(said == "well", 10, "10 trial requests were answered well" if said == "well" else said)

    def logs(
        self, keys: Sequence[VersionKey], tail: int, follow: bool, wanted: LogFilter = EVERYTHING
    ) -> Iterator[str]:
        yield from (f"{key.version}/0 hello" for key in keys)

    def _reachable(self) -> None:
        if self._script()["down"]:
            raise TargetUnavailable("the proxy is down")

    def _script(self) -> dict[str, Any]:
        script: dict[str, Any] = json.loads((self.folder / "script.json").read_text())
        return script

    def _behaviour(self, version: int | str) -> dict[str, Any]:
        behaviour: dict[str, Any] = self._script()["versions"].get(f"v{version}", {})
        return behaviour

    def _run_traffic(self, state: dict[str, Any]) -> None:
        """Let the users' requests since last time happen, shared by the weights that were applied."""
        now = time.time()
        seconds = min(now - state["at"], 1.0) if state["at"] else 0.0
        state["at"] = now
        for route in state["routes"]:
            shares = [(version, weight) for version, weight in route["weights"]]
            if route["mirror"]:
                shares.append(route["mirror"])
            if route["experiment"] and route["experiment"][3] is None:
                shares.append(route["experiment"][1:3])
            for version, weight in shares:
                behaviour = self._behaviour(version)
                one = state["figures"].setdefault(
                    str(version), {"requests": 0, "errors": 0, "due": 0.0, "bad": 0.0, "buckets": [0] * len(EDGES)}
                )
                one["due"] += self._script()["rate"] * seconds * weight / 100
                requests, one["due"] = int(one["due"]), one["due"] % 1
                one["bad"] += requests * (1.0 if behaviour.get("dead") else behaviour.get("errors", 0.0))
                errors, one["bad"] = int(one["bad"]), one["bad"] % 1
                one["requests"] += requests
                one["errors"] += errors
                latency = behaviour.get("latency", 5.0)
                one["buckets"][next(i for i, edge in enumerate(EDGES) if latency <= edge)] += requests

    @contextmanager
    def _changing(self) -> Iterator[dict[str, Any]]:
        with (self.folder / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            state = self.state
            yield state
            replace(self.folder / "state.json", state)


def new_state() -> dict[str, Any]:
    return {"running": {}, "starts": [], "routes": [], "history": [], "figures": {}, "at": None}


def key(of: VersionKey) -> tuple[str, str, int]:
    return of.environment, of.model, of.version


def cumulative(counts: list[int]) -> tuple[tuple[float, int], ...]:
    total, found = 0, []
    for edge, count in zip(EDGES, counts, strict=True):
        total += count
        found.append((edge, total))
    return tuple(found)


def replace(path: Path, document: dict[str, Any]) -> None:
    scratch = path.with_suffix(".new")
    scratch.write_text(json.dumps(document))
    scratch.replace(path)
