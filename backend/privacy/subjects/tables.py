"""Tables in files: how many rows hold the person, and the same file without them. Parquet, CSV and JSON lines."""

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from backend.privacy.subjects.matching import Matcher

SUFFIXES = (".parquet", ".csv", ".jsonl", ".ndjson")


class Unreadable(Exception):
    """A file is not what its name says; the message holds nothing of its content."""


def count(path: Path, matcher: Matcher) -> int:
    """Return how many rows hold the person.

    Raises:
        Unreadable: the file is no such table.
    """
    return _guarded(path, lambda: _COUNTS[path.suffix](path, matcher))


def without(path: Path, into: Path, matcher: Matcher) -> int:
    """Write the table without the rows that hold the person; return how many rows it has then.

    Raises:
        Unreadable: the file is no such table.
    """
    return _guarded(path, lambda: _REWRITES[path.suffix](path, into, matcher))


def _guarded(path: Path, work: Callable[[], int]) -> int:
    import pyarrow

    try:
        return work()
    except (pyarrow.ArrowException, csv.Error, UnicodeDecodeError) as error:
        raise Unreadable(f"is no {path.suffix[1:]} file that can be read: {type(error).__name__}") from None


def _mask(batch: Any, matcher: Matcher) -> list[bool]:
    """Say of each row whether it holds the person; a column's values are looked at once each."""
    import pyarrow.types as types

    held = [False] * batch.num_rows
    for column in batch.columns:
        kind = column.type
        if types.is_dictionary(kind):
            kind = kind.value_type
        if types.is_floating(kind) or types.is_boolean(kind) or types.is_temporal(kind):
            continue
        known: dict[Any, bool] = {}
        for row, value in enumerate(column.to_pylist()):
            if value is None or held[row]:
                continue
            if isinstance(value, str | int | bytes):
                if value not in known:
                    known[value] = matcher.in_value(value)
                held[row] = known[value]
            else:
                held[row] = matcher.in_value(value)
    return held


def _parquet_count(path: Path, matcher: Matcher) -> int:
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(path) as file:
        return sum(sum(_mask(batch, matcher)) for batch in file.iter_batches())


def _parquet_without(path: Path, into: Path, matcher: Matcher) -> int:
    import pyarrow
    import pyarrow.parquet

    rows = 0
    with pyarrow.parquet.ParquetFile(path) as file:
        schema = file.schema_arrow
        with pyarrow.parquet.ParquetWriter(into, schema, compression="zstd") as writer:
            for batch in file.iter_batches():
                kept = batch.filter(pyarrow.array([not held for held in _mask(batch, matcher)], pyarrow.bool_()))
                rows += kept.num_rows
                writer.write_batch(kept)
    return rows


def _csv_records(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield each record as it stands in the file, with its cells; quoted cells may hold line breaks."""
    taken: list[str] = []

    def lines() -> Iterator[str]:
        for line in stream:
            taken.append(line)
            yield line

    with path.open(encoding="utf-8-sig", newline="") as stream:
        for cells in csv.reader(lines()):
            yield "".join(taken), cells
            taken.clear()


def _csv_count(path: Path, matcher: Matcher) -> int:
    return sum(matcher.in_value(cells) for _, cells in _csv_records(path))


def _csv_without(path: Path, into: Path, matcher: Matcher) -> int:
    rows = 0
    with into.open("w", encoding="utf-8", newline="") as stream:
        for text, cells in _csv_records(path):
            if not matcher.in_value(cells):
                stream.write(text)
                rows += 1
    return rows


def _lines_count(path: Path, matcher: Matcher) -> int:
    with path.open(encoding="utf-8") as stream:
        return sum(matcher.in_text(line) for line in stream)


def _lines_without(path: Path, into: Path, matcher: Matcher) -> int:
    rows = 0
    with path.open(encoding="utf-8") as stream, into.open("w", encoding="utf-8") as kept:
        for line in stream:
            if not matcher.in_text(line):
                kept.write(line)
                rows += 1
    return rows


_COUNTS = {".parquet": _parquet_count, ".csv": _csv_count, ".jsonl": _lines_count, ".ndjson": _lines_count}
_REWRITES = {
    ".parquet": _parquet_without,
    ".csv": _csv_without,
    ".jsonl": _lines_without,
    ".ndjson": _lines_without,
}
