"""A real platform for the stories: backend, MLflow, Envoy and model servers under supervisord, on free ports."""

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

from demo.shell import Person, person
from tests.ports import free_ports

ROOT = Path(__file__).parents[2]
_ORGANISATION = """\
apiVersion: backstage.io/v1alpha1
kind: Group
metadata: {name: risk, annotations: {ml-platform/on-call: "user:default/grace"}}
spec:
  type: team
  profile: {displayName: risk, email: risk@example.org}
  children: []
  members: [user:default/ada, user:default/grace]
"""
_WATCHED = """\
  catalog: {org: %(organisation)s}
  identity:
    localIssuer:
      users:
        - {ref: user:default/ada, groups: [group:default/risk]}
        - {ref: user:default/grace, groups: [group:default/risk]}
        - {ref: user:default/edsger, groups: [group:default/search]}
        - {ref: user:default/operator, groups: [group:default/platform]}
        - {ref: user:default/prometheus}
        - {ref: user:default/alertmanager}
  observability:
    prometheus: {url: "http://127.0.0.1:%(prometheus)s"}
    alertmanagers: [user:default/alertmanager]
    evaluateInterval: 10s
"""
"""Who else signs in, who is on call, and a Prometheus that is down but for the story that starts it."""


def free_range(size: int) -> tuple[int, int]:
    """Return the first and last of ``size`` neighbouring ports that are free at the moment."""
    # Test processes that look at the same moment must not find the same ones.
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    for first in range(21000 + worker * 1000, 29000, size):
        if all(_is_free(port) for port in range(first, first + size)):
            return first, first + size - 1
    raise RuntimeError("no free range of ports")


def _is_free(port: int) -> bool:
    with closing(socket.socket()) as one:
        return one.connect_ex(("127.0.0.1", port)) != 0


@dataclass
class RunningPlatform:
    """A platform that is up, and how to be somebody on it."""

    home: Path
    work: Path
    url: str
    ingress: str
    configs: list[Path]
    nats: str
    portal: str
    prometheus: str

    def person(self, name: str, *, folder: Path | None = None) -> Person:
        """Return a person with credentials of their own, not signed in yet."""
        return person(
            name,
            console=Console(quiet=True),
            folder=folder or self.work,
            home=self.home,
            credentials=self.work / "credentials" / name,
            url=self.url,
        )

    def up(self) -> dict[str, Any]:
        """Start whatever is down, as the operator does, and return what is up."""
        configs = [part for path in self.configs for part in ("--config", str(path))]
        return self.person("operator").platform("up", *configs).document

    def signed_in(self, name: str, *, folder: Path | None = None) -> Person:
        """Return a person of the embedded issuer who has signed in."""
        someone = self.person(name, folder=folder)
        someone.platform("login", "--user", f"user:default/{name}")
        return someone


@contextmanager
def started(*, portal: bool = False) -> Iterator[RunningPlatform]:
    """Start a platform the way a user does, on free ports and in a home of its own; stop it the same way."""
    work = Path(tempfile.mkdtemp(prefix="mlp-journeys-"))
    home = work / "home"
    backend, ingress, admin, nats, backstage, prometheus = free_ports(6)
    first, last = free_range(100)
    override, organisation = work / "app-config.journeys.yaml", work / "org.yaml"
    organisation.write_text(_ORGANISATION, encoding="utf-8")
    # The portal's users meet a platform as it is by default.
    watched = "" if portal else _WATCHED % {"organisation": organisation, "prometheus": prometheus}
    override.write_text(
        f"""\
mlPlatform:
  backend: {{port: {backend}}}
  ingress: {{port: {ingress}, adminPort: {admin}}}
  nats: {{port: {nats}}}
  portal: {{enabled: {str(portal).lower()}, port: {backstage}}}
  serving: {{portRange: [{first}, {last}]}}
{watched}  environments:
    production:
      policy:
        require: {{vulnerabilities: [passed, failed, not_evaluated]}}
""",
        encoding="utf-8",
    )
    configs = [ROOT / "app-config.yaml", override]
    platform = RunningPlatform(
        home=home,
        work=work,
        url=f"http://127.0.0.1:{backend}",
        ingress=f"http://127.0.0.1:{ingress}",
        configs=configs,
        nats=f"nats://127.0.0.1:{nats}",
        portal=f"http://127.0.0.1:{backstage}",
        prometheus=f"http://127.0.0.1:{prometheus}",
    )
    operator = platform.person("operator")
    platform.up()
    try:
        assert httpx.get(f"{platform.url}/readyz", timeout=10).status_code == 200
        yield platform
    finally:
        operator.platform("down")
        shutil.rmtree(work, ignore_errors=True)


@pytest.fixture(scope="session")
def running_platform() -> Iterator[RunningPlatform]:
    """Start one platform for all stories that need no portal."""
    with started() as platform:
        yield platform
