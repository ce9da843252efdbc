"""Becomes a model server: ``python -m backend.deployments.targets.local.launch HOME PROGRAM [-- COMMAND...]``.

supervisord runs this for each replica. It makes the Python environment if need be, gives up whatever the model's code
has no business with, and is replaced by the server; the pid stays the same. It must stay quick to import.
"""

import argparse
import ctypes
import json
import os
import resource
import sys
from pathlib import Path

from backend.local.exec import clean_environment, raise_file_limit
from backend.local.folders import Folders
from backend.local.processes import record

_CANNOT_START = 78  # EX_CONFIG of sysexits.h
_PR_SET_NO_NEW_PRIVS = 38
_KILLED_FIRST = "500"
"""When memory runs out the kernel should take a model server rather than the backend."""


SERVING, STREAMING = "mlplatform.serving", "mlplatform.streaming"
SAMPLES = "ML_PLATFORM_SAMPLES"
"""Where model servers spool payload samples; a variable, since toolkits that know of none would refuse an argument."""
COLLECTOR, SAMPLER_ARGUMENT = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_TRACES_SAMPLER_ARG"
"""By these OpenTelemetry is told where spans and lines of logs go, and which part of what has no trace yet gets spans."""
NO_LOGS = {"OTEL_LOGS_EXPORTER": "none"}
"""By this, that lines of logs go nowhere."""
IN_HOME = "{home}/"
"""What the paths in a record begin with that lie in HOME, which may be copied to another place."""


def server_arguments(home: Path, program: str) -> tuple[str, list[str], Path]:
    """Return the model server's module, its arguments and the bundle's environment folder, from the version's record."""
    slug, _, replica = program.rpartition("--r")
    entry = json.loads((Folders(home).versions / f"{slug}.json").read_text(encoding="utf-8"))
    artefacts = home / entry["artefactDir"]
    arguments = {
        "--model-dir": artefacts / "model",
        "--spec": artefacts / "environment" / "model.yaml",
        "--name": entry["model"],
        "--version": entry["version"],
        "--host": "127.0.0.1",
        "--port": entry["ports"][int(replica)],
        "--environment": entry["environment"],
    }
    stream = entry.get("stream")
    parts = [str(part) for pair in arguments.items() for part in pair] + [
        _placed(str(part), home) for part in stream or ()
    ]
    return SERVING if stream is None else STREAMING, parts, artefacts / "environment"


def _placed(part: str, home: Path) -> str:
    return str(home / part.removeprefix(IN_HOME)) if part.startswith(IN_HOME) else part


def give_up_rights() -> None:
    """Let neither this process nor what it becomes gain rights or leave a core file with data in it."""
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        try:
            Path("/proc/self/oom_score_adj").write_text(_KILLED_FIRST, encoding="ascii")
        except OSError:
            print("oom_score_adj can't be set; going on", flush=True)  # noqa: T201 - goes to the replica's log


def isolated(python: Path, folders: Folders) -> list[str]:
    """Return the start of a command that runs Python for a model, and nothing that lies about.

    A model may bring code, and bytecode beside it would change the artefact that was registered. Without any, each start
    would compile MLflow and its friends again.
    """
    return [str(python), "-I", "-X", f"pycache_prefix={folders.bytecode}"]


def main() -> int:
    """Prepare and become the server; return only when that is not possible."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("home", type=Path)
    parser.add_argument("program")
    parser.add_argument("--python", type=Path, help="interpreter to use instead of an environment per lock file")
    parser.add_argument("--collector", help="OpenTelemetry collector that spans are sent to")
    parser.add_argument(
        "--sample-ratio", default="0", help="part of the requests without a trace that spans are made of"
    )
    parser.add_argument("--no-logs", action="store_true", help="send the collector no lines of logs")
    parser.add_argument("command", nargs="*", help="program to run instead of the model server's module")
    options = parser.parse_args()
    folders = Folders(options.home)
    record(folders.pids, options.program)
    try:
        module, arguments, environment = server_arguments(options.home, options.program)
        command = options.command or [
            *isolated(options.python or environment_python(environment, folders), folders),
            "-m",
            module,
        ]
    except Exception as fault:
        print(f"can't start: {fault or type(fault).__name__}", flush=True)  # noqa: T201 - goes to the replica's log
        return _CANNOT_START
    scratch = folders.scratch / options.program
    scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
    raise_file_limit()
    give_up_rights()
    os.chdir(scratch)
    try:
        environ = {**clean_environment(home=scratch), SAMPLES: str(folders.samples)}
        if options.collector:
            environ |= {COLLECTOR: options.collector, SAMPLER_ARGUMENT: options.sample_ratio}
            environ |= NO_LOGS if options.no_logs else {}
        os.execvpe(command[0], [*command, *arguments], environ)  # noqa: S606
    except OSError as fault:
        print(f"can't start: {command[0]}: {fault.strerror}", flush=True)  # noqa: T201 - goes to the replica's log
        return _CANNOT_START


def environment_python(environment: Path, folders: Folders) -> Path:
    """Return the interpreter of a version's environment, which is made now if need be; that takes long, so it is said.

    Raises:
        EnvironmentFailed: it could not be made.
    """
    from backend.deployments.targets.local.environments import EnvironmentFailed, ensure, is_ready, lock_digest

    try:
        if not is_ready(folders.environments / lock_digest(environment)):
            print("making the Python environment of this version", flush=True)  # noqa: T201 - goes to the log
    except OSError:
        pass  # said better below
    try:
        return ensure(environment, folders.environments)
    except EnvironmentFailed as fault:
        raise EnvironmentFailed(f"the Python environment could not be made: {fault}") from fault


if __name__ == "__main__":
    sys.exit(main())
