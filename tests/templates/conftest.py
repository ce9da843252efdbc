from pathlib import Path

import pytest

from scaffolder.api import new_repository
from tests.scaffolder.conftest import _unchanging_content, home, released  # noqa: F401

ALL_ANSWERED = {
    "description": 'Owner\'s "model": 100 % <sure> & naïve — 模型 🙂 \\ #1',
    "owner": "group:risk/Credit.Team_1",
    "system": "system:default/lending",
    "advanced": "true",
    "cost_centre": "CC-42.a",
    "tier": "1",
    "ci": "github",
    "org": "acme-ml",
    "serving_target": "kserve",
    "autoscaling": "cpu",
    "max_replicas": "7",
    "spot": "true",
    "replicas": "3",
    "cpu": "2",
    "memory": "512Mi",
}
COMBINATIONS: dict[str, tuple[str, dict[str, str]]] = {
    "defaults": ("churn", {}),
    "all-answered": ("credit-risk", ALL_ANSWERED),
    "digit-first": ("3d-scan", {"owner": "group:risk"}),
    "seldon": ("seldon-model", {"advanced": "true", "serving_target": "seldon", "tier": "2"}),
    "bentoml": ("bento", {"advanced": "true", "serving_target": "bentoml"}),
    "sagemaker": ("sage", {"advanced": "true", "serving_target": "sagemaker", "autoscaling": "requests"}),
    "triton": ("on-gpu", {"advanced": "true", "serving_target": "kserve", "gpu": "shared"}),
    "longest-name": ("-".join(["a" * 15] * 4)[:63], {}),
}


@pytest.fixture(scope="session")
def repositories(home: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:  # noqa: F811
    """One generated repository for each combination of answers, in folders with unusual names."""
    folder = tmp_path_factory.mktemp("gener ated ü")
    return {
        key: new_repository(
            name, type="realtime", data=data, defaults=True, dest=folder / key, register=False, home=home
        ).path
        for key, (name, data) in COMBINATIONS.items()
    }


@pytest.fixture(params=list(COMBINATIONS))
def generated(request: pytest.FixtureRequest, repositories: dict[str, Path]) -> Path:
    return repositories[request.param]
