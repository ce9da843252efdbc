"""The toolkit's wheel, which travels in every model repository.

A build is known by the digest of its sources and kept, so it happens once. Hatchling builds reproducibly: the same
sources give the same bytes on any machine, which a lock file can pin.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

from scaffolder.errors import ScaffoldError

SOURCES = Path(__file__).parent.parent / "mlplatform"
_SUFFIXES = {".py", ".json", ".yaml", ".jinja"}
_NAMES = {"py.typed", "pyproject.toml"}


@dataclass(frozen=True)
class Toolkit:
    """A built wheel of ``mlplatform``."""

    version: str
    wheel: Path
    sha256: str


def read_sources() -> dict[str, bytes]:
    """Return the files that make up the toolkit, by their POSIX path.

    Raises:
        ScaffoldError: they are not there (an installed platform has none; it uses what a checkout released).
    """
    folder = SOURCES
    if not (folder / "pyproject.toml").is_file():
        raise ScaffoldError(
            "the toolkit's sources are not here, so no template can be released",
            fix="release from a checkout of the platform's repository",
        )
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and (path.suffix in _SUFFIXES or path.name in _NAMES) and "__pycache__" not in path.parts
    }


def sources_digest(sources: dict[str, bytes]) -> str:
    """Return the digest by which a build of these sources is known."""
    digest = hashlib.sha256()
    for name in sorted(sources):
        digest.update(f"{hashlib.sha256(sources[name]).hexdigest()}  {name}\n".encode())
    return digest.hexdigest()


def build(sources: dict[str, bytes], cache: Path) -> Toolkit:
    """Return the wheel of these sources, built now or taken from ``cache``.

    Raises:
        ScaffoldError: the build failed; the message holds the last thing it said.
    """
    folder = cache / sources_digest(sources)
    wheel = next(iter(sorted(folder.glob("*.whl"))), None)
    if wheel is None:
        wheel = _build_into(folder, sources)
    version = tomllib.loads(sources["pyproject.toml"].decode())["project"]["version"]
    return Toolkit(version, wheel, hashlib.sha256(wheel.read_bytes()).hexdigest())


def _build_into(folder: Path, sources: dict[str, bytes]) -> Path:
    """Build from a copy, so that an edit during the build can't end up under the wrong digest."""
    from uv import find_uv_bin

    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".build-") as temporary:
        project, out = Path(temporary, "mlplatform"), Path(temporary, "out")
        for name, content in sources.items():
            path = project / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        process = subprocess.run(
            [find_uv_bin(), "build", "--wheel", "--no-progress", "--out-dir", str(out), str(project)],
            capture_output=True,
            text=True,
            check=False,
            env={key: value for key, value in os.environ.items() if key != "SOURCE_DATE_EPOCH"},
        )
        wheel = next(iter(out.glob("*.whl")), None)
        if process.returncode != 0 or wheel is None:
            said = " ".join(line.strip() for line in process.stderr.splitlines()[-6:])
            raise ScaffoldError(f"the toolkit's wheel could not be built: {said or 'uv said nothing'}")
        for extra in out.iterdir():
            if extra != wheel:
                extra.unlink()
        try:
            out.rename(folder)
        except OSError:  # somebody else built the same in the meantime
            if not any(folder.glob("*.whl")):
                shutil.rmtree(folder, ignore_errors=True)
                out.rename(folder)
        return folder / wheel.name
