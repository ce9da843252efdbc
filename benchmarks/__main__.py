"""Run every benchmark in turn and put their tables together in ``benchmarks/RESULTS.md``."""

import argparse
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).parent
SUITES = (
    "command_line",
    "scaffold",
    "update",
    "audit",
    "evidence",
    "serving",
    "rollback",
    "batch",
    "streaming",
    "overview",
    "portal",
    "observability",
    "tracing",
    "access",
    "pii",
    "cost",
    "drift",
    "experiments",
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suites", nargs="*", choices=[*SUITES, []], help="which to run; all by default")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions, for a first look")
    arguments = parser.parse_args()
    failed = []
    for suite in arguments.suites or SUITES:
        print(f"== {suite}", flush=True)
        command = [sys.executable, "-m", f"benchmarks.{suite}", *(["--quick"] if arguments.quick else [])]
        if subprocess.run(command, cwd=HERE.parent, check=False).returncode != 0:
            failed.append(suite)
    write_results(quick=arguments.quick)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def write_results(*, quick: bool) -> None:
    """Put the tables that are there into RESULTS.md, in the order of the suites."""
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
    parts = [
        "# Results",
        "",
        f"Put together by `make bench{'-quick' if quick else ''}` on {datetime.now(UTC):%Y-%m-%d} ({machine}). "
        "Each table comes from one run in which both sides took turns on the same machine; quote the ratios.",
        "",
    ]
    for suite in SUITES:
        table = HERE / "results" / f"{suite}.md"
        if table.exists():
            parts += [table.read_text(encoding="utf-8").strip(), ""]
    (HERE / "RESULTS.md").write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
