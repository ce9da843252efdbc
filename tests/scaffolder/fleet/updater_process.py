"""Processes that carry campaigns out, for killing (see :mod:`tests.killing`).

The arguments are settings file and ``KILL_AT``: ``commit:N`` (right after the N-th transaction was committed), ``before:N``
(right before that), ``push:N``, ``open:N``, ``check:N`` (right after a branch was pushed, a request opened or a check reported,
before anybody wrote that down), or ``never``.
"""

import json
from pathlib import Path

from backend.app import build_services
from backend.core.clock import SystemClock
from backend.core.config import Settings
from scaffolder.fleet.clones import Clone
from scaffolder.hosts.embedded import EmbeddedHost
from tests.killing import Killer, serve, stay


def run(settings_file: str, kill_at: str) -> None:
    """Carry campaigns out until killed, by oneself or from outside."""
    killer = Killer(kill_at)
    settings = Settings.model_validate(json.loads(Path(settings_file).read_text()))
    services = build_services(settings, SystemClock())
    services.database.write = killer.around(services.database.write)  # type: ignore[method-assign]
    Clone.push = killer.after("push", Clone.push)  # type: ignore[method-assign]
    EmbeddedHost.open_pull = killer.after("open", EmbeddedHost.open_pull)  # type: ignore[method-assign]
    EmbeddedHost.report_check = killer.after("check", EmbeddedHost.report_check)  # type: ignore[method-assign]
    services.runtime.start()
    stay()


if __name__ == "__main__":
    serve(run)
