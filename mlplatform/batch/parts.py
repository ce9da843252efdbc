"""The unit of work: some consecutive rows of a partition, read, checked, scored and written as one part.

Which rows make a unit follows from the input alone, so that every engine, on one machine or on several, writes the same
bytes under the same names.
"""

import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from mlplatform.batch.calls import ModelCaller
from mlplatform.batch.checks import MISSING, Fault, check, missing_columns, type_fault
from mlplatform.batch.faults import BatchFailed
from mlplatform.batch.lake import Lake, Staging, file_digest, part_name
from mlplatform.batch.manifest import OutputFile
from mlplatform.serving.model import LoadedModel
from mlplatform.spec.batch import VERSION_COLUMN
from mlplatform.spec.model import Classification, ModelSpec

UNIT_ROWS = 1_000_000
"""Most rows of a unit, and so of an output file: what a machine holds the answers of at a time."""
_SHOWN = 100
_PERSONAL = (Classification.PII, Classification.SENSITIVE_PII)

Progress = Callable[[int, int], None]
"""Told of rows that were read and rows that were rejected since the last time."""


@dataclass(frozen=True)
class Slice:
    """Rows of a file: ``count`` of them from ``start`` on, counted from 0."""

    file: str
    start: int
    count: int


@dataclass(frozen=True)
class Unit:
    """Consecutive rows of a partition, in the order of its files."""

    index: int
    slices: tuple[Slice, ...]


def units_of(files: Sequence[tuple[str, int]], most: int = UNIT_ROWS) -> list[Unit]:
    """Cut files, given with their numbers of rows, into units of at most ``most`` rows; there is always at least one."""
    units: list[Unit] = []
    slices: list[Slice] = []
    room = most
    for name, rows in files:
        start = 0
        while start < rows:
            count = min(room, rows - start)
            slices.append(Slice(name, start, count))
            start, room = start + count, room - count
            if room == 0:
                units.append(Unit(len(units), tuple(slices)))
                slices, room = [], most
        if rows == 0 and not slices and not units:
            slices.append(Slice(name, 0, 0))  # an empty partition has columns, too
    if slices:
        units.append(Unit(len(units), tuple(slices)))
    return units


@dataclass(frozen=True)
class ScoringJob:
    """Everything that scoring a unit needs, as plain values that can be sent to another process."""

    spec: ModelSpec
    version: int
    lake: Lake
    day: date
    accepted: Staging
    rejected: Staging
    scratch: Path


@dataclass
class PartResult:
    """What became of a unit."""

    index: int
    rows_in: int = 0
    rows_rejected: int = 0
    rules: Counter[tuple[str, str]] = field(default_factory=Counter)
    files: list[OutputFile] = field(default_factory=list)
    rejected_files: list[OutputFile] = field(default_factory=list)
    model_seconds: float = 0.0
    seconds: float = 0.0


class UnitScorer:
    """Scores units one after the other with one loaded model."""

    def __init__(self, job: ScoringJob, model: LoadedModel) -> None:
        assert job.spec.batch is not None
        self._job, self._batch, self._model = job, job.spec.batch, model
        self._columns = {column.name: column for column in model.inputs.columns}
        self._local: dict[str, Path] = {}
        # A value that is wrong is still a value of its column.
        self._tells_values = not any(data.classification in _PERSONAL for data in job.spec.data)
        self.scratch = job.scratch
        self.scratch.mkdir(parents=True, exist_ok=True)

    def score(self, unit: Unit, progress: Progress) -> PartResult:
        """Score a unit and put its files into the staging.

        Raises:
            BatchFailed: the input, the model or its answers are not as they must be.
        """
        started = time.perf_counter()
        result = PartResult(unit.index)
        caller = ModelCaller(self._model)
        accepted, rejected = [], []
        for piece in unit.slices:
            for start, chunk in self._chunks(piece):
                good, bad = self._checked(chunk, piece.file, start, result)
                accepted.append(self._scored(good, caller))
                if bad.height:
                    rejected.append(bad)
                result.rows_in += chunk.height
                result.rows_rejected += bad.height
                progress(chunk.height, bad.height)
        self._forget_files(keep=unit.slices[-1].file)
        result.model_seconds = caller.seconds
        result.files = self._written(accepted, unit.index, self._job.accepted)
        result.rejected_files = self._written(rejected, unit.index, self._job.rejected) if rejected else []
        result.seconds = time.perf_counter() - started
        return result

    def close(self) -> None:
        """Remove local copies."""
        shutil.rmtree(self.scratch, ignore_errors=True)

    def _chunks(self, piece: Slice) -> Iterator[tuple[int, pl.DataFrame]]:
        """Yield the rows of a slice in chunks, each with its place in the file; the file is streamed, not loaded."""
        frame = pl.scan_parquet(self._file(piece.file), hive_partitioning=False, glob=False)
        present = frame.collect_schema()
        if lacking := missing_columns(self._model.inputs.columns, self._batch.keys, list(present)):
            raise BatchFailed(f"{piece.file}: {lacking}")
        for name, column in self._columns.items():
            if name in present and (wrong := type_fault(column, present[name])):
                raise BatchFailed(f"{piece.file}: {wrong}")
        wanted = [name for name in dict.fromkeys([*self._batch.keys, *self._columns]) if name in present]
        rows = frame.select(wanted).slice(piece.start, piece.count)
        start = piece.start
        if piece.count == 0:
            yield start, rows.collect()
            return
        for chunk in rows.collect_batches(chunk_size=self._batch.chunk_rows, maintain_order=True):
            yield start, chunk
            start += chunk.height

    def _checked(
        self, chunk: pl.DataFrame, file: str, start: int, result: PartResult
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Part a chunk in rows that can be scored (keys and typed inputs) and rows that can't (keys and reasons)."""
        faults: list[Fault] = []
        # Keys keep their own type, also where they are inputs as well.
        typed = {_key(name): chunk[name] for name in self._batch.keys}
        for name in self._batch.keys:
            if name not in self._columns and chunk[name].null_count():
                faults.append(Fault(name, MISSING, chunk[name].is_null()))
        for name, column in self._columns.items():
            series = chunk[name] if name in chunk.columns else pl.repeat(None, chunk.height, dtype=pl.Null, eager=True)
            checked = check(column, series.alias(name))
            typed[name] = checked.values
            faults += checked.faults
        frame = pl.DataFrame(typed)
        if not faults:
            return frame, frame.clear()
        bad = faults[0].mask
        for fault in faults:
            bad = bad | fault.mask
            result.rules[fault.column, fault.rule] += int(fault.mask.sum())
        reasons = [
            pl.when(fault.mask).then(pl.format("{} {}", pl.lit(fault.column), self._words(fault, chunk)))
            for fault in faults
        ]
        told = chunk.select(self._batch.keys).with_columns(
            pl.lit(file).alias("source_file"),
            pl.int_range(start, start + chunk.height, dtype=pl.Int64).alias("source_row"),
            pl.concat_str(reasons, separator="; ", ignore_nulls=True).alias("reason"),
        )
        return frame.filter(~bad), told.filter(bad)

    def _words(self, fault: Fault, chunk: pl.DataFrame) -> pl.Expr:
        rule = pl.lit(fault.rule)
        if fault.rule == MISSING or not self._tells_values or fault.column not in chunk.columns:
            return rule
        if chunk[fault.column].dtype == pl.Binary:
            return rule
        value = pl.lit(chunk[fault.column]).cast(pl.String).str.slice(0, _SHOWN)
        return pl.format("{}: {}", rule, value.fill_null("null"))

    def _scored(self, frame: pl.DataFrame, caller: ModelCaller) -> pl.DataFrame:
        keys = frame.select(pl.col(_key(name)).alias(name) for name in self._batch.keys)
        answers = caller.answers(frame)
        version = pl.Series(VERSION_COLUMN, [self._job.version], pl.Int32).new_from_index(0, frame.height)
        return pl.concat([keys, answers], how="horizontal").with_columns(version)

    def _written(self, frames: list[pl.DataFrame], index: int, staging: Staging) -> list[OutputFile]:
        try:
            frame = pl.concat(frames, how="vertical_relaxed")
        except (pl.exceptions.SchemaError, pl.exceptions.ShapeError) as error:
            raise BatchFailed(f"the files of the input have keys of types that don't go together: {error}") from error
        file = self.scratch / f"part-{index:05d}.parquet"
        frame.write_parquet(file, compression="zstd", statistics=True)
        sha256 = file_digest(file)
        written = OutputFile(name=part_name(index, sha256), bytes=file.stat().st_size, rows=frame.height, sha256=sha256)
        staging.put(file, written.name)
        return [written]

    def _file(self, name: str) -> Path:
        if name not in self._local:
            self._forget_files(keep=name)
            self._local[name] = self._job.lake.fetch(
                self._batch.input, self._batch.partition, self._job.day, name, self.scratch
            )
        return self._local[name]

    def _forget_files(self, keep: str) -> None:
        """Remove copies of files that no later unit needs."""
        for name in [name for name in self._local if name != keep]:
            path = self._local.pop(name)
            if path.is_relative_to(self.scratch):
                path.unlink(missing_ok=True)


def _key(name: str) -> str:
    return f"key {name}"


def merged(results: Sequence[PartResult]) -> PartResult:
    """Return the results of all units as one, in their order."""
    total = PartResult(-1)
    for one in sorted(results, key=lambda result: result.index):
        total.rows_in += one.rows_in
        total.rows_rejected += one.rows_rejected
        total.rules.update(one.rules)
        total.files += one.files
        total.rejected_files += one.rejected_files
        total.model_seconds += one.model_seconds
        total.seconds += one.seconds
    return total


def as_plain(result: PartResult) -> dict[str, Any]:
    """Return a result as JSON values, to be sent between processes."""
    return {
        "index": result.index,
        "rows_in": result.rows_in,
        "rows_rejected": result.rows_rejected,
        "rules": [[*rule, count] for rule, count in result.rules.items()],
        "files": [file.model_dump() for file in result.files],
        "rejected_files": [file.model_dump() for file in result.rejected_files],
        "model_seconds": result.model_seconds,
        "seconds": result.seconds,
    }


def from_plain(values: dict[str, Any]) -> PartResult:
    """Return the result that :func:`as_plain` wrote."""
    return PartResult(
        values["index"],
        values["rows_in"],
        values["rows_rejected"],
        Counter({(column, rule): count for column, rule, count in values["rules"]}),
        [OutputFile.model_validate(file) for file in values["files"]],
        [OutputFile.model_validate(file) for file in values["rejected_files"]],
        values["model_seconds"],
        values["seconds"],
    )
