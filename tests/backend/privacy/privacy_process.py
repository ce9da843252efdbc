"""Backends in processes of their own, for killing (see :mod:`tests.killing`).

The arguments are settings file and ``KILL_AT``: ``commit:N`` (right after the N-th transaction was committed), ``before:N``
(right before that), ``gone:N`` (right after the N-th thing was deleted), or ``never``.
"""

import json
from pathlib import Path

from backend.app import build_services
from backend.core.clock import SystemClock
from backend.core.config import Settings
from tests.killing import Killer, serve, stay


def run(settings_file: str, kill_at: str) -> None:
    """Be a backend until killed, by oneself or from outside."""
    killer = Killer(kill_at)
    services = build_services(Settings.model_validate(json.loads(Path(settings_file).read_text())), SystemClock())
    services.runtime._kinds.pop("rollout")  # its loop would need Envoy
    services.database.write = killer.around(services.database.write)  # type: ignore[method-assign]
    for holding in services.privacy.retention.holdings:
        holding.delete = killer.after("gone", holding.delete)  # type: ignore[method-assign]
    for place in services.privacy.subjects.places:
        place.erase = killer.after("gone", place.erase)  # type: ignore[method-assign]
    services.runtime.start()
    stay()


if __name__ == "__main__":
    serve(run)
