"""The folder that a registration is received into, and reading ``multipart/form-data`` straight to disk."""

import fcntl
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, ClassVar

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from backend.core.errors import InvalidInput, PayloadTooLarge
from backend.core.ids import new_id
from backend.registry.bundle import full_disk_is_an_answer

LOCK = ".lock"
"""File in an upload's folder that whoever receives into it holds."""
_MOST_HEADER_BYTES = 8192
_MOST_PARTS = 10


class MalformedUpload(InvalidInput):
    """The body is not the form that was asked for."""

    slug: ClassVar[str] = "malformed-upload"
    title: ClassVar[str] = "Malformed upload"


@contextmanager
def upload_folder(root: Path) -> Iterator[Path]:
    """Make a folder for one upload; nothing of it is left when the block ends, or when the process dies in it.

    The lock on a file in it ends with the process, so what a dead process left can be told from what is in use.
    """
    folder = root / new_id()
    with full_disk_is_an_answer("the upload"):
        folder.mkdir(parents=True)
        lock = (folder / LOCK).open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.close()


@contextmanager
def abandoned_uploads(root: Path) -> Iterator[list[Path]]:
    """Find the folders that dead processes left, hold them, and delete them when the block ends well."""
    held: list[tuple[Path, Any]] = []
    try:
        for folder in sorted(root.iterdir()) if root.is_dir() else []:
            try:
                lock = (folder / LOCK).open("w")
            except OSError:
                continue
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                lock.close()
                continue
            held.append((folder, lock))
        yield [folder for folder, _ in held]
        for folder, _ in held:
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        for _, lock in held:
            lock.close()


@dataclass
class _Part:
    header_bytes: int = 0
    header_name: bytearray = field(default_factory=bytearray)
    header_value: bytearray = field(default_factory=bytearray)
    disposition: bytes = b""
    name: str = ""
    sink: IO[bytes] | None = None
    size: int = 0


class FormReader:
    """Writes each named part of a ``multipart/form-data`` body into a file of its own, as it comes in."""

    def __init__(self, content_type: str, folder: Path, limits: dict[str, int]) -> None:
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if kind != b"multipart/form-data" or not boundary:
            raise MalformedUpload(
                "the body must be multipart/form-data with the parts " + " and ".join(f"`{name}`" for name in limits)
            )
        self._folder, self._limits = folder, limits
        self._part = _Part()
        self._parts = 0
        self._done: dict[str, Path] = {}
        self._ended = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._header_field,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_headers_finished": self._headers_finished,
                "on_part_data": self._data,
                "on_part_end": self._end,
                "on_end": self._all,
            },
        )

    async def read(self, chunks: AsyncIterator[bytes]) -> dict[str, Path]:
        """Read the whole body; return the file of each part.

        Raises:
            MalformedUpload: it is no such form, or a part is missing, unknown or there twice.
            PayloadTooLarge: a part is larger than its limit.
            InsufficientStorage: the disk is full.
        """
        try:
            with full_disk_is_an_answer("the upload"):
                async for chunk in chunks:
                    if chunk:
                        self._parser.write(chunk)
                self._parser.finalize()
        except MultipartParseError as error:
            raise MalformedUpload(f"the body is no valid multipart/form-data: {error}") from None
        finally:
            if self._part.sink is not None:
                self._part.sink.close()
        missing = [name for name in self._limits if name not in self._done]
        if missing or not self._ended:
            names = " and ".join(f"`{name}`" for name in missing) or "its end"
            raise MalformedUpload(f"the form lacks {names}")
        return self._done

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise MalformedUpload("the form has too many parts")
        self._part = _Part()

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._part.header_name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._part.header_value += data[start:end]

    def _count_header(self, size: int) -> None:
        self._part.header_bytes += size
        if self._part.header_bytes > _MOST_HEADER_BYTES:
            raise MalformedUpload("a part's headers are too long")

    def _header_end(self) -> None:
        part = self._part
        if bytes(part.header_name).lower() == b"content-disposition":
            part.disposition = bytes(part.header_value)
        part.header_name, part.header_value = bytearray(), bytearray()

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._part.disposition)
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if name not in self._limits:
            raise MalformedUpload(f"the form has an unknown part {name[:60]!r}; wanted: {', '.join(self._limits)}")
        path = self._folder / name
        if name in self._done or path.exists():
            raise MalformedUpload(f"the form has the part `{name}` twice")
        self._part.name, self._part.sink = name, path.open("xb")

    def _data(self, data: bytes, start: int, end: int) -> None:
        part = self._part
        assert part.sink is not None
        part.size += end - start
        if part.size > self._limits[part.name]:
            raise PayloadTooLarge(f"the part `{part.name}` is larger than {self._limits[part.name]} bytes")
        part.sink.write(data[start:end])

    def _end(self) -> None:
        part = self._part
        assert part.sink is not None
        part.sink.close()
        self._done[part.name] = self._folder / part.name

    def _all(self) -> None:
        self._ended = True
