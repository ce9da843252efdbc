"""Engines in processes of their own, for killing (see :mod:`tests.killing`).

The arguments are settings file, target folder and ``KILL_AT``: ``commit:N`` (right after the N-th transaction of the engine
was committed), ``before:N`` (right before that), ``apply:N`` (right after the proxy took the N-th change over, before anybody
wrote that down), or ``never``.
"""

import json
from pathlib import Path

from backend.app import build_services
from backend.core.clock import SystemClock
from backend.core.config import Settings
from backend.deployments.engine import RolloutEngine
from tests.backend.deployments.scripted import ScriptedTarget
from tests.killing import Killer, serve, stay


def run(settings_file: str, folder: str, kill_at: str) -> None:
    """Be an engine until killed, by oneself or from outside."""
    killer = Killer(kill_at)
    settings = Settings.model_validate(json.loads(Path(settings_file).read_text()))
    services = build_services(settings, SystemClock())
    target = ScriptedTarget(Path(folder))
    services.database.write = killer.around(services.database.write)  # type: ignore[method-assign]
    target.apply = killer.after("apply", target.apply)  # type: ignore[method-assign]
    services.engine = RolloutEngine(services, target)
    services.runtime.start()
    stay()


if __name__ == "__main__":
    serve(run)
