"""A double of the platform for the command line's tests."""

from collections.abc import Iterator

import pytest

from tests.mlplatform.platform_double import PlatformDouble, serving


@pytest.fixture
def double() -> Iterator[PlatformDouble]:
    yield from serving(PlatformDouble())
