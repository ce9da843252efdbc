"""Python environments for model servers: one per lock file, made once, shared by all versions with that lock.

Runs in the model servers' launcher, so a slow build holds up nobody else. Standard library and uv only.
"""

import fcntl
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mlplatform.redaction import redact

_READY = ".ready"
_ERROR_LINES = 12
_PASSED_ON = re.compile(
    r"^(UV_.*|PIP_.*|SSL_CERT_.*|REQUESTS_CA_BUNDLE|(HTTPS?|NO|ALL)_PROXY|(https?|no|all)_proxy|HOME|XDG_.*|NETRC|LANG|TMPDIR)$"
)
"""What uv needs to reach the package index as the user set it up; nothing else of the environment goes in."""


class EnvironmentFailed(Exception):
    """The environment could not be made; the message is what uv said last, redacted."""


def lock_digest(environment: Path) -> str:
    """Return the digest of a bundle's lock file, which names the Python environment made from it."""
    return hashlib.sha256((environment / "uv.lock").read_bytes()).hexdigest()


def python_of(folder: Path) -> Path:
    """Return the interpreter of a finished environment."""
    return folder / "bin" / "python"


def is_ready(folder: Path) -> bool:
    """Tell whether the environment was finished."""
    return (folder / _READY).exists() and python_of(folder).exists()


def ensure(environment: Path, environments: Path) -> Path:
    """Return the interpreter for a bundle's ``environment/``; make its environment first if there is none yet.

    Several processes may ask at the same time: one builds, the others wait for it. An environment that was left
    half-made is made again from nothing.

    Raises:
        EnvironmentFailed: uv could not make it.
    """
    try:
        folder = environments / lock_digest(environment)
    except OSError as fault:
        raise EnvironmentFailed(f"the bundle's uv.lock can't be read: {fault.strerror}") from fault
    if is_ready(folder):
        return python_of(folder)
    environments.mkdir(parents=True, exist_ok=True)
    with _locked(environments / f"{folder.name}.lock"):
        if is_ready(folder):
            return python_of(folder)
        if folder.exists():
            shutil.rmtree(folder)
        try:
            _build(environment, folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        (folder / _READY).touch()
    return python_of(folder)


def uv_environment(environ: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Return the environment variables that uv runs with."""
    passed = {name: value for name, value in environ.items() if _PASSED_ON.match(name)}
    search = [str(Path(sys.base_prefix) / "bin"), "/usr/local/bin", "/usr/bin", "/bin"]
    return {
        **passed,
        "PATH": os.pathsep.join(search),
        "UV_PROJECT_ENVIRONMENT": str(folder),
        "UV_NO_PROGRESS": "1",
        "NO_COLOR": "1",
    }


def _build(environment: Path, folder: Path) -> None:
    from uv import find_uv_bin  # only a first start of a lock file needs it

    command = [find_uv_bin(), "sync", "--frozen", "--no-dev", "--no-install-project", "--no-build"]
    child = subprocess.Popen(
        [*command, "--project", str(environment)],
        env=uv_environment(os.environ, folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )

    def end_child(number: int, _frame: object) -> None:
        child.terminate()
        raise SystemExit(128 + number)

    former = signal.signal(signal.SIGTERM, end_child)
    lines: list[str] = []
    try:
        assert child.stdout is not None
        for line in child.stdout:
            text = redact(line.rstrip())
            if text.strip():
                lines.append(text.strip())
                print(text, flush=True)  # noqa: T201 - the launcher's output is the replica's log
        status = child.wait()
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()
        signal.signal(signal.SIGTERM, former)
    if status != 0:
        raise EnvironmentFailed("; ".join(_telling(lines)) or f"uv ended with status {status}")


def _telling(lines: list[str]) -> list[str]:
    """Return uv's error lines, from the line that starts the error on, without its decoration."""
    start = next((index for index, line in enumerate(lines) if line.startswith(("error", "×", "x "))), 0)
    return [line.lstrip("×│├╰─▶ ") for line in lines[start:]][-_ERROR_LINES:]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
