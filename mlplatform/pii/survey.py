"""Scanning whole sources: which tables, which rows of them, in parts that are written down as they are done."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mlplatform.pii.adjacent import read_together
from mlplatform.pii.columns import Reader, judge
from mlplatform.pii.evidence import Evidence, Seen
from mlplatform.pii.files import scan_content
from mlplatform.pii.findings import Finding, Scan
from mlplatform.pii.labels import Label, hint_of_path, labels_of
from mlplatform.pii.part import BESIDE, Part
from mlplatform.pii.sampling import Rows, percent, sampled, share
from mlplatform.pii.sources.base import Batch, Limits, Notes, SourceFailed, Table
from mlplatform.pii.sources.places import OtherFile, open_source
from mlplatform.pii.state import ScanState

SAMPLE = 5_000
"""Rows of a table that are looked at unless all are asked for."""
PART_ROWS = 20_000
"""Rows after which a full scan writes down how far it has come."""
_NAMES = "column names"

Progress = Callable[[str, int, int | None], None]


@dataclass
class TableScan:
    """What was found in one table or file, and how far it was looked at."""

    name: str
    rows: int | None = None
    looked_at: int = 0
    full: bool = False
    columns: int = 0
    findings: list[Finding] = field(default_factory=list)
    unread: dict[str, int] = field(default_factory=dict)
    """By column, distinct texts that the language model did not get to read."""
    notes: list[str] = field(default_factory=list)
    failed: str | None = None
    """Why the table, or the rest of it, was not looked at."""
    fix: str | None = None

    @property
    def certain(self) -> list[Finding]:
        """The findings that count."""
        return [finding for finding in self.findings if finding.certain]

    @property
    def statement(self) -> str:
        """What the scan says about the rows that it did not look at."""
        if self.rows is None:
            return f"{self.looked_at:,} strings were looked at"
        if self.full or self.looked_at >= self.rows:
            return f"all {self.rows:,} rows were looked at"
        looked = f"{self.looked_at:,} sampled of {self.rows:,} rows"
        if self.certain:
            return looked
        bound = percent(share(0, self.looked_at, self.rows).high)
        return f"0 of {looked}: with 95 % confidence fewer than {bound} of rows hold anything that the scan knows"

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON data; shares are the exact bounds at 95 % confidence."""
        return {
            "table": self.name,
            "rows": self.rows,
            "looked_at": self.looked_at,
            "full": self.full,
            "columns": self.columns,
            "statement": self.statement,
            "findings": [self._finding(finding) for finding in self.findings],
            "unread_texts": self.unread,
            "notes": self.notes,
            "failed": self.failed,
            "fix": self.fix,
        }

    def _finding(self, finding: Finding) -> dict[str, Any]:
        told = asdict(finding) | {"certain": finding.certain}
        if self.rows is not None:
            bounds = share(finding.count, finding.sampled, finding.sampled if self.full else self.rows)
            told["share"] = {"low": round(bounds.low, 6), "high": round(bounds.high, 6)}
        return told


@dataclass(frozen=True)
class Survey:
    """One scan over tables, with everything that it is done with."""

    reader: Reader
    sample: int | None = SAMPLE
    """Rows a table, or nothing for all."""
    part_rows: int = PART_ROWS

    def scan(self, tables: Iterable[Table | OtherFile], state: ScanState, progress: Progress) -> Iterator[TableScan]:
        """Scan table by table. A table that can't be read is told as failed; the others are scanned all the same."""
        for table in tables:
            if isinstance(table, OtherFile):
                yield self._other(table, state)
            else:
                yield self._table(table, state, progress)

    def _other(self, file: OtherFile, state: ScanState) -> TableScan:
        known = state.known(file.name, 0, file.fingerprint)
        if known is not None:
            findings = [Finding(**finding) for finding in known["findings"]]
            return TableScan(file.name, looked_at=known["looked_at"], findings=findings, notes=known["notes"])
        try:
            with file.open() as stream:
                scan: Scan = scan_content(stream, file.name, self.reader.own)
        except (OSError, EOFError, SourceFailed) as error:
            message = error.message if isinstance(error, SourceFailed) else f"{file.name} can't be read: {error}"
            return TableScan(file.name, failed=message)
        told = [asdict(finding) for finding in scan.findings]
        state.add(file.name, 0, file.fingerprint, {"findings": told, "looked_at": scan.sampled, "notes": scan.notes})
        return TableScan(file.name, looked_at=scan.sampled, findings=scan.findings, notes=scan.notes)

    def _table(self, table: Table, state: ScanState, progress: Progress) -> TableScan:
        result = TableScan(table.name, full=self.sample is None)
        notes = Notes()
        seen: dict[str, Evidence] = {}
        try:
            fingerprint = table.fingerprint
            rows, total = self._rows(table, state.seed)
            result.full = result.full or total is None or total <= (self.sample or 0)
            for part in self._parts(table, rows, total, _Writer(state, table.name, fingerprint), notes, progress):
                _add(seen, part)
                result.looked_at += part["rows"]
        except SourceFailed as error:
            result.failed, result.fix = error.message, error.fix
            total = None
        result.rows = total if total is not None else result.looked_at
        result.columns = sum(1 for label in seen if label not in {_NAMES, BESIDE} and "+" not in label)
        result.notes += notes.told
        for label, evidence in seen.items():
            result.findings += judge(evidence, hint_of_path(label), f"{table.name}.{label}")
            if evidence.unread:
                result.unread[label] = evidence.unread
            if evidence.cut:
                result.notes.append(
                    f"{label}: {evidence.cut} cells are so long that only their beginning was looked at"
                )
        return result

    def _rows(self, table: Table, seed: int) -> tuple[Rows, int | None]:
        """Return which rows to look at and how many there are; of a table that can't be counted, all that can be read."""
        if self.sample is None:
            return Rows(None), None
        try:
            total = table.count()
        except SourceFailed:
            return Rows(None), None
        return sampled(total, self.sample, seed), total

    def _parts(
        self,
        table: Table,
        rows: Rows,
        total: int | None,
        writer: "_Writer",
        notes: Notes,
        progress: Progress,
    ) -> Iterator[dict[str, Any]]:
        size = self.part_rows if total is None else max(total, 1)
        known = writer.known()

        def needed(start: int, count: int) -> bool:
            parts = range(start // size, (start + max(count, 1) - 1) // size + 1)
            return any(part not in known for part in parts) and rows.needed(start, count)

        yield from known.values()
        part = Part(0)
        failed: SourceFailed | None = None
        try:
            for batch in table.batches(needed, notes):
                progress(table.name, batch.start + batch.rows, total)
                for number, piece in _cut(batch, size):
                    if number in known:
                        continue
                    if number != part.number:
                        if not part.empty:
                            yield self._done(part, writer)
                        part = Part(number)
                    part.add(piece, rows.of(piece.start, piece.rows))
        except SourceFailed as error:
            failed = error
        if not part.empty:
            # A part that broke off is told, and read again when the scan is resumed.
            yield self._done(part, writer if failed is None else None)
        if failed is not None:
            raise failed

    def _done(self, part: Part, writer: "_Writer | None") -> dict[str, Any]:
        """Read what a part has gathered, and write it down."""
        names = list(part.values)
        labels = labels_of(names, self.reader)
        columns: dict[str, Evidence] = {}
        for name, values in part.values.items():
            evidence = self.reader.read(values.settled(), hint_of_path(name))
            columns.setdefault(labels[name].shown, Evidence()).merge(evidence)
        for window, evidence in read_together(names[: len(part.width)], part.together).items():
            columns["+".join(labels[names[index]].shown for index in window)] = evidence
        result = {
            "rows": part.rows,
            "columns": {label: evidence.as_dict() for label, evidence in columns.items()},
            "names": _of_names(labels).as_dict(),
        }
        if writer is not None:
            writer.add(part.number, result)
        return result


@dataclass(frozen=True)
class _Writer:
    """The state of one table."""

    state: ScanState
    table: str
    fingerprint: str

    def known(self) -> dict[int, dict[str, Any]]:
        """Return the parts that are done."""
        found: dict[int, dict[str, Any]] = {}
        while (part := self.state.known(self.table, len(found), self.fingerprint)) is not None:
            found[len(found)] = part
        return found

    def add(self, part: int, result: Mapping[str, Any]) -> None:
        """Write a part down."""
        self.state.add(self.table, part, self.fingerprint, result)


def _cut(batch: Batch, size: int) -> Iterator[tuple[int, Batch]]:
    """Return a batch in pieces that each lie in one part; what belongs to no row goes with the first."""
    first, last = batch.start // size, (batch.start + max(batch.rows, 1) - 1) // size
    if first == last:
        yield first, batch
        return
    for number in range(first, last + 1):
        low = max(number * size - batch.start, 0)
        high = min((number + 1) * size - batch.start, batch.rows)
        columns: Mapping[str, Any] = {name: values[low:high] for name, values in batch.columns.items()}
        yield number, Batch(batch.start + low, high - low, columns, batch.beside if number == first else ())


def _of_names(labels: Mapping[str, Label]) -> Evidence:
    """Return what the names of columns hold themselves."""
    evidence = Evidence(rows=len(labels), texts=len(labels))
    for label in labels.values():
        for kind, score in label.holds.items():
            evidence.formed.setdefault(kind, Seen()).add(1, score)
    return evidence


def _add(seen: dict[str, Evidence], part: Mapping[str, Any]) -> None:
    for label, evidence in part["columns"].items():
        seen.setdefault(label, Evidence()).merge(Evidence.from_dict(evidence))
    names = Evidence.from_dict(part["names"])
    # The same names come with every part; the part that has most of them speaks for all.
    if names.formed and names.rows >= seen.get(_NAMES, Evidence()).rows:
        seen[_NAMES] = names


def scan_file(path: Path, *, full: bool = False) -> TableScan:
    """Scan one local file with Presidio, as a whole or by a sample that the same file draws again.

    Raises:
        SourceFailed: there is no such file.
    """
    survey = Survey(Reader(most=None) if full else Reader(), None if full else SAMPLE)
    tables = open_source(str(path), Limits())
    return next(survey.scan(tables, ScanState(None, {}, seed=0), lambda _name, _rows, _total: None))
