"""A lake on a file system."""

import contextlib
import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import BinaryIO

from mlplatform.batch.faults import BatchFailed
from mlplatform.batch.lake.base import (
    PART,
    STAGING,
    LakeFile,
    file_digest,
    footer,
    is_data,
    partition_day,
    partition_name,
    published,
)
from mlplatform.batch.lake.exchange import ExchangeUnsupported, exchange
from mlplatform.batch.manifest import FILE_NAME, Manifest, decoded


@dataclass(frozen=True)
class LocalLake:
    """Implements :class:`~mlplatform.batch.lake.base.Lake` below a folder."""

    root: Path

    @property
    def address(self) -> str:
        """Path of the root."""
        return str(self.root)

    def path(self, folder: str, partition: str, day: date) -> Path:
        """Return where a partition is."""
        return self.root / folder / partition_name(partition, day)

    def days(self, folder: str, partition: str) -> list[date]:
        """Return the days that there are partitions of, rising."""
        try:
            names = [entry.name for entry in os.scandir(self.root / folder) if entry.is_dir()]
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(day for name in names if (day := partition_day(name, partition)) is not None)

    def files(self, folder: str, partition: str, day: date) -> list[LakeFile]:
        """Return a partition's Parquet files by name."""
        found = []
        try:
            for entry in os.scandir(self.path(folder, partition, day)):
                if is_data(entry.name) and entry.is_file():
                    status = entry.stat()
                    found.append(LakeFile(entry.name, status.st_size, f"{status.st_mtime_ns}-{status.st_ino}"))
        except (FileNotFoundError, NotADirectoryError):
            return []
        return published(found, self.manifest(folder, partition, day))

    def fetch(self, folder: str, partition: str, day: date, name: str, into: Path) -> Path:
        """Return the file's own path."""
        return self.path(folder, partition, day) / name

    def stream(self, folder: str, partition: str, day: date, name: str) -> BinaryIO:
        """Open a file for reading."""
        return (self.path(folder, partition, day) / name).open("rb")

    def digest(self, folder: str, partition: str, day: date, file: LakeFile) -> str:
        """Return the SHA-256 of a file's content."""
        return "sha256:" + file_digest(self.path(folder, partition, day) / file.name)

    def row_count(self, folder: str, partition: str, day: date, name: str) -> tuple[int, list[str]]:
        """Return rows and columns of a file."""
        with self.stream(folder, partition, day, name) as stream:
            return footer(stream)

    def manifest(self, folder: str, partition: str, day: date) -> Manifest | None:
        """Return a partition's manifest, if it has one."""
        try:
            return decoded((self.path(folder, partition, day) / FILE_NAME).read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return None

    def stage(self, folder: str, partition: str, day: date, run_id: str) -> "LocalStaging":
        """Begin to replace a partition."""
        target = self.path(folder, partition, day)
        staging = self.root / STAGING / folder / f"{target.name}.{run_id}"
        _forget(staging.parent, f"{target.name}.")
        _forget_orphans(target, self.manifest(folder, partition, day))
        staged = LocalStaging(staging, target, self.root.stat().st_mode & 0o777)
        staged.begin()
        return staged

    def remove(self, folder: str, partition: str, day: date) -> None:
        """Remove a partition: it disappears in one step."""
        target = self.path(folder, partition, day)
        leaving = self.root / STAGING / folder / f"{target.name}.removed"
        _forget(leaving.parent, f"{target.name}.")
        if not target.exists():
            return
        leaving.parent.mkdir(parents=True, exist_ok=True)
        target.rename(leaving)
        shutil.rmtree(leaving)

    @contextmanager
    def alone(self, folder: str, partition: str, day: date) -> Iterator[None]:
        """Hold a lock file; the system lets go of it when this process ends."""
        path = self.root / STAGING / folder / f".{partition_name(partition, day)}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BatchFailed(
                    f"another process is scoring {folder}/{path.name[1:-5]} at this moment", again=True
                ) from None
            yield


@dataclass(frozen=True)
class LocalStaging:
    """Files beside the partition, on the same file system."""

    folder: Path
    target: Path
    mode: int
    """Rights of the lake's root, which everything in it is given: runs have a umask that lets nobody in."""

    def begin(self) -> None:
        """Make the folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(self.mode)

    def put(self, file: Path, name: str) -> None:
        """Move a file in."""
        shutil.move(file, self.folder / name)
        (self.folder / name).chmod(self.mode & 0o666)
        _to_disk(self.folder / name)

    def commit(self, manifest: Manifest) -> None:
        """Exchange the folders; where that is not possible, the manifest is what changes in one step."""
        written = self.folder / FILE_NAME
        written.write_bytes(manifest.encoded())
        written.chmod(self.mode & 0o666)
        _to_disk(written)
        _to_disk(self.folder)
        self._make_parents()
        try:
            if self.target.exists():
                exchange(self.folder, self.target)
            else:
                self.folder.rename(self.target)
        except ExchangeUnsupported:
            self._commit_in_place(manifest)
        except OSError as error:
            if error.errno == errno.EXDEV:
                raise BatchFailed(
                    f"{self.target.parent} is on another file system than the lake's root, so nothing there can be "
                    "replaced in one step"
                ) from error
            raise
        _to_disk(self.target.parent)
        self.discard()

    def discard(self) -> None:
        """Remove what is staged."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _make_parents(self) -> None:
        missing = []
        parent = self.target.parent
        while not parent.exists():
            missing.append(parent)
            parent = parent.parent
        for folder in reversed(missing):
            folder.mkdir(exist_ok=True)
            folder.chmod(self.mode)

    def _commit_in_place(self, manifest: Manifest) -> None:
        mine = {file.name for file in manifest.output_files}
        for name in sorted(mine):
            (self.folder / name).replace(self.target / name)
        _to_disk(self.target)
        (self.folder / FILE_NAME).replace(self.target / FILE_NAME)
        _to_disk(self.target)
        for entry in list(os.scandir(self.target)):
            if is_data(entry.name) and entry.name not in mine:
                Path(entry.path).unlink()


def _forget(parent: Path, beginning: str) -> None:
    """Remove what killed runs have left staged."""
    with contextlib.suppress(FileNotFoundError):
        for entry in list(os.scandir(parent)):
            if entry.is_dir() and entry.name.startswith(beginning):
                shutil.rmtree(entry.path)


def _forget_orphans(target: Path, manifest: Manifest | None) -> None:
    """Remove files that a run killed half-way through replacing in place has put beside the published ones."""
    if manifest is None:
        return
    named = {file.name for file in manifest.output_files}
    for entry in list(os.scandir(target)):
        if PART.fullmatch(entry.name) and entry.name not in named:
            Path(entry.path).unlink()


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
