"""Artefacts are verified beside the loop that moves traffic, and once."""

import threading
from pathlib import Path
from typing import Any

import pytest

from backend.deployments import artefacts
from backend.deployments.artefacts import VerifiedArtefacts
from backend.deployments.targets.base import VersionKey
from backend.registry.service import ArtefactDamaged
from tests.waiting import wait_until

KEY = VersionKey("lab", "wine", 1)
VERSION: Any = object()


class Registry:
    """Hands folders out when the test lets it."""

    def __init__(self) -> None:
        self.may_go_on = threading.Event()
        self.asked = 0
        self.fault: Exception | None = None

    def bundle_path(self, _version: object) -> Path:
        self.asked += 1
        assert self.may_go_on.wait(10)
        if self.fault is not None:
            raise self.fault
        return Path("/folder")


def test_a_large_artefact_holds_nobody_up_and_is_hashed_once() -> None:
    registry, told = Registry(), threading.Event()
    verified = VerifiedArtefacts(registry, told.set)  # type: ignore[arg-type]
    assert [verified.folder(KEY, VERSION) for _ in range(3)] == [None] * 3
    registry.may_go_on.set()
    assert told.wait(10)
    assert [verified.folder(KEY, VERSION) for _ in range(3)] == [Path("/folder")] * 3
    assert (registry.asked, verified.fault(KEY)) == (1, None)
    verified.forget(KEY)
    wait_until(lambda: verified.folder(KEY, VERSION) is not None, 10)
    assert registry.asked == 2


def test_a_damaged_one_is_told_and_looked_at_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Registry()
    registry.fault = ArtefactDamaged("the artefact of wine 1 was changed")
    registry.may_go_on.set()
    verified = VerifiedArtefacts(registry, lambda: None)  # type: ignore[arg-type]
    assert verified.folder(KEY, VERSION) is None
    wait_until(lambda: verified.fault(KEY) is not None, 10)
    assert verified.fault(KEY) == "the artefact of wine 1 was changed"
    assert verified.folder(KEY, VERSION) is None
    assert registry.asked == 1, "not at every look"
    monkeypatch.setattr(artefacts, "_LOOK_AGAIN", -1.0)
    registry.fault = None
    wait_until(lambda: verified.folder(KEY, VERSION) is not None, 10)
    assert verified.fault(KEY) is None


def test_it_goes_on_after_a_stop() -> None:
    registry = Registry()
    verified = VerifiedArtefacts(registry, lambda: None)  # type: ignore[arg-type]
    assert verified.folder(KEY, VERSION) is None
    verified.close()
    registry.may_go_on.set()
    wait_until(lambda: verified.folder(KEY, VERSION) is not None, 10)
