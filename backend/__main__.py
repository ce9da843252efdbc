"""The backend as a server: ``python -m backend [--workers N]``, where ``app-config.yaml`` says that it listens."""

import argparse
import os
import shutil

import uvicorn

from backend.core.metrics import SHARED_FOLDER
from backend.main import configured

_DRAIN_SECONDS = 10
# A worker that imports MLflow answers its parent late, and must not be taken for dead.
_WORKER_SILENCE_SECONDS = 60


def main() -> None:
    """Serve until asked to stop."""
    parser = argparse.ArgumentParser(prog="python -m backend", description=__doc__)
    parser.add_argument("--workers", type=_positive, default=1, metavar="N", help="processes that answer requests")
    workers = parser.parse_args().workers
    settings = configured()
    if workers > 1:
        folder = settings.home / "run" / "metrics"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        os.environ[SHARED_FOLDER] = str(folder)
    uvicorn.run(
        "backend.main:create",
        factory=True,
        host=settings.backend.host,
        port=settings.backend.port,
        workers=workers,
        log_config=None,  # all lines go one way, which `configured` has set up
        access_log=False,  # the app writes its own
        timeout_graceful_shutdown=_DRAIN_SECONDS,
        timeout_worker_healthcheck=_WORKER_SILENCE_SECONDS,
    )


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


if __name__ == "__main__":
    main()
