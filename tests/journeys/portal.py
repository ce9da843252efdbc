"""The people of the portal's story at their browsers, and what they look for and press on its pages."""

import re
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, Page
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from demo.shell import wait_until
from tests.journeys.browser import Tab
from tests.journeys.conftest import RunningPlatform
from tests.journeys.story import Model

NAME = "cell-check"
ENTITY = f"/catalog/default/component/{NAME}"
SLOW = 300_000.0
"""Longest wait for what trains, rolls out or builds docs, in milliseconds."""


@dataclass
class Story:
    """The platform, its people at their browsers, and the model once there is one."""

    platform: RunningPlatform
    browser: Browser
    tabs: dict[str, Tab] = field(default_factory=dict)
    model: Model | None = None

    def link(self, name: str) -> str:
        """Return a sign-in link, as the operator prints it."""
        config = [part for path in self.platform.configs for part in ("--config", str(path))]
        operator = self.platform.person("operator")
        url: str = operator.platform("portal", "--user", f"user:default/{name}", *config).document["url"]
        return url

    def tab(self, name: str) -> Tab:
        """Return a person's tab."""
        if name not in self.tabs:
            self.tabs[name] = Tab(self.browser, self.platform.portal, self.link(name))
        return self.tabs[name]

    @property
    def made(self) -> Model:
        """The model, once it is made."""
        assert self.model is not None, "the chapter that makes it failed"
        return self.model

    def events(self, subject: str) -> list[tuple[str, str]]:
        """Return types and actors of the audit log's events about something, oldest first."""
        found = self.platform.signed_in("operator").api(f"/audit/events?subject={subject}&limit=500")["items"]
        return [(one["event"]["type"].removeprefix("ml-platform."), one["event"]["actor"]) for one in found]


def button(page: Page, name: str) -> Any:
    return page.get_by_role("button", name=name, exact=True)


def choose(page: Page, name: str, option: str) -> None:
    """Choose from a list by what stands on its button and on the option."""
    page.get_by_role("button", name=re.compile(f"{re.escape(name)}$")).first.click()
    page.get_by_role("option", name=option, exact=True).click()


def entry(page: Page, text: str) -> Any:
    """Return the innermost part of the page that has this heading, with its facts and buttons."""
    heading = page.get_by_role("heading", name=re.compile(f"^{re.escape(text)}"))
    return page.locator("div").filter(has=heading).last


def offered(tab: Tab, path: str, text: str) -> Page:
    """Open a page until Backstage's catalog has what it shows: the feed is followed every few seconds."""

    def there() -> bool:
        shown = tab.open(path).get_by_text(text).first
        try:
            shown.wait_for(timeout=10_000)
        except PlaywrightTimeout:
            return False
        return True

    wait_until(there, seconds=SLOW / 1000, what=f"{text} on {path}")
    return tab.page
