"""What a batch model was asked and answered, read from the partitions in the lake, where it lies: nothing of it is copied.

Reading is done by a process of its own, which alone gets what opens the lake, and gives back drawn rows with redacted texts
through a pipe. ``python -m backend.drift.partitions`` is that process.
"""

import json
import random
import sys
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from backend.drift import names
from backend.drift.child import ask
from backend.drift.window import Row
from mlplatform.batch.lake import Lake, open_lake
from mlplatform.batch.manifest import Manifest
from mlplatform.batch.run import same_files
from mlplatform.redaction.logging import clean
from mlplatform.reference.build import ERROR, error_of
from mlplatform.reference.profile import Side
from mlplatform.spec.model import ModelSpec

if TYPE_CHECKING:
    import polars as pl

_ROWS_AT_ONCE = 65_536
_ID = "prediction's id"
_KEY, _INPUT, _OUTPUT = "key ", "input ", "output "

Chosen = Callable[[str, int, "pl.DataFrame"], list[int]]
"""Says which rows of a file's chunk, given by the place of its first row, are wanted."""
Truths = Mapping[date, Mapping[str, Sequence[Any]]]
"""By day and by the id of the row (:func:`backend.drift.names.row_id`), what would have been right."""


@dataclass(frozen=True)
class Wanted:
    """Which rows of which version; ``spec`` is the ``model.yaml`` that it was registered with."""

    lake: str
    environment: str
    version: int
    spec: dict[str, Any]
    days: Sequence[date]
    truths: Truths
    most: int
    seed: str
    variables: Sequence[str] = ()
    """Names of the environment variables that open the lake."""


@dataclass
class Read:
    """What was found: at most ``most`` rows of each kind, and how many there were."""

    rows: list[Row] = field(default_factory=list)
    count: int = 0
    labelled: list[Row] = field(default_factory=list)
    labelled_count: int = 0
    left_out: list[date] = field(default_factory=list)
    """Days that the version has not scored as they are now: another one has since, or the input was written again."""


def read(wanted: Wanted) -> Read:
    """Read rows in a child process.

    Raises:
        PlatformError: the lake can't be read now.
    """
    asked = {
        "lake": wanted.lake,
        "environment": wanted.environment,
        "version": wanted.version,
        "spec": wanted.spec,
        "days": [day.isoformat() for day in wanted.days],
        "truths": {day.isoformat(): dict(some) for day, some in wanted.truths.items()},
        "most": wanted.most,
        "seed": wanted.seed,
    }
    answer = ask("backend.drift.partitions", asked, "reading what was scored", wanted.variables)
    return Read(
        _rows(answer["rows"]),
        answer["count"],
        _rows(answer["labelled"]),
        answer["labelledCount"],
        [date.fromisoformat(day) for day in answer["leftOut"]],
    )


class Reader:
    """Reads for one version of one model."""

    def __init__(self, lake: Lake, environment: str, version: int, spec: ModelSpec) -> None:
        assert spec.batch is not None
        self._lake, self._environment, self._version = lake, environment, version
        self._spec, self._batch = spec, spec.batch
        self._inputs = [column.name for column in spec.schema_.inputs]
        self._outputs = [column.name for column in spec.schema_.outputs]
        self._manifests: dict[date, Manifest | None] = {}
        self.left_out: set[date] = set()

    def drawn(self, days: Sequence[date], most: int, draw: random.Random) -> "tuple[list[pl.DataFrame], int]":
        """Return rows of these days with inputs and outputs, of more than ``most`` so many, and how many there were.

        Each row is as likely as any other.
        """
        files = [
            (day, file.name, file.rows) for day in days if (found := self._scored(day)) for file in found.output_files
        ]
        ends = list(accumulate(rows for _, _, rows in files))
        total = ends[-1] if ends else 0
        places: dict[date, dict[str, list[int]]] = {}
        for index in sorted(draw.sample(range(total), min(most, total))):
            which = bisect_right(ends, index)
            day, name, rows = files[which]
            places.setdefault(day, {}).setdefault(name, []).append(index - (ends[which] - rows))

        def chosen(of: dict[str, list[int]]) -> Chosen:
            return lambda name, start, chunk: _at(of[name], start, chunk.height)

        return [one for day, of in places.items() for one in self._day(day, of, chosen(of))], total

    def told(self, day: date, truths: Mapping[str, Sequence[Any]]) -> "pl.DataFrame | None":
        """Return the rows of a day whose truth is known."""
        manifest = self._scored(day)
        if manifest is None:
            return None

        def known(_name: str, _start: int, chunk: "pl.DataFrame") -> list[int]:
            return [place for place, id in enumerate(self._ids(day, chunk)) if id in truths]

        found = self._day(day, [file.name for file in manifest.output_files], known)
        return found[0] if found else None

    def _scored(self, day: date) -> Manifest | None:
        """Return a day's manifest, if what it was made from and what it says are still there."""
        if day not in self._manifests:
            batch = self._batch
            found = self._lake.manifest(batch.output, batch.partition, day)
            if found is not None and (
                (found.identity.model, found.identity.version) != (self._spec.name, self._version)
                or not same_files(found, self._lake.files(batch.input, batch.partition, day))
            ):
                found = None
            if found is None:
                self.left_out.add(day)
            self._manifests[day] = found
        return self._manifests[day]

    def _day(self, day: date, files: Iterable[str], chosen: Chosen) -> "list[pl.DataFrame]":
        """Return a day's chosen rows as one frame, none where there are none or the partition is replaced meanwhile."""
        import polars as pl

        wanted = [*self._batch.keys, *self._outputs]
        try:
            taken = []
            for name in files:
                for start, chunk in self._chunks(self._batch.output, day, name, wanted):
                    if places := chosen(name, start, chunk):
                        taken.append(chunk[places])
            if not taken:
                return []
            rows = pl.concat(taken, how="vertical_relaxed")
            rows = rows.with_columns(pl.Series(_ID, self._ids(day, rows))).unique(
                _ID, keep="first", maintain_order=True
            )
            renamed = {name: f"{_OUTPUT}{name}" for name in self._outputs}
            keyed = [_as_text(rows[name]).alias(f"{_KEY}{name}") for name in self._batch.keys]
            return [self._with_inputs(rows.rename(renamed).select(_ID, *renamed.values()).with_columns(keyed), day)]
        except FileNotFoundError:
            self.left_out.add(day)
            return []

    def _with_inputs(self, rows: "pl.DataFrame", day: date) -> "pl.DataFrame":
        import polars as pl

        keys = [f"{_KEY}{name}" for name in self._batch.keys]
        found = []
        for file in self._lake.files(self._batch.input, self._batch.partition, day):
            for _, chunk in self._chunks(
                self._batch.input, day, file.name, list(dict.fromkeys([*self._batch.keys, *self._inputs]))
            ):
                asked = chunk.select(
                    *(_as_text(chunk[name]).alias(f"{_KEY}{name}") for name in self._batch.keys),
                    *(chunk[name].alias(f"{_INPUT}{name}") for name in self._inputs if name in chunk.columns),
                )
                found.append(rows.join(asked, on=keys, how="inner", nulls_equal=True))
        if not found:
            raise FileNotFoundError(f"the input of {day} is gone")
        return pl.concat(found, how="diagonal_relaxed").unique(_ID, keep="first", maintain_order=True)

    def _chunks(
        self, folder: str, day: date, name: str, columns: Sequence[str]
    ) -> "Iterator[tuple[int, pl.DataFrame]]":
        """Yield a file's rows, those of these columns that it has, some at a time with the place of the first."""
        import polars as pl
        import pyarrow.parquet

        with self._lake.stream(folder, self._batch.partition, day, name) as stream:
            file = pyarrow.parquet.ParquetFile(stream)
            present = set(file.schema_arrow.names)
            start = 0
            for batch in file.iter_batches(_ROWS_AT_ONCE, columns=[one for one in columns if one in present]):
                frame = pl.from_arrow(batch)
                assert isinstance(frame, pl.DataFrame)
                yield start, frame
                start += frame.height

    def _ids(self, day: date, rows: "pl.DataFrame") -> list[str]:
        keys = rows.select(self._batch.keys).iter_rows()
        return [names.row_id(self._environment, self._spec.name, day, key) for key in keys]


def main() -> int:
    """Read what is asked for on standard input."""
    asked = json.load(sys.stdin)
    spec = ModelSpec.model_validate(asked["spec"])
    draw = random.Random(asked["seed"])  # noqa: S311 - a report that is made again draws the same rows
    reader = Reader(open_lake(asked["lake"]), asked["environment"], asked["version"], spec)
    days = [date.fromisoformat(day) for day in asked["days"]]
    frames, count = reader.drawn(days, asked["most"], draw)
    labelled: list[dict[tuple[Side, str], Any]] = []
    for day, truths in sorted(asked["truths"].items()):
        found = reader.told(date.fromisoformat(day), truths)
        if found is not None:
            labelled += _with_errors(spec, found, truths)
    kept = labelled if len(labelled) <= asked["most"] else draw.sample(labelled, asked["most"])
    rows = [row for frame in frames for row in _plain_rows(spec, frame)]
    answer = {
        "rows": _columns(rows),
        "count": count,
        "labelled": _columns(kept),
        "labelledCount": len(labelled),
        "leftOut": sorted(day.isoformat() for day in reader.left_out),
    }
    json.dump(answer, sys.stdout)
    return 0


def _with_errors(
    spec: ModelSpec, frame: "pl.DataFrame", truths: Mapping[str, Sequence[Any]]
) -> list[dict[tuple[Side, str], Any]]:
    first = spec.schema_.outputs[0].name
    found = []
    for id, row in zip(frame[_ID].to_list(), _plain_rows(spec, frame), strict=True):
        error = error_of(spec, row["output", first], truths[id][0])
        if error is not None:
            inputs = {key: value for key, value in row.items() if key[0] == "input"}
            found.append({("error", ERROR): error, **inputs})
    return found


def _plain_rows(spec: ModelSpec, frame: "pl.DataFrame") -> list[dict[tuple[Side, str], Any]]:
    """Return rows as samples of predictions have them: JSON's own values, texts redacted, a column that is not there empty."""
    sides: list[tuple[Side, str, str]] = [("input", column.name, _INPUT) for column in spec.schema_.inputs]
    sides += [("output", column.name, _OUTPUT) for column in spec.schema_.outputs]
    empty = [None] * frame.height
    columns: dict[tuple[Side, str], list[Any]] = {
        (side, name): _values(frame[f"{prefix}{name}"]) if f"{prefix}{name}" in frame.columns else empty
        for side, name, prefix in sides
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _values(series: "pl.Series") -> list[Any]:
    import polars as pl

    if series.dtype.is_float() or series.dtype.is_decimal():
        return series.cast(pl.Float64).fill_nan(None).to_list()
    if series.dtype.is_integer() or series.dtype == pl.Boolean:
        return series.to_list()
    texts = [None if value is None else str(value) for value in series.to_list()]
    redacted = {text: clean(text) for text in set(texts)}
    return [redacted[text] for text in texts]


def _as_text(series: "pl.Series") -> "pl.Series":
    """Return a key in a form that is the same in all files of a partition, whatever types these have."""
    import polars as pl

    return series.bin.encode("hex") if series.dtype == pl.Binary else series.cast(pl.String)


def _at(places: Sequence[int], start: int, count: int) -> list[int]:
    """Return which of these places of a file lie in a chunk, counted from its beginning."""
    low, high = bisect_right(places, start - 1), bisect_right(places, start + count - 1)
    return [place - start for place in places[low:high]]


def _columns(rows: Sequence[Mapping[tuple[Side, str], Any]]) -> list[list[Any]]:
    return [[*key, [row[key] for row in rows]] for key in rows[0]] if rows else []


def _rows(columns: Sequence[Sequence[Any]]) -> list[Row]:
    keys = [(side, name) for side, name, _ in columns]
    return [dict(zip(keys, row, strict=True)) for row in zip(*(values for *_, values in columns), strict=True)]


if __name__ == "__main__":
    sys.exit(main())
