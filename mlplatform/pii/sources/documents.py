"""JSON Lines and JSON documents."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any

from mlplatform.pii.sources.base import MIB, Batch, Limits, Needed, Notes, SourceFailed
from mlplatform.pii.sources.nested import parsed, spread

_ROWS = 2_000
_BYTES = 16 * MIB
BROKEN = "lines that are no JSON"


@dataclass(frozen=True)
class LinesTable:
    """One JSON value a line. A line that is none is looked at as text."""

    name: str
    fingerprint: str
    open: Callable[[], IO[bytes]]
    limits: Limits

    def count(self) -> int:
        """Count the lines that are not blank."""
        return sum(1 for _ in self._lines())

    def batches(self, needed: Needed, notes: Notes) -> Iterator[Batch]:
        """Read blocks of lines."""
        position = 0
        lines: list[bytes] = []
        size = 0
        for line in self._lines():
            lines.append(line)
            size += len(line)
            if len(lines) >= _ROWS or size > _BYTES:
                yield from self._batch(position, lines, needed, notes)
                position += len(lines)
                lines, size = [], 0
        yield from self._batch(position, lines, needed, notes)

    def _batch(self, position: int, lines: list[bytes], needed: Needed, notes: Notes) -> Iterator[Batch]:
        if lines and needed(position, len(lines)):
            yield Batch(position, len(lines), spread([self._row(line, notes) for line in lines], self.limits, notes))

    def _lines(self) -> Iterator[bytes]:
        with self.open() as stream:
            yield from self._read(stream)

    def _read(self, stream: IO[bytes]) -> Iterator[bytes]:
        number = 0
        while True:
            try:
                line = stream.readline(self.limits.record_bytes + 1)
            except (OSError, EOFError) as error:
                raise SourceFailed(f"{self.name} is damaged after line {number} ({type(error).__name__})") from error
            if not line:
                return
            number += 1
            if len(line) > self.limits.record_bytes:
                raise SourceFailed(
                    f"{self.name}: line {number} is longer than {self.limits.record_bytes // MIB} MiB", "split the line"
                )
            if line.strip():
                yield line

    def _row(self, line: bytes, notes: Notes) -> Any:
        try:
            row = parsed(line.decode("utf-8", "replace").lstrip("\ufeff"))
        except ValueError:
            notes.add(f"{BROKEN} were read as text")
            return {BROKEN: _pieces(line.decode("utf-8", "replace"))}
        return row if isinstance(row, dict) else {"value": row}


@dataclass(frozen=True)
class DocumentTable:
    """One JSON document: a list of rows, a data frame as pandas or MLflow write it, or one row."""

    name: str
    fingerprint: str
    open: Callable[[], IO[bytes]]
    limits: Limits

    def count(self) -> int:
        """Read the document and count."""
        return len(self._rows(Notes()))

    def batches(self, needed: Needed, notes: Notes) -> Iterator[Batch]:
        """Read the document at once, and give it out in blocks."""
        rows = self._rows(notes)
        for offset in range(0, len(rows), _ROWS):
            part = rows[offset : offset + _ROWS]
            if needed(offset, len(part)):
                yield Batch(offset, len(part), spread(part, self.limits, notes))

    def _rows(self, notes: Notes) -> list[Any]:
        most = self.limits.document_bytes
        with self.open() as stream:
            try:
                content = stream.read(most + 1)
            except (OSError, EOFError) as error:
                raise SourceFailed(f"{self.name} is damaged ({type(error).__name__})") from error
        if len(content) > most:
            raise SourceFailed(
                f"{self.name} is larger than {most // MIB} MiB, and a JSON document has to be read as a whole",
                "write it as JSON Lines",
            )
        text = content.decode("utf-8", "replace").lstrip("\ufeff")
        try:
            return _rows_of(parsed(text))
        except ValueError as error:
            notes.add(f"no JSON that can be read ({str(error)[:80]}): read as text")
            return [{BROKEN: piece} for piece in _pieces(text)]


def _rows_of(document: Any) -> list[Any]:
    if isinstance(document, list):
        return [row if isinstance(row, dict) else {"value": row} for row in document]
    split = document.get("dataframe_split", document) if isinstance(document, dict) else document
    if isinstance(split, dict) and isinstance(split.get("columns"), list) and isinstance(split.get("data"), list):
        names = [str(name) for name in split["columns"]]
        return [
            dict(zip(names, row, strict=False))
            | ({"further cells": row[len(names) :]} if len(row) > len(names) else {})
            for row in split["data"]
            if isinstance(row, list)
        ]
    return [document if isinstance(document, dict) else {"value": document}]


def _pieces(text: str) -> list[str]:
    """Return text in pieces that the scanner looks at whole; they overlap, so that nothing is cut in two."""
    return [text[start : start + 1_500] for start in range(0, max(len(text), 1), 1_400)]
