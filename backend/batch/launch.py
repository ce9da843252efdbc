"""Becomes a batch job: ``python -m backend.batch.launch HOME JOB``. The pid stays the same.

Like the model servers' launcher it makes the Python environment if need be and gives up whatever the model's code has no
business with. Standard library and uv only, so that it is quick.
"""

import fcntl
import json
import os
import sys
from pathlib import Path

from backend.batch.jobs import RECORD, scratch_of
from backend.deployments.targets.local.environments import EnvironmentFailed
from backend.deployments.targets.local.launch import COLLECTOR, environment_python, give_up_rights, isolated
from backend.local.exec import clean_environment, raise_file_limit
from backend.local.folders import Folders
from backend.local.processes import record


def main(home: Path, name: str) -> int:
    """Prepare and become the job; return only when that is not possible, or when there was only an environment to make."""
    folders = Folders(home)
    if not _hold(folders.jobs / f"{name}.lock"):
        return 0  # it runs already
    record(folders.pids, f"{RECORD}{name}")
    job = json.loads((folders.jobs / f"{name}.json").read_text(encoding="utf-8"))
    log = os.open(job["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    events = os.open(folders.jobs / f"{name}.events", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    _say(events, {"event": "begun"})
    artefact = Path(job["artefact"])
    try:
        python = Path(job["python"]) if job["python"] else environment_python(artefact / "environment", folders)
    except EnvironmentFailed as fault:
        _say(events, {"event": "failed", "message": str(fault), "again": True})
        return 1
    if job["module"] is None:
        _say(events, {"event": "ended", "outcome": "done"})
        return 0
    scratch = scratch_of(folders, name)
    scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
    passed = {variable: os.environ[variable] for variable in job["variables"] if variable in os.environ}
    if job.get("collector"):
        passed[COLLECTOR] = job["collector"]
    raise_file_limit()
    give_up_rights()
    os.chdir(scratch)
    os.dup2(events, 1)
    command = [*isolated(python, folders), "-m", job["module"], *job["arguments"]]
    try:
        os.execve(command[0], command, {**clean_environment(home=scratch), **passed})  # noqa: S606
    except OSError as fault:
        _say(events, {"event": "failed", "message": f"can't start {command[0]}: {fault.strerror}", "again": True})
        return 1


def _hold(path: Path) -> bool:
    """Take the lock for as long as this process lives, whatever it becomes."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return False
    os.set_inheritable(descriptor, True)
    return True


def _say(events: int, event: dict[str, object]) -> None:
    os.write(events, json.dumps(event).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
