"""A hand-made model repository, trained once for all tests that only look at it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mlplatform import repositories
from tests.mlplatform.platform_double import PlatformDouble, serving
from tests.mlplatform.repositories import Repository


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    folder = tmp_path_factory.mktemp("trained")
    repository = repositories.make(folder / "wine", folder / "home")
    run = repository.platform("train")
    assert run.status == 0, run.err
    return repository


@pytest.fixture(scope="session")
def validated_once(trained_once: Repository, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    folder = tmp_path_factory.mktemp("validated")
    shutil.copytree(trained_once.path, folder / "wine")
    repository = Repository(folder / "wine", folder / "home")
    run = repository.platform("validate")
    assert run.status == 0, run.err
    return repository


@pytest.fixture
def validated(validated_once: Repository, tmp_path: Path) -> Repository:
    """A copy of a repository whose model has passed the gates of ``validate``."""
    shutil.copytree(validated_once.path, tmp_path / "wine")
    return Repository(tmp_path / "wine", tmp_path / "home")


@pytest.fixture
def trained(trained_once: Repository, tmp_path: Path) -> Repository:
    """A copy of a trained repository, to do with as one likes."""
    shutil.copytree(trained_once.path, tmp_path / "wine")
    return Repository(tmp_path / "wine", tmp_path / "home")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A new repository in which nothing was trained."""
    return repositories.make(tmp_path / "wine", tmp_path / "home")


@pytest.fixture
def double() -> Iterator[PlatformDouble]:
    yield from serving(PlatformDouble())
