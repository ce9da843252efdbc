"""Backends in processes of their own, for killing (see :mod:`tests.killing`).

The arguments are settings file and ``KILL_AT``: ``child:1`` (right after the child process was started), ``judged:1`` (right
after it has judged), ``kept:1`` (right before the report's transaction is committed), ``made:1`` (right after that, before the
step is remembered), or ``never``.
"""

import json
import subprocess
from pathlib import Path

from backend.app import build_services
from backend.core.clock import SystemClock
from backend.core.config import Settings
from tests.killing import Killer, serve, stay

FOLLOWED = "followed"
"""File in HOME that is there when a report's last step is done."""


def run(settings_file: str, kill_at: str) -> None:
    """Be a backend until killed, by oneself or from outside."""
    killer = Killer(kill_at)
    settings = Settings.model_validate(json.loads(Path(settings_file).read_text()))
    services = build_services(settings, SystemClock())
    for kind in [kind for kind in services.runtime._kinds if kind != "drift-report"]:
        services.runtime._kinds.pop(kind)
    drift = services.drift
    drift.judge = killer.after("judged", drift.judge)
    drift._keep = killer.after("kept", drift._keep)  # type: ignore[method-assign]
    drift.make = killer.after("made", drift.make)  # type: ignore[method-assign]
    follow = services.retraining.follow

    def telling_follow(id: str) -> None:
        follow(id)
        (settings.home / FOLLOWED).touch()

    services.retraining.follow = telling_follow  # type: ignore[method-assign]
    subprocess.Popen.__init__ = killer.after("child", subprocess.Popen.__init__)  # type: ignore[method-assign]
    services.runtime.start()
    stay()


if __name__ == "__main__":
    serve(run)
