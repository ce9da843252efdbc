"""Reading and writing data sets block by block in one format: Parquet, CSV or JSON Lines."""

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlplatform.deidentify.faults import DeidentifyFailed

_ROWS = 10_000
_MAX_CELL = 16 * 2**20

Change = Callable[[Sequence[object]], Sequence[object]]
"""Makes a column's cells of others; empty ones are left out before and put back after."""


def form_of(path: Path) -> str:
    """Return a data set's format by its name.

    Raises:
        DeidentifyFailed: it is none of the three.
    """
    form = {
        ".parquet": "parquet",
        ".pq": "parquet",
        ".csv": "csv",
        ".tsv": "csv",
        ".jsonl": "jsonl",
        ".ndjson": "jsonl",
    }
    if path.suffix.lower() not in form:
        raise DeidentifyFailed(f"{path.name} is no .parquet, .csv, .tsv or .jsonl file", "convert it first")
    return form[path.suffix.lower()]


def columns_of(path: Path) -> list[str] | None:
    """Return the columns of a data set; nothing for JSON Lines, whose rows may differ."""
    form = form_of(path)
    if form == "parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            return list(pq.read_schema(path).names)
        except pa.ArrowException as error:
            raise _damaged(path, error) from error
    if form == "csv":
        with path.open(encoding="utf-8-sig", newline="") as stream:
            return next(csv.reader(stream, delimiter=_delimiter(path)), [])
    return None


def rewrite(
    source: Path, target: Path, changes: Mapping[str, Change | None], others: "Callable[[str], Change | None]"
) -> int:
    """Write a data set with changed columns and return the number of rows; a change of nothing leaves a column out.

    Raises:
        DeidentifyFailed: the data set can't be read as what its name says.
    """

    def change_of(column: str) -> Change | None:
        return changes[column] if column in changes else others(column)

    write = {"parquet": _parquet, "csv": _csv, "jsonl": _jsonl}[form_of(source)]
    try:
        return write(source, target, change_of)
    except (UnicodeDecodeError, csv.Error) as error:
        raise DeidentifyFailed(
            f"{source.name} can't be read: {type(error).__name__}", "write it again as UTF-8"
        ) from error


def changed(values: Sequence[object], change: Change) -> list[object]:
    """Return a column with its cells changed and empty ones as they were."""
    filled = [index for index, value in enumerate(values) if value is not None and value != ""]
    done = list(values)
    for index, value in zip(filled, change([values[index] for index in filled]), strict=True):
        done[index] = value
    return done


def unchanged(values: Sequence[object]) -> Sequence[object]:
    """Return the cells as they are."""
    return values


def _parquet(source: Path, target: Path, change_of: Callable[[str], Change | None]) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = 0
    try:
        with pq.ParquetFile(source) as file:
            schema = file.schema_arrow
            kept = [field for field in schema if change_of(field.name) is not None]
            # What pandas wrote about types and statistics of the old columns does not hold for the new ones.
            made = pa.schema([field if change_of(field.name) is unchanged else _text(field) for field in kept])
            with pq.ParquetWriter(target, made) as writer:
                for batch in file.iter_batches(batch_size=_ROWS):
                    arrays = [_array(batch.column(field.name), change_of(field.name)) for field in kept]
                    writer.write_batch(pa.record_batch(arrays, schema=made))
                    rows += len(batch)
    except pa.ArrowException as error:
        raise _damaged(source, error) from error
    return rows


def _damaged(path: Path, error: Exception) -> DeidentifyFailed:
    return DeidentifyFailed(f"{path.name} can't be read as Parquet: {str(error).splitlines()[0][:120]}")


def _text(field: Any) -> Any:
    import pyarrow as pa

    if pa.types.is_nested(field.type):
        raise DeidentifyFailed(
            f"the column {field.name} is nested, and operators work on plain cells", "flatten or drop it"
        )
    return pa.field(field.name, pa.string())


def _array(array: Any, change: Change | None) -> Any:
    import pyarrow as pa

    if change is unchanged or change is None:
        return array
    return pa.array(changed(array.to_pylist(), change), pa.string())


def _csv(source: Path, target: Path, change_of: Callable[[str], Change | None]) -> int:
    csv.field_size_limit(_MAX_CELL)
    delimiter = _delimiter(source)
    with (
        source.open(encoding="utf-8-sig", newline="") as reading,
        target.open("w", encoding="utf-8", newline="") as writing,
    ):
        reader = csv.reader(reading, delimiter=delimiter)
        writer = csv.writer(writing, delimiter=delimiter, lineterminator="\n")
        header = next(reader, [])
        kept = [(index, change) for index, name in enumerate(header) if (change := change_of(name)) is not None]
        writer.writerow([header[index] for index, _ in kept])
        rows = 0
        for block in _blocks(_fitting(reader, len(header), source.name)):
            columns = [changed([row[index] for row in block], change) for index, change in kept]
            writer.writerows(zip(*columns, strict=True) if columns else [[] for _ in block])
            rows += len(block)
    return rows


def _fitting(reader: Iterator[list[str]], width: int, name: str) -> Iterator[list[str]]:
    for number, row in enumerate(reader, start=1):
        if len(row) not in {0, width}:
            raise DeidentifyFailed(
                f"row {number} of {name} has {len(row)} cells and the header {width}, so no column can be told",
                "mend the row",
            )
        if row:
            yield row


def _jsonl(source: Path, target: Path, change_of: Callable[[str], Change | None]) -> int:
    rows = 0
    with source.open(encoding="utf-8-sig") as reading, target.open("w", encoding="utf-8") as writing:
        for block in _blocks(_objects(reading, source.name)):
            leaves: dict[str, list[_Leaf]] = {}
            for row in block:
                for leaf in _leaves(row):
                    leaves.setdefault(leaf.path, []).append(leaf)
            for path, found in leaves.items():
                change = change_of(path)
                if change is None:
                    for leaf in found:
                        leaf.remove()
                elif change is not unchanged:
                    for leaf, value in zip(found, changed([leaf.value for leaf in found], change), strict=True):
                        leaf.replace(value)
            writing.writelines(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in block)
            rows += len(block)
    return rows


class _Leaf:
    """A value in a nested row, and where it is."""

    __slots__ = ("_holder", "_place", "path", "value")

    def __init__(self, path: str, holder: Any, place: Any, value: object) -> None:
        self.path = path
        self.value = value
        self._holder = holder
        self._place = place

    def replace(self, value: object) -> None:
        """Put another value there."""
        self._holder[self._place] = value

    def remove(self) -> None:
        """Take it out of an object; in a list it leaves an empty place, so that the others keep theirs."""
        if isinstance(self._holder, dict):
            del self._holder[self._place]
        else:
            self._holder[self._place] = None


def _leaves(row: Any) -> Iterator[_Leaf]:
    todo: list[tuple[str, Any]] = [("", row)]
    found = []
    while todo:
        path, value = todo.pop()
        places = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
        for place, item in places:
            below = f"{path}[]" if isinstance(value, list) else f"{path}.{place}" if path else str(place)
            if isinstance(item, dict | list):
                todo.append((below, item))
            else:
                found.append(_Leaf(below, value, place, item))
    yield from found


def _objects(lines: Iterator[str], name: str) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                row = json.loads(line, object_pairs_hook=_once)
            except (ValueError, RecursionError) as error:
                raise DeidentifyFailed(f"line {number} of {name} is no JSON object with each name once") from error
            if not isinstance(row, dict):
                raise DeidentifyFailed(f"line {number} of {name} is no JSON object")
            yield row


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a name occurs twice")
    return made


def _blocks(rows: Iterator[Any]) -> Iterator[list[Any]]:
    block = []
    for row in rows:
        block.append(row)
        if len(block) == _ROWS:
            yield block
            block = []
    if block:
        yield block


def _delimiter(path: Path) -> str:
    return "\t" if path.suffix.lower() == ".tsv" else ","
