"""Access reviews: collected, reminded, escalated, closed and signed; nothing is lost where the process is killed."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.orm import Session

from backend.access import repository
from backend.access.models import ReviewItem, ReviewState
from backend.access.review_work import ReviewWork
from backend.access.reviews import PREDICATE_TYPE
from backend.access.wishes import Wish
from backend.core.container import Services
from backend.core.errors import Conflict, Forbidden
from backend.identity.principal import Principal
from catalog.own import OwnSources
from mlplatform.attest import dsse
from mlplatform.attest.errors import AttestationInvalid
from mlplatform.attest.keys import SigningKey
from tests.conftest import SetClock

from .conftest import ADA, DAY, EDSGER, GRACE, OPERATOR, REASON, RISK, House

pytestmark = pytest.mark.slow

WISH = Wish("read", "dataset:default/customers", REASON, 25 * DAY, "model-training")


class Killed(BaseException):
    """The process ended here."""


class Steps:
    """Steps of a runtime that is killed before or after one of them, and starts again."""

    def __init__(self, kill_at: int | None = None) -> None:
        self.done, self._kill_at = 0, kill_at

    def run(self, name: str, work: Callable[..., Any], *arguments: object) -> Any:
        self.done += 1
        if self.done * 2 - 1 == self._kill_at:
            raise Killed
        result = work(*arguments)
        if self.done * 2 == self._kill_at:
            raise Killed  # after the change, before anybody knows
        return result


@pytest.fixture
def services(services: Services) -> Services:
    OwnSources(services).sync()
    return services


def grant(services: Services, who: Principal, by: Principal) -> str:
    with services.database.write() as session:
        id = services.grants.request(session, who, WISH).id
        services.grants.approve(session, by, id, "")
    return id


def opened(services: Services) -> str:
    with services.database.write() as session:
        id = services.reviews.open(session, OPERATOR, "spring").id
    go_on(services)
    return id


def go_on(services: Services, steps: Steps | None = None) -> None:
    """Do what the runtime does: work off what is due."""
    work = ReviewWork(services)
    with services.database.read() as session:
        waiting = work.waiting(session)
    for id in waiting:
        work.run(steps or Steps(), id)


def items(services: Services, review: str, **wanted: str) -> list[ReviewItem]:
    with services.database.read() as session:
        found = repository.items(session, review)
    return [one for one in found if all(getattr(one, name) == value for name, value in wanted.items())]


def decide(services: Services, who: Principal, item: ReviewItem, *, confirmed: bool = True) -> None:
    with services.database.write() as session:
        services.reviews.decide(session, who, item.id, confirmed=confirmed, comment="")


def events(services: Services, event: str) -> list[dict[str, Any]]:
    def found(session: Session) -> list[dict[str, Any]]:
        now = services.clock.now()
        return list(
            services.audit.events(session, f"ml-platform.access.review.{event}", now - 400 * DAY, now + 400 * DAY)
        )

    with services.database.read() as session:
        return found(session)


def signed(services: Services, review: str) -> dict[str, Any]:
    with services.database.read() as session:
        envelope = services.reviews.get(session, review).result
    assert envelope is not None
    key = services.audit.key.public_key
    payload, _ = dsse.open_envelope(envelope, {key.keyid: key})
    statement: dict[str, Any] = json.loads(payload)
    return statement


class TestCollecting:
    def test_every_standing_permission_is_listed(self, services: Services) -> None:
        id = grant(services, EDSGER, GRACE)
        review = opened(services)
        listed = {
            (one.kind, one.principal, one.target.partition(" (")[0], one.owner) for one in items(services, review)
        }
        assert ("membership", "user:default/ada", RISK, RISK) in listed
        assert ("membership", "user:default/operator", "group:default/platform", "group:default/platform") in listed
        assert (
            "role",
            "user:default/operator",
            "role:administrator by group:default/platform",
            "role:administrator",
        ) in listed
        assert ("ownership", RISK, "model:wine", RISK) in listed
        assert ("ownership", RISK, "dataset:default/customers", RISK) in listed
        assert ("grant", "user:default/edsger", "read dataset:default/customers for model-training", RISK) in listed
        assert [one.grant_id for one in items(services, review, kind="grant")] == [id]

    def test_one_at_a_time_and_not_by_everybody(self, services: Services) -> None:
        with (
            pytest.raises(Forbidden, match="may not open access reviews") as refused,
            services.database.write() as session,
        ):
            services.reviews.open(session, ADA, "spring")
        assert refused.value.refusal is not None
        id = opened(services)
        with pytest.raises(Conflict, match="is under way") as twice, services.database.write() as session:
            services.reviews.open(session, OPERATOR, "again")
        assert twice.value.extra["review"] == id


class TestDeciding:
    def test_an_owner_confirms_and_revokes_and_a_revoked_grant_ends(self, services: Services) -> None:
        id = grant(services, EDSGER, GRACE)
        review = opened(services)
        (granted,) = items(services, review, kind="grant")
        (edsger,) = items(services, review, kind="membership", principal="user:default/ada")
        decide(services, GRACE, granted, confirmed=False)
        decide(services, GRACE, edsger)
        with services.database.read() as session:
            ended = services.grants.get(session, id)
            assert (ended.state, ended.ended_by) == ("revoked", "user:default/grace")
        with pytest.raises(Conflict, match="it is decided"):
            decide(services, ADA, granted)

    def test_what_the_platform_can_not_take_away_is_an_exception(self, services: Services) -> None:
        review = opened(services)
        (member,) = items(services, review, kind="membership", principal="user:default/ada")
        decide(services, GRACE, member, confirmed=False)
        (member,) = items(services, review, kind="membership", principal="user:default/ada")
        assert member.exception == f"take user:default/ada out of {RISK} where the organisation keeps its groups"

    def test_nobody_reviews_their_own_and_strangers_review_nothing(self, services: Services) -> None:
        review = opened(services)
        (own,) = items(services, review, kind="membership", principal="user:default/ada")
        with pytest.raises(Forbidden, match="can't review their own permission"):
            decide(services, ADA, own)
        with pytest.raises(Forbidden, match="may not review this permission"):
            decide(services, EDSGER, own)
        with pytest.raises(Forbidden, match="may not review"):
            decide(services, OPERATOR, own)
        with services.database.read() as session:
            mine = services.reviews.mine(session, ADA)
            assert own.id not in {one.id for one in mine}
            assert {one.owner for one in mine} == {RISK}
            assert services.reviews.mine(session, EDSGER) == []

    def test_a_review_that_is_over_decides_nothing_more(self, services: Services) -> None:
        review = opened(services)
        with pytest.raises(Conflict, match="permissions are not decided about"), services.database.write() as session:
            services.reviews.close(session, OPERATOR, review, "in a hurry", expire_pending=False)
        with services.database.write() as session:
            services.reviews.close(session, OPERATOR, review, "in a hurry", expire_pending=True)
        go_on(services)
        with pytest.raises(Conflict, match="it is closed"):
            decide(services, GRACE, items(services, review, owner=RISK)[0])
        with services.database.read() as session:
            assert repository.review_under_way(session) is None


class TestTime:
    def test_reviewers_are_reminded_then_administrators_may_then_it_expires_and_is_signed(
        self, services: Services, set_clock: SetClock
    ) -> None:
        id = grant(services, EDSGER, GRACE)
        review = opened(services)
        (member,) = items(services, review, kind="membership", principal="user:default/edsger")
        set_clock.move(days=7)
        go_on(services)
        (reminded,) = events(services, "reminded")
        assert reminded["data"]["waiting"][RISK] > 2
        with pytest.raises(Forbidden):
            decide(services, OPERATOR, member)

        set_clock.move(days=7)
        go_on(services)
        assert len(events(services, "escalated")) == 1
        decide(services, OPERATOR, member)  # who is alone in his group has nobody else
        with services.database.read() as session:
            assert all("user:default/operator" not in one.persons for one in services.reviews.mine(session, OPERATOR))

        set_clock.move(days=7)
        go_on(services)
        with services.database.read() as session:
            assert services.grants.get(session, id).state == "revoked"
            closed = services.reviews.get(session, review)
        assert (closed.state, closed.closed_by, closed.under_way) == ("closed", "service:ml-platform", 0)
        statement = signed(services, review)
        assert (statement["predicateType"], statement["subject"][0]["digest"]["sha256"]) == (
            PREDICATE_TYPE,
            closed.digest,
        )
        result = statement["predicate"]
        assert result["counts"]["confirmed"] == 1
        assert {one["state"] for one in result["items"]} == {"confirmed", "expired"}
        assert any("take user:default/ada out of" in one["exception"] for one in result["exceptions"])
        (event,) = events(services, "closed")
        assert event["data"]["sha256"] == closed.digest

    def test_an_edited_result_does_not_verify(self, services: Services, set_clock: SetClock) -> None:
        review = opened(services)
        set_clock.move(days=21)
        go_on(services)
        with services.database.read() as session:
            envelope = dict(services.reviews.get(session, review).result or {})
        key, other = services.audit.key.public_key, SigningKey.generate().public_key
        with pytest.raises(AttestationInvalid, match="known key"):
            dsse.open_envelope(envelope, {other.keyid: other})
        forged = {**envelope, "payload": envelope["payload"][:-8] + "AAAAAAA="}
        with pytest.raises(AttestationInvalid):
            dsse.open_envelope(forged, {key.keyid: key})

    @pytest.mark.parametrize("kill_at", range(1, 9))
    def test_a_kill_between_steps_loses_nothing(self, services: Services, set_clock: SetClock, kill_at: int) -> None:
        grant(services, EDSGER, GRACE)
        with services.database.write() as session:
            review = services.reviews.open(session, OPERATOR, "spring").id
        set_clock.move(days=22)  # everything is due at once: collect, escalate, expire, sign
        with pytest.raises(Killed):
            go_on(services, Steps(kill_at))
        go_on(services)
        with services.database.read() as session:
            assert services.reviews.get(session, review).state == ReviewState.CLOSED
        for event in ("opened", "collected", "closed"):
            assert len(events(services, event)) == 1, event
        assert len(signed(services, review)["predicate"]["items"]) == len(items(services, review)) > 5

    def test_a_clock_that_goes_back_opens_and_expires_nothing_twice(
        self, services: Services, set_clock: SetClock
    ) -> None:
        review = opened(services)
        set_clock.move(days=8)
        go_on(services)
        set_clock.move(days=-8)
        go_on(services)
        set_clock.move(days=9)
        go_on(services)
        assert len(events(services, "reminded")) == 1
        assert len({one.state for one in items(services, review)}) == 1


@pytest.mark.parametrize("access_settings", [{"reviews": {"enabled": True}}])
class TestCalendar:
    def test_a_review_opens_each_quarter_once(self, services: Services, set_clock: SetClock) -> None:
        work = ReviewWork(services)
        names = []
        for days in (0, 1, 40, 50, 60, 30, 60, 1):
            set_clock.move(days=days)
            work.follow_calendar()
            go_on(services)
            with services.database.read() as session:
                names = [one.name for one in repository.reviews(session, limit=10)]
        assert names == ["October 2026", "July 2026", "April 2026", "January 2026"]


@pytest.mark.slow
def test_the_page_lists_confirms_and_closes(house: House) -> None:
    grace, operator = house.someone("grace"), house.someone("operator")
    OwnSources(house.services).sync()
    refused = grace.post("/access/reviews", {"name": "spring"})
    assert (refused.status_code, refused.json()["access"]["allowed"]) == (403, False)
    (told,) = [one for one in grace.get("/access/actions").json()["items"] if one["action"] == "open-review"]
    assert (told["allowed"], told["reason"]) == (False, refused.json()["detail"])
    assert {one["action"]: one["allowed"] for one in operator.get("/access/actions").json()["items"]} == {
        "open-review": True, "break-glass": True,
    }  # fmt: skip
    review = operator.post("/access/reviews", {"name": "spring"}).json()
    shown = house.until_state(grace, f"/access/reviews/{review['id']}", "open")
    assert {one["action"]: one["allowed"] for one in shown["actions"]} == {"close": False}
    mine = grace.get("/access/review-items").json()["items"]
    assert all(one["actions"][0]["allowed"] for one in mine)
    listed = grace.get(f"/access/reviews/{review['id']}/items", state="pending", limit=500).json()["items"]
    own = next(one for one in listed if one["principal"] == "user:default/grace" and one["kind"] == "membership")
    assert own["actions"][0]["allowed"] is False
    told = grace.post(f"/access/review-items/{own['id']}/confirm", {})
    assert (told.status_code, told.json()["detail"]) == (403, own["actions"][0]["reason"])
    for one in mine:
        assert grace.post(f"/access/review-items/{one['id']}/confirm", {"comment": "still here"}).status_code == 200
    assert grace.get("/access/review-items").json()["items"] == []
    early = grace.get(f"/access/reviews/{review['id']}/result")
    assert early.status_code == 404
    body = {"reason": "the quarter is over", "expirePending": True}
    assert operator.post(f"/access/reviews/{review['id']}/close", body).status_code == 200
    closed = house.until_state(grace, f"/access/reviews/{review['id']}", "closed")
    assert closed["counts"]["confirmed"] == len(mine)
    envelope = grace.get(f"/access/reviews/{review['id']}/result").json()
    key = house.services.audit.key.public_key
    assert json.loads(dsse.open_envelope(envelope, {key.keyid: key})[0])["predicate"]["name"] == "spring"
    assert house.someone("ada").get("/access/reviews").json()["items"][0]["state"] == "closed"
