"""Parquet, Arrow IPC (files and streams) and Feather."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any

from mlplatform.pii.sources.base import MIB, Batch, Limits, Needed, Notes, SourceFailed
from mlplatform.pii.sources.nested import spread

_ROWS = 8_192


@dataclass(frozen=True)
class ParquetTable:
    """A Parquet file. Text stays encoded as a dictionary, so that a value of a megabyte that repeats is held once."""

    name: str
    fingerprint: str
    open: Callable[[], IO[bytes]]
    limits: Limits

    def count(self) -> int:
        """Return the number in the footer."""
        with self.open() as stream:
            return int(self._file(stream).metadata.num_rows)

    def batches(self, needed: Needed, notes: Notes) -> Iterator[Batch]:
        """Read row group by row group; those of which no row is needed are not read."""
        with self.open() as stream:
            file = self._file(stream)
            first = 0
            for group in range(file.metadata.num_row_groups):
                about = file.metadata.row_group(group)
                if needed(first, about.num_rows):
                    self._check(about, group)
                    yield from self._group(file, group, first, needed, notes)
                first += about.num_rows

    def _group(self, file: Any, group: int, first: int, needed: Needed, notes: Notes) -> Iterator[Batch]:
        import pyarrow as pa

        try:
            for batch in file.iter_batches(batch_size=_ROWS, row_groups=[group]):
                if needed(first, len(batch)):
                    yield Batch(first, len(batch), flat(batch, self.limits, notes))
                first += len(batch)
        except (pa.ArrowException, OSError, MemoryError, OverflowError) as error:
            raise SourceFailed(f"{self.name} is damaged: row group {group} can't be read ({_told(error)})") from error

    def _file(self, stream: IO[bytes]) -> Any:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            schema = pq.read_schema(stream)
            text = [field.name for field in schema if pa.types.is_string(field.type) or pa.types.is_binary(field.type)]
            return pq.ParquetFile(stream, read_dictionary=text, memory_map=False)
        except (pa.ArrowException, OSError, MemoryError, OverflowError, ValueError) as error:
            raise SourceFailed(f"{self.name} is no Parquet file or is damaged ({_told(error)})") from error

    def _check(self, group: Any, number: int) -> None:
        for index in range(group.num_columns):
            column = group.column(index)
            if column.total_uncompressed_size > self.limits.column_chunk_bytes:
                raise SourceFailed(
                    f"{self.name}: column {index} of row group {number} unpacks to "
                    f"{column.total_uncompressed_size // MIB} MiB, more than {self.limits.column_chunk_bytes // MIB} MiB",
                    "write it again with smaller row groups",
                )


@dataclass(frozen=True)
class ArrowTable:
    """An Arrow IPC file (Feather version 2) or stream."""

    name: str
    fingerprint: str
    open: Callable[[], IO[bytes]]
    limits: Limits

    def count(self) -> int:
        """Add up the record batches."""
        return sum(len(record) for record in self._records())

    def batches(self, needed: Needed, notes: Notes) -> Iterator[Batch]:
        """Read record batch by record batch."""
        position = 0
        for record in self._records():
            for offset in range(0, len(record), _ROWS):
                part = record.slice(offset, _ROWS)
                if needed(position, len(part)):
                    yield Batch(position, len(part), flat(part, self.limits, notes))
                position += len(part)

    def _records(self) -> Iterator[Any]:
        import pyarrow as pa

        with self.open() as stream:
            try:
                yield from _records(stream)
            except (pa.ArrowException, OSError, MemoryError, OverflowError) as error:
                raise SourceFailed(f"{self.name} is no Arrow file or is damaged ({_told(error)})") from error


def _records(stream: IO[bytes]) -> Iterator[Any]:
    import pyarrow as pa

    if stream.read(6) == b"ARROW1":
        stream.seek(0)
        file = pa.ipc.open_file(stream)
        for index in range(file.num_record_batches):
            yield file.get_batch(index)
        return
    stream.seek(0)
    yield from pa.ipc.open_stream(stream)


def flat(batch: Any, limits: Limits, notes: Notes) -> dict[str, Any]:
    """Return the columns of a record batch; nested ones, and those of text that holds JSON, are spread by their paths."""
    import pyarrow as pa

    columns: dict[str, Any] = {}
    for name, array in zip(unique(batch.schema.names), batch.columns, strict=True):
        _validate(array)
        if pa.types.is_nested(array.type):
            rows = [{name: value} for value in array.to_pylist(maps_as_pydicts=None)]
            columns |= spread(rows, limits, notes)
        elif _holds_json(array):
            columns |= spread([{name: _text(value)} for value in array], limits, notes)
        else:
            columns[name] = array
    return columns


def _holds_json(array: Any) -> bool:
    import pyarrow as pa

    kind = array.type.value_type if pa.types.is_dictionary(array.type) else array.type
    kinds = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    if not any(is_kind(kind) for is_kind in kinds):
        return False
    first = [_content(value) for value in array.slice(0, 50)]
    return any(text[:1] in (b"{", b"[") and text[-1:] in (b"}", b"]") for text in first if text)


def _content(scalar: Any) -> bytes | None:
    """Return the bytes of a text, the first ones if it is long."""
    content = (scalar.value if hasattr(scalar, "dictionary") else scalar).as_buffer()
    return None if content is None else bytes(content.slice(0, min(content.size, MIB)).to_pybytes())


def _text(scalar: Any) -> str | None:
    content = _content(scalar)
    return None if content is None else content.decode("utf-8", "replace")


def _validate(array: Any) -> None:
    """Look for indices and offsets that point outside, which Arrow trusts when it reads; text may be of any encoding."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(array.type):
        bounds = pc.min_max(array.indices).as_py()
        if bounds["max"] is not None and not 0 <= bounds["min"] <= bounds["max"] < len(array.dictionary):
            raise pa.ArrowInvalid("an index points outside of its dictionary")
        _validate(array.dictionary)
    elif pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        array.view(pa.large_binary() if pa.types.is_large_string(array.type) else pa.binary()).validate(full=True)
    else:
        array.validate(full=True)


def unique(names: list[str]) -> list[str]:
    """Return column names with numbers behind those that are there more than once."""
    seen: dict[str, int] = {}
    made = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        made.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return made


def _told(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:120]}" if text else type(error).__name__
