from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from scaffolder.adopt import Adoption, adopt
from scaffolder.adopt.repository import Repository
from scaffolder.adopt.survey import survey
from scaffolder.adopt.survey.facts import Survey
from tests.scaffolder.adopt.repositories import Existing, Files

COMPLETE = {
    "owner": "group:default/risk",
    "classification": "internal",
    "uri": "s3://lake/churn",
}


@pytest.fixture
def existing(tmp_path: Path) -> Callable[..., Existing]:
    """Makes a git repository of these files, all in one commit."""

    def make(files: Files, name: str = "churn", **options: Any) -> Existing:
        return Existing.make(tmp_path / name, files, **options)

    return make


@pytest.fixture
def adopted(home: Path) -> Callable[..., Adoption]:
    """``adopt`` with an owner, and without asking the package index for a lock."""

    def call(repository: Existing, data: Mapping[str, Any] | None = None, **options: Any) -> Adoption:
        given = COMPLETE if data is None else data
        return adopt(repository.path, data=given, home=home, **({"with_lock": False} | options))

    return call


@pytest.fixture
def surveyed(existing: Callable[..., Existing]) -> Callable[..., Survey]:
    """What is found out about a repository of these files."""

    def call(files: Files, name: str = "churn") -> Survey:
        return survey(Repository.open(existing(files, name).path))

    return call
