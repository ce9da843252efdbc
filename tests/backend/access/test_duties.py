"""Separation of duties is checked when it matters, and again over what was done."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from backend.access.duties import SeparationOfDuties, Violation
from backend.access.models import Grant
from backend.access.wishes import Wish
from backend.core.container import Services
from backend.core.errors import Forbidden
from backend.core.ids import new_id
from backend.deployments.models import Approval, Deployment, Kind, Outcome, Phase
from backend.identity.principal import Principal
from tests.backend.deployments.conftest import add_version
from tests.conftest import SetClock

from .conftest import ADA, DAY, EDSGER, GRACE, OPERATOR, REASON, RISK, House, person

pytestmark = pytest.mark.slow

IDENTITIES = {"identities": [{"person": "user:default/ada", "refs": ["user:corp/a.lovelace", "ada@example.org"]}]}
OTHER_ADA = person("", RISK, ref="user:corp/a.lovelace")


def waiting(services: Services, **changes: Any) -> str:
    """Put a deployment of a version that ada made into the tables; by default grace has asked for it."""
    with services.database.write() as session:
        row = Deployment(
            **{
                "id": new_id(),
                "kind": Kind.ROLLOUT,
                "model": "wine",
                "version": 1,
                "environment": "production",
                "digest": "ab" * 32,
                "phase": Phase.AWAITING_APPROVAL,
                "requested_by": "user:default/grace",
                "requested_at": services.clock.now(),
                "requirements": [{"requirement": "approval", "state": "waiting", "message": "", "evidence": None}],
                **changes,
            }
        )
        session.add(row)
        return row.id


def approve(services: Services, who: Principal, id: str) -> None:
    with services.database.write() as session:
        services.deployments.approve(session, who, id, approved=True, comment="")


def found(services: Services, since: timedelta = DAY) -> list[Violation]:
    with services.database.read() as session:
        now = services.clock.now()
        return SeparationOfDuties(services, services.access).report(session, now - since, now + DAY).violations


@pytest.fixture
def services(services: Services) -> Services:
    add_version(services, 1)
    return services


class TestApproving:
    @pytest.mark.parametrize("access_settings", [IDENTITIES])
    def test_an_author_under_another_identity_is_refused(self, services: Services) -> None:
        id = waiting(services)
        for who in (ADA, OTHER_ADA):
            with pytest.raises(Forbidden, match="made this version, so somebody else has to decide") as refused:
                approve(services, who, id)
            assert refused.value.extra["access"]["rules"] == ["separation-of-duties.author"]
            assert refused.value.refusal is not None
            assert refused.value.refusal.data["access"]["policies"] == services.access.digest

    @pytest.mark.parametrize("access_settings", [IDENTITIES])
    def test_so_is_who_asked_through_ci_under_another_identity(self, services: Services) -> None:
        with services.database.write() as session:
            version = services.registry.get_version(session, "wine", 1)
            version.created_by = "user:default/edsger"
        id = waiting(services, requested_by="repository:local/wine", on_behalf_of="user:corp/A.Lovelace")
        with pytest.raises(Forbidden, match="asked for this deployment"):
            approve(services, ADA, id)
        approve(services, GRACE, id)

    @pytest.mark.parametrize("access_settings", [IDENTITIES])
    def test_so_is_whoever_wrote_the_commit(self, services: Services) -> None:
        with services.database.write() as session:
            version = services.registry.get_version(session, "wine", 1)
            version.created_by = "user:default/edsger"
            version.lineage = {**version.lineage, "commitAuthor": "Ada@Example.org"}
        id = waiting(services)
        with pytest.raises(Forbidden, match="made this version"):
            approve(services, ADA, id)
        approve(services, person("barbara", RISK), id)

    def test_without_the_link_two_names_are_two_people(self, services: Services) -> None:
        approve(services, OTHER_ADA, waiting(services))

    def test_what_lets_somebody_approve_is_in_the_event(self, services: Services) -> None:
        approve(services, person("barbara", RISK), waiting(services))
        with services.database.read() as session:
            now = services.clock.now()
            (event,) = services.audit.events(session, "ml-platform.deployments.deployment.approved", now, now + DAY)
        assert event["data"]["access"]["rules"] == ["models.approvers"]
        assert event["data"]["access"]["policies"] == services.access.digest


class TestReport:
    def test_clean_work_leaves_nothing(self, services: Services, set_clock: SetClock) -> None:
        approve(services, person("barbara", RISK), waiting(services))
        with services.database.write() as session:
            wish = Wish("read", "dataset:default/customers", REASON, DAY, "model-training")
            id = services.grants.request(session, EDSGER, wish).id
            services.grants.approve(session, GRACE, id, "")
        assert found(services) == []

    @pytest.mark.parametrize("access_settings", [IDENTITIES])
    def test_an_approval_that_was_written_past_the_platform_is_found(self, services: Services) -> None:
        id = waiting(services, phase=Phase.COMPLETED, outcome=Outcome.PROMOTED)
        with services.database.write() as session:
            for who in ("user:default/barbara", "user:corp/a.lovelace"):
                session.add(
                    Approval(
                        id=new_id(), deployment_id=id, by=who, decision="approve", comment="", at=services.clock.now()
                    )
                )
        kinds = {(one.kind, one.persons) for one in found(services)}
        assert kinds == {
            ("approval-not-on-record", ("user:default/barbara",)),
            ("approval-not-on-record", ("user:default/ada",)),
            ("approver-is-author", ("user:default/ada",)),
        }

    def test_what_went_live_without_its_approval_is_found(self, services: Services) -> None:
        waiting(services, phase=Phase.COMPLETED, outcome=Outcome.PROMOTED)
        assert [one.kind for one in found(services)] == ["not-approved"]

    def test_a_promotion_by_who_asked_is_found(self, services: Services) -> None:
        waiting(services, requirements=[], promote_requested_by="user:default/grace")
        assert [one.kind for one in found(services)] == ["promoter-is-requester"]

    def test_every_use_of_break_glass_is_listed(self, services: Services) -> None:
        waiting(services, break_glass_reason="the site is down", outcome=Outcome.PROMOTED, phase=Phase.COMPLETED)
        wish = Wish("read", "dataset:default/health", REASON, timedelta(hours=1), "incident-response")
        with services.database.write() as session:
            services.grants.break_glass(session, OPERATOR, wish)
        deployed, read = sorted(found(services), key=lambda one: one.kind, reverse=True)
        assert (deployed.kind, "the site is down" in deployed.message) == ("break-glass-deployment", True)
        assert (read.kind, "nobody has looked at it yet" in read.message) == ("break-glass-access", True)

    def test_a_grant_that_was_edited_to_be_ones_own_is_found(self, services: Services) -> None:
        with services.database.write() as session:
            wish = Wish("read", "dataset:default/customers", REASON, DAY, "model-training")
            id = services.grants.request(session, EDSGER, wish).id
            session.get_one(Grant, id).decided_by = "user:default/EDSGER"
        assert [one.kind for one in found(services)] == ["grant-approver-is-requester"]

    def test_other_periods_are_left_out(self, services: Services, set_clock: SetClock) -> None:
        waiting(services, phase=Phase.COMPLETED, outcome=Outcome.PROMOTED)
        set_clock.move(days=3)
        assert found(services) == []


@pytest.mark.slow
def test_the_report_is_an_answer(house: House, tmp_path: Path) -> None:
    add_version(house.services, 1)
    waiting(house.services, phase=Phase.COMPLETED, outcome=Outcome.PROMOTED)
    ada = house.someone("ada")
    report = ada.get("/access/separation-of-duties", **{"from": "2026-02-01", "to": "2026-04-01T00:00:00Z"})
    assert report.status_code == 200, report.text
    assert [one["kind"] for one in report.json()["violations"]] == ["not-approved"]
    assert report.json()["checked"]["deployments"] == 1
    wrong = ada.get("/access/separation-of-duties", **{"from": "2026-04-01", "to": "2026-02-01"})
    assert (wrong.status_code, wrong.json()["detail"]) == (422, "query/to: must be after `from`")
