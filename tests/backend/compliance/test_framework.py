"""Frameworks as files: the shipped ones are right, and a wrong one says what is wrong where."""

from datetime import timedelta
from pathlib import Path

import pytest

from backend.compliance.checks import CHECKS
from backend.compliance.framework import FrameworkError, load_frameworks

MINE = """
name: iso-27001
title: ISO/IEC 27001
source: ISO/IEC 27001:2022, Annex A
controls:
  - {id: A.8.32, title: Change management, category: Technological, owner: "group:default/platform",
     frequency: 6h, checks: [deployments.approved]}
  - {id: A.7.1, title: Perimeters, category: Physical, owner: "group:default/platform", outside: The building's owner.}
"""


def test_the_shipped_ones_name_checks_that_there_are_and_leave_none_out() -> None:
    found = load_frameworks([], list(CHECKS))
    assert set(found) == {"soc2", "eu-ai-act"}
    used = {id for framework in found.values() for control in framework.controls for id in control.checks}
    assert used == set(CHECKS)


def test_another_framework_needs_no_code(tmp_path: Path) -> None:
    file = tmp_path / "iso.yaml"
    file.write_text(MINE)
    found = load_frameworks([file], list(CHECKS))["iso-27001"]
    assert found.controls[0].frequency == timedelta(hours=6)
    assert found.controls[1].outside == "The building's owner."


def test_one_of_the_same_name_takes_the_place_of_a_shipped_one(tmp_path: Path) -> None:
    file = tmp_path / "soc2.yaml"
    file.write_text(MINE.replace("iso-27001", "soc2"))
    assert [control.id for control in load_frameworks([file], list(CHECKS))["soc2"].controls] == ["A.8.32", "A.7.1"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (MINE.replace("deployments.approved", "deployments.aproved"), "controls.A.8.32.checks: there is no check"),
        (MINE.replace("A.7.1", "A.8.32"), "controls: A.8.32 is there twice"),
        (MINE.replace("frequency: 6h", "frequency: 6"), "controls.0.frequency"),
        (MINE.replace("outside:", "outsid:"), "controls.1.outsid"),
        (MINE.replace(", outside: The building's owner.", ""), "give checks, or say under `outside`"),
        ("- a\n- b\n", "holds no mapping"),
        ("name: [", "can't be read"),
        ("name: !!python/object/apply:os.system [true]\n", "can't be read"),
    ],
)
def test_a_wrong_file_is_named_with_what_is_wrong(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(FrameworkError) as caught:
        load_frameworks([file], list(CHECKS))
    assert str(file) in str(caught.value)
    assert words in str(caught.value)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FrameworkError, match="can't be read"):
        load_frameworks([tmp_path / "none.yaml"], list(CHECKS))
