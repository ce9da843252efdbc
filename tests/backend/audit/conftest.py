"""A log that is long enough to be sealed, and one that is sealed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.audit.models import SealingState
from tests.conftest import SetClock

from .sealed_log import SEALED, SealedLog


@pytest.fixture
def sealable(database_url: str, tmp_path: Path, set_clock: SetClock) -> Iterator[SealedLog]:
    made = SealedLog(tmp_path / "home", database_url, set_clock)
    made.write_old()
    yield made
    made.services.database.close()


@pytest.fixture
def sealed(sealable: SealedLog) -> SealedLog:
    done = sealable.seal()
    assert (done.state, done.segments, done.events) == (SealingState.DONE, 3, SEALED), done.reason
    return sealable
