"""How long making a repository takes, cold (a command) and warm (in a process that has done it before), against Copier itself.

All render the same released template with the same answers. `platform new` and `new_repository` also check for a newer template,
make the first commit and put the result in place whole; Copier's own and the box only render.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import report
from scaffolder.api import new_repository
from scaffolder.release import Release, ensure_released
from scaffolder.sandbox import Sandbox

BIN = Path(sys.executable).parent
NAME = "churn"


def peers(home: Path, released: Release, box: Sandbox) -> dict[str, Callable[[Path], object]]:
    """Return each way of making a repository in a folder that does not exist yet."""
    environment = {**os.environ, "ML_PLATFORM_HOME": str(home)}
    copier = ["--defaults", "--quiet", "--vcs-ref", released.tag, "--data", f"name={NAME}", str(released.repository)]

    def command(*arguments: str) -> None:
        subprocess.run(arguments, env=environment, capture_output=True, check=True)

    def first_in_box(folder: Path) -> None:
        with Sandbox(home / "another-box") as fresh:
            fresh.render(released, {"name": NAME}, folder / NAME)

    def in_process(folder: Path) -> None:
        from copier import run_copy

        data = {"name": NAME}
        run_copy(str(released.repository), folder / NAME, data=data, vcs_ref=released.tag, defaults=True, quiet=True)

    return {
        "`copier copy`": lambda folder: command(str(BIN / "copier"), "copy", *copier, str(folder / NAME)),
        "`platform new`": lambda folder: command(
            *(
                str(BIN / "platform"),
                "new",
                NAME,
                "--type",
                "realtime",
                "--defaults",
                "--no-register",
                "--dest",
                str(folder),
            )
        ),
        "`copier.run_copy`, warm": in_process,
        "`Sandbox.render`, warm": lambda folder: box.render(released, {"name": NAME}, folder / NAME),
        "`Sandbox.render`, the first one": first_in_box,
        "`new_repository`, warm": lambda folder: new_repository(
            NAME, type="realtime", defaults=True, dest=folder, home=home
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    rounds = 3 if parser.parse_args().quick else 15
    with tempfile.TemporaryDirectory(prefix="bench-scaffold-") as temporary:
        root = Path(temporary)
        start = time.perf_counter()
        released = ensure_released(root / "home")
        release_seconds = time.perf_counter() - start
        box = Sandbox(root / "home" / "box")
        ways = peers(root / "home", released, box)
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(rounds + 1):
            for name, make in ways.items():
                folder = root / "out"
                folder.mkdir()
                start = time.perf_counter()
                make(folder)
                if number:
                    seconds[name].append(time.perf_counter() - start)
                shutil.rmtree(folder)
        box.close()
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    base = medians["`copier copy`"]
    report.write(
        "scaffold",
        title="Making a repository",
        command="python -m benchmarks.scaffold",
        header=("way", "median", "`copier copy` takes"),
        rows=[(name, f"{value * 1000:.0f} ms", f"{base / value:.1f}×") for name, value in medians.items()],
        notes=(
            f"{rounds} rounds, all in turn, after one that is not counted. Releasing the template, once for each change "
            f"of it or of the toolkit, took {release_seconds:.1f} s. Ours includes the first commit."
        ),
        raw={"seconds": seconds, "release": release_seconds},
    )


if __name__ == "__main__":
    main()
