"""The tar that a registration uploads: unpacked without trusting a byte of it.

A bundle holds ``model/`` (the MLflow model), ``environment/`` (lock, project file, vendored wheels and ``model.yaml``), and
``reference/`` (the training reference) if there is one. Whatever else a tar can hold — links, devices, absolute or climbing
paths, the same name twice, more bytes than announced — is refused before it reaches the disk.
"""

import errno
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, ClassVar

from backend.core.errors import InsufficientStorage, InvalidInput, PayloadTooLarge

TOP_FOLDERS = ("model", "environment", "reference")
REQUIRED_FILES = (
    "model/MLmodel",
    "environment/model.yaml",
    "environment/pyproject.toml",
    "environment/uv.lock",
)
_CHUNK = 1 << 20
_LONGEST_PATH = 400
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT}


class InvalidBundle(InvalidInput):
    """The uploaded tar is not a bundle."""

    slug: ClassVar[str] = "invalid-bundle"
    title: ClassVar[str] = "Invalid bundle"


@dataclass(frozen=True)
class BundleLimits:
    """What a bundle may hold once unpacked."""

    bytes: int
    files: int


def is_disk_full(error: OSError) -> bool:
    """Say whether an error is the disk's, or a quota's, being full."""
    if isinstance(error, shutil.Error):  # copying a folder goes on to its end and then tells all that happened in words
        return any(f"[Errno {code}]" in str(error) for code in _DISK_FULL)
    return error.errno in _DISK_FULL


@contextmanager
def full_disk_is_an_answer(what: str) -> Iterator[None]:
    """Turn "no space left" from the operating system into a 507 that says what could not be kept."""
    try:
        yield
    except OSError as error:
        if not is_disk_full(error):
            raise
        raise InsufficientStorage(
            f"the platform's disk is full; {what} was not kept",
            fix="free space under the platform's home, then try again",
        ) from error


def unpack(source: Path, into: Path, limits: BundleLimits) -> None:
    """Unpack the tar ``source`` (gzip or plain) into the new folder ``into``.

    Raises:
        InvalidBundle: it is no tar, is damaged, or holds something a bundle may not hold.
        PayloadTooLarge: it unpacks to more bytes or files than ``limits``.
        InsufficientStorage: the disk is full.
    """
    with full_disk_is_an_answer("the bundle"):
        into.mkdir(parents=True)
        try:
            with tarfile.open(source, mode="r:*") as archive:
                _extract(archive, into, limits)
        except (tarfile.TarError, EOFError, UnicodeError) as error:
            raise InvalidBundle(f"the bundle is not a readable tar: {error}") from error
        except OSError as error:
            if error.errno is not None:
                raise
            raise InvalidBundle(f"the bundle is damaged: {error}") from error
    for name in REQUIRED_FILES:
        if not (into / name).is_file():
            raise InvalidBundle(f"the bundle has no {name}", fix="register with `platform register`, which packs it")


def _extract(archive: tarfile.TarFile, into: Path, limits: BundleLimits) -> None:
    files = total = 0
    for member in archive:
        target = into / _safe_path(member)
        if member.isdir():
            target.mkdir(parents=True, exist_ok=True)
            continue
        files += 1
        if files > limits.files:
            raise PayloadTooLarge(f"the bundle holds more than {limits.files} files")
        if target.exists():
            raise InvalidBundle(f"the bundle holds {member.name!r} twice")
        stream = archive.extractfile(member)
        if stream is None:
            raise InvalidBundle(f"{member.name!r} has no content")
        target.parent.mkdir(parents=True, exist_ok=True)
        total += _copy(stream, target, left=limits.bytes - total, limit=limits.bytes)


def _safe_path(member: tarfile.TarInfo) -> PurePosixPath:
    path = PurePosixPath(member.name)
    if not (member.isreg() or member.isdir()):
        raise InvalidBundle(f"{member.name!r} is not a plain file or folder")
    unsafe = path.is_absolute() or ".." in path.parts or "\\" in member.name or "\0" in member.name
    if unsafe or not path.parts or len(member.name) > _LONGEST_PATH:
        raise InvalidBundle(f"{member.name[:80]!r} is not a path inside the bundle")
    if path.parts[0] not in TOP_FOLDERS:
        raise InvalidBundle(f"{member.name!r} is outside of {', '.join(f'{name}/' for name in TOP_FOLDERS)}")
    return path


def _copy(stream: IO[bytes], target: Path, *, left: int, limit: int) -> int:
    written = 0
    with target.open("xb") as out:
        while chunk := stream.read(_CHUNK):
            written += len(chunk)
            if written > left:
                raise PayloadTooLarge(f"the bundle unpacks to more than {limit} bytes")
            out.write(chunk)
    return written


def keep(unpacked: Path, artefacts: Path, digest: str) -> Path:
    """Move an unpacked bundle to its place under ``artefacts`` and return that; a bundle already there stays."""
    place = artefacts / digest
    with full_disk_is_an_answer("the artefact"):
        artefacts.mkdir(parents=True, exist_ok=True)
        if place.exists():
            shutil.rmtree(unpacked)
        else:
            unpacked.rename(place)
    return place


def pack(folder: Path) -> Iterator[bytes]:
    """Yield a plain tar of a kept bundle, file by file, with fixed owners and times so that it is the same each time."""
    sink = _Chunks()
    with tarfile.open(fileobj=sink, mode="w|") as archive:  # type: ignore[call-overload]
        for path in sorted(item for item in folder.rglob("*") if item.is_file()):
            info = tarfile.TarInfo(path.relative_to(folder).as_posix())
            info.size, info.mode = path.stat().st_size, 0o644
            with path.open("rb") as stream:
                archive.addfile(info, stream)
            yield from sink.take()
    yield from sink.take()


class _Chunks:
    """A file-like object that hands on what was written to it."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._chunks.append(bytes(data))
        return len(data)

    def take(self) -> list[bytes]:
        chunks, self._chunks = self._chunks, []
        return chunks
