"""Makers of repositories in processes of their own, for killing (see :mod:`tests.killing`).

The arguments are settings file and ``KILL_AT``: ``commit:N`` (right after the N-th transaction was committed), ``before:N``
(right before that), ``create:1``, ``push:1``, ``protect:1``, ``remove:1`` (right after the host has done it, before anybody
wrote that down), or ``never``.
"""

import json
from pathlib import Path

import scaffolder.steps
from backend.app import build_services
from backend.core.clock import SystemClock
from backend.core.config import Settings
from scaffolder.hosts.embedded import EmbeddedHost
from scaffolder.hosts.github import GitHubHost
from tests.killing import Killer, serve, stay


def run(settings_file: str, kill_at: str) -> None:
    """Be a maker until killed, by oneself or from outside."""
    killer = Killer(kill_at)
    settings = Settings.model_validate(json.loads(Path(settings_file).read_text()))
    services = build_services(settings, SystemClock())
    services.database.write = killer.around(services.database.write)  # type: ignore[method-assign]
    for host in (EmbeddedHost, GitHubHost):
        for name in ("create", "protect", "remove"):
            setattr(host, name, killer.after(name, getattr(host, name)))
    scaffolder.steps.push = killer.after("push", scaffolder.steps.push)
    services.runtime.start()
    stay()


if __name__ == "__main__":
    serve(run)
