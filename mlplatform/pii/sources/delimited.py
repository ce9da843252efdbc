"""CSV and its relatives."""

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any

from mlplatform.pii.sources.base import MIB, Batch, Limits, Needed, Notes, SourceFailed, ToTheBreak, beginning
from mlplatform.pii.sources.columnar import flat, unique

_SAMPLE = 65_536


@dataclass(frozen=True)
class DelimitedTable:
    """A text file with a header and separated cells. All cells are read as bytes: no type is guessed, none fails."""

    name: str
    fingerprint: str
    open: Callable[[], IO[bytes]]
    limits: Limits

    def count(self) -> int:
        """Count the rows that fit the header."""
        return sum(len(record) for record in self._records([]))

    def batches(self, needed: Needed, notes: Notes) -> Iterator[Batch]:
        """Read blocks of rows; what does not fit the header is not lost but given beside them."""
        position = 0
        ragged: list[str] = []
        for record in self._records(ragged):
            if ragged:
                notes.add("rows with another number of cells than the header were read as text")
            if ragged or needed(position, len(record)):
                yield Batch(position, len(record), flat(record, self.limits, notes), tuple(ragged))
            ragged.clear()
            position += len(record)
        if ragged:
            yield Batch(position, 0, {}, tuple(ragged))

    def _records(self, ragged: list[str]) -> Iterator[Any]:
        import pyarrow as pa

        form = self._form()
        if form is None:
            return
        position = 0
        with self.open() as stream:
            readable = ToTheBreak(stream)
            try:
                for record in self._reader(readable, form, ragged):
                    yield record
                    position += len(record)
            except (pa.ArrowException, OSError, MemoryError, EOFError, UnicodeError) as error:
                raise readable.broken or SourceFailed(
                    self._why(str(error), position), "mend it, or split the row"
                ) from error
            if readable.broken is not None:
                raise readable.broken

    def _why(self, error: str, position: int) -> str:
        if "straddl" in error:
            return f"{self.name}: a row near row {position} is longer than {self.limits.record_bytes // MIB} MiB"
        return f"{self.name} can't be read after row {position} ({error.splitlines()[0][:120] if error else 'damaged'})"

    def _form(self) -> "_Form | None":
        with self.open() as stream:
            content = beginning(stream, _SAMPLE)
        encoding = encoding_of(content)
        text = content.decode(encoding, "replace").lstrip("\ufeff")
        if not text.strip():
            return None
        delimiter = "\t" if ".tsv" in self.name.lower() else _delimiter(text)
        try:
            header = next(csv.reader(text.splitlines(keepends=True), delimiter=delimiter))
        except csv.Error as error:
            raise SourceFailed(f"{self.name} has a header that can't be read ({error})") from error
        return _Form(encoding, delimiter, unique([name or f"column {index + 1}" for index, name in enumerate(header)]))

    def _reader(self, stream: Any, form: "_Form", ragged: list[str]) -> Any:
        import pyarrow as pa
        from pyarrow import csv as arrow_csv

        def keep(row: Any) -> str:
            ragged.append(str(row.text)[: self.limits.record_bytes])
            return "skip"

        read = arrow_csv.ReadOptions(
            use_threads=False,
            block_size=self.limits.record_bytes,
            skip_rows=1,
            column_names=form.names,
            encoding=form.encoding,
        )
        parse = arrow_csv.ParseOptions(
            delimiter=form.delimiter, newlines_in_values=True, invalid_row_handler=keep, ignore_empty_lines=True
        )
        convert = arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(form.names, pa.binary()), strings_can_be_null=False, check_utf8=False
        )
        return arrow_csv.open_csv(stream, read, parse, convert)


@dataclass(frozen=True)
class _Form:
    encoding: str
    delimiter: str
    names: list[str]


def encoding_of(content: bytes) -> str:
    """Return the encoding that a text's first bytes speak for."""
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    try:
        content[: len(content) - 4 if len(content) == _SAMPLE else None].decode("utf-8")
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"


def _delimiter(text: str) -> str:
    header = text.splitlines()[0]
    return max(",;\t|", key=header.count)
