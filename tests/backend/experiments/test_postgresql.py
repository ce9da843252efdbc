"""The two whole stories on the other kind of database; apart from the rest, since a process runs one backend at a time."""

from pathlib import Path

import pytest

from tests.backend.experiments import test_experiments as stories
from tests.backend.experiments.lab import running_lab

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


def test_both_stories(postgres_url: str, tmp_path: Path) -> None:
    with running_lab(tmp_path, postgres_url) as lab:
        lab.deploy(1)
        stories.test_a_shadow_run_compares_answers_request_by_request(lab)
        stories.test_an_ab_experiment_stops_early_and_its_promotion_is_an_ordinary_deployment(lab)
