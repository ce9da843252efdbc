"""kill -9 anywhere while a repository is made: the next process goes on, and there is one whole repository, or none."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.app import build_services
from backend.audit.models import AuditRow
from backend.audit.verify import verify_database
from backend.core.clock import SystemClock
from backend.core.config import Settings
from backend.core.container import Services
from scaffolder import repository
from scaffolder.models import ENDED, Scaffold
from scaffolder.service import Wish
from tests.backend.deployments.conftest import ADA
from tests.killing import Forker, alive
from tests.waiting import wait_until

from ..hosts.github import TOKEN, GitHubServer
from .conftest import scaffolding_settings

pytestmark = [pytest.mark.fault, pytest.mark.timeout(300)]
EVERYWHERE = [
    *(f"commit:{number}" for number in range(1, 18)),
    "before:3",
    "before:15",
    "create:1",
    "push:1",
    "protect:1",
]
AROUND_THE_HOST = ["commit:8", "commit:10", "commit:11", "commit:14", "before:9", "create:1", "push:1", "protect:1"]
PLACES = [("embedded", place) for place in EVERYWHERE[::2]] + [("github", place) for place in AROUND_THE_HOST]


@pytest.fixture(scope="module")
def makers() -> Iterator[Forker]:
    made = Forker("tests.scaffolder.service.maker_process")
    yield made
    made.close()


class Place:
    """A platform without a maker, on the embedded host or on GitHub."""

    def __init__(self, settings: Settings, file: Path, makers: Forker, hub: GitHubServer | None) -> None:
        self.services: Services = build_services(settings, SystemClock())
        self.file, self.makers, self.hub = file, makers, hub

    def ask(self) -> str:
        wish = Wish("churn", "realtime", answers={"owner": "group:default/risk"})
        prepared = self.services.scaffolds.prepare(ADA, wish)
        with self.services.database.write() as session:
            return self.services.scaffolds.request(session, ADA, prepared).id

    def row(self, id: str) -> Scaffold:
        with self.services.database.read() as session:
            row = repository.find(session, id)
            assert row is not None
            return row

    def killed_and_finished(self, id: str, kill_at: str) -> Scaffold:
        """Have it made by a maker that is killed, then by another."""
        with self.makers.process(str(self.file), kill_at) as pid:
            wait_until(lambda: not alive(pid) or self.row(id).state in ENDED, 120, lambda: str(vars(self.row(id))))
        with self.makers.process(str(self.file), "never"):
            wait_until(lambda: self.row(id).state in ENDED, 120, lambda: str(vars(self.row(id))))
            wait_until(lambda: self.settled(id), 20)
        return self.row(id)

    def settled(self, id: str) -> bool:
        """Whether the claim is off, and the working folder away."""
        if self.row(id).state != "done":
            return True
        working = (self.services.settings.home / "scaffolds" / id).exists()
        if self.hub is not None:
            return not working and id not in self.hub.repos["acme/churn"]["description"]
        config = (self.services.settings.home / "git" / "models" / "churn.git" / "config").read_text()
        return not working and id not in config

    def repositories(self) -> list[str]:
        if self.hub is not None:
            return sorted(self.hub.repos)
        return sorted(path.name for path in (self.services.settings.home / "git").glob("*/*"))

    def left(self) -> list[str]:
        return sorted(path.name for path in (self.services.settings.home / "scaffolds").glob("*"))

    def audit(self) -> list[str]:
        with self.services.database.read() as session:
            rows = session.query(AuditRow).order_by(AuditRow.seq).all()
        return [row.type.removeprefix("ml-platform.") for row in rows]

    def audit_is_intact(self) -> bool:
        url = self.services.database.url.render_as_string(hide_password=False)
        return verify_database(url, self.services.audit.key.public_key).valid


@pytest.fixture(params=["embedded", "github"])
def place(
    request: pytest.FixtureRequest, tmp_path: Path, empty_mlflow: Path, home: Path, makers: Forker
) -> Iterator[Place]:
    hub = GitHubServer(tmp_path / "hub") if request.param == "github" else None
    hosts = (
        [{"kind": "github", "name": "hub", "apiUrl": hub.url, "org": "acme", "token": TOKEN}]
        if hub is not None
        else [{"kind": "embedded"}]
    )
    options = {"gitHosts": hosts, "scaffolds": {"patience": "20s"}}
    url = f"sqlite:///{tmp_path / 'platform.db'}"
    settings = scaffolding_settings(tmp_path / "home", url, empty_mlflow, home, **options)
    document = settings.model_dump(mode="json", by_alias=True)
    document["gitHosts"] = hosts  # with the token, which the dump hides
    file = tmp_path / "settings.json"
    file.write_text(json.dumps(document))
    made = Place(settings, file, makers, hub)
    yield made
    made.services.rendering.close()
    made.services.database.close()
    if hub is not None:
        hub.close()
        assert hub.invalid == []


@pytest.mark.parametrize(("place", "kill_at"), PLACES, indirect=["place"])
def test_there_is_one_whole_repository(place: Place, kill_at: str) -> None:
    id = place.ask()
    done = place.killed_and_finished(id, kill_at)
    assert done.state == "done", done.reason
    assert len(place.repositories()) == 1
    assert place.left() == []
    if place.hub is not None:
        assert place.hub.branches_of("acme", "churn") == {"main": done.commit}
        assert place.hub.count("POST", "/orgs/acme/repos$") == 1
        assert list(place.hub.protection) == ["acme/churn"]
    audit = [one for one in place.audit() if one.startswith(("scaffolds", "catalog"))]
    assert audit == ["scaffolds.scaffold.requested", "catalog.location.registered", "scaffolds.scaffold.completed"]
    with place.services.database.read() as session:
        events = repository.events(session, id)
    finished = [one.step for one in events if one.state == "done"]
    assert finished == ["check", "reserve", "render", "commit", "create", "push", "protect", "register", "finish"]
    assert place.audit_is_intact()


@pytest.mark.parametrize("kill_at", ["commit:14", "commit:16", "before:16", "remove:1"])
@pytest.mark.parametrize("place", ["github"], indirect=True)
def test_after_a_failure_there_is_none(place: Place, kill_at: str) -> None:
    assert place.hub is not None
    body = {"message": "Upgrade to GitHub Pro or make this repository public to enable this feature."}
    place.hub.fail("PUT", "/protection$", status=403, body=body, times=9)
    id = place.ask()
    failed = place.killed_and_finished(id, kill_at)
    assert (failed.state, failed.cleaned_up, failed.step) == ("failed", True, "protect")
    assert "Upgrade to GitHub Pro" in str(failed.reason)
    assert place.repositories() == []
    assert place.left() == []
    assert place.audit()[-1] == "scaffolds.scaffold.failed"
    assert place.audit_is_intact()
