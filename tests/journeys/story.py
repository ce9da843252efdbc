"""What the journeys have in common: a model repository, its users, and waiting for what a person would wait for."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from demo import load, repository
from demo.shell import wait_until
from tests.journeys.conftest import ROOT, RunningPlatform

ENVIRONMENT = "production"


class Model:
    """A model that an engineer (ada) made on the platform, and a colleague (grace) approves."""

    def __init__(self, platform: RunningPlatform, name: str, *, clone_url: str | None = None) -> None:
        """Make the repository, or clone one that was made already."""
        self.platform = platform
        self.name = name
        self.author = platform.signed_in("ada")
        self.approver = platform.signed_in("grace")
        if clone_url is None:
            self.author.platform("new", name, "--type", "realtime", "--defaults", *repository.ANSWERS)
        else:
            self.author.git("clone", "--quiet", clone_url, name)
        self.folder = self.author.folder / name
        self.author.folder = self.folder
        self.approver.folder = self.folder
        self.change(repository.first_version, "Start with few features")

    def change(self, edit: Callable[[Path], None], message: str) -> None:
        """Edit the repository and commit."""
        edit(self.folder)
        self.author.commit(message)

    @property
    def endpoint(self) -> str:
        """Where its users send requests."""
        return f"{self.platform.ingress}/{ENVIRONMENT}/{self.name}/v2/models/{self.name}/infer"

    def get(self, path: str) -> dict[str, Any]:
        """Ask the backend as the author."""
        return self.author.api(path)

    def deployment(self, identifier: str) -> dict[str, Any]:
        """Return a deployment as it is now."""
        return self.get(f"/deployments/{identifier}")

    def state(self) -> dict[str, Any]:
        """Return what is live in production."""
        return self.get(f"/environments/{ENVIRONMENT}/models/{self.name}")

    def weights(self) -> dict[int, int]:
        """Return the traffic by version, without the versions that get none."""
        return {item["version"]: item["weight"] for item in self.state()["traffic"] if item["weight"]}

    def ship(self) -> dict[str, Any]:
        """Run the pipeline up to the registered version, ask for its deployment and have it approved."""
        self.author.platform("run", "--until", "register")
        requested = self.author.platform("deploy", "--env", ENVIRONMENT, "--no-wait").document
        assert requested["phase"] == "awaiting_approval", requested
        self.approver.platform("approve", requested["id"], "--comment", "looks right")
        return requested

    def ended(self, identifier: str, *, seconds: float = 180) -> dict[str, Any]:
        """Wait for the end of a rollout and return it."""

        def outcome() -> dict[str, Any] | None:
            deployment = self.deployment(identifier)
            return deployment if deployment["outcome"] else None

        ended: dict[str, Any] = wait_until(outcome, seconds=seconds, what=f"the end of deployment {identifier}")
        return ended

    def reaches(self, identifier: str, condition: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
        """Wait until a deployment fulfils a condition and return it."""

        def fulfilled() -> dict[str, Any] | None:
            deployment = self.deployment(identifier)
            return deployment if condition(deployment) else None

        reached: dict[str, Any] = wait_until(fulfilled, seconds=180, every=0.1, what=what)
        return reached

    def events(self) -> list[dict[str, Any]]:
        """Return the audit trail of the model, oldest first."""
        found = self.author.platform("audit", "events", "--subject", f"model:{self.name}", "--limit", "1000").document
        return [item["event"] for item in found["items"]]

    @contextmanager
    def users(self, *, rate: float = 50, seconds: float = 240) -> Iterator[list[load.Request]]:
        """Have users send requests inside the block; the list holds what they saw once it is left."""
        record = self.platform.work / f"{self.name}.csv"
        record.unlink(missing_ok=True)
        bodies = self.platform.work / "requests.json"
        bodies.write_text(json.dumps(repository.request_bodies()), encoding="utf-8")
        command = [sys.executable, "-m", "demo.load", "--url", self.endpoint, "--rate", str(rate), "--out", str(record)]
        process = subprocess.Popen([*command, "--bodies", str(bodies), "--seconds", str(seconds)], cwd=ROOT)
        seen: list[load.Request] = []
        try:
            wait_until(lambda: len(load.read(record)) > 20, seconds=30, what="the first answers")
            yield seen
        finally:
            process.terminate()
            process.wait(timeout=30)
            seen += load.read(record)
