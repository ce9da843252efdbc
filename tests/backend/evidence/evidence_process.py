"""Backends in processes of their own, for killing (see :mod:`tests.killing`).

The arguments are settings file and ``KILL_AT``: ``commit:N`` (right after the N-th transaction was committed), ``before:N``
(right before that), ``written:1`` (when a pack's file is whole and has another name still), ``named:1`` (when it has its own,
and no row says so), or ``never``.
"""

import json
from pathlib import Path
from typing import Any

from backend.app import build_services
from backend.core.clock import SystemClock
from backend.core.config import Settings
from backend.evidence import work
from tests.killing import Killer, serve, stay


def run(settings_file: str, kill_at: str) -> None:
    """Be a backend until killed, by oneself or from outside."""
    killer = Killer(kill_at)
    services = build_services(Settings.model_validate(json.loads(Path(settings_file).read_text())), SystemClock())
    services.runtime._kinds.pop("rollout")  # its loop would need Envoy
    services.database.write = killer.around(services.database.write)  # type: ignore[method-assign]
    work.write_pack = killer.after("written", work.write_pack)
    finish = work.EvidenceWork._finish

    def named(self: Any, id: str, file: Path) -> None:
        killer.at("named")
        finish(self, id, file)

    work.EvidenceWork._finish = named  # type: ignore[method-assign]
    services.runtime.start()
    stay()


if __name__ == "__main__":
    serve(run)
