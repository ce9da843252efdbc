"""A person at a browser: the machine's own Chromium, driven by Playwright."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.tools import tool

ROOT = Path(__file__).parents[2]
SHOTS = ROOT / "build" / "portal"
"""Where pictures of the pages are left for people to look at."""

PATIENCE = 90_000.0
WIDTHS = {"wide": 1280, "narrow": 390}
_AXE = ROOT / "portal" / "node_modules" / "axe-core" / "axe.min.js"
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# What Backstage's own pages around ours are found guilty of, and what React Aria has said of buttons that are gone.
_NOT_OURS = ("[class*='BackstageSidebar']", "header", "nav", "[class*='MuiTablePagination']", "[data-live-announcer]")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser; without one the test is skipped, or fails in CI."""
    program = tool("chromium", "Debian: apt-get install chromium")
    tool("npm", "comes with Node.js")
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(_FLAGS))
        yield browser
        browser.close()


class Tab:
    """A tab in which somebody is signed in."""

    def __init__(self, browser: Browser, portal: str, link: str, *, dark: bool = False) -> None:
        self.portal = portal
        context = browser.new_context(
            viewport={"width": WIDTHS["wide"], "height": 900}, color_scheme="dark" if dark else "light"
        )
        context.set_default_timeout(PATIENCE)
        self.page: Page = context.new_page()
        self.broken: list[str] = []
        self.page.on("pageerror", lambda error: self.broken.append(str(error)))
        if link:
            self.page.goto(link)
            expect(self.page.get_by_role("heading", name="Models")).to_be_visible()

    def open(self, path: str) -> Page:
        """Go to a page of the portal."""
        self.page.goto(f"{self.portal}{path}")
        return self.page

    def shot(self, name: str, *, ours: bool = True) -> None:
        """Leave pictures of the page at both widths; one of ours has to fit on a telephone."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        for width, pixels in WIDTHS.items():
            self.page.set_viewport_size({"width": pixels, "height": 900})
            self.page.wait_for_timeout(300)
            self.page.screenshot(path=SHOTS / f"{name}-{width}.png", full_page=True)
            if width == "narrow" and ours:
                assert self.overflow() <= 1, f"{name} is {self.overflow()} pixels too wide for a telephone"
        self.page.set_viewport_size({"width": WIDTHS["wide"], "height": 900})

    def overflow(self) -> int:
        """Return by how many pixels the page as a whole is wider than the window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))

    def accessible(self) -> None:
        """Assert that axe finds no serious fault in what the platform's plugin shows."""
        self.page.evaluate(_AXE.read_text(encoding="utf-8"))
        found: dict[str, Any] = self.page.evaluate(
            "exclude => axe.run({include: [['main, [role=main], body']], exclude: exclude.map(one => [one])}, "
            "{resultTypes: ['violations'], runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']})",
            list(_NOT_OURS),
        )
        serious = [
            {"rule": one["id"], "help": one["help"], "nodes": [node["html"][:200] for node in one["nodes"][:3]]}
            for one in found["violations"]
            if one["impact"] in {"serious", "critical"}
        ]
        assert serious == [], json.dumps(serious, indent=1)
