"""How fast usage is taken in, and how long the end of a month takes with a large bill, beside pandas doing the same."""

import argparse
import shutil
import tempfile
from pathlib import Path

from benchmarks import report
from benchmarks.cost.parts import BATCH, MODELS, apart, ingest, make_bill, month_end, with_pandas


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--bill-rows", type=int)
    arguments = parser.parse_args()
    records = 50_000 if arguments.quick else 500_000
    rows = arguments.bill_rows or (200_000 if arguments.quick else 10_000_000)
    folder = Path(tempfile.mkdtemp(prefix="mlp-cost-bench-"))
    try:
        bill = folder / "bill.parquet"
        make_bill(bill, rows)
        taken = apart(ingest, folder / "ingest", records)
        ours = apart(month_end, folder / "ours", bill)
        theirs = apart(with_pandas, bill)
    finally:
        shutil.rmtree(folder)
    assert abs(ours["total"] - theirs["total"]) < 0.01, (ours, theirs)
    table = [
        ("usage records taken in", f"{taken['rate']:,.0f}/s, {taken['megabytes']:.0f} MB", "", ""),
        ("of these, checking the JSON", f"{taken['checked']:,.0f}/s", "", ""),
        (
            f"month's end: {MODELS} models, a bill of {rows:,} rows",
            f"{ours['seconds']:.1f} s, {ours['megabytes']:.0f} MB",
            f"{theirs['seconds']:.1f} s, {theirs['megabytes']:.0f} MB",
            f"{ours['seconds'] / theirs['seconds']:.2f}×",
        ),
    ]
    report.write(
        "cost",
        title="Cost",
        command="python -m benchmarks.cost",
        header=("what", "ours", "pandas", "ours / pandas"),
        rows=table,
        notes=f"{records:,} records in requests of {BATCH:,} on SQLite; checking the JSON, idempotency and the sums by the hour "
        "included, the HTTP server not. Month's end: the bill is read from Parquet, charged by its tags, what names no model is "
        f"split among {MODELS} models by the day, and the lines are written as FOCUS Parquet. Ours is exact in decimals and on "
        "disk; pandas counts in floating point, in memory, and does not keep it. The MB are the peak of each process. Aims: "
        "50,000/s, 10 s.",
        raw={"ingest": taken, "ours": ours, "pandas": theirs, "rows": rows, "records": records},
    )


if __name__ == "__main__":
    main()
