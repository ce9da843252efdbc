"""Locations and what is read from them, on both databases, from real repositories of the embedded host."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi.testclient import TestClient
from sqlalchemy import event
from sqlalchemy.orm import Session

from backend.app import create_app
from backend.core.config import Settings
from backend.core.config_scaffolding import GitHubHostSettings, GitLabHostSettings
from catalog import repository
from catalog.models import Location, Refresh
from catalog.own import OwnSources
from catalog.service import Place
from catalog.work import CatalogWork
from scaffolder.git import push
from scaffolder.hosts.base import NewRepository
from scaffolder.hosts.configured import Hosts
from scaffolder.hosts.embedded import EmbeddedHost
from tests.backend.conftest import Backend, empty_mlflow, make_settings
from tests.catalog.test_reader import COMPONENT, MODEL
from tests.scaffolder.hosts.conftest import Clone

__all__ = ["empty_mlflow"]
pytestmark = pytest.mark.slow
PLACE = {"host": "local", "org": "models", "repository": "churn"}


class Catalog:
    """A backend without its runtime, a repository to read from, and the usual people."""

    def __init__(self, http: TestClient, settings: Settings, folder: Path) -> None:
        self.backend = Backend(http, http.app.state.services)  # type: ignore[attr-defined]
        self.services = self.backend.services
        self.ada = self.backend.someone("ada")
        self.host = EmbeddedHost(settings.home / "git")
        self.clone = Clone(folder / "clone")
        self.made: Any = None

    def write(self, text: str | None) -> None:
        """Push a catalog-info.yaml, or a commit without one."""
        if self.made is None:
            self.made = self.host.create(NewRepository("models", "churn", "", "claim"))
        file = self.clone.folder / "catalog-info.yaml"
        file.unlink(missing_ok=True)
        if text is not None:
            file.write_text(text)
        self.clone.git("add", "--all")
        self.clone.git("commit", "--quiet", "--allow-empty", "--message", "change")
        push(self.clone.folder, self.host.access(self.made))

    def register(self, text: str = f"{COMPONENT}---\n{MODEL}") -> dict[str, Any]:
        self.write(text)
        answer = self.ada.post("/catalog/locations", PLACE)
        assert answer.status_code == 201, answer.text
        location: dict[str, Any] = answer.json()
        return location

    def refresh(self, location: dict[str, Any]) -> dict[str, Any]:
        answer = self.ada.post(f"/catalog/locations/{location['id']}/refresh")
        assert answer.status_code == 200, answer.text
        fresh: dict[str, Any] = answer.json()
        return fresh

    def refs(self, **query: str) -> list[str]:
        items = self.ada.get("/catalog/entities", **query).json()["items"]
        return [one["ref"] for one in items if one["kind"] not in {"User", "Group"}]

    def changes(self, after: int = 0) -> tuple[list[tuple[str, str]], int]:
        answer = self.ada.get("/catalog/changes", after=after).json()
        return [(one["ref"], one["change"]) for one in answer["items"]], answer["cursor"]


@pytest.fixture
def catalog(tmp_path: Path, database_url: str, empty_mlflow: Path) -> Iterator[Catalog]:
    home = tmp_path / "home"
    (home / "mlflow").mkdir(parents=True)
    (home / "mlflow" / "mlflow.db").write_bytes(empty_mlflow.read_bytes())
    settings = make_settings(home, database_url)
    app = create_app(settings)
    # Without the lifespan: nothing runs beside the requests.
    made = Catalog(TestClient(app, raise_server_exceptions=False), settings, tmp_path)
    yield made
    made.services.database.close()


def test_what_a_file_declares_is_in_the_catalog(catalog: Catalog) -> None:
    location = catalog.register()
    assert (location["state"], location["faults"]) == ("fresh", [])
    assert catalog.refs() == ["component:default/churn", "resource:default/churn-model"]
    assert catalog.refs(kind="resource") == ["resource:default/churn-model"]
    assert catalog.refs(type="model-server") == ["component:default/churn"]
    assert catalog.refs(owner="group:default/risk", system="system:default/lending") == ["component:default/churn"]
    assert catalog.refs(q="MODEL") == ["resource:default/churn-model"]
    one = catalog.ada.get("/catalog/entities/by-ref/churn").json()
    assert (one["owner"], one["system"], one["location"]) == (
        "group:default/risk", "system:default/lending", location["id"],
    )  # fmt: skip
    assert one["entity"] == yaml.safe_load(COMPONENT)
    again = catalog.ada.post("/catalog/locations", PLACE)
    assert (again.status_code, again.json()["id"]) == (200, location["id"])
    events = [event["type"] for event in catalog.ada.events(subject="location:local:models/churn/catalog-info.yaml")]
    assert events == ["ml-platform.catalog.location.registered"]


def test_changes_are_a_stream_with_deletions(catalog: Catalog) -> None:
    location = catalog.register()
    found, cursor = catalog.changes()
    assert found[-2:] == [("component:default/churn", "upsert"), ("resource:default/churn-model", "upsert")]
    catalog.refresh(location)
    assert catalog.changes(cursor) == ([], cursor), "what is the same is no change"
    catalog.write(COMPONENT.replace("production", "deprecated"))
    catalog.refresh(location)
    found, cursor = catalog.changes(cursor)
    assert found == [("component:default/churn", "upsert"), ("resource:default/churn-model", "delete")]
    catalog.write(f"{COMPONENT}---\n{MODEL}")
    catalog.refresh(location)
    assert len(catalog.changes(cursor)[0]) == 2
    assert catalog.ada.delete(f"/catalog/locations/{location['id']}").status_code == 200
    found, cursor = catalog.changes(cursor)
    assert {change for _, change in found} == {"delete"}
    assert catalog.refs() == []
    whole, _ = catalog.changes()
    assert len(whole) == len({ref for ref, _ in whole}), "each entity once"
    page = catalog.ada.get("/catalog/changes", limit=1).json()
    assert (len(page["items"]), page["more"]) == (1, True)


class TestSources:
    def test_a_change_says_where_the_entity_was_read_from(self, catalog: Catalog) -> None:
        location = catalog.register()
        source = self._sources(catalog)["component:default/churn"]
        base = catalog.services.settings.base_url
        url = f"{base}/api/ml-platform/git/local/models/churn/files/catalog-info.yaml"
        assert source == {**PLACE, "path": "catalog-info.yaml", "url": url}
        OwnSources(catalog.services).sync()
        own = self._sources(catalog)["group:default/risk"]
        assert (own["host"], own["path"], own["url"]) == ("platform", "issuer", None)
        catalog.ada.delete(f"/catalog/locations/{location['id']}")
        assert self._sources(catalog)["component:default/churn"] is None

    @pytest.mark.parametrize(
        ("kind", "url"),
        [
            ("github", "https://git.example/acme/churn/blob/HEAD/a%20b/catalog-info.yaml"),
            ("gitlab", "https://git.example/acme/churn/-/blob/HEAD/a%20b/catalog-info.yaml"),
        ],
    )
    def test_on_other_hosts_it_is_the_file_s_own_page(
        self, catalog: Catalog, kind: str, url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        row = Location(host="theirs", org="acme", repository="churn", path="a b/catalog-info.yaml")
        assert catalog.services.catalog.file_url(row) is None, "no such host any more"
        settings: Any = {"github": GitHubHostSettings, "gitlab": GitLabHostSettings}[kind]
        host = settings.model_validate({"kind": kind, "name": "theirs", "org": "acme", "token": "t"})
        monkeypatch.setattr(catalog.services, "hosts", Hosts([host], catalog.services.settings.home))
        assert catalog.services.catalog.file_url(row) is None, "its address is not known yet"
        row.web_url = "https://git.example/acme/churn"
        assert catalog.services.catalog.file_url(row) == url

    def test_an_entity_that_was_only_moved_has_changed(self, catalog: Catalog) -> None:
        location = catalog.register()
        cursor = catalog.changes()[1]
        place = Place(**PLACE)
        found = catalog.services.catalog.read(place)
        for address, count in (("https://git.example/churn", 2), ("https://git.example/churn", 0), (None, 0)):
            with catalog.services.database.write() as session:
                row = catalog.services.catalog.location(session, location["id"])
                catalog.services.catalog.apply(session, row, replace(found, web_url=address))
            changed, cursor = catalog.changes(cursor)
            assert [change for _, change in changed] == ["upsert"] * count

    def test_a_page_of_changes_is_one_query(self, catalog: Catalog) -> None:
        catalog.register()
        asked: list[str] = []
        with catalog.services.database.read() as session:
            event.listen(session.get_bind(), "before_cursor_execute", lambda *given: asked.append(given[2]))
            assert len(repository.changes(session, after=0, limit=500)) >= 2
        assert sum("SELECT" in one for one in asked) == 1

    @staticmethod
    def _sources(catalog: Catalog) -> dict[str, Any]:
        items = catalog.ada.get("/catalog/changes").json()["items"]
        return {one["ref"]: one["source"] for one in items}


def test_a_fault_takes_nothing_away_and_says_its_line(catalog: Catalog) -> None:
    location = catalog.register()
    catalog.write(f"{COMPONENT}---\nkind: Resource\nmetadata: {{}}\n")
    broken = catalog.refresh(location)
    assert broken["state"] == "faulty"
    assert broken["faults"][0]["line"] == 13
    assert catalog.refs() == ["component:default/churn", "resource:default/churn-model"]
    listed = catalog.ada.get("/catalog/locations", state="faulty").json()["items"]
    assert [one["id"] for one in listed] == [location["id"]]
    catalog.write(None)
    assert catalog.refresh(location)["state"] == "gone"
    assert catalog.refs() == []


def test_a_host_that_does_not_answer_changes_nothing(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    from scaffolder.errors import HostUnavailable

    location = catalog.register()

    def down(*_given: object) -> None:
        raise HostUnavailable("local is down")

    monkeypatch.setattr(EmbeddedHost, "find", down)
    assert catalog.refresh(location)["state"] == "unreachable"
    assert catalog.refs() != []
    assert catalog.ada.post("/catalog/locations", {**PLACE, "repository": "other"}).status_code == 503


@pytest.mark.parametrize(
    ("text", "status", "said"),
    [
        (None, 422, "is not there"),
        ("kind: Component\n", 422, "line 1"),
        (COMPONENT.replace("owner: risk", "owner: search"), 403, "may not register"),
        (f"{COMPONENT}---\n{MODEL.replace('default/risk', 'default/search')}", 403, "may not register"),
    ],
)
def test_what_may_not_be_registered(catalog: Catalog, text: str | None, status: int, said: str) -> None:
    catalog.write(text)
    answer = catalog.ada.post("/catalog/locations", PLACE)
    assert answer.status_code == status, answer.text
    assert said in answer.json()["detail"]
    assert catalog.refs() == []
    if status == 403:
        assert catalog.ada.events(type="ml-platform.catalog.location.refused")


def test_an_entity_belongs_to_one_location(catalog: Catalog) -> None:
    catalog.register()
    other = catalog.host.create(NewRepository("models", "other", "", "claim"))
    push(catalog.clone.folder, catalog.host.access(other))
    answer = catalog.ada.post("/catalog/locations", {**PLACE, "repository": "other"})
    assert answer.status_code == 409
    assert "another location" in answer.json()["detail"]


@pytest.mark.parametrize(
    "change", [{"host": "elsewhere"}, {"org": "../up"}, {"repository": "../up"}, {"path": "../../etc/passwd"}]
)
def test_a_place_is_no_way_out(catalog: Catalog, change: dict[str, str]) -> None:
    assert catalog.ada.post("/catalog/locations", {**PLACE, **change}).status_code == 422


def test_strangers_may_not_unregister(catalog: Catalog) -> None:
    location = catalog.register()
    path = f"/catalog/locations/{location['id']}"
    assert catalog.backend.someone("edsger").delete(path).status_code == 403
    assert catalog.backend.someone("grace").delete(path).status_code == 200


class TestOrganisation:
    def test_users_and_groups_come_from_the_issuer_and_the_file(self, catalog: Catalog, tmp_path: Path) -> None:
        file = tmp_path / "org.yaml"
        api = {"apiVersion": "backstage.io/v1alpha1"}
        risk = {**api, "kind": "Group", "metadata": {"name": "risk", "title": "Risk"}, "spec": {"type": "department"}}
        lending = {**api, "kind": "System", "metadata": {"name": "lending"}, "spec": {"owner": "risk"}}
        file.write_text(yaml.safe_dump_all([risk, lending]))
        own = OwnSources(catalog.services)
        own.sync()
        assert self._groups(catalog) == {
            "group:default/platform": "team",
            "group:default/risk": "team",
            "group:default/search": "team",
        }
        object.__setattr__(catalog.services.settings.catalog, "org", file)
        own.sync()
        assert self._groups(catalog)["group:default/risk"] == "department"
        assert catalog.refs(kind="System") == ["system:default/lending"]
        before = catalog.changes()[1]
        own.sync()
        assert catalog.changes(before)[0] == []
        file.write_text("kind: Group\n")
        own.sync()
        assert self._groups(catalog)["group:default/risk"] == "department", "a fault takes nothing away"
        object.__setattr__(catalog.services.settings.catalog, "org", None)
        own.sync()
        assert self._groups(catalog)["group:default/risk"] == "team"
        assert catalog.refs(kind="System") == []

    @staticmethod
    def _groups(catalog: Catalog) -> dict[str, str]:
        items = catalog.ada.get("/catalog/entities", kind="Group").json()["items"]
        return {one["ref"]: one["type"] for one in items}


def test_what_is_due_is_read_again_in_a_bounded_pass(catalog: Catalog, set_clock: Any) -> None:
    location = catalog.register()
    work = next(one for one in catalog.services.runtime._kinds.values() if isinstance(one, CatalogWork))

    def passes(session: Session) -> list[Refresh]:
        return session.query(Refresh).order_by(Refresh.id).all()

    work.beat(changed=False)
    with catalog.services.database.read() as session:
        assert passes(session) == []
    set_clock.moment = catalog.services.clock.now()
    set_clock.move(minutes=6)
    object.__setattr__(catalog.services, "clock", set_clock)
    catalog.services.runtime._leading = True
    catalog.write(COMPONENT)
    work._looked = float("-inf")
    work.beat(changed=False)
    with catalog.services.database.read() as session:
        (one,) = passes(session)
        assert list(work.waiting(session)) == [one.id]
    work._read(one.id)
    assert catalog.refs() == ["component:default/churn"]
    with catalog.services.database.read() as session:
        (one,) = passes(session)
        assert (one.read, one.finished_at is not None) == (1, True)
        row = repository.location(session, location["id"])
        assert row is not None
        assert row.read_at == set_clock.now()
