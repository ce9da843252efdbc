from collections.abc import Iterator

import pytest

from tests.backend.targets.machine import Machine, serving_machine


@pytest.fixture
def machine() -> Iterator[Machine]:
    with serving_machine() as one:
        yield one
