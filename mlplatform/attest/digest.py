"""The digest of a model artefact, which is a folder.

It is the Hash1 construction of Go's ``golang.org/x/mod/sumdb/dirhash`` (in-toto's ``dirHash1``) written in hex: SHA-256
over the lines ``<sha256 of the file>  <path>\\n``, sorted by path. Anyone can check it with standard tools:
``find . -type f | LC_ALL=C sort | sed 's|^\\./||' | xargs -d '\\n' sha256sum | sha256sum``.
"""

import hashlib
from pathlib import Path

# MLflow writes this file beside a model when it is downloaded from the registry; it is not part of what was trained.
_ADDED_BY_REGISTRY = {"registered_model_meta"}
_CHUNK = 1 << 20


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file as lower-case hex, reading it in chunks."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def artefact_files(folder: Path) -> list[str]:
    """Return the POSIX paths of the artefact's files, sorted bytewise.

    Raises:
        ValueError: the folder holds a symbolic link or a path with a line break, which would make the digest ambiguous.
    """
    names = []
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            raise ValueError(f"{name} is a symbolic link; a model artefact holds plain files only")
        if "\n" in name:
            raise ValueError(f"{name!r} has a line break in its name")
        if path.is_file() and name not in _ADDED_BY_REGISTRY:
            names.append(name)
    return sorted(names, key=lambda name: name.encode())


def artefact_digest(folder: Path) -> str:
    """Return the digest of a model artefact as 64 lower-case hex digits.

    Raises:
        ValueError: the folder is empty, or holds something that a digest can't speak for.
    """
    names = artefact_files(folder)
    if not names:
        raise ValueError(f"{folder} holds no files")
    summary = hashlib.sha256()
    for name in names:
        summary.update(f"{file_sha256(folder / name)}  {name}\n".encode())
    return summary.hexdigest()
