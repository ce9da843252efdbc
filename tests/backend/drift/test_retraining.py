"""``onDrift: retrain``: one pull request on the git host, however long a version drifts."""

from pathlib import Path

import pytest

from scaffolder.fleet.models import FleetRepository
from scaffolder.git import first_commit, initialise, push
from scaffolder.hosts.base import NewRepository, PullState
from tests.backend.conftest import Someone

from .conftest import Cellar

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_version_that_drifts_is_asked_to_be_trained_again_once(
    cellar: tuple[Cellar, Someone, Someone], tmp_path: Path
) -> None:
    here, ada, operator = cellar
    here.add(tmp_path, 1, drift={"onDrift": "retrain"})
    here.make_live("wine", 1)
    # A repository that the fleet does not know is said to be the reason.
    here.serve(150, alcohol=15)
    first = ada.get(f"/drift/reports/{here.a_day_later()['id']}").json()
    assert first["retraining"]["reason"] == "the fleet knows no repository local/wine"
    host = here.services.hosts.host(None)
    made = host.create(NewRepository(host.org, "wine", "Wine.", "claim"))
    folder = tmp_path / "repository"
    folder.mkdir()
    initialise(folder)
    (folder / "model.yaml").write_text("name: wine\n")
    first_commit(folder, "Begin")
    push(folder, host.access(made))
    with here.services.database.write() as session:
        session.add(FleetRepository(host=host.name, org=host.org, name="wine", seen_at=here.clock.now()))
    here.serve(150, alcohol=15)
    second = ada.get(f"/drift/reports/{here.a_day_later()['id']}").json()
    assert second["retraining"]["number"] == 1
    found = host.pull(made, 1)
    assert found is not None
    assert (found.title, found.state, found.base) == ("Train again: v1 has drifted", PullState.OPEN, "main")
    assert second["id"] in found.body
    assert "`alcohol`" in found.body
    assert host.head(made) != found.head_commit
    # It goes on drifting; done again after a kill, the step finds the request.
    here.serve(150, alcohol=15)
    third = ada.get(f"/drift/reports/{here.a_day_later()['id']}").json()
    assert (third["outcome"], third["retraining"]) == ("drifted", None)
    here.services.retraining.follow(third["id"])
    assert host.pull(made, 2) is None
    kinds = [one["type"] for one in operator.events() if "drift.retraining" in one["type"]]
    assert kinds == ["ml-platform.drift.retraining.failed", "ml-platform.drift.retraining.asked"]
    (incident,) = ada.get("/observability/incidents").json()["items"]
    timeline = ada.get(f"/observability/incidents/{incident['id']}").json()["timeline"]
    assert "pull request #1 has it trained again" in [one["text"] for one in timeline]
