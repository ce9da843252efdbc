"""What two versions of a model answered to the same days: ``python -m mlplatform.batch.compare`` prints it as one JSON line.

Rows are matched by their keys; where a key stands more than once, its first row with the other side's first, and so on. What
can't be matched (a row that one of the versions rejected) is counted, not compared.
"""

import argparse
import json
import math
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlplatform.batch.faults import BatchFailed

if TYPE_CHECKING:
    import polars as pl

    from mlplatform.batch.lake import Lake
    from mlplatform.batch.manifest import Manifest
    from mlplatform.spec.model import ModelSpec

PSI_BINS = 10
_PSI_FLOOR = 1e-4
_RELATIVE, _ABSOLUTE = 1e-6, 1e-9
_NTH = "place among rows of the same key"


@dataclass(frozen=True)
class Side:
    """One version's answers."""

    spec: "ModelSpec"
    lake: "Lake"


def compare(old: Side, new: Side, days: Sequence[date]) -> dict[str, Any]:
    """Return the figures over all days.

    ``rows``, ``accepted``, ``modelSeconds`` of each side; ``matched`` rows; ``changed``, the share of matched rows with
    another answer; and for each output that both have: share of nulls of each side, share of equal answers (``agreement``), and
    the population stability index (``psi``). For numbers also the means and the mean and largest difference.

    Raises:
        BatchFailed: a side has not scored one of the days, or the keys differ.
    """
    import polars as pl

    keys = _keys(old, new)
    sides = {"old": _read(old, days), "new": _read(new, days)}
    outputs = [column.name for column in old.spec.schema_.outputs]
    outputs = [name for name in outputs if name in {column.name for column in new.spec.schema_.outputs}]
    frames = [frame.with_columns(pl.int_range(pl.len()).over(keys).alias(_NTH)) for frame, _ in sides.values()]
    both = frames[0].join(frames[1], on=[*keys, _NTH], how="inner", suffix=" new", nulls_equal=True)
    changed = pl.repeat(value=False, n=both.height, dtype=pl.Boolean, eager=True)
    told = {}
    for name in outputs:
        differs = _differs(both[name], both[f"{name} new"])
        changed = changed | differs
        told[name] = _column(frames[0][name], frames[1][name], both[name], both[f"{name} new"], differs)
    return {
        "days": [day.isoformat() for day in days],
        **{name: _figures(manifests) for name, (_, manifests) in sides.items()},
        "matched": both.height,
        "changed": _share(int(changed.sum()), both.height),
        "outputs": told,
        "onlyNew": sorted({column.name for column in new.spec.schema_.outputs} - set(outputs)),
        "onlyOld": sorted({column.name for column in old.spec.schema_.outputs} - set(outputs)),
    }


def psi(old: "pl.Series", new: "pl.Series") -> float | None:
    """Return the population stability index of two samples: the sum over bins of ``(q - p) * ln(q / p)``.

    Numbers are binned by the deciles of ``old``, everything else by value; a null is a bin of its own. Shares below 0.0001
    count as that. Below 0.1 is usually read as stable, above 0.25 as a shift (Siddiqi, *Credit Risk Scorecards*, 2006).
    ``None`` if one of the samples is empty.
    """
    import polars as pl

    if not len(old) or not len(new):
        return None
    if old.dtype.is_numeric() and new.dtype.is_numeric():
        numbers = old.drop_nulls().cast(pl.Float64)
        cuts = [numbers.quantile(step / PSI_BINS, "lower") for step in range(1, PSI_BINS)]
        edges = sorted({cut for cut in cuts if cut is not None})
        old, new = (one.cast(pl.Float64).cut(edges).cast(pl.String) for one in (old, new))
    shares = []
    for one in (old, new):
        counts = one.cast(pl.String).alias("value").value_counts()
        total = len(one)
        shares.append({value: count / total for value, count in counts.iter_rows()})
    found = 0.0
    for value in shares[0].keys() | shares[1].keys():
        p, q = (max(share.get(value, 0.0), _PSI_FLOOR) for share in shares)
        found += (q - p) * math.log(q / p)
    return round(found, 6)


def _read(side: Side, days: Sequence[date]) -> "tuple[pl.DataFrame, list[Manifest]]":
    import polars as pl

    batch = side.spec.batch
    assert batch is not None
    frames, manifests = [], []
    wanted = [*batch.keys, *(column.name for column in side.spec.schema_.outputs)]
    for day in days:
        place = (batch.output, batch.partition, day)
        manifest = side.lake.manifest(*place)
        if manifest is None:
            raise BatchFailed(f"{batch.output}/{batch.partition}={day} was not scored")
        manifests.append(manifest)
        for file in side.lake.files(*place):
            path = side.lake.fetch(*place, file.name, Path())
            frames.append(pl.read_parquet(path, columns=wanted, hive_partitioning=False, glob=False))
    return pl.concat(frames, how="vertical_relaxed"), manifests


def _keys(old: Side, new: Side) -> list[str]:
    assert old.spec.batch is not None
    assert new.spec.batch is not None
    if set(old.spec.batch.keys) != set(new.spec.batch.keys):
        raise BatchFailed(
            f"the versions name rows by other keys ({', '.join(old.spec.batch.keys)}; now "
            f"{', '.join(new.spec.batch.keys)}), so their answers can't be matched"
        )
    return list(new.spec.batch.keys)


def _figures(manifests: "list[Manifest]") -> dict[str, Any]:
    rows = sum(one.rows_in for one in manifests)
    return {
        "rows": rows,
        "rejected": sum(one.rows_rejected for one in manifests),
        "accepted": _share(sum(one.rows_out for one in manifests), rows),
        "modelSeconds": round(sum(one.model_seconds for one in manifests), 6),
    }


def _differs(old: "pl.Series", new: "pl.Series") -> "pl.Series":
    one_is_null = old.is_null() != new.is_null()
    if old.dtype.is_numeric() and new.dtype.is_numeric():
        gap = (new.cast(_float()) - old.cast(_float())).abs()
        apart = gap > _ABSOLUTE + _RELATIVE * old.cast(_float()).abs()
    elif old.dtype == new.dtype:
        apart = old != new
    else:
        apart = old.cast(_text()) != new.cast(_text())
    return one_is_null | apart.fill_null(value=False)


def _column(
    old: "pl.Series", new: "pl.Series", old_matched: "pl.Series", new_matched: "pl.Series", differs: "pl.Series"
) -> dict[str, Any]:
    told: dict[str, Any] = {
        "nulls": {"old": _share(old.null_count(), len(old)), "new": _share(new.null_count(), len(new))},
        "agreement": _share(len(differs) - int(differs.sum()), len(differs)),
        "psi": psi(old, new),
    }
    if old.dtype.is_numeric() and new.dtype.is_numeric():
        gap = (new_matched.cast(_float()) - old_matched.cast(_float())).abs()
        told |= {
            "mean": {"old": _plain(old.mean()), "new": _plain(new.mean())},
            "difference": {"mean": _plain(gap.mean()), "largest": _plain(gap.max())},
        }
    return told


def _float() -> "type[pl.Float64]":
    import polars as pl

    return pl.Float64


def _text() -> "type[pl.String]":
    import polars as pl

    return pl.String


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 6) if whole else None


def _plain(value: Any) -> float | None:
    return None if value is None else round(float(value), 9)


def main(arguments: list[str] | None = None) -> int:
    """Print the comparison; return 0, or 1 with one line that says why there is none."""
    parser = argparse.ArgumentParser(prog="python -m mlplatform.batch.compare", description=main.__doc__)
    for side in ("old", "new"):
        parser.add_argument(f"--{side}-spec", type=Path, required=True, help=f"model.yaml of the {side} version")
        parser.add_argument(f"--{side}", required=True, help=f"path below which the {side} version has written")
    parser.add_argument("--day", type=date.fromisoformat, action="append", required=True, dest="days")
    options = parser.parse_args(arguments)
    from mlplatform.redaction import logging as redacted_logging
    from mlplatform.serving.output import one_line

    redacted_logging.configure(service="batch-compare", stream=sys.stderr)
    stdout = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    found: dict[str, Any]
    try:
        from mlplatform.batch.lake import open_lake
        from mlplatform.spec.load import load_spec

        old = Side(load_spec(options.old_spec), open_lake(options.old))
        new = Side(load_spec(options.new_spec), open_lake(options.new))
        found = {"event": "ended", "outcome": "done", "comparison": compare(old, new, options.days)}
    except Exception as error:
        message = one_line(error.message if isinstance(error, BatchFailed) else f"{type(error).__name__}: {error}")
        found = {"event": "failed", "message": message, "again": False}
        sys.stderr.write(f"error: can't compare: {message}\n")
    stdout.write(json.dumps(found) + "\n")
    stdout.flush()
    return 0 if found["event"] == "ended" else 1


if __name__ == "__main__":
    sys.exit(main())
