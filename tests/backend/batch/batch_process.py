"""Backends in processes of their own, for killing (see :mod:`tests.killing`).

The arguments are settings file and ``KILL_AT``: ``commit:N`` (right after the N-th transaction was committed), ``before:N``
(right before that), ``start:N`` (right after a job's process was started), ``forget:N`` (right before what is kept of a job
is removed), or ``never``.
"""

import json
from pathlib import Path

from backend.app import build_services
from backend.core.clock import SystemClock
from backend.core.config import Settings
from backend.core.container import Services
from tests.killing import Killer, serve, stay


def run(settings_file: str, kill_at: str) -> None:
    """Be a backend until killed, by oneself or from outside."""
    killer = Killer(kill_at)
    settings = Settings.model_validate(json.loads(Path(settings_file).read_text()))
    services = build_services(settings, SystemClock())
    _roll_nothing_out(services)
    jobs = services.batch_work.jobs
    forget = jobs.forget

    def killing_forget(name: str) -> None:
        killer.at("forget")
        forget(name)

    services.database.write = killer.around(services.database.write)  # type: ignore[method-assign]
    jobs.start = killer.after("start", jobs.start)  # type: ignore[method-assign]
    jobs.forget = killing_forget  # type: ignore[method-assign]
    services.runtime.start()
    stay()


def _roll_nothing_out(services: Services) -> None:
    """Take the rollouts away, whose loop would need Envoy."""
    services.runtime._kinds.pop("rollout")


if __name__ == "__main__":
    serve(run)
