"""kill -9 anywhere in a campaign: the next process goes on, and each repository has one request with the whole update."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.audit.verify import verify_database
from scaffolder.fleet import repository
from scaffolder.fleet.proposing import branch_of
from tests.killing import Forker, alive
from tests.scaffolder.template_repositories import git
from tests.waiting import wait_until

from .conftest import LONGEST, SECOND, TEMPLATE, Fleet, fleet_settings, running
from .test_campaigns import CONFLICTING, OWN

pytestmark = [pytest.mark.fault, pytest.mark.timeout(300)]

REPOSITORIES = {"plain": None, "changed": OWN, "conflicting": CONFLICTING}
PLACES = ["commit:2", "commit:4", "commit:6", "before:2", "before:5", "push:1", "push:3", "open:1", "open:2", "check:2"]


@pytest.fixture(scope="module")
def updaters() -> Iterator[Forker]:
    made = Forker("tests.scaffolder.fleet.updater_process")
    yield made
    made.close()


@pytest.fixture
def asked(tmp_path: Path, empty_mlflow: Path, template: Path) -> Iterator[tuple[Fleet, Path]]:
    """A fleet on a platform that takes wishes but does no work, and its settings in a file."""
    settings = fleet_settings(tmp_path / "home", f"sqlite:///{tmp_path / 'platform.db'}", empty_mlflow, template)
    file = tmp_path / "settings.json"
    file.write_text(json.dumps(settings.model_dump(mode="json", by_alias=True)))
    (tmp_path / "work").mkdir()
    with running(settings, template, tmp_path / "work") as fleet:
        fleet.services.runtime.stop()
        for name, changes in REPOSITORIES.items():
            fleet.add(name, changes)
        fleet.release(SECOND, "v2.0.0")
        yield fleet, file


def proposed(fleet: Fleet, id: str) -> bool:
    with fleet.services.database.read() as session:
        campaign = repository.campaign(session, id)
        members = repository.members(session, id)
    assert campaign is not None
    return campaign.collected and len(members) == 3 and all(one.state != "pending" for one in members)


@pytest.mark.parametrize("kill_at", PLACES)
def test_each_repository_has_one_request(asked: tuple[Fleet, Path], updaters: Forker, kill_at: str) -> None:
    fleet, file = asked
    campaign = fleet.start("v2.0.0", waves=[10])
    with updaters.process(str(file), kill_at) as pid:
        wait_until(lambda: not alive(pid) or proposed(fleet, campaign["id"]), LONGEST)
    with updaters.process(str(file), "never"):
        wait_until(lambda: proposed(fleet, campaign["id"]), LONGEST, lambda: json.dumps(fleet.members(campaign["id"])))

    members = fleet.members(campaign["id"])
    assert {name: one["state"] for name, one in members.items()} == {
        "plain": "open", "changed": "open", "conflicting": "conflicts",
    }  # fmt: skip
    branch = branch_of(TEMPLATE)
    for name, one in members.items():
        (pull,) = fleet.pulls(name)
        path = fleet.host.path("models", name)
        assert (pull.number, pull.head_commit) == (one["number"], one["headCommit"])
        assert git(path, "rev-parse", branch) == one["headCommit"]
        assert git(path, "rev-list", "--count", f"main..{branch}") == "1"
        assert "30" in fleet.show(name, "settings.ini")
        assert one["checks"] == "failing"  # the template has no model.yaml
    recorded = [event["type"].rpartition(".")[2] for event in fleet.events("")]
    assert sorted(recorded) == ["collected", "conflicts", "open", "open", "started"]
    url = fleet.services.database.url.render_as_string(hide_password=False)
    assert verify_database(url, fleet.services.audit.key.public_key).valid
