"""What the search after an erasure says about a place: nobody is called gone from where nobody has looked."""

import pytest

from backend.privacy.models import ItemState, SubjectFinding
from backend.privacy.subjects.places import Spot
from backend.privacy.subjects.work import judge

AWAY = Spot("there", (), 0, "could not be searched: no answer", open=True)
NO_TABLE = Spot("there", (), 0, "not searched: no table of a known form")


@pytest.mark.parametrize(
    ("found", "state", "seen", "remaining", "judged"),
    [
        pytest.param(2, ItemState.DELETED, None, 0, ItemState.DELETED, id="erased and gone"),
        pytest.param(2, ItemState.DELETED, Spot("there", (), 1), 1, ItemState.FAILED, id="erased and back"),
        pytest.param(2, ItemState.KEPT, Spot("there", (), 2), 2, ItemState.KEPT, id="under a hold"),
        pytest.param(2, ItemState.DELETED, AWAY, None, ItemState.FAILED, id="erased and out of sight"),
        pytest.param(2, ItemState.FAILED, None, None, ItemState.FAILED, id="not erased and out of sight"),
        pytest.param(0, ItemState.FAILED, AWAY, None, ItemState.FAILED, id="never searched"),
        pytest.param(0, ItemState.FAILED, Spot("there", (), 3), 3, ItemState.FAILED, id="searched at last, and there"),
        pytest.param(0, ItemState.FAILED, None, 0, ItemState.DELETED, id="searched at last, and not there"),
        pytest.param(0, ItemState.FAILED, NO_TABLE, 0, ItemState.FAILED, id="a file that is no table"),
    ],
)
def test_a_place_is_judged_by_what_was_seen(
    found: int, state: ItemState, seen: Spot | None, remaining: int | None, judged: ItemState
) -> None:
    finding = SubjectFinding(kind="stream", location="there", found=found, state=state, reason=None)
    judge(finding, seen)
    assert (finding.remaining, finding.state) == (remaining, judged)
    if judged is ItemState.FAILED and seen is not None:
        assert finding.reason
