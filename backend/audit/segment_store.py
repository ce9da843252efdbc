"""Where sealed segments lie: a folder, or a prefix of an object store. Files are written once and never changed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

from mlplatform.redaction import redact

_LOCAL = "file://"


class StoreFailed(Exception):
    """The store does not answer, or does not take what is put there."""


class SegmentStore(Protocol):
    """Holds files by name.

    What is not there raises :class:`FileNotFoundError`, everything else that goes wrong :class:`StoreFailed`.
    """

    @property
    def place(self) -> str:
        """What it is, as it may be shown."""
        ...

    def put(self, name: str, file: Path) -> None:
        """Write a file: whole or not at all. One of the same name and content may be there already."""
        ...

    def open(self, name: str) -> IO[bytes]:
        """Open a file for reading; what goes wrong later is an :class:`OSError`."""
        ...

    def read(self, name: str, start: int, end: int) -> bytes:
        """Return a part of a file, less where it ends before."""
        ...

    def delete(self, name: str) -> None:
        """Delete a file; one that is not there is no error."""
        ...


class FolderStore:
    """A folder of this machine, or of a file system that is mounted here."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def place(self) -> str:
        """The folder's path."""
        return str(self._folder)

    def put(self, name: str, file: Path) -> None:
        """Copy the file beside its place, see it on disk, and move it there."""
        with _told(self.place):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            part = self._folder / f".{name}.part"
            part.unlink(missing_ok=True)
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
            with os.fdopen(descriptor, "wb") as into, file.open("rb") as stream:
                while chunk := stream.read(1 << 20):
                    into.write(chunk)
                into.flush()
                os.fsync(into.fileno())
            part.replace(self._folder / name)
            folder = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def open(self, name: str) -> IO[bytes]:
        """Open a file; a link is followed to nowhere."""
        with _told(self.place):
            return os.fdopen(os.open(self._folder / name, os.O_RDONLY | os.O_NOFOLLOW), "rb")

    def read(self, name: str, start: int, end: int) -> bytes:
        """Read a part."""
        with _told(self.place), self.open(name) as stream:
            stream.seek(start)
            return stream.read(end - start)

    def delete(self, name: str) -> None:
        """Delete a file."""
        with _told(self.place):
            (self._folder / name).unlink(missing_ok=True)


class ObjectStore:
    """A prefix of an object store, through fsspec: S3 with ``mlplatform[s3]``, others with their fsspec implementation."""

    def __init__(self, address: str) -> None:
        self._address = address.rstrip("/")
        self._opened: tuple[Any, str] | None = None

    @property
    def place(self) -> str:
        """The URL."""
        return redact(self._address)

    def put(self, name: str, file: Path) -> None:
        """Upload the file; stores show an object when it is whole."""
        with _told(self.place):
            store, root = self._store()
            store.put_file(str(file), f"{root}/{name}")

    def open(self, name: str) -> IO[bytes]:
        """Open an object."""
        with _told(self.place):
            store, root = self._store()
            opened: IO[bytes] = store.open(f"{root}/{name}", "rb")
            return opened

    def read(self, name: str, start: int, end: int) -> bytes:
        """Fetch a part of an object."""
        with _told(self.place):
            store, root = self._store()
            return bytes(store.cat_file(f"{root}/{name}", start=start, end=end))

    def delete(self, name: str) -> None:
        """Delete an object."""
        with _told(self.place):
            store, root = self._store()
            if store.exists(f"{root}/{name}"):
                store.rm_file(f"{root}/{name}")

    def _store(self) -> tuple[Any, str]:
        if self._opened is None:
            import fsspec

            store, root = fsspec.core.url_to_fs(self._address, use_listings_cache=False)
            self._opened = store, str(root).rstrip("/")
        return self._opened


def open_store(address: str) -> SegmentStore:
    """Return the store at a path or an object store's URL, for example ``s3://bucket/prefix``."""
    if address.startswith(_LOCAL) or "://" not in address:
        return FolderStore(Path(address.removeprefix(_LOCAL)).expanduser())
    return ObjectStore(address)


@contextmanager
def _told(place: str) -> Iterator[None]:
    """Tell all that goes wrong, which is of any kind, in one way."""
    try:
        yield
    except (FileNotFoundError, StoreFailed):
        raise
    except Exception as error:
        raise StoreFailed(redact(f"{place} failed: {type(error).__name__}: {error}")) from error
