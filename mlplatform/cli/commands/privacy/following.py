"""Waiting for the platform's jobs to end."""

import time
from collections.abc import Callable, Collection
from datetime import timedelta
from typing import Any

from mlplatform.cli import output
from mlplatform.cli.errors import CliError

_LOOK_SECONDS = 0.3


def until(look: Callable[[], dict[str, Any]], states: Collection[str], timeout: timedelta, text: str) -> dict[str, Any]:
    """Return what ``look`` returns as soon as its state is one of these.

    Raises:
        CliError: it takes longer than the timeout; the job goes on.
    """
    ends = time.monotonic() + timeout.total_seconds()
    with output.working(text):
        while (found := look())["state"] not in states:
            if time.monotonic() > ends:
                raise CliError(f"it is still {found['state']} after {timeout}", "it goes on; look again later")
            time.sleep(_LOOK_SECONDS)
    return found
