"""Figures over time as a line of text."""

from mlplatform.cli.sparkline import bars, gathered, sparkline


def test_lines_are_as_wide_as_they_may_be_and_leave_out_what_is_unknown() -> None:
    assert sparkline([0, 1, None, 7], bars("utf-8")) == "▁▂ █"
    assert sparkline([0, 0], bars("utf-8")) == "▁▁"
    assert sparkline([None], bars("utf-8")) == " "
    assert sparkline([0, 7], bars("ascii")) == "_@"
    assert bars(None) == bars("no such encoding") == bars("latin-1")
    assert gathered([1, 5, None, None, 2, None], 3, max) == [5, None, 2]
    assert gathered([1, 2], 3, max) == [1, 2]
