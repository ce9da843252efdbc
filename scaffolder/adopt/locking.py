"""Make ``uv.lock`` for an adopted repository, from its project file alone: nothing of the repository is built or run."""

import os
import re
import subprocess
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlplatform.pipeline.metadata import project_to_build

_SECONDS = 300


@dataclass(frozen=True)
class Locked:
    """A lock file, or why there is none; ``moved`` are packages that have another version than before."""

    text: str | None
    why: str | None = None
    moved: tuple[str, ...] = ()


def lock(files: Mapping[str, bytes], before: str | None) -> Locked:
    """Return the lock for the project in ``files`` (project file, wheel and what they name); pins of ``before`` are kept.

    Nothing is built, so a project whose dependencies a build would have to tell can't be locked here.
    """
    from uv import find_uv_bin

    with tempfile.TemporaryDirectory(prefix="lock-") as temporary:
        folder = Path(temporary)
        for path, content in files.items():
            place = folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        if project_to_build(folder) is not None:
            return Locked(None, "what the project depends on is told by its build alone, and nothing is built here")
        if before is not None:
            (folder / "uv.lock").write_text(before, encoding="utf-8")
        command = [find_uv_bin(), "lock", "--no-build", "--no-progress", "--color", "never", "--project", str(folder)]
        environment = {name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "UV_PROJECT"}}
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=_SECONDS, cwd=folder, env=environment
            )
        except (OSError, subprocess.TimeoutExpired) as fault:
            return Locked(None, f"uv did not finish: {fault}")
        if done.returncode != 0:
            return Locked(None, _reason(done.stderr, folder))
        text = (folder / "uv.lock").read_text(encoding="utf-8")
    return Locked(text, None, _moved(before, text))


def _reason(said: str, folder: Path) -> str:
    text = " ".join(re.sub(r"[×╰─▶│├]", " ", said.replace(str(folder), ".")).split())
    text = re.sub(r"^(warning: \S.*?|Using CPython \S+( interpreter at: \S+)?) (?=error|No solution|Failed)", "", text)
    return text[-500:] if text else "uv said nothing"


def _moved(before: str | None, after: str) -> tuple[str, ...]:
    old, new = _versions(before), _versions(after)
    return tuple(f"{name} {old[name]} → {new[name]}" for name in sorted(old) if name in new and new[name] != old[name])


def _versions(text: str | None) -> dict[str, str]:
    try:
        packages = tomllib.loads(text or "").get("package", [])
    except tomllib.TOMLDecodeError:
        return {}
    return {str(package["name"]): str(package.get("version", "")) for package in packages if "name" in package}
