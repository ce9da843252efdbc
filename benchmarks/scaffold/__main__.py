"""How long making a repository takes, cold (a command) and warm (in a process that has done it before), against the peers.

All make the same files: Copier from the same released template, Cookiecutter and Backstage's ``fetch:template`` from the same
content, converted mechanically (``peers.py``). Ours also checks for a newer template, makes the first commit and puts the result
in place whole; the others, and the box that other templates than ours are rendered in, only render.
"""

import argparse
import json
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
from benchmarks.scaffold import peers as content
from benchmarks.scaffold.peers import NAME
from scaffolder.api import new_repository
from scaffolder.release import TEMPLATE, TEMPLATES, Release, ensure_released
from scaffolder.sandbox import Sandbox

BIN = Path(sys.executable).parent
BACKSTAGE = "BENCH_BACKSTAGE"
"""Names a folder where ``npm install @backstage/plugin-scaffolder-backend`` was run; without it that row is left out."""


def peers(home: Path, released: Release, cookie: Path, box: Sandbox) -> dict[str, Callable[[Path], object]]:
    """Return each way of making a repository in a folder that does not exist yet."""
    environment = {**os.environ, "ML_PLATFORM_HOME": str(home), "HOME": str(home)}
    copier = ["--defaults", "--quiet", "--vcs-ref", released.tag, "--data", f"name={NAME}", str(released.repository)]

    def command(*arguments: str) -> None:
        subprocess.run(arguments, env=environment, capture_output=True, check=True)

    def in_process(folder: Path) -> None:
        from copier import run_copy

        data = {"name": NAME}
        run_copy(str(released.repository), folder / NAME, data=data, vcs_ref=released.tag, defaults=True, quiet=True)

    def cookiecutter_in_process(folder: Path) -> None:
        from cookiecutter.main import cookiecutter

        cookiecutter(str(cookie), no_input=True, output_dir=str(folder), default_config=True)

    def ours(folder: Path) -> None:
        new_repository(NAME, type="realtime", defaults=True, dest=folder, home=home)

    new = ["new", NAME, "--type", "realtime", "--defaults", "--no-register"]
    return {
        "`copier copy`": lambda folder: command(str(BIN / "copier"), "copy", *copier, str(folder / NAME)),
        "`cookiecutter`": lambda folder: command(
            str(BIN / "cookiecutter"), str(cookie), "--no-input", "--default-config", "--output-dir", str(folder)
        ),
        "`platform new`": lambda folder: command(str(BIN / "platform"), *new, "--dest", str(folder)),
        "`copier.run_copy`, warm": in_process,
        "`cookiecutter`, warm": cookiecutter_in_process,
        "`Sandbox.render`, warm": lambda folder: box.render(released, {"name": NAME}, folder / NAME),
        "`new_repository`, warm": ours,
        "`new_repository` without the commit, warm": lambda folder: render_only(released, folder),
    }


def render_only(released: Release, folder: Path) -> None:
    from scaffolder.engine import render

    render(released, folder / NAME, {"name": NAME}, defaults=True)


def backstage(skeleton: Path, made: Path, root: Path, rounds: int) -> list[float] | None:
    """Time Backstage's own action in a Node process that has done it before; None where it is not installed."""
    if not (modules := os.environ.get(BACKSTAGE)):
        return None
    script = Path(__file__).with_name("fetch_template.cjs")
    node = os.environ.get("BENCH_NODE", "node")
    command = [node, "--no-node-snapshot", str(script), modules, str(skeleton), str(root / "workspaces"), str(rounds)]
    process = subprocess.run(command, capture_output=True, check=True, text=True)
    same(made, root / "workspaces" / "1" / NAME, "fetch:template")
    seconds: list[float] = json.loads(process.stdout)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    rounds = 3 if parser.parse_args().quick else 15
    with tempfile.TemporaryDirectory(prefix="bench-scaffold-") as temporary:
        measure(Path(temporary), rounds)


def measure(root: Path, rounds: int) -> None:
    start = time.perf_counter()
    released = ensure_released(root / "home")
    release_seconds = time.perf_counter() - start
    made = new_repository(NAME, type="realtime", defaults=True, dest=root / "made", home=root / "home").path
    rendered = content.rendered_paths(TEMPLATES / TEMPLATE / "template", made)
    cookie = content.cookiecutter(made, rendered, root / "cookiecutter")
    with Sandbox(root / "home" / "sandbox") as box:
        ways = peers(root / "home", released, cookie, box)
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(rounds + 1):
            for name, make in ways.items():
                folder = root / "out"
                folder.mkdir()
                start = time.perf_counter()
                make(folder)
                if number:
                    seconds[name].append(time.perf_counter() - start)
                else:
                    same(made, folder / NAME, name)
                shutil.rmtree(folder)
    fetched = backstage(content.fetch_template(made, rendered, root / "skeleton"), made, root, rounds)
    if fetched is not None:
        seconds["Backstage's `fetch:template`, warm"] = fetched
    write(seconds, rounds, release_seconds)


def same(made: Path, other: Path, name: str) -> None:
    """Check that a peer made the same files; how the template is called in the answers file may differ."""
    for path in sorted(made.rglob("*")):
        relative = path.relative_to(made)
        if path.is_file() and ".git" not in relative.parts and relative.name != ".copier-answers.yml":
            assert path.read_bytes() == (other / relative).read_bytes(), f"{name} makes another {relative}"


def write(seconds: dict[str, list[float]], rounds: int, release_seconds: float) -> None:
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    base = medians["`copier copy`"]
    missing = (
        ""
        if any("Backstage" in name for name in medians)
        else f" Backstage's `fetch:template` was not there ({BACKSTAGE})."
    )
    report.write(
        "scaffold",
        title="Making a repository",
        command="python -m benchmarks.scaffold",
        header=("way", "median", "`copier copy` takes"),
        rows=[(name, f"{value * 1000:.0f} ms", f"{base / value:.1f}×") for name, value in medians.items()],
        notes=(
            f"{rounds} rounds, in turn, after one that is not counted and in which the results were compared. Releasing the "
            f"template, once for each change of it or of the toolkit, took {release_seconds:.1f} s. `new_repository` includes "
            f"the first commit. Backstage's action runs in a Node process of its own, after the others, without its HTTP "
            f"service.{missing}"
        ),
        raw={"seconds": seconds, "release": release_seconds},
    )


if __name__ == "__main__":
    main()
