"""The covering set covers, and knows every choice that the template offers."""

from pathlib import Path

import yaml

from scaffolder import lock, release
from tests.templates.pairs import CHOICES, NOT_ASKED, combinations_of_answers, pairs_of, possible_pairs, rows

QUESTIONS = release.TEMPLATES / release.TEMPLATE / "questions"


def asked() -> dict[str, dict[str, object]]:
    files = [yaml.safe_load(Path(QUESTIONS / name).read_text()) for name in ("asked.yml", "advanced.yml")]
    return {key: value for file in files for key, value in file.items() if value.get("when") is not False}


def test_every_two_choices_that_can_meet_do() -> None:
    missing = set(possible_pairs()) - set().union(*map(pairs_of, rows()))
    assert not missing


def test_it_is_the_same_set_each_time() -> None:
    assert rows() == rows()


def test_no_choice_of_the_template_is_forgotten() -> None:
    for name, question in asked().items():
        if name in {"advanced"} or not ("choices" in question or question["type"] == "bool"):
            continue
        choices = question.get("choices") or {"yes": True, "no": False}
        assert isinstance(choices, dict)
        values = {str(choice["value"] if isinstance(choice, dict) else choice).lower() for choice in choices.values()}
        assert values == {value for value in CHOICES[name] if value != NOT_ASKED}, name


def test_every_lock_is_among_them() -> None:
    assert {combination.variant for combination in combinations_of_answers()} == set(lock.VARIANTS)
