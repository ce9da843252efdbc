"""What is asked of a lake, whatever it lies on."""

import hashlib
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import BinaryIO, Protocol

from mlplatform.batch.manifest import Manifest

STAGING = "_staging"
"""Folder at the top of a lake for what is not published yet; readers skip its name."""
PART = re.compile(r"part-\d{5}-[0-9a-f]{12}\.parquet")
_CHUNK = 1 << 20


@dataclass(frozen=True)
class LakeFile:
    """A Parquet file of a partition. ``mark`` changes whenever the file is written again."""

    name: str
    bytes: int
    mark: str


class Staging(Protocol):
    """Files on their way into a partition. Can be sent to other processes, which may put files too."""

    def put(self, file: Path, name: str) -> None:
        """Take a finished local file over; the caller's copy may be gone afterwards."""
        ...

    def commit(self, manifest: Manifest) -> None:
        """Make the files that the manifest names the partition, in one step; what was there before is gone."""
        ...

    def discard(self) -> None:
        """Forget the files; nothing happens after :meth:`commit`."""
        ...


class Lake(Protocol):
    """A lake. ``folder`` is a path below its root, ``partition`` the name of the column that days are partitioned by."""

    @property
    def address(self) -> str:
        """Path or URL of the root."""
        ...

    def days(self, folder: str, partition: str) -> list[date]:
        """Return the days that there are partitions of, rising."""
        ...

    def files(self, folder: str, partition: str, day: date) -> list[LakeFile]:
        """Return a partition's Parquet files by name: those of its manifest, if it has one."""
        ...

    def fetch(self, folder: str, partition: str, day: date, name: str, into: Path) -> Path:
        """Return a local path with the file's content, in the folder ``into`` if it has to be copied."""
        ...

    def stream(self, folder: str, partition: str, day: date, name: str) -> AbstractContextManager[BinaryIO]:
        """Open a file for reading where it is, in any order; nothing of it is copied to a disk.

        Raises:
            FileNotFoundError: it is gone.
        """
        ...

    def digest(self, folder: str, partition: str, day: date, file: LakeFile) -> str:
        """Return what speaks for a file's content: its SHA-256, or what the store guarantees to change with it."""
        ...

    def row_count(self, folder: str, partition: str, day: date, name: str) -> tuple[int, list[str]]:
        """Return how many rows a file has, and its columns, from its footer alone."""
        ...

    def manifest(self, folder: str, partition: str, day: date) -> Manifest | None:
        """Return a partition's manifest, if it has one."""
        ...

    def stage(self, folder: str, partition: str, day: date, run_id: str) -> Staging:
        """Begin to replace a partition; clears up what a killed run has left of an earlier attempt."""
        ...

    def remove(self, folder: str, partition: str, day: date) -> None:
        """Remove a partition, if there is one."""
        ...

    def alone(self, folder: str, partition: str, day: date) -> AbstractContextManager[None]:
        """Keep other processes from replacing this partition, where the lake has a way to do that.

        Raises:
            BatchFailed: another process is at it.
        """
        ...


def partition_name(partition: str, day: date) -> str:
    """Return the name of a partition's folder."""
    return f"{partition}={day.isoformat()}"


def partition_day(name: str, partition: str) -> date | None:
    """Return the day of a partition's folder, or ``None`` for a folder that is none."""
    column, equals, value = name.partition("=")
    if column != partition or not equals or not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        return None


def is_data(name: str) -> bool:
    """Say whether a file is one that readers take: Parquet, and not hidden."""
    return name.endswith(".parquet") and not name.startswith(("_", "."))


def part_name(index: int, sha256: str) -> str:
    """Return the name of an output file: no other content ever has it."""
    return f"part-{index:05d}-{sha256[:12]}.parquet"


def file_digest(path: Path) -> str:
    """Return a local file's SHA-256 in hex."""
    summary = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            summary.update(chunk)
    return summary.hexdigest()


def published(files: Sequence[LakeFile], manifest: Manifest | None) -> list[LakeFile]:
    """Return the files that belong to a partition: those that its manifest names, else all."""
    if manifest is not None:
        named = {file.name for file in manifest.output_files}
        files = [file for file in files if file.name in named]
    return sorted(files, key=lambda file: file.name)


def footer(stream: object) -> tuple[int, list[str]]:
    """Return rows and columns of a Parquet file from its footer."""
    import pyarrow.parquet

    metadata = pyarrow.parquet.read_metadata(stream)
    return metadata.num_rows, list(metadata.schema.to_arrow_schema().names)
