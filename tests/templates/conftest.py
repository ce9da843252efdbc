import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest
from git import Git

from mlplatform.spec.load import load_spec
from mlplatform.spec.model import ModelSpec
from scaffolder.api import new_repository
from tests.scaffolder.conftest import _unchanging_content, home, released  # noqa: F401
from tests.templates.pairs import Combination, combinations_of_answers

COMBINATIONS = combinations_of_answers()


@dataclass(frozen=True)
class Generated:
    """A repository of the covering set."""

    combination: Combination
    path: Path

    @property
    def spec(self) -> ModelSpec:
        """Its model.yaml."""
        return load_spec(self.path / "model.yaml")

    def files(self, pattern: str) -> list[Path]:
        """Return its files of a pattern, without what it does not keep in git."""
        return sorted(path for path in self.path.glob(pattern) if path in self._kept)

    @cached_property
    def _kept(self) -> set[Path]:
        return {self.path / name for name in Git(self.path).ls_files("-z").split("\0") if name}


def make(combination: Combination, dest: Path, home: Path) -> Generated:  # noqa: F811
    """Make the repository of a combination in ``dest``."""
    data = {key: value for key, value in combination.answers.items() if key != "type"}
    made = new_repository(
        combination.name, type=combination.type, data=data, defaults=True, dest=dest, home=home
    )
    return Generated(combination, made.path)


@pytest.fixture(scope="session")
def repositories(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Generated]]:  # noqa: F811
    """The covering set, in folders with unusual names."""
    folder = tmp_path_factory.mktemp("gener ated ü")
    yield [make(combination, folder / f"{number:02} {combination.label}", home) for number, combination in enumerate(COMBINATIONS)]
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=range(len(COMBINATIONS)), ids=lambda number: f"{number:02}-{COMBINATIONS[number].label}")
def generated(request: pytest.FixtureRequest, repositories: list[Generated]) -> Generated:
    return repositories[request.param]
