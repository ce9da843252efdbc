"""Backends in processes of their own that seal, for killing (see :mod:`tests.killing`).

The arguments are settings file and ``KILL_AT``: ``put:N`` (right after the N-th file lies in its place), ``before:N`` (right
before the N-th transaction is committed), ``commit:N`` (right after that), or ``never``.
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
    store = services.audit.sealed.store
    store.put = killer.after("put", store.put)  # type: ignore[method-assign]
    services.runtime.start()
    stay()


if __name__ == "__main__":
    serve(run)
