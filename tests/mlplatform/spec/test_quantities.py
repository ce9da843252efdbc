"""Durations as people write them."""

import pytest

from mlplatform.spec.quantities import parse_duration


@pytest.mark.parametrize("text", ["36526d", "9106900654756001h", "9" * 400 + "d", "1" + "0" * 20 + "s"])
def test_nothing_lasts_longer_than_dates_reach(text: str) -> None:
    with pytest.raises(ValueError, match="longer than a hundred years"):
        parse_duration(text)
