"""All tables together, and as CSV files."""

import csv
import io
import tempfile
from collections.abc import Collection, Iterator
from typing import IO

from evidence.events import Event
from evidence.tables.base import Noted, Row, Table
from evidence.tables.deployments import Deployments, Live, Population, Sample
from evidence.tables.listed import (
    Access,
    BreakGlass,
    Changes,
    Deletions,
    Exports,
    GateResults,
    Incidents,
    Refusals,
    Versions,
    Vulnerabilities,
)

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_IN_MEMORY = 4 << 20
_MOST_NOTED = 1000


class TableSet:
    """Feeds every table. ``only`` names those that are kept; the others are left out."""

    def __init__(self, *, sample_size: int, only: Collection[str] | None = None) -> None:
        self.deployments = Deployments()
        self._sample = Sample(self.deployments, sample_size)
        every: list[Table] = [
            self.deployments,
            Live(self.deployments),
            Versions(),
            GateResults(),
            Changes(),
            Access(),
            BreakGlass(),
            Refusals(),
            Vulnerabilities(),
            Incidents(),
            Deletions(),
            Exports(),
            Population(self.deployments),
            self._sample,
        ]
        # The deployments are fed in any case: others are made from them.
        self.tables = [one for one in every if only is None or one.name in only]
        self._fed = [one for one in every if one in self.tables or one is self.deployments]
        self._wanting: dict[str, list[Table]] = {}
        self._noted: list[Noted] = []
        self._time, self._seq = "", 0

    def feed(self, event: Event, *, context: bool = False) -> Iterator[tuple[Table, Row]]:
        """Take up an event; return the rows that it makes."""
        if not context:
            if event.time < self._time and len(self._noted) < _MOST_NOTED:
                said = f"it is dated {event.time}, before event {self._seq} ({self._time}): the clock went back"
                self._noted.append(Noted("clock", f"event {event.seq}", said))
            self._time, self._seq = event.time, event.seq
        wanting = self._wanting.get(event.type)
        if wanting is None:
            wanting = self._wanting[event.type] = [one for one in self._fed if one.wants(event.type)]
        for table in wanting:
            for row in table.feed(event, context=context):
                if table in self.tables:
                    yield table, row

    def finish(self, seed: str) -> Iterator[tuple[Table, Row]]:
        """Return the rows that only the end makes; the sample is drawn with the seed."""
        self._sample.seed = seed
        for table in self.tables:
            for row in table.finish():
                yield table, row

    def exceptions(self) -> list[Noted]:
        """Return what an auditor asks about, the first thousand."""
        found = list(self._noted)
        for one in self.deployments.exceptions():
            if len(found) == _MOST_NOTED:
                break
            found.append(one)
        return found


class CsvTables:
    """The tables as CSV files that lie on disk while they grow. Use it as a context manager."""

    def __init__(self, tables: TableSet) -> None:
        self._set = tables
        self._files: dict[str, IO[bytes]] = {}
        self._texts: dict[str, io.TextIOWrapper] = {}
        self._writers = {}
        self.counts: dict[str, int] = {}
        for table in tables.tables:
            file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 (closed with the others)
            text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=False)
            self._files[table.name], self._texts[table.name] = file, text
            self._writers[table.name] = csv.writer(text, lineterminator="\n")
            self._writers[table.name].writerow(table.header)
            self.counts[table.name] = 0

    def __enter__(self) -> "CsvTables":
        return self

    def __exit__(self, *_: object) -> None:
        for text in self._texts.values():
            text.close()

    def feed(self, event: Event, *, context: bool = False) -> None:
        """Take up an event."""
        for table, row in self._set.feed(event, context=context):
            self._write(table, row)

    def finish(self, seed: str) -> None:
        """Write what only the end makes."""
        for table, row in self._set.finish(seed):
            self._write(table, row)

    def files(self) -> Iterator[tuple[str, IO[bytes]]]:
        """Return each table's name and its file, at its beginning."""
        for name, text in self._texts.items():
            text.flush()
            self._files[name].seek(0)
            yield name, self._files[name]

    def _write(self, table: Table, row: Row) -> None:
        self._writers[table.name].writerow(cells(row))
        self.counts[table.name] += 1


def cells(row: Row) -> list[str]:
    """Return a row as it may stand in a file that a spreadsheet opens: what would be a formula begins with an apostrophe."""
    return ["'" + cell if cell.startswith(_FORMULA) else cell for cell in row]
