"""The rows of the overview are what a rebuild would make of them, whatever happened, and its pages are exact."""

import itertools
import random
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from backend.app import create_app
from backend.compliance.checks.base import Deviation, Result
from backend.core.config import Settings
from backend.core.errors import Conflict, Forbidden
from backend.core.ids import new_id
from backend.deployments.engine import RolloutEngine
from backend.deployments.lifecycle import Lifecycle
from backend.deployments.models import Approval, Deployment, Kind, Outcome, Phase
from backend.evidence.models import EvidencePack, PackState
from backend.overview.models import ModelPlace, ModelSummary
from backend.privacy.samples import Sample as PayloadSample
from backend.registry.models import ModelRow, VersionRow
from catalog.own import OwnSources
from scaffolder.fleet.models import FleetRepository
from tests.backend.conftest import SPEC, Backend
from tests.backend.deployments.conftest import ADA
from tests.backend.deployments.scripted import ScriptedTarget

ENVIRONMENTS = ("production", "staging")
NAMES = ("wine", "beer", "cider")


class World:
    """A backend without its runtime, whose domains are moved by their own functions."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        app = create_app(settings)
        self.services = app.state.services
        self.services.engine = RolloutEngine(self.services, ScriptedTarget(folder / "target"))
        self.lifecycle = Lifecycle(self.services)
        self.ada = Backend(TestClient(app, raise_server_exceptions=False), self.services).someone("ada")

    def register(self, name: str, **changes: Any) -> None:
        """Register a version as the registration does, without its bundle."""
        now = self.services.clock.now()
        with self.services.database.write() as session:
            row = session.get(ModelRow, name)
            said = {"owner": "group:default/risk", "system": None, "tier": 2, **changes}
            if row is None:
                row = ModelRow(
                    name=name, description=f"About {name}", type="realtime", cost_centre="C", created_by="user:default/ada",
                    repository=f"git.example/models/{name}", created_at=now, **said,
                )  # fmt: skip
                session.add(row)
            for key, value in said.items():
                setattr(row, key, value)
            session.flush()
            self.services.registry.changed(session, name)
            newest = self.services.registry.registered(session, [name])[name][1] or 0
            session.add(
                VersionRow(
                    model=name, version=newest + 1, digest="d" * 64, bundle="b", run_id="r", repository=row.repository,
                    commit=f"{newest:040d}", lineage={}, metrics={}, params={}, spec={**SPEC, "name": name},
                    created_at=now, created_by="user:default/ada",
                )
            )  # fmt: skip

    def deploy(self, name: str, environment: str, **values: Any) -> str | None:
        """Ask for the newest version to be rolled out; nothing where one is under way or none is registered."""
        with self.services.database.write() as session:
            found = self.services.registry.registered(session, [name])
            running = session.execute(
                select(Deployment.id).where(
                    Deployment.model == name, Deployment.environment == environment, Deployment.phase != Phase.COMPLETED
                )
            ).first()
            if not found or running is not None:
                return None
            deployment = Deployment(
                id=new_id(), kind=Kind.ROLLOUT, model=name, version=found[name][1], environment=environment,
                digest="d" * 64, phase=Phase.PENDING, requested_at=self.services.clock.now(), requirements=[],
                **{"requested_by": "user:default/ada", **values},
            )  # fmt: skip
            session.add(deployment)
            session.flush()
            self.services.deployments._rules.record(session, "deployment.requested", deployment, ADA, reason="asked")
        return deployment.id

    def advance(self, id: str, outcome: Outcome | None) -> None:
        """Take a rollout through its first steps, or to its end."""
        with self.services.database.write() as session:
            steps = self.lifecycle.plan(session, id)
        with self.services.database.write() as session:
            for index, _ in steps[:2]:
                self.lifecycle.begin(session, id, index)
                self.lifecycle.passed(session, id, index, "well")
            for index, _ in steps[2:3]:
                self.lifecycle.begin(session, id, index)
        if outcome is None:
            return
        with self.services.database.write() as session:
            if outcome is Outcome.PROMOTED:
                self.lifecycle.promote(session, id, len(steps) - 1)
            else:
                self.lifecycle.roll_back(session, id, outcome, "breached")
        with self.services.database.write() as session:
            self.lifecycle.complete(session, id)

    def look(self, name: str, behind: int | None, org: str = "models") -> None:
        """Have the inventory see a repository."""
        with self.services.database.write() as session:
            row = session.get(FleetRepository, ("local", org, name)) or FleetRepository(
                host="local", org=org, name=name
            )
            row.template, row.version, row.newest, row.behind = "golden-path", "v1", "v2", behind
            row.seen_at = self.services.clock.now()
            session.add(row)
            self.services.overview.repository_changed(session, name)

    def rows(self) -> list[Any]:
        with self.services.database.read() as session:
            return [
                sorted([getattr(row, one.key) for one in kind.__table__.columns] for row in session.query(kind))
                for kind in (ModelSummary, ModelPlace)
            ]

    def names(self, **query: Any) -> list[str]:
        """The names on all pages, and that their number is the total."""
        found: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            answer = self.ada.get("/overview/models", **query, **cursor)
            assert answer.status_code == 200, answer.text
            page = answer.json()
            found += [one["name"] for one in page["items"]]
            if page["nextCursor"] is None:
                assert len(found) == page["total"]
                return found
            cursor = {"cursor": page["nextCursor"]}


@pytest.fixture
def world(settings: Settings, tmp_path: Path) -> Iterator[World]:
    made = World(settings, tmp_path)
    yield made
    made.services.database.close()


steps = st.one_of(
    st.tuples(st.just("register"), st.sampled_from(NAMES), st.sampled_from(["risk", "search"])),
    st.tuples(st.just("deploy"), st.sampled_from(NAMES), st.sampled_from(ENVIRONMENTS)),
    st.tuples(
        st.just("advance"),
        st.integers(0, 5),
        st.sampled_from([None, Outcome.PROMOTED, Outcome.PROMOTED, Outcome.ROLLED_BACK, Outcome.HELD]),
    ),
    st.tuples(st.just("rollback"), st.sampled_from(NAMES), st.sampled_from(ENVIRONMENTS)),
    st.tuples(st.just("look"), st.sampled_from(NAMES), st.sampled_from([None, 0, 2])),
)


class TestRows:
    @pytest.mark.slow
    @settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.lists(steps, min_size=5, max_size=20))
    def test_they_are_what_a_rebuild_makes(self, world: World, history: list[tuple[str, Any, Any]]) -> None:
        ids: list[str] = []
        for what, which, how in history:
            if what == "register":
                world.register(which, owner=f"group:default/{how}")
            elif what == "look":
                world.look(which, how)
            elif what == "deploy" and (id := world.deploy(which, how)) is not None:
                ids.append(id)
            elif what == "advance" and which < len(ids):
                world.advance(ids[which], how)
            elif what == "rollback":
                try:
                    with world.services.database.write() as session:
                        if which in world.services.registry.registered(session, [which]):
                            world.services.deployments.interventions.rollback(session, ADA, how, which, "back")
                except (Conflict, Forbidden):
                    continue
        kept = world.rows()
        world.services.overview.rebuild()
        assert world.rows() == kept

    def test_a_rollout_is_seen_at_each_turn(self, world: World) -> None:
        world.register("wine")
        one = world.ada.get("/overview/models/wine").json()
        assert (one["latestVersion"], one["places"], one["template"], one["entityRef"]) == (1, [], None, None)
        id = world.deploy("wine", "staging")
        assert id is not None
        assert self._place(world) == (None, None, "pending")
        world.advance(id, None)
        assert self._place(world)[:2] == (None, 1)
        with world.services.database.write() as session:
            world.lifecycle.promote(session, id, 0)
        assert self._place(world) == (1, None, "promoting")
        with world.services.database.write() as session:
            world.lifecycle.complete(session, id)
        place = world.ada.get("/overview/models/wine").json()["places"][0]
        assert (place["phase"], place["deploymentId"], place["since"] is not None) == ("completed", id, True)

    def test_what_is_rolled_back_whole_leaves_no_trace(self, world: World) -> None:
        world.register("wine")
        before = world.rows()
        with world.services.database.write() as session:
            row = session.get(ModelRow, "wine")
            row.owner = "group:default/search"
            world.services.overview.changed(session, "wine")
            session.rollback()
        assert world.rows() == before
        with world.services.database.write() as session:
            world.services.overview.changed(session, "wine")
            with session.begin_nested():
                session.get(ModelRow, "wine").tier = 1
            session.get(ModelRow, "wine").owner = "group:default/search"
        one = world.ada.get("/overview/models/wine").json()
        assert (one["tier"], one["owner"]) == (1, "group:default/search"), "what follows a savepoint counts too"

    def test_a_database_from_before_is_filled(self, world: World, settings: Settings) -> None:
        world.register("wine")
        world.look("wine", 2)
        before = world.rows()
        with world.services.database.write() as session:
            session.query(ModelSummary).delete()
        create_app(settings).state.services.database.close()
        assert world.rows() == before

    def test_a_template_belongs_to_its_own_repository(self, world: World) -> None:
        world.register("wine")
        world.look("wine", 2, org="others")
        assert world.ada.get("/overview/models/wine").json()["template"] is None
        world.look("wine", 2)
        assert world.ada.get("/overview/models/wine").json()["template"] == {
            "name": "golden-path", "version": "v1", "newest": "v2", "behind": 2, "requestUrl": None,
        }  # fmt: skip

    @staticmethod
    def _place(world: World) -> tuple[int | None, int | None, str]:
        (place,) = world.ada.get("/overview/models/wine").json()["places"]
        return place["champion"], place["challenger"], place["phase"]


KEYS = ("name", "owner", "system", "type", "tier", "updated", "behind", "drift", "cost")
SORTS = [f"{sign}{key}" for key in KEYS for sign in ("", "-")]
WORST_FIRST = ("drifted", "no_reference", "not_enough_rows", "healthy", None)


class TestPages:
    @pytest.fixture
    def many(self, world: World) -> World:
        chance = random.Random(7)
        for number in range(12):
            name = f"model-{number:02d}"
            team = chance.choice(["risk", "search"])
            system = chance.choice([None, "system:default/lending"])
            world.register(name, owner=f"group:default/{team}", system=system, tier=chance.randint(1, 3))
            if number % 3:
                world.look(name, number % 3 - 1)
            if number % 4 == 0 and (id := world.deploy(name, "staging")) is not None:
                world.advance(id, Outcome.PROMOTED if number else None)
        return world

    @pytest.fixture
    def recorded(self, many: World) -> World:
        chance = random.Random(11)
        with many.services.database.write() as session:
            for row in session.query(ModelSummary):
                row.drift = chance.choice(WORST_FIRST) or ""
                row.monthly_cost = chance.choice([-1, 0, 1250, 99_999])
        return many

    def test_every_order_is_whole_and_stable(self, recorded: World) -> None:
        whole = {one["name"]: one for one in recorded.ada.get("/overview/models", limit=100).json()["items"]}
        members = {"updated": "updatedAt"}
        for sort in SORTS:
            names = recorded.names(sort=sort, limit=5)
            assert sorted(names) == sorted(whole)
            key = sort.removeprefix("-")

            def value(name: str, key: str = key) -> Any:
                if key == "behind":
                    return (whole[name]["template"] or {"behind": -1})["behind"]
                if key == "drift":
                    return WORST_FIRST.index(whole[name]["drift"])
                if key == "cost":
                    return Decimal((whole[name]["monthlyCost"] or {"amount": -1})["amount"])
                return whole[name][members.get(key, key)] or ""

            expected = sorted(whole, key=lambda name: (value(name), name), reverse=sort.startswith("-"))
            assert names == expected, sort

    def test_filters(self, recorded: World) -> None:
        items = recorded.ada.get("/overview/models", limit=100).json()["items"]
        queries: list[tuple[dict[str, Any], Any]] = [
            ({"owner": "group:default/risk"}, lambda one: one["owner"] == "group:default/risk"),
            ({"system": "system:default/lending"}, lambda one: one["system"] is not None),
            ({"tier": 1}, lambda one: one["tier"] == 1),
            ({"q": "ABOUT model-0"}, lambda one: one["name"].startswith("model-0")),
            ({"live": True}, lambda one: one["places"] and one["places"][0]["champion"]),
            ({"live": False}, lambda one: not one["places"] or not one["places"][0]["champion"]),
            ({"environment": "staging"}, lambda one: one["places"]),
            ({"environment": "staging", "live": False}, lambda one: one["places"] and not one["places"][0]["champion"]),
            ({"environment": "production"}, lambda one: False),
            ({"phase": "completed"}, lambda one: one["places"] and one["places"][0]["phase"] == "completed"),
            ({"behind": True}, lambda one: one["template"] and one["template"]["behind"] == 1),
            ({"behind": False}, lambda one: one["template"] and one["template"]["behind"] == 0),
            ({"drift": "drifted"}, lambda one: one["drift"] == "drifted"),
            (
                {"cost_at_least": "12.50"},
                lambda one: one["monthlyCost"] and Decimal(one["monthlyCost"]["amount"]) >= 12,
            ),
            ({"q": "%"}, lambda one: False),
        ]
        for query, holds in queries:
            assert recorded.names(**query, limit=3) == [one["name"] for one in items if holds(one)], query

    def test_facets_count_all_models(self, many: World) -> None:
        found = many.ada.get("/overview/facets").json()
        assert sum(one["count"] for one in found["owners"]) == 12
        assert [one["value"] for one in found["types"]] == ["realtime"]
        assert found["environments"] == [{"value": "staging", "count": 3}]
        assert [one["value"] for one in found["systems"]] == ["system:default/lending"]

    def test_a_cursor_belongs_to_its_order(self, many: World) -> None:
        cursor = many.ada.get("/overview/models", limit=1, sort="owner").json()["nextCursor"]
        for sort in ("system", "-owner", "tier", "updated"):
            assert many.ada.get("/overview/models", sort=sort, cursor=cursor).status_code == 422
        assert many.ada.get("/overview/models", sort="colour").status_code == 422
        assert many.ada.get("/overview/models/nothing").status_code == 404

    def test_what_nobody_records_is_null(self, many: World) -> None:
        one = many.ada.get("/overview/models/model-00").json()
        assert [one[key] for key in ("slo", "drift", "monthlyCost", "compliance")] == [None] * 4


class TestFigures:
    def test_nothing_to_count_is_null(self, world: World) -> None:
        found = {one["name"]: one for one in world.ada.get("/overview/figures").json()}
        assert len(found) == 18
        counts = {"deployments", "deployment-frequency", "pii-violations"}
        assert {name for name, one in found.items() if one["value"] is not None} == counts
        assert found["pii-violations"]["value"] == 0
        assert found["deployments"]["value"] == 0
        assert found["deployment-success-rate"]["target"] == 99

    def test_they_are_counted_from_what_happened(self, world: World, set_clock: Any) -> None:
        services = world.services
        set_clock.moment = services.clock.now()
        object.__setattr__(services, "clock", set_clock)
        OwnSources(services).sync()
        world.register("wine")
        world.register("beer")
        world.look("wine", 0)
        outcomes = itertools.cycle([Outcome.PROMOTED, Outcome.PROMOTED, Outcome.PROMOTED, Outcome.ROLLED_BACK])
        for minutes, asked_by in ((10, "ada"), (20, "ada"), (30, "operator"), (5, "ada")):
            id = world.deploy("wine", "staging", requested_by=f"user:default/{asked_by}")
            assert id is not None
            set_clock.moment += timedelta(minutes=minutes)
            world.advance(id, next(outcomes))
        id = world.deploy("wine", "staging", break_glass_reason="it burns")
        assert id is not None
        with services.database.write() as session:
            services.deployments.interventions.abort(session, ADA, id, "no")
            world.lifecycle.complete(session, id)
            session.add(Approval(id=new_id(), deployment_id=id, by="user:default/grace", decision="approve", comment="", at=services.clock.now()))  # fmt: skip # noqa: E501
        found = {one["name"]: (one["value"], one["count"]) for one in world.ada.get("/overview/figures").json()}
        assert found["deployments"] == (5, 5)
        assert found["deployment-success-rate"] == (75, 4)
        assert found["deployment-minutes-median"] == (20, 3)
        assert found["deployment-minutes-p90"] == (28, 3)
        assert found["platform-team-share"] == (40, 5), "an administrator's, and the broken glass"
        assert found["rollback-seconds-median"] == (0, 1)
        assert found["golden-path-share"] == (50, 2)
        set_clock.moment += timedelta(days=3)
        assert world.ada.get("/overview/figures", days=2).json()[0]["value"] == 0

    def test_from_the_commit_to_all_traffic(self, world: World, set_clock: Any) -> None:
        services = world.services
        set_clock.moment = services.clock.now()
        object.__setattr__(services, "clock", set_clock)
        for name, committed in (("wine", set_clock.moment - timedelta(minutes=40)), ("beer", None)):
            world.register(name)
            with services.database.write() as session:
                row = session.get(VersionRow, (name, 1))
                row.lineage = {"committedAt": committed and committed.isoformat()}
                row.created_at = set_clock.moment
        for name in ("wine", "beer", "wine"):
            id = world.deploy(name, "staging")
            assert id is not None
            set_clock.moment += timedelta(minutes=10)
            world.advance(id, Outcome.PROMOTED)
        found = world.ada.get("/overview/figures/commit-to-traffic").json()
        assert (found["figure"]["value"], found["figure"]["count"], found["figure"]["reached"]) == (35, 2, False)
        assert [(one["subject"].partition("/")[0], one["value"]) for one in found["evidence"]] == [
            ("model:beer", 20), ("model:wine", 50),
        ], "a version that is rolled out again is no new change"  # fmt: skip
        notes = [one["note"] for one in found["evidence"]]
        assert "from its registration, since its commit's time is not known" in notes[0]
        assert notes[1] == "v1 in staging: promoted"

    def test_personal_data_counts_for_as_long_as_it_is_live(self, world: World, set_clock: Any) -> None:
        services = world.services
        set_clock.moment = services.clock.now().replace(day=10)
        object.__setattr__(services, "clock", set_clock)
        services.audit._clock = set_clock
        world.register("wine")
        world.register("beer")

        def examined(*models: str) -> None:
            deviations = tuple(
                Deviation(f"model:{one}", f"v1 of {one}: gate:pii is failed", None, one) for one in models
            )
            with services.database.write() as session:
                services.controls.keep(session, {"pii.none-undeclared": Result(2, deviations)})

        examined()
        assert self._violations(world) == (0, True, [])
        examined("wine")
        examined("wine", "beer")
        set_clock.moment += timedelta(days=40)
        assert self._violations(world)[:2] == (2, False), "it is still live, whenever it was found"
        examined("beer")
        events = Backend(world.ada.http, services).someone("operator").events(type="ml-platform.compliance.deviation.")
        assert [(one["type"].rpartition(".")[2], one["subject"]) for one in events] == [
            ("found", "model:wine"), ("found", "model:beer"), ("ended", "model:wine"),
        ]  # fmt: skip
        set_clock.moment += timedelta(days=40)
        number, _, evidence = self._violations(world)
        assert (number, [one["subject"] for one in evidence]) == (1, ["model:beer"])
        ada = Backend(world.ada.http, services).someone("ada")
        (figure,) = [one for one in ada.get("/overview/figures", months=3).json() if one["name"] == "pii-violations"]
        assert [one["value"] for one in figure["trend"]] == [2, 2, 1]

    def test_samples_that_still_hold_personal_data_count(self, world: World) -> None:
        services = world.services
        texts = ("ada@example.com", "[REDACTED:EMAIL]")
        samples = [
            PayloadSample(new_id(), "production", "wine", 3, services.clock.now(), {"mail": text}, {"y": 1})
            for text in texts
        ]
        with services.database.write() as session:
            assert services.privacy.samples.add(session, samples) == 2
        _, _, (evidence,) = self._violations(world)
        assert (evidence["subject"], evidence["note"]) == ("model:wine/versions/3", "1 samples in production")

    def test_evidence_and_templates(self, world: World, set_clock: Any) -> None:
        services = world.services
        set_clock.moment = services.clock.now().replace(day=20)
        object.__setattr__(services, "clock", set_clock)
        services.audit._clock = set_clock
        operator = lambda: Backend(world.ada.http, services).someone("operator")  # noqa: E731
        with services.database.write() as session:
            for minutes in (4, 6, 20):
                asked = set_clock.moment - timedelta(minutes=minutes)
                session.add(
                    EvidencePack(
                        id=new_id(), since=asked, until=asked, sample_size=0, requested_by="user:default/ada", written=0,
                        requested_at=asked, state=PackState.DONE, finished_at=set_clock.moment,
                    )
                )  # fmt: skip
        found = operator().get("/overview/figures/evidence-minutes").json()
        assert (found["figure"]["value"], found["figure"]["count"], found["figure"]["reached"]) == (6, 3, True)

        inventory = services.fleet._inventory
        for behind in (2, 0, 0):
            world.look("wine", behind)
            world.look("beer", 0)
            with services.database.write() as session:
                inventory._count(session)
            set_clock.moment += timedelta(days=31)
        found = operator().get("/overview/figures/template-currency", months=4).json()
        assert (found["figure"]["value"], found["figure"]["count"]) == (100, 2)
        assert [one["value"] for one in found["trend"]] == [50, 100, 100, 100]
        assert {one["subject"] for one in found["evidence"]} == {
            "repository:local/models/wine", "repository:local/models/beer",
        }  # fmt: skip
        counted = operator().events(type="ml-platform.fleet.counted")
        assert [one["data"] for one in counted] == [
            {"repositories": 2, "current": 1}, {"repositories": 2, "current": 2}, {"repositories": 2, "current": 2},
        ], "at each change, and once a month"  # fmt: skip

    @staticmethod
    def _violations(world: World) -> tuple[float, bool, list[dict[str, Any]]]:
        ada = Backend(world.ada.http, world.services).someone("ada")
        found = ada.get("/overview/figures/pii-violations").json()
        return found["figure"]["value"], found["figure"]["reached"], found["evidence"]
