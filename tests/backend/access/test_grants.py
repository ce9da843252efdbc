"""Access for a time: asked for, decided by somebody else, and ended by itself."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from backend.access import repository
from backend.access.engine import Context
from backend.access.resources import GRANTABLE, Action
from backend.access.service import AccessService
from backend.access.wishes import Wish
from backend.core.container import Services
from backend.core.errors import Conflict, Forbidden, InvalidInput
from backend.identity.principal import Principal
from catalog.own import OwnSources
from tests.conftest import SetClock
from tests.marks import on_one_database

from .conftest import ADA, CI, DAY, EDSGER, GRACE, OPERATOR, REASON, RISK, House, person

pytestmark = pytest.mark.slow

WISH = Wish("read", "dataset:default/customers", REASON, DAY, "model-training")


def ask(services: Services, who: Principal, wish: Wish = WISH) -> str:
    with services.database.write() as session:
        return services.grants.request(session, who, wish).id


def approve(services: Services, who: Principal, id: str) -> None:
    with services.database.write() as session:
        services.grants.approve(session, who, id, "fine")


def may_read(services: Services, who: Principal, name: str = "customers", purpose: str = "model-training") -> bool:
    with services.database.read() as session:
        dataset = services.access.dataset(session, f"default/{name}")
        return services.access.decide(session, who, Action.READ, dataset, Context(purpose=purpose)).allowed


@pytest.mark.slow
class TestOverHttp:
    def test_an_engineer_is_denied_asks_is_granted_for_a_day_and_it_ends_by_itself(self, house: House) -> None:
        edsger, grace = house.someone("edsger"), house.someone("grace")
        denied = house.check(edsger, "dataset:default/customers")
        assert (denied["allowed"], [one["rule"] for one in denied["rules"]]) == (False, ["data.purpose-required"])
        assert denied["explanation"].startswith("denied by rule data.purpose-required because")

        denied = house.check(edsger, "dataset:customers", "model-training")
        assert (denied["allowed"], denied["rules"]) == (False, [])
        assert "ask with `platform access request read dataset:default/customers" in denied["explanation"]

        asked = edsger.post(
            "/access/grants",
            {"action": "read", "scope": "dataset:customers", "purpose": "model-training", "reason": REASON, "duration": "1d"},
        )  # fmt: skip
        assert asked.status_code == 201, asked.text
        grant = asked.json()
        assert (grant["state"], grant["owner"]) == ("requested", "group:default/risk")
        assert house.check(edsger, "dataset:default/customers", "model-training")["allowed"] is False

        (waiting,) = grace.get("/access/grants", view="to-decide").json()["items"]
        assert {one["action"]: one["allowed"] for one in waiting["actions"]}["approve"] is True
        granted = grace.post(f"/access/grants/{grant['id']}/approve", {"comment": "for the spring run"})
        assert (granted.status_code, granted.json()["state"]) == (200, "active"), granted.text
        allowed = house.check(edsger, "dataset:default/customers", "model-training")
        assert (allowed["allowed"], allowed["grant"]) == (True, grant["id"])
        assert [one["rule"] for one in allowed["rules"]] == ["grants.time-bound"]
        assert house.check(edsger, "dataset:default/customers", "subject-request")["allowed"] is False

        house.clock.move(days=1)
        edsger = house.someone("edsger")  # yesterday's token has ended too
        assert house.check(edsger, "dataset:default/customers", "model-training")["allowed"] is False
        ended = house.until_state(edsger, f"/access/grants/{grant['id']}", "expired")
        assert ended["endReason"] == "its time is over"
        types = [
            one["type"].removeprefix("ml-platform.access.") for one in edsger.events(subject=f"grant:{grant['id']}")
        ]
        assert types == ["grant.requested", "grant.approved", "grant.expired"]
        replayed = house.someone("grace").post(f"/access/grants/{grant['id']}/approve", {})
        assert (replayed.status_code, "it is expired" in replayed.json()["detail"]) == (409, True)

    def test_what_can_be_asked_for_is_listed_and_who_may_break_the_glass_is_told(self, house: House) -> None:
        edsger = house.someone("edsger")
        listed = edsger.get("/access/wishes").json()
        assert [one["action"] for one in listed["actions"]] == [one.value for one in GRANTABLE]
        erasing = next(one for one in listed["actions"] if one["action"] == "erase-subject")
        assert (erasing["scopes"], erasing["breakGlass"]) == (["platform"], False)
        assert (listed["purposes"]["model-training"], listed["longest"], listed["longestBreakGlass"]) == (
            "pii",
            "30d",
            "4h",
        )
        about = "dataset:default/customers"
        told = {one["action"]: one for one in edsger.get("/access/actions", resource=about).json()["items"]}
        body = {"action": "read", "scope": about, "purpose": "incident-response", "reason": REASON, "duration": "1h"}
        refused = edsger.post("/access/break-glass", body)
        assert (told["break-glass"]["allowed"], told["break-glass"]["reason"]) == (False, refused.json()["detail"])
        assert edsger.get("/access/actions", resource="dataset:default/nothing").status_code == 404

    def test_every_decision_is_on_record_with_its_policies(self, house: House) -> None:
        ada = house.someone("ada")
        house.check(ada, "dataset:default/contracts", "analytics")
        house.check(ada, "dataset:default/contracts")
        first, second = ada.events(type="ml-platform.access.decided")
        assert (first["data"]["allowed"], first["data"]["rules"]) == (True, ["data.owner-confidential"])
        assert (second["data"]["allowed"], second["data"]["rules"]) == (False, ["data.purpose-required"])
        digest = first["data"]["policies"]
        then = ada.get(f"/access/policies/{digest}").json()
        assert (then["digest"], "data.owner-confidential" in {one["id"] for one in then["rules"]}) == (digest, True)

    @pytest.mark.parametrize(
        ("body", "status", "said"),
        [
            ({"action": "fly"}, 422, "action: 'fly' can't be asked for"),
            ({"action": "administer"}, 422, "can't be asked for"),
            ({"scope": "planet:mars"}, 422, "scope: read is about dataset or classification"),
            ({"scope": "model:wine"}, 422, "scope: read is about dataset or classification"),
            ({"scope": "dataset:default/nothing"}, 404, "there is no dataset"),
            ({"scope": "classification:secret"}, 422, "no classification"),
            ({"purpose": None}, 422, "purpose: needs a purpose"),
            ({"purpose": "fun"}, 422, "'fun' is none for pii data"),
            ({"purpose": "analytics"}, 422, "'analytics' is none for pii data"),
            ({"duration": "31d"}, 422, "must be between 1m and 30d, not 31d"),
            ({"duration": "0s"}, 422, "must be between"),
            ({"duration": "soon"}, 422, "duration"),
            ({"reason": "because"}, 422, "reason"),
            ({"principal": "group:default/risk"}, 422, "principal"),
        ],
    )
    @on_one_database
    def test_wrong_wishes_name_the_field(self, house: House, body: dict[str, Any], status: int, said: str) -> None:
        wish = {"action": "read", "scope": "dataset:default/customers", "purpose": "model-training", "reason": REASON}
        answer = house.someone("edsger").post("/access/grants", {**wish, "duration": "1d", **body})
        assert answer.status_code == status, answer.text
        assert said in answer.text

    @on_one_database
    def test_wrong_questions_are_refused(self, house: House) -> None:
        ada = house.someone("ada")
        for body, said in (
            ({"action": "fly", "resource": "platform"}, "can't be asked about"),
            ({"action": "read", "resource": "model:wine"}, "read is about a dataset"),
            ({"action": "deploy", "resource": "platform"}, "deploy is about a model"),
            ({"action": "read", "resource": "wine"}, "names nothing"),
        ):
            answer = ada.post("/access/decisions", body)
            assert (answer.status_code, said in answer.text) == (422, True), answer.text


class TestWhoDecides:
    def test_the_owner_group_does_and_others_do_not(self, services: Services) -> None:
        id = ask(services, EDSGER)
        for who in (OPERATOR, CI):
            with pytest.raises(Forbidden, match="may not approve"):
                approve(services, who, id)
        approve(services, GRACE, id)
        assert may_read(services, EDSGER)

    def test_the_requester_does_not(self, services: Services) -> None:
        id = ask(services, ADA)
        with pytest.raises(Forbidden, match="somebody else has to decide") as refused:
            approve(services, ADA, id)
        assert refused.value.extra["access"]["rules"] == ["separation-of-duties.own-grant"]
        assert refused.value.refusal is not None

    def test_who_asked_for_another_does_not(self, services: Services) -> None:
        id = ask(services, ADA, replace(WISH, principal="repository:local/wine"))
        with pytest.raises(Forbidden, match="somebody else"):
            approve(services, ADA, id)
        approve(services, GRACE, id)
        assert (may_read(services, CI), may_read(services, ADA)) == (True, False)

    def test_whoever_started_the_ci_job_that_asked_does_not(self, services: Services) -> None:
        id = ask(services, CI)
        with pytest.raises(Forbidden, match="somebody else"):
            approve(services, ADA, id)

    @pytest.mark.parametrize(
        "access_settings",
        [{"identities": [{"person": "user:default/ada", "refs": ["user:corp/ADA.L", "service:ada-bot"]}]}],
    )
    def test_the_same_person_under_another_identity_does_not(self, services: Services) -> None:
        for ref in ("user:corp/ada.l", "service:ada-bot"):
            other = person("", RISK, ref=ref)
            id = ask(services, ADA)
            with pytest.raises(Forbidden, match="somebody else"):
                approve(services, other, id)
            with services.database.write() as session:
                services.grants.revoke(session, ADA, id, "not needed after all")
        id = ask(services, ADA)
        approve(services, GRACE, id)
        # One person is one person for the grant as well.
        assert may_read(services, person("", RISK, ref="user:corp/ada.l"))

    def test_what_nobody_owns_is_decided_by_administrators(self, services: Services) -> None:
        wish = Wish("export-evidence", "platform", REASON, DAY)
        with services.database.write() as session:
            grant = services.grants.request(session, EDSGER, wish)
            assert grant.owner == "role:administrator"
            services.grants.approve(session, OPERATOR, grant.id, "")

    @pytest.mark.parametrize("access_settings", [{"roles": {"data-protection": ["group:default/search"]}}])
    def test_a_whole_class_is_decided_by_data_protection(self, services: Services) -> None:
        id = ask(services, ADA, Wish("read", "classification:pii", REASON, DAY, "model-training"))
        with pytest.raises(Forbidden):
            approve(services, GRACE, id)
        approve(services, EDSGER, id)
        assert may_read(services, ADA)
        assert not may_read(services, ADA, "health", "incident-response")

    def test_an_owner_group_that_does_not_exist_is_stood_in_for(self, services: Services) -> None:
        OwnSources(services).sync()  # from here on the catalog knows which groups there are
        with services.database.write() as session:
            row = services.catalog.entity(session, "resource:default/customers")
            row.owner = "group:default/gone"
        with services.database.write() as session:
            assert services.grants.request(session, EDSGER, WISH).owner == "role:administrator"


class TestTime:
    def test_a_request_that_nobody_decides_about_expires(self, services: Services, set_clock: SetClock) -> None:
        id = ask(services, EDSGER)
        set_clock.move(days=14)
        with pytest.raises(Conflict, match="it is expired"):
            approve(services, GRACE, id)
        with services.database.write() as session:
            services.grants.expire(session, id)
            assert services.grants.get(session, id).end_reason == "nobody decided about the request in time"

    def test_ending_twice_is_ending_once(self, services: Services, set_clock: SetClock) -> None:
        id = ask(services, EDSGER)
        approve(services, GRACE, id)
        set_clock.move(hours=23)
        with services.database.write() as session:
            services.grants.expire(session, id)
            assert services.grants.get(session, id).state == "active"
        set_clock.move(hours=1)
        for _ in range(2):
            with services.database.write() as session:
                services.grants.expire(session, id)
        with services.database.read() as session:
            now = services.clock.now()
            ended = list(services.audit.events(session, "ml-platform.access.grant.expired", now - DAY, now + DAY))
        assert len(ended) == 1

    def test_a_clock_that_goes_back_prolongs_nothing(self, services: Services, set_clock: SetClock) -> None:
        id = ask(services, EDSGER)
        approve(services, GRACE, id)
        set_clock.move(days=1)
        assert not may_read(services, EDSGER)
        services.access.mark()
        set_clock.move(minutes=-3)
        assert not may_read(services, EDSGER), "the grant was over already"
        set_clock.move(hours=-5)
        assert not may_read(services, EDSGER)

    def test_while_the_clock_is_behind_nothing_is_granted_until_somebody_says_that_it_is_right(
        self, services: Services, set_clock: SetClock
    ) -> None:
        granted, asked = ask(services, EDSGER), ask(services, ADA)
        approve(services, GRACE, granted)
        set_clock.move(days=300)
        services.access.mark()
        services.access.start()
        set_clock.move(days=-300)
        assert not may_read(services, EDSGER)
        with pytest.raises(Conflict, match="clock is behind"):
            approve(services, GRACE, asked)
        with pytest.raises(Forbidden), services.database.write() as session:
            services.access.accept_clock(session, GRACE, "it jumped by a year")
        with services.database.write() as session:
            services.access.accept_clock(session, OPERATOR, "it jumped by a year")
        assert may_read(services, EDSGER)

    def test_the_latest_time_outlives_a_restart(self, services: Services, set_clock: SetClock) -> None:
        set_clock.move(days=2)
        services.access.mark()
        set_clock.move(days=-2)
        again = AccessService(services)
        again.start()
        assert (again.clock_is_right(), again.now()) == (False, set_clock.moment + timedelta(days=2))


class TestEnding:
    def test_a_revoked_grant_covers_nothing(self, services: Services) -> None:
        id = ask(services, EDSGER)
        approve(services, GRACE, id)
        with pytest.raises(Forbidden), services.database.write() as session:
            services.grants.revoke(session, person("nobody"), id, "just because")
        with services.database.write() as session:
            services.grants.revoke(session, GRACE, id, "the project has ended")
        assert not may_read(services, EDSGER)
        with pytest.raises(Conflict, match="it is revoked"), services.database.write() as session:
            services.grants.revoke(session, GRACE, id, "the project has ended")

    def test_the_same_wish_waits_once_and_a_granted_one_is_not_asked_for_again(self, services: Services) -> None:
        id = ask(services, EDSGER)
        with pytest.raises(Conflict, match="has asked to read") as twice:
            ask(services, EDSGER)
        assert twice.value.extra["grant"] == id
        approve(services, GRACE, id)
        with pytest.raises(Conflict, match="already, until"):
            ask(services, EDSGER)

    def test_a_denied_request_stays_denied(self, services: Services) -> None:
        id = ask(services, EDSGER)
        with services.database.write() as session:
            services.grants.deny(session, GRACE, id, "use the masked copy")
        with pytest.raises(Conflict, match="it is denied"):
            approve(services, GRACE, id)
        assert not may_read(services, EDSGER)

    def test_a_grant_does_not_get_past_a_rule_that_forbids(self, services: Services) -> None:
        id = ask(services, EDSGER)
        approve(services, GRACE, id)
        with services.database.read() as session:
            dataset = services.access.dataset(session, "customers")
            without = services.access.decide(session, EDSGER, Action.READ, dataset)
        assert [one.rule for one in without.rules] == ["data.purpose-required"]

    def test_an_action_on_a_model_can_be_granted(self, services: Services) -> None:
        with services.database.write() as session:
            model = services.access.model(session, "wine")
            assert not services.access.decide(session, EDSGER, Action.ROLLBACK, model).allowed
            grant = services.grants.request(session, EDSGER, Wish("rollback", "model:wine", REASON, DAY))
            services.grants.approve(session, GRACE, grant.id, "")
            assert services.access.decide(session, EDSGER, Action.ROLLBACK, model).allowed
            assert not services.access.decide(session, EDSGER, Action.DEPLOY, model).allowed


class TestBreakGlass:
    WISH = Wish(
        "read", "dataset:default/health", "the ward's scores are wrong", timedelta(hours=1), "incident-response"
    )

    def test_it_is_taken_at_once_is_short_and_is_looked_at_by_somebody_else(
        self, services: Services, set_clock: SetClock
    ) -> None:
        with services.database.write() as session:
            id = services.grants.break_glass(session, OPERATOR, self.WISH).id
        assert may_read(services, OPERATOR, "health", "incident-response")
        with services.database.read() as session:
            assert [one.id for one in repository.grants(session, to_look_at=True, limit=5)] == [id]
            allowed = {one.action: one.allowed for one in services.grants.actions(session, OPERATOR, id)}
        assert allowed["look-at"] is False
        with pytest.raises(Forbidden, match="somebody else"), services.database.write() as session:
            services.grants.look_at(session, OPERATOR, id, justified=True, comment="it was me")
        with services.database.write() as session:
            services.grants.look_at(session, GRACE, id, justified=False, comment="the masked copy was enough")
        assert not may_read(services, OPERATOR, "health", "incident-response")
        with pytest.raises(Conflict, match="looked at it already"), services.database.write() as session:
            services.grants.look_at(session, ADA, id, justified=True, comment="no, it was right")

    @pytest.mark.parametrize(
        ("who", "change", "said"),
        [
            (EDSGER, {}, "may not break the glass"),
            (OPERATOR, {"duration": timedelta(hours=5)}, "must be between 1m and 4h"),
            (OPERATOR, {"action": "erase-subject", "scope": "platform"}, "can't be asked for"),
            (OPERATOR, {"scope": "classification:pii"}, "not for a whole class"),
        ],
    )
    def test_wrong_uses_are_refused(
        self, services: Services, who: Principal, change: dict[str, Any], said: str
    ) -> None:
        wish = replace(self.WISH, **change)
        with pytest.raises((Forbidden, InvalidInput), match=said), services.database.write() as session:
            services.grants.break_glass(session, who, wish)
