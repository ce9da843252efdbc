"""Run the same commands an engineer types, as one of the demo's people, and show them."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from mlplatform.client.credentials import CredentialStore, default_url


class DemoError(Exception):
    """A command of the story did not end as the story needs it to; the message holds what it printed."""


@dataclass(frozen=True)
class Result:
    """How a command ended: exit status, what it printed, that as JSON (or an empty object), and what it said to people."""

    status: int
    text: str
    document: dict[str, Any]
    messages: str


@dataclass
class Person:
    """Somebody at a terminal: a user with credentials of their own, in a working folder."""

    name: str
    console: Console
    environment: Mapping[str, str]
    folder: Path
    _started: list[subprocess.Popen[str]] = field(default_factory=list)

    def platform(self, *arguments: str, expect: int | None = 0, show: bool = True) -> Result:
        """Run ``platform ARGUMENTS --json`` and return how it ended.

        Raises:
            DemoError: the exit status is not ``expect`` (``None`` takes any).
        """
        if show:
            self.console.print(f"  [dim]{self.name}$[/dim] platform {_quoted(arguments)}", highlight=False)
        process = subprocess.run(
            self.command(arguments),
            cwd=self.folder,
            env=dict(self.environment),
            capture_output=True,
            text=True,
            check=False,
        )
        result = Result(process.returncode, process.stdout, _document(process.stdout), process.stderr.strip())
        if expect is not None and result.status != expect:
            said = "\n".join(part for part in (process.stdout.strip(), result.messages) if part)
            raise DemoError(f"`platform {_quoted(arguments)}` ended with {result.status}, not {expect}:\n{said}")
        return result

    def start(self, *arguments: str, log: Path) -> "subprocess.Popen[str]":
        """Start ``platform ARGUMENTS`` in the background; what it prints goes to ``log``."""
        self.console.print(f"  [dim]{self.name}$[/dim] platform {_quoted(arguments)}", highlight=False)
        with log.open("w", encoding="utf-8") as stream:
            process = subprocess.Popen(
                self.command(arguments),
                cwd=self.folder,
                env=dict(self.environment),
                stdout=stream,
                stderr=stream,
                text=True,
            )
        self._started.append(process)
        return process

    def commit(self, message: str) -> None:
        """Commit everything that changed in the working folder."""
        self.git("add", "--all")
        self.git("commit", "--message", message)

    def token(self) -> str:
        """Return the token that ``platform login`` saved for this person.

        Raises:
            DemoError: the person has not signed in.
        """
        found = CredentialStore(environment=self.environment).find(default_url(self.environment))
        if found is None:
            raise DemoError(f"{self.name} has not signed in")
        return found.token

    def api(self, path: str) -> dict[str, Any]:
        """Ask the backend directly, as this person, and return its answer."""
        url = f"{default_url(self.environment)}/api/ml-platform{path}"
        answer = httpx.get(url, headers={"authorization": f"Bearer {self.token()}"}, timeout=20)
        if answer.status_code != httpx.codes.OK:
            raise DemoError(f"GET {path} was answered with {answer.status_code}: {answer.text[:500]}")
        document: dict[str, Any] = answer.json()
        return document

    def stop(self) -> None:
        """End whatever this person started and has not ended by itself."""
        for process in self._started:
            if process.poll() is None:
                process.terminate()
                process.wait(timeout=10)

    def git(self, *arguments: str) -> str:
        """Run git in the working folder and return what it printed."""
        process = subprocess.run(
            ["git", *arguments],
            cwd=self.folder,
            env=dict(self.environment),
            capture_output=True,
            text=True,
            check=False,
        )
        if process.returncode != 0:
            raise DemoError(f"`git {_quoted(arguments)}` failed: {process.stderr.strip()}")
        return process.stdout.strip()

    @staticmethod
    def command(arguments: Sequence[str]) -> list[str]:
        """Return the command line that starts ``platform`` from this environment."""
        return [str(Path(sys.executable).with_name("platform")), *arguments, "--json"]


def person(name: str, *, console: Console, folder: Path, home: Path, credentials: Path, url: str) -> Person:
    """Return a person whose credentials and signing key lie in a folder of their own."""
    credentials.mkdir(parents=True, exist_ok=True, mode=0o700)
    environment = {
        **os.environ,
        "ML_PLATFORM_HOME": str(home),
        "ML_PLATFORM_CREDENTIALS": str(credentials / "credentials.json"),
        "ML_PLATFORM_URL": url,
        "GIT_AUTHOR_NAME": name,
        "GIT_AUTHOR_EMAIL": f"{name}@example.com",
        "GIT_COMMITTER_NAME": name,
        "GIT_COMMITTER_EMAIL": f"{name}@example.com",
    }
    environment.pop("VIRTUAL_ENV", None)
    environment.pop("ML_PLATFORM_TOKEN", None)
    return Person(name=name, console=console, environment=environment, folder=folder)


def wait_until(condition: Any, *, seconds: float, every: float = 0.5, what: str) -> Any:
    """Return the first true value of ``condition()``; raise :class:`DemoError` when the time is over."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(every)
    raise DemoError(f"waited {seconds:.0f} s in vain for {what}")


def _document(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except json.JSONDecodeError:
        return {}
    return document if isinstance(document, dict) else {"items": document}


def _quoted(arguments: Sequence[str]) -> str:
    return " ".join(f'"{argument}"' if " " in argument else argument for argument in arguments)
