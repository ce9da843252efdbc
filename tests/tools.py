"""Programs that the tests use where they are installed: a test without its program is skipped, and in CI it fails."""

import os
import shutil

import pytest


def tool(name: str, where_from: str) -> str:
    """Return the path of a program; without it, skip the test with the reason, or fail it where ``CI`` is set."""
    found = shutil.which(name)
    if found is None:
        reason = f"{name} is not installed ({where_from})"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found
