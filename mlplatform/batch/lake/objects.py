"""A lake on an object store, through fsspec: S3 with ``mlplatform[s3]``, others with their fsspec implementation."""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

from mlplatform.batch.faults import BatchFailed
from mlplatform.batch.lake.base import (
    PART,
    LakeFile,
    footer,
    is_data,
    partition_day,
    partition_name,
    published,
)
from mlplatform.batch.manifest import FILE_NAME, Manifest, decoded

_ORPHANED = timedelta(days=1)
"""A file that no manifest names may belong to a run that goes on at this moment; after this time it does not."""
_MARKS = ("ETag", "etag", "md5Hash", "LastModified", "last_modified", "updated", "mtime", "created")


class _Store:
    """An fsspec file system whose own errors, which are of any kind, are told in one way."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self._store, name)

        def asked(*arguments: Any, **options: Any) -> Any:
            try:
                return call(*arguments, **options)
            except FileNotFoundError:
                raise
            except Exception as error:
                raise BatchFailed(f"the lake's store failed: {type(error).__name__}: {error}", again=True) from error

        return asked


@dataclass(frozen=True)
class ObjectLake:
    """Implements :class:`~mlplatform.batch.lake.base.Lake` below a URL.

    New objects are written first, under names that no other content has; then the manifest, one object, which is replaced in
    one step; then what the former manifest named is deleted.
    """

    address: str

    def _open(self) -> tuple[_Store, str]:
        try:
            import fsspec

            store, root = fsspec.core.url_to_fs(self.address, use_listings_cache=False)
        except ImportError as error:
            scheme = self.address.partition("://")[0]
            extra = "mlplatform[s3]" if scheme == "s3" else "its fsspec implementation"
            raise BatchFailed(f"lakes at {scheme}:// need {extra} in the model's environment") from error
        except ValueError as error:
            raise BatchFailed(f"there is no such kind of lake: {error}") from error
        return _Store(store), str(root).rstrip("/")

    def _listed(self, *parts: str) -> list[dict[str, Any]]:
        store, root = self._open()
        store.invalidate_cache()
        try:
            found: list[dict[str, Any]] = store.ls("/".join((root, *parts)), detail=True)
        except FileNotFoundError:
            return []
        return found

    def _at(self, folder: str, partition: str, day: date, name: str = "") -> tuple[_Store, str]:
        store, root = self._open()
        path = f"{root}/{folder}/{partition_name(partition, day)}"
        return store, f"{path}/{name}" if name else path

    def days(self, folder: str, partition: str) -> list[date]:
        """Return the days that there are partitions of, rising."""
        names = [_name(entry) for entry in self._listed(folder) if entry.get("type") == "directory"]
        return sorted(day for name in names if (day := partition_day(name, partition)) is not None)

    def files(self, folder: str, partition: str, day: date) -> list[LakeFile]:
        """Return a partition's Parquet files by name."""
        found = [
            LakeFile(_name(entry), int(entry["size"] or 0), _mark(entry))
            for entry in self._listed(folder, partition_name(partition, day))
            if entry.get("type") == "file" and is_data(_name(entry))
        ]
        return published(found, self.manifest(folder, partition, day)) if found else []

    def fetch(self, folder: str, partition: str, day: date, name: str, into: Path) -> Path:
        """Copy the file."""
        store, path = self._at(folder, partition, day, name)
        local = into / name
        store.get_file(path, str(local))
        return local

    def stream(self, folder: str, partition: str, day: date, name: str) -> BinaryIO:
        """Open an object for reading; what is asked of it is fetched."""
        store, path = self._at(folder, partition, day, name)
        opened: BinaryIO = store.open(path, "rb")
        return opened

    def digest(self, folder: str, partition: str, day: date, file: LakeFile) -> str:
        """Return the store's own mark of the content, which costs no download."""
        return f"mark:{file.bytes}:{file.mark}"

    def row_count(self, folder: str, partition: str, day: date, name: str) -> tuple[int, list[str]]:
        """Return rows and columns of a file."""
        with self.stream(folder, partition, day, name) as stream:
            return footer(stream)

    def manifest(self, folder: str, partition: str, day: date) -> Manifest | None:
        """Return a partition's manifest, if it has one."""
        store, path = self._at(folder, partition, day, FILE_NAME)
        store.invalidate_cache()
        try:
            return decoded(store.cat_file(path))
        except FileNotFoundError:
            return None

    def stage(self, folder: str, partition: str, day: date, run_id: str) -> "ObjectStaging":
        """Begin to replace a partition."""
        return ObjectStaging(self, folder, partition, day)

    def remove(self, folder: str, partition: str, day: date) -> None:
        """Remove a partition: its manifest first, so that no reader goes by names that are gone."""
        store, path = self._at(folder, partition, day)
        names = [_name(entry) for entry in self._listed(folder, partition_name(partition, day))]
        for name in sorted(names, key=lambda name: name != FILE_NAME):
            store.rm_file(f"{path}/{name}")

    @contextmanager
    def alone(self, folder: str, partition: str, day: date) -> Iterator[None]:
        """Do nothing: a store has no lock that is let go of when a process dies.

        Two runs at the same time leave the files of the one whose manifest was written last; see
        :meth:`ObjectStaging.commit`.
        """
        yield


@dataclass(frozen=True)
class ObjectStaging:
    """Objects that no manifest names yet."""

    lake: ObjectLake
    folder: str
    partition: str
    day: date

    def put(self, file: Path, name: str) -> None:
        """Upload a file."""
        store, path = self.lake._at(self.folder, self.partition, self.day, name)
        store.put_file(str(file), path)
        file.unlink()

    def commit(self, manifest: Manifest) -> None:
        """Write the manifest, then delete what was there before.

        Only what the former manifest named goes at once, or everything if there was none: objects that no manifest names
        may be those of another run, and go when they are a day old.
        """
        store, path = self.lake._at(self.folder, self.partition, self.day)
        before = self.lake.manifest(self.folder, self.partition, self.day)
        listed = self.lake._listed(self.folder, partition_name(self.partition, self.day))
        store.pipe_file(f"{path}/{FILE_NAME}", manifest.encoded())
        mine = {file.name for file in manifest.output_files}
        former = {file.name for file in before.output_files} if before is not None else set()
        for entry in listed:
            name = _name(entry)
            if name in mine or not is_data(name):
                continue
            foreign = before is None and not PART.fullmatch(name)
            if name in former or foreign or _is_old(entry):
                with contextlib.suppress(FileNotFoundError):
                    store.rm_file(f"{path}/{name}")

    def discard(self) -> None:
        """Leave the objects: no reader sees them, and the next run uses or, in time, deletes them."""


def _name(entry: dict[str, Any]) -> str:
    return str(entry["name"]).rstrip("/").rsplit("/", 1)[-1]


def _mark(entry: dict[str, Any]) -> str:
    return next((str(entry[key]).strip('"') for key in _MARKS if entry.get(key) is not None), "")


def _is_old(entry: dict[str, Any]) -> bool:
    written = next((entry[key] for key in ("LastModified", "last_modified", "created") if entry.get(key)), None)
    if not isinstance(written, datetime):
        return False
    written = written if written.tzinfo else written.replace(tzinfo=UTC)
    return datetime.now(UTC) - written > _ORPHANED
