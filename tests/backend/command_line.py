"""The command line over a backend in this process."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from mlplatform.cli import session
from mlplatform.cli.app import run
from mlplatform.client import PlatformClient

from .conftest import Backend

Command = Callable[..., tuple[int, Any, str]]
"""Runs a command: its status, what it printed (as JSON where asked), and what it said on standard error."""


def commands(
    backend: Backend, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[str], Command]:
    """Return what makes somebody's command line."""

    def of(name: str) -> Command:
        someone = backend.someone(name)

        @contextmanager
        def connected() -> Iterator[PlatformClient]:
            with PlatformClient("http://testserver", someone.token) as client:
                client._transport._http._transport = backend.http._transport
                yield client

        def command(*arguments: str) -> tuple[int, Any, str]:
            monkeypatch.setattr(session, "connected", connected)
            capsys.readouterr()
            status = run(list(arguments))
            out, err = capsys.readouterr()
            return status, json.loads(out) if "--json" in arguments and out else out, err

        return command

    return of
