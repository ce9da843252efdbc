"""The bundle that a version is registered with: the model, what its environment is built from, and its training reference."""

import io
import json
import tarfile
from pathlib import Path

from mlplatform.attest.digest import artefact_files
from mlplatform.pipeline.errors import StageRefused
from mlplatform.pipeline.workspace import Workspace
from mlplatform.reference.profile import FILE


def environment_files(workspace: Workspace) -> list[Path]:
    """Return the files that the model's environment is built from.

    Raises:
        StageRefused: there is no ``pyproject.toml`` or ``uv.lock``.
    """
    for needed in (workspace.project_file, workspace.lock_file):
        if not needed.is_file():
            fix = (
                "run `uv lock` and commit the result"
                if needed == workspace.lock_file
                else "declare the dependencies there"
            )
            raise StageRefused(f"there is no {needed.name}, so nobody could build the model's environment", fix=fix)
    vendor = workspace.path / "vendor"
    vendored = sorted(path for path in vendor.rglob("*") if path.is_file() and not path.is_symlink())
    return [workspace.project_file, workspace.lock_file, workspace.spec_file, *vendored]


def reference_file(workspace: Workspace, digest: str) -> Path | None:
    """Return the file with the training reference, if it is about the artefact ``digest``."""
    try:
        about = json.loads(workspace.reference.read_bytes())["modelDigest"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return workspace.reference if about == digest else None


def write_bundle(workspace: Workspace, file: Path) -> None:
    """Write the bundle as a tar archive; the same content gives the same bytes."""
    entries = [(f"model/{name}", workspace.model / name) for name in artefact_files(workspace.model)]
    entries += [
        (f"environment/{path.relative_to(workspace.path).as_posix()}", path) for path in environment_files(workspace)
    ]
    if (reference := reference_file(workspace, workspace.trained().model_digest)) is not None:
        entries.append((FILE, reference))
    with tarfile.open(file, "w", format=tarfile.PAX_FORMAT) as archive:
        for name, source in entries:
            entry = tarfile.TarInfo(name)
            entry.size = source.stat().st_size
            entry.mode = 0o644
            entry.mtime = 0
            with source.open("rb") as stream:
                archive.addfile(entry, stream if entry.size else io.BytesIO())
