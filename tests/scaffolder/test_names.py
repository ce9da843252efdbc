"""Which names are possible, by the scaffolder and, for those who use Copier by hand, by the template."""

import keyword
from pathlib import Path

import pytest

from scaffolder.engine import render
from scaffolder.errors import InvalidAnswer
from scaffolder.names import check_name, package_name, reserved_names
from scaffolder.release import Release

LEGAL = ["churn", "credit-risk", "a", "3d-scan", "x1", "a" * 63, "wine"]
ILLEGAL = [
    "",
    "../evil",
    "a/b",
    "with space",
    "UPPER",
    "-dash",
    "dash-",
    "two--dashes",
    "under_score",
    "dots.dots",
    "{{ 7*7 }}",
    "{% raw %}",
    "a" * 64,
    "a" * 300,
    "new\nline",
    "trailing\n",
    "ümlaut",
    "nul\x00",
    "class",
    "json",
    "mlflow",
    "scikit-learn",
    "sklearn",
    "tests",
]


@pytest.mark.parametrize("name", LEGAL)
def test_legal_names(name: str, released: Release, tmp_path: Path) -> None:
    assert check_name(name) == name
    answers = render(released, tmp_path / "out", {"name": name}, defaults=True)
    assert answers["package"] == package_name(name)
    assert package_name(name).isidentifier()


@pytest.mark.parametrize("name", ILLEGAL)
def test_illegal_names(name: str, released: Release, tmp_path: Path) -> None:
    with pytest.raises(InvalidAnswer) as refused:
        check_name(name)
    assert len(refused.value.message) < 200
    assert "\n" not in refused.value.message
    assert refused.value.fix
    with pytest.raises(InvalidAnswer):
        render(released, tmp_path / "out", {"name": name}, defaults=True)
    assert not (tmp_path / "out").exists()


def test_suggestions_are_names_themselves() -> None:
    for name in ILLEGAL:
        with pytest.raises(InvalidAnswer) as refused:
            check_name(name)
        if (fix := refused.value.fix or "").startswith("for example "):
            suggested = fix.removeprefix("for example ")
            assert check_name(suggested) == suggested


def test_nothing_that_python_or_a_dependency_uses_is_free() -> None:
    words = {word for word in keyword.kwlist if word.islower()}
    assert (
        words | {"json", "numpy", "pandas", "yaml", "mlplatform", "scikit-learn", "sklearn", "src"} <= reserved_names()
    )
