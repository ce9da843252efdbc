"""How fast the platform takes a bad version out, and what users notice: real Envoy, real model servers, 50 requests a second.

Each round deploys, with the default analysis and rollout settings, a version that is registered as good and breaks in
production. Measured is the time from its first failed request to the moment in which it had no weight any more (the
audit event of the shift), and how many user requests failed.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import report
from demo import load, repository
from demo.shell import Person, person, wait_until

ROOT = Path(__file__).parents[2]
MODEL = "rollback-benchmark"
RATE = 50.0
CONFIGURATION = """\
mlPlatform:
  backend: {port: 7470}
  ingress: {port: 8480, adminPort: 9941}
  serving: {portRange: [19400, 19499]}
"""
CONFIGS = (ROOT / "app-config.yaml", ROOT / "demo" / "app-config.demo.yaml")


class Bench:
    """A platform of its own with one model whose second version breaks under traffic."""

    def __init__(self, work: Path) -> None:
        self.work, self.home = work, work / "home"
        configuration = work / "app-config.bench.yaml"
        configuration.write_text(CONFIGURATION, encoding="utf-8")
        self.author, self.approver = self._person("ada"), self._person("grace")
        configs = [part for path in (*CONFIGS, configuration) for part in ("--config", str(path))]
        self.urls = self.author.platform("up", *configs).document["urls"]
        for someone in (self.author, self.approver):
            someone.platform("login", "--user", f"user:default/{someone.name}")
        self.author.platform("new", MODEL, "--type", "realtime", "--defaults")
        self.author.folder = self.approver.folder = work / MODEL
        self.author.platform("run", "--until", "register")
        first = self.deploy(1)
        wait_until(lambda: self.deployment(first)["outcome"], seconds=180, what="the first deployment")
        repository.broken_version(self.author.folder)
        self.author.commit("Break it")
        self.author.platform("run", "--until", "register")

    def _person(self, name: str) -> Person:
        credentials = self.work / "people" / name
        return person(
            name,
            console=Console(stderr=True),
            folder=self.work,
            home=self.home,
            credentials=credentials,
            url="http://127.0.0.1:7470",
        )

    def deploy(self, version: int) -> str:
        """Ask for a version, have it approved, and return the deployment's id."""
        requested = self.author.platform("deploy", "--env", "production", "--version", str(version), "--no-wait")
        self.approver.platform("approve", requested.document["id"], "--comment", "benchmark")
        return str(requested.document["id"])

    def deployment(self, identifier: str) -> dict[str, Any]:
        """Return a deployment as it is now."""
        return self.author.api(f"/deployments/{identifier}")

    @contextmanager
    def users(self, record: Path) -> Iterator[None]:
        """Send requests while the block runs."""
        bodies = self.work / "requests.json"
        bodies.write_text(json.dumps(repository.request_bodies()), encoding="utf-8")
        url = f"{self.urls['models']}/production/{MODEL}/v2/models/{MODEL}/infer"
        command = [sys.executable, "-m", "demo.load", "--url", url, "--rate", str(RATE), "--out", str(record)]
        process = subprocess.Popen([*command, "--bodies", str(bodies)], cwd=ROOT)
        try:
            wait_until(lambda: len(load.read(record)) > 100, seconds=30, what="users")
            yield
        finally:
            process.terminate()
            process.wait(timeout=30)

    def round(self, number: int) -> dict[str, float]:
        """Deploy the bad version under load and return what came of it."""
        record = self.work / f"round-{number}.csv"
        with self.users(record):
            identifier = self.deploy(2)
            ended = wait_until(
                lambda: (found := self.deployment(identifier))["outcome"] and found, seconds=300, what="the rollback"
            )
        if ended["outcome"] != "rolled_back":
            raise RuntimeError(f"the rollout ended as {ended['outcome']}: {ended['reason']}")
        seen = load.read(record)
        failed = [request for request in seen if request.failed]
        first = min(request.sent_at for request in failed)
        subject = f"model:{MODEL}/deployments/{identifier}"
        events = self.author.platform("audit", "events", "--subject", subject).document["items"]
        shifts = [item["event"]["time"] for item in events if item["event"]["type"].endswith("traffic.shifted")]
        zero = datetime.fromisoformat(shifts[-1])
        return {"seconds": (zero - first).total_seconds(), "failed": float(len(failed)), "requests": float(len(seen))}


def main() -> None:
    """Run the rounds and write the table."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--quick", action="store_true")
    rounds = 2 if parser.parse_args().quick else 6
    work = Path(tempfile.mkdtemp(prefix="mlp-bench-"))
    try:
        bench = Bench(work)
        results = [bench.round(number) for number in range(rounds)]
    finally:
        environment = {**os.environ, "ML_PLATFORM_HOME": str(work / "home")}
        subprocess.run([str(Path(sys.executable).with_name("platform")), "down"], env=environment, check=False)
        shutil.rmtree(work, ignore_errors=True)
    seconds = sorted(result["seconds"] for result in results)
    failed = sorted(result["failed"] for result in results)
    report.write(
        "rollback",
        title="Automatic rollback",
        command="python -m benchmarks.rollback",
        header=("what", "median", "least", "most", "aim"),
        rows=[
            (
                "first failed request to zero weight",
                f"{statistics.median(seconds):.1f} s",
                f"{seconds[0]:.1f} s",
                f"{seconds[-1]:.1f} s",
                "under 5 s",
            ),
            (
                "user requests failed per rollback",
                f"{statistics.median(failed):.0f}",
                f"{failed[0]:.0f}",
                f"{failed[-1]:.0f}",
                "",
            ),
        ],
        notes=f"{rounds} rollouts of a version that leaks connections: after about 60 calls each waits 0.3 s and three of "
        f"four fail. {RATE:.0f} requests a second through Envoy, default rollout settings (5 % first, limits 99 % and 500 ms).",
        raw=results,
    )


if __name__ == "__main__":
    main()
