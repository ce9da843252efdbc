"""Fill a data lake with the flights of past days, one partition a day, as the airports' own system would.

``python -m PACKAGE.lake --lake lake --first 2013-10-01 --last 2013-10-07``; ``make data`` does just that.
"""

import argparse
import sys
from datetime import date
from pathlib import Path

from mlplatform.spec.load import load_spec

from .data import departed


def write_days(lake: Path, first: date, last: date) -> list[Path]:
    """Write ``<input>/<partition>=<day>/part-0.parquet`` for each day that has flights, and return the files.

    What was there of those days is replaced, file by file.
    """
    batch = load_spec(Path("model.yaml")).batch
    if batch is None:
        raise ValueError("model.yaml has no section `batch`")
    written = []
    for (day,), flights in departed(first, last).group_by("date", maintain_order=True):
        path = lake / batch.input / f"{batch.partition}={day}" / "part-0.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        staged = path.with_suffix(".new")
        flights.drop("date").write_parquet(staged)
        staged.replace(path)
        written.append(path)
    return written


def main() -> int:
    """Write the days that are asked for."""
    parser = argparse.ArgumentParser(description="Fill a data lake with the flights of past days.")
    parser.add_argument("--lake", type=Path, default=Path("lake"), help="folder of the lake (default: lake)")
    parser.add_argument("--first", type=date.fromisoformat, default=date(2013, 10, 1), help="first day")
    parser.add_argument("--last", type=date.fromisoformat, default=date(2013, 10, 7), help="last day")
    options = parser.parse_args()
    written = write_days(options.lake, options.first, options.last)
    if not written:
        sys.stderr.write(f"error: no flight left between {options.first} and {options.last}; there are those of 2013\n")
        return 1
    sys.stdout.write(f"{len(written)} days in {written[0].parent.parent}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
