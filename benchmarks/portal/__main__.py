"""How soon pages of the portal can be used in Chromium with 10,000 models, and what memory the whole platform takes.

Each page is opened anew with the browser's cache warm, as on the second visit of a day, in turns with Backstage's own list of
the catalog in the same app. Usable is when the first row, or the model's first fact, is shown and the page's main thread has been
free for a moment.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import Page, sync_playwright
from rich.console import Console

from backend.deployments.targets.local.supervisor import Supervisor
from backend.local.folders import Folders
from benchmarks import report
from benchmarks.overview.__main__ import fill, free_port, make_app, put_entities
from demo.shell import Person, person, wait_until

ROOT = Path(__file__).parents[2]
PATIENCE = 120_000.0
MIB = 2**20
MODEL = "model-00007"
PAGES = {
    "Models page": ("/", "table tbody tr"),
    "a model's page": (f"/catalog/default/component/{MODEL}", "text=Newest version"),
    "Backstage's own catalog list": ("/catalog", "table tbody tr"),
}
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")
QUIET = "() => new Promise(done => requestIdleCallback(() => done(true)))"


class Bench:
    """A platform of its own with its portal, and the models in it."""

    def __init__(self, work: Path, models: int) -> None:
        self.home = work / "home"
        app, _ = make_app(self.home)
        services = app.state.services
        with services.database.write() as session:
            fill(session, models, versions=10, live=False)
        put_entities(app, models, "first")
        services.overview.fill()
        services.database.close()
        port, self.portal = free_port(), f"http://127.0.0.1:{(backstage := free_port())}"
        configuration = work / "app-config.bench.yaml"
        configuration.write_text(
            f"mlPlatform:\n  backend: {{port: {port}}}\n  ingress: {{port: {free_port()}, adminPort: {free_port()}}}\n"
            f"  nats: {{port: {free_port()}}}\n  portal: {{enabled: true, port: {backstage}}}\n",
            encoding="utf-8",
        )
        configs = (ROOT / "app-config.yaml", configuration)
        self._configs = [part for path in configs for part in ("--config", str(path))]
        self._operator: Person = person(
            "operator",
            console=Console(stderr=True),
            folder=work,
            home=self.home,
            credentials=work / "people" / "operator",
            url=f"http://127.0.0.1:{port}",
        )
        self._operator.platform("up", *self._configs)

    def link(self) -> str:
        """Return a sign-in link."""
        asked = self._operator.platform("portal", "--user", "user:default/ada", *self._configs, show=False)
        return str(asked.document["url"])

    def memory(self) -> dict[str, float]:
        """Return the proportional set size of each program with all its children, in MiB."""
        supervisor = Supervisor(Folders(self.home).socket)
        roots = {"supervisord": supervisor.pid()}
        roots |= {name: state.pid for name, state in supervisor.states().items() if state.pid}
        supervisor.close()
        found = {}
        for name, pid in roots.items():
            process = psutil.Process(pid)
            family = [process] if name == "supervisord" else [process, *process.children(recursive=True)]
            found[name] = sum(one.memory_full_info().pss for one in family) / MIB
        return found


@contextmanager
def signed_in(link: str) -> Iterator[Page]:
    """Start Chromium and sign in."""
    with sync_playwright() as playwright:
        program = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.goto(link)
        page.get_by_role("heading", name="Models").wait_for()
        yield page
        browser.close()


def usable(page: Page, url: str, shown: str) -> float:
    """Return the seconds from asking for a page to when it can be used."""
    page.goto("about:blank")
    start = time.perf_counter()
    page.goto(url, wait_until="commit")
    page.locator(shown).first.wait_for()
    page.evaluate(QUIET)
    return time.perf_counter() - start


def main() -> None:
    """Open the pages in turns and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    models, rounds = (500, 3) if quick else (10_000, 15)
    work = Path(tempfile.mkdtemp(prefix="mlp-portal-bench-"))
    load = os.getloadavg()[0]
    try:
        bench = Bench(work, models)
        before = bench.memory()
        with signed_in(bench.link()) as page:
            for path, shown in PAGES.values():
                wait_until(
                    lambda path=path, shown=shown: _there(page, bench.portal + path, shown), seconds=300, what=path
                )
            taken: dict[str, list[float]] = {name: [] for name in PAGES}
            for _ in range(rounds):
                for name, (path, shown) in PAGES.items():
                    taken[name].append(usable(page, bench.portal + path, shown))
        after = bench.memory()
    finally:
        environment = {**os.environ, "ML_PLATFORM_HOME": str(work / "home")}
        subprocess.run([str(Path(sys.executable).with_name("platform")), "down"], env=environment, check=False)
        shutil.rmtree(work, ignore_errors=True)
    _write({"models": models, "rounds": rounds, "load": load, "pages": taken, "memory": [before, after]})


def _there(page: Page, url: str, shown: str) -> bool:
    """Say whether a page shows it by now: Backstage's catalog follows the platform's feed."""
    page.goto(url)
    try:
        page.locator(shown).first.wait_for(timeout=10_000)
    except Exception:
        return False
    return True


def _write(raw: dict[str, Any]) -> None:
    own = statistics.median(raw["pages"]["Backstage's own catalog list"])
    rows = [
        (
            f"{name}: usable after",
            f"{statistics.median(all):.2f} s",
            f"{max(all):.2f} s",
            f"{statistics.median(all) / own:.2f}×",
        )
        for name, all in raw["pages"].items()
    ]
    before, after = raw["memory"]
    rows += [
        (f"memory: {name}", f"{before.get(name, 0):.0f} MiB", f"{after[name]:.0f} MiB", "") for name in sorted(after)
    ]
    total = (f"{sum(before.values()):.0f} MiB", f"{sum(after.values()):.0f} MiB")
    rows.append(("memory: the whole platform", *total, ""))
    report.write(
        "portal",
        title="Portal in Chromium, and memory",
        command="python -m benchmarks.portal",
        header=("what", "median; memory once it is up", "most; memory after the pages", "to Backstage's own list"),
        rows=rows,
        notes=f"{raw['models']:,} models with ten versions each, none of them live; {raw['rounds']} rounds in turns, cache warm, "
        "each page loaded anew. Memory is the proportional set size of each program with its children; the browser is not "
        f"counted. Load average {raw['load']:.1f} before, {os.cpu_count()} cores.",
        raw=raw,
    )


if __name__ == "__main__":
    main()
