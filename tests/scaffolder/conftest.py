import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scaffolder import release, toolkit
from scaffolder.api import LocalRepository, new_repository
from scaffolder.release import Release, ensure_released


@pytest.fixture(scope="session", autouse=True)
def _unchanging_content(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A copy of what is released: an edit while the tests run would be a release of its own."""
    copy = tmp_path_factory.mktemp("content")
    ignored = shutil.ignore_patterns("__pycache__", ".*cache")
    shutil.copytree(release.TEMPLATES, copy / "templates")
    shutil.copytree(toolkit.SOURCES, copy / "mlplatform", ignore=ignored)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(release, "TEMPLATES", copy / "templates")
        patch.setattr(toolkit, "SOURCES", copy / "mlplatform")
        yield


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A platform's home folder with the template released to it."""
    folder = tmp_path_factory.mktemp("home")
    ensure_released(folder)
    return folder


@pytest.fixture(scope="session")
def released(home: Path) -> Release:
    return ensure_released(home)


@pytest.fixture
def new(home: Path, tmp_path: Path) -> Callable[..., LocalRepository]:
    """``new_repository`` with everything filled in that a test does not care about."""

    def call(name: str = "churn", **options: object) -> LocalRepository:
        filled = {"type": "realtime", "defaults": True, "dest": tmp_path / "work", "home": home}
        return new_repository(name, **(filled | options))  # type: ignore[arg-type]

    return call
