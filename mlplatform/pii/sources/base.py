"""What the scanner reads: tables, in batches of columns."""

import io
import lzma
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, Protocol

MIB = 2**20
_PIECE = 65_536


@dataclass(frozen=True)
class Limits:
    """How much one table may ask of the scanner before it is given up, told and counted as not scanned."""

    unpacked_bytes: int = 64 * 1024 * MIB
    """Of one compressed file, after unpacking."""
    unpack_ratio: int = 1_000
    """Bytes that one byte may unpack to, from ``unpack_grace`` on."""
    unpack_grace: int = 256 * MIB
    column_chunk_bytes: int = 1024 * MIB
    """Of one column in one row group of a Parquet file, as its footer says."""
    record_bytes: int = 8 * MIB
    """Of one row of text (CSV, JSON Lines)."""
    document_bytes: int = 256 * MIB
    """Of one JSON document, which has to be held as a whole."""
    nesting: int = 64
    paths: int = 2_000
    """Columns that nested values are spread over."""


class SourceFailed(Exception):
    """A source that can't be read, or not safely."""

    def __init__(self, message: str, fix: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix


@dataclass(frozen=True)
class Batch:
    """Consecutive rows of a table."""

    start: int
    """Number of the first row, from 0."""
    rows: int
    columns: Mapping[str, Any]
    """By name, each a sequence of Python objects or an Arrow array, all of the same length."""
    beside: Sequence[str] = ()
    """Text that belongs to no row: what a reader could not fit in. It is looked at always, whatever is sampled."""


Needed = Callable[[int, int], bool]
"""Says whether any of so many rows from a row on is wanted, so that a reader may leave out the others."""


class Table(Protocol):
    """Rows with columns: a file, a member of an archive, a table of a database."""

    @property
    def name(self) -> str:
        """What it is called in results; never holds credentials."""

    @property
    def fingerprint(self) -> str:
        """What changes when the content does; empty where that can't be told, and the table is read again."""

    def count(self) -> int:
        """Return the number of rows; where it is not written down, by reading without looking.

        Raises:
            SourceFailed: the table can't be read, or not within the limits.
        """

    def batches(self, needed: Needed, notes: "Notes") -> Iterator[Batch]:
        """Return the rows that are needed, and maybe others, in an order that stays the same.

        Raises:
            SourceFailed: the rest can't be read, or not within the limits.
        """


@dataclass
class Notes:
    """What a reader passed over, told once each."""

    told: list[str] = field(default_factory=list)

    def add(self, note: str) -> None:
        """Add a note."""
        if note not in self.told:
            self.told.append(note)


class Bounded(io.RawIOBase):
    """A decompressed stream that ends in :class:`SourceFailed` when it gives more than a file of that size may."""

    def __init__(self, stream: IO[bytes], packed: int | None, limits: Limits, name: str) -> None:
        self._stream = stream
        self._name = name
        self._given = 0
        self._most = limits.unpacked_bytes
        if packed is not None:
            self._most = min(self._most, max(limits.unpack_grace, packed * limits.unpack_ratio))

    def readable(self) -> bool:
        """Say yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read on, and count."""
        try:
            content = self._stream.read(min(len(buffer), _PIECE))
        except (EOFError, OSError, ValueError, zlib.error, lzma.LZMAError) as error:
            message = f"{self._name} is damaged or cut off: it unpacks to {self._given:,} bytes and no further"
            raise SourceFailed(message) from error
        self._given += len(content)
        if self._given > self._most:
            raise SourceFailed(
                f"{self._name} unpacks to more than {self._most // MIB} MiB, which its size does not explain",
                "if it is meant to be so, unpack it first and scan what is in it",
            )
        buffer[: len(content)] = content
        return len(content)


class ToTheBreak(io.RawIOBase):
    """A stream that seems to end where it breaks off, for readers that read ahead and would lose what came before."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.broken: SourceFailed | None = None

    def readable(self) -> bool:
        """Say yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read on, or note the break."""
        try:
            content = self._stream.read(len(buffer))
        except SourceFailed as error:
            self.broken, content = error, b""
        buffer[: len(content)] = content
        return len(content)


def beginning(stream: IO[bytes], size: int) -> bytes:
    """Return the first bytes of a stream, fewer where it breaks off."""
    parts: list[bytes] = []
    while size > 0:
        try:
            part = stream.read(min(size, 4_096))
        except SourceFailed:
            break
        if not part:
            break
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
