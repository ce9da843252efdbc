"""How long ``platform --help`` takes, against an interpreter that does nothing and against other command lines."""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import report

BIN = Path(sys.executable).parent
COMMANDS: dict[str, list[str]] = {
    "`python -c pass`": [sys.executable, "-c", "pass"],
    "`platform --help`": [str(BIN / "platform"), "--help"],
    "`platform check --help`": [str(BIN / "platform"), "check", "--help"],
    "`copier --help`": [str(BIN / "copier"), "--help"],
    "`mlflow --help`": [str(BIN / "mlflow"), "--help"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    rounds = 5 if parser.parse_args().quick else 21
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for number in range(rounds + 1):
        for name, command in COMMANDS.items():
            start = time.perf_counter()
            subprocess.run(command, capture_output=True, check=True)
            if number:
                seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    base = medians["`python -c pass`"]
    report.write(
        "command_line",
        title="Command line start-up",
        command="python -m benchmarks.command_line",
        header=("command", "median", "against `python -c pass`"),
        rows=[(name, f"{value * 1000:.0f} ms", f"{value / base:.1f}×") for name, value in medians.items()],
        notes=f"{rounds} rounds, the commands in turn, after one round that is not counted. Aim: `platform --help` within 3×.",
        raw=seconds,
    )


if __name__ == "__main__":
    main()
