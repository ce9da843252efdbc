"""The platform's days at a browser: an incident, an experiment, access, people's data, and evidence of all of it."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import expect

from backend.audit.service import PLATFORM
from demo.shell import wait_until
from tests.journeys.browser import Tab, chromium
from tests.journeys.conftest import started
from tests.journeys.overload import enriched, urgent
from tests.journeys.portal import ENTITY, NAME, SLOW, Story, button, choose, entry
from tests.journeys.story import ENVIRONMENT, Model

pytestmark = [pytest.mark.journey, pytest.mark.timeout(2400)]


@pytest.fixture(scope="module")
def story() -> Iterator[Story]:
    """A model of tier 1 that asks a service for each request, its first version live."""
    with chromium() as browser, started(portal=True) as platform:
        model = Model(platform, NAME)
        model.change(urgent, "Wake somebody, and roll out in one step")
        model.change(enriched(platform.work / "overloaded"), "Look each request up")
        model.author.platform("generate")
        model.author.commit("Derive the alerts of tier 1")
        ended = model.ended(model.ship()["id"])
        assert ended["outcome"] == "promoted", ended["reason"]
        yield Story(platform, browser, model=model)


def _written(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")


class TestOperations:
    """The tests build on one another, as a story does; each is a chapter."""

    def test_who_is_woken_has_graph_runbook_and_suspect_on_one_page(self, story: Story) -> None:
        model, overloaded = story.made, story.platform.work / "overloaded"
        with model.users(rate=20, seconds=600):
            overloaded.touch()
            (incident,) = wait_until(
                lambda: model.get(f"/observability/incidents?model={NAME}&state=open")["items"],
                seconds=300,
                what="the incident",
            )
            overloaded.unlink()
        tab = story.tab("grace")
        page = tab.open(f"{ENTITY}/health")
        shown = entry(page, incident["title"])
        expect(shown).to_contain_text("page")
        expect(shown).to_contain_text(re.compile(f"Suspected.*v1.* in {ENVIRONMENT}"))
        runbook = shown.get_by_role("link", name="what to do")
        expect(runbook).to_have_attribute("href", re.compile(f"/component/{NAME}/runbook/#latencybudgetburn"))
        expect(page.get_by_role("img", name=re.compile("Latency, newest: .*v1"))).to_be_visible()
        # Nothing was live before, so there is nothing to go back to, and the page says so.
        expect(shown.get_by_role("button", name="Roll back…")).to_be_disabled()
        tab.shot("incident")
        tab.accessible()
        shown.get_by_role("button", name="Acknowledge…").click()
        page.get_by_label("What you are about to do").fill("asking who runs the service")
        button(page, "Acknowledge").click()
        expect(shown).to_contain_text("acknowledged")
        shown.get_by_role("button", name="Resolve…").click()
        page.get_by_label("What it was, and what ended it").fill("the enrichment service was overloaded")
        tab.shot("incident-resolve")
        button(page, "Resolve").click()
        expect(shown).to_contain_text("resolved")
        assert [event for event in story.events(f"model:{NAME}") if ".incident." in event[0]] == [
            ("observability.incident.opened", PLATFORM),
            ("observability.incident.acknowledged", "user:default/grace"),
            ("observability.incident.resolved", "user:default/grace"),
        ]

    def test_an_experiment_is_stopped_and_decided_by_its_buttons(self, story: Story) -> None:
        model, tab = story.made, story.tab("ada")
        model.change(lambda folder: _written(folder / "NOTES.md", "a second version\n"), "Note something")
        model.author.platform("run", "--until", "register")
        begun = model.author.platform(
            "experiment", "start", "shadow", "--env", ENVIRONMENT, "--version", "2", "--percent", "50"
        ).document
        if begun["phase"] == "awaiting_approval":
            model.approver.platform("experiment", "approve", begun["id"], "--comment", "only copies")
        page = tab.open(f"{ENTITY}/deployments")
        expect(page.get_by_role("heading", name="Shadow run: v2 beside v1")).to_be_visible(timeout=SLOW)
        expect(page.get_by_text("running").first).to_be_visible(timeout=SLOW)
        tab.shot("experiment")
        tab.accessible()
        button(page, "Stop the experiment…").click()
        page.get_by_label("Reason").fill("seen enough")
        button(page, "Stop").click()
        button(page, "Keep v1…").click(timeout=SLOW)
        page.get_by_label("Reason").fill("v2 only has another note")
        tab.shot("experiment-keep")
        button(page, "Keep").click()
        expect(page.get_by_role("heading", name="Shadow run: v2 beside v1")).to_have_count(0)
        whole = model.get(f"/experiments/{begun['id']}")
        assert (whole["decision"], whole["decidedBy"]) == ("keep", "user:default/ada")


PERSON = "ada.quill@example.com"


class TestAccessAndPrivacy:
    """Access is asked for, granted, reviewed and taken away; a person is found and erased."""

    def test_what_is_denied_is_asked_for_and_somebody_else_grants_it(self, story: Story) -> None:
        tab = story.tab("edsger")
        page = tab.open("/access")
        expect(page.get_by_text("Nothing waits for your review.")).to_be_visible()
        expect(page.get_by_text("No grant and no request is like that.")).to_be_visible()
        tab.shot("access-empty")
        choose(page, "Action", "deploy")
        page.get_by_role("textbox", name="Model").fill(NAME)
        button(page, "May I?").click()
        denied = f"No rule permits user:default/edsger to deploy model:{NAME}."
        expect(page.get_by_text(denied)).to_be_visible()
        tab.shot("access-denied")
        button(page, "Ask for access…").click()
        page.get_by_label("For how long").fill("2h")
        page.get_by_label("Reason").fill("short")
        expect(button(page, "Ask")).to_be_disabled()
        page.get_by_label("Reason").fill("bringing the spring version out")
        tab.shot("access-ask")
        button(page, "Ask").click()
        mine = entry(page, f"edsger: deploy model:{NAME}")
        expect(mine).to_contain_text("requested")
        expect(mine.get_by_role("button", name="Approve…")).to_be_disabled()
        tab.shot("access-asked")
        tab.accessible()
        grace = story.tab("grace")
        theirs = grace.open("/access")
        choose(theirs, "Show", "To be decided by me")
        entry(theirs, f"edsger: deploy model:{NAME}").get_by_role("button", name="Approve…").click()
        expect(theirs.get_by_text("It begins now and ends by itself after 2.0 h.")).to_be_visible()
        theirs.get_by_label("Comment").fill("until the release is out")
        grace.shot("access-approve")
        button(theirs, "Approve").click()
        expect(mine).to_contain_text("active")
        expect(mine).to_contain_text("grace: until the release is out")
        button(page, "May I?").click()
        expect(page.get_by_text(re.compile("Allowed by rule grants.time-bound"))).to_be_visible()
        (grant,) = story.platform.signed_in("edsger").api("/access/grants?view=mine")["items"]
        assert story.events(f"grant:{grant['id']}") == [
            ("access.grant.requested", "user:default/edsger"),
            ("access.grant.approved", "user:default/grace"),
        ]

    def test_an_owner_confirms_one_permission_and_revokes_another(self, story: Story) -> None:
        operator, ada = story.tab("operator"), story.tab("ada")
        theirs = operator.open("/access")
        button(theirs, "Open a review…").click()
        theirs.get_by_role("dialog").get_by_label("Name").fill("fourth quarter")
        button(theirs, "Open").click()
        review = entry(theirs, "fourth quarter")
        expect(review.get_by_role("button", name="Close…")).to_be_visible()
        page = ada.open("/access")
        kept, ended = "grace is a member of risk", f"edsger may deploy model:{NAME} for a time"
        expect(page.get_by_role("heading", name=re.compile("^ada is a member of risk"))).to_have_count(0)
        entry(page, kept).get_by_role("button", name="Confirm…").click()
        expect(page.get_by_text("It stays until the next review.")).to_be_visible()
        button(page, "Confirm").click()
        expect(page.get_by_role("heading", name=re.compile(kept))).to_have_count(0)
        ada.shot("access-review")
        ada.accessible()
        entry(page, ended).get_by_role("button", name="Revoke…").click()
        expect(page.get_by_text("The grant ends at once.")).to_be_visible()
        page.get_by_label("Comment").fill("the release is out")
        ada.shot("access-revoke")
        button(page, "Revoke").click()
        expect(entry(page, f"edsger: deploy model:{NAME}")).to_contain_text("revoked")
        button(theirs, "Close…").click()
        expect(button(theirs, "Close the review")).to_be_disabled()
        theirs.get_by_text("Let what is not decided about expire").click()
        theirs.get_by_label("Reason").fill("the quarter is over")
        operator.shot("access-close")
        button(theirs, "Close the review").click()
        with theirs.expect_download() as saved:
            review.get_by_role("button", name="Save the signed result").click()
        assert json.loads(saved.value.path().read_text())["payloadType"] == "application/vnd.in-toto+json"
        theirs.get_by_text("Permissions of fourth quarter").click()
        expect(entry(theirs, kept)).to_contain_text("Confirmed by ada")
        operator.shot("access-closed")
        (one,) = story.platform.signed_in("ada").api("/access/reviews")["items"]
        assert (one["counts"]["confirmed"], one["counts"]["revoked"]) == (1, 1)
        decided = [event for event in story.events(f"access-review:{one['id']}") if "user:default/ada" in event]
        assert decided == [
            ("access.review.confirmed", "user:default/ada"),
            ("access.review.revoked", "user:default/ada"),
        ]
        (grant,) = story.platform.signed_in("edsger").api("/access/grants?view=mine")["items"]
        assert ("access.grant.revoked", "user:default/ada") in story.events(f"grant:{grant['id']}")

    def test_a_person_is_found_and_erased_by_two(self, story: Story) -> None:
        exports = story.platform.home / "lake" / ENVIRONMENT / "exports"
        exports.mkdir(parents=True, exist_ok=True)
        people = exports / "people.csv"
        people.write_text(f"id,mail\n1,{PERSON}\n2,grace@example.com\n", encoding="utf-8")
        tab, operator = story.tab("edsger"), story.tab("operator")
        page = tab.open("/privacy")
        expect(page.get_by_text(re.compile("user:default/edsger may not search for a person"))).to_be_visible()
        tab.shot("privacy-refused")
        tab.accessible()
        page.get_by_role("link", name="Ask for access…").click()
        expect(page.get_by_role("button", name=re.compile("erase subject Action"))).to_be_visible()
        button(page, "Ask for access…").click()
        page.get_by_label("Reason").fill("requests of data subjects in May")
        button(page, "Ask").click()
        theirs = operator.open("/access")
        entry(theirs, "edsger: erase-subject platform").get_by_role("button", name="Approve…").click()
        button(theirs, "Approve").click()
        expect(entry(page, "edsger: erase-subject platform")).to_contain_text("active")

        page = tab.open("/privacy")
        button(page, "Find a person…").click()
        page.get_by_label(re.compile("What the person goes by")).fill(PERSON)
        page.get_by_label(re.compile("^Reason")).fill("asked on 3 May")
        tab.shot("privacy-find")
        button(page, "Find").click()
        page.get_by_text("asked on 3 May: found").click()
        expect(page.get_by_role("cell", name=f"{ENVIRONMENT}:exports/people.csv")).to_be_visible()
        expect(page.get_by_text("No version was trained on data with the person.")).to_be_visible()
        tab.shot("privacy-found")
        tab.accessible()
        button(page, "Ask for the erasure…").click()
        page.get_by_label("Reason").fill("the person asks for it")
        button(page, "Ask").click()
        expect(button(page, "Confirm the erasure…")).to_be_disabled()
        expect(page.get_by_text(re.compile("somebody else than who asked for it must confirm"))).to_be_visible()
        kept = "JSON.stringify([localStorage, sessionStorage, location.href, document.body.innerText])"
        assert PERSON not in page.evaluate(kept)

        theirs = operator.open("/privacy")
        theirs.get_by_text("asked on 3 May: awaiting confirmation").click()
        button(theirs, "Confirm the erasure…").click()
        expect(theirs.get_by_text(re.compile("It can't be taken back."))).to_be_visible()
        theirs.get_by_label("Reason").fill("identity checked")
        operator.shot("privacy-confirm")
        button(theirs, "Erase").click()
        expect(theirs.get_by_text("Certificate is valid").first).to_be_visible()
        operator.shot("privacy-erased")
        assert people.read_text(encoding="utf-8").splitlines() == ["id,mail", "2,grace@example.com"]
        (one,) = story.platform.signed_in("operator").api("/privacy/subject-requests")["items"]
        assert (one["state"], one["remaining"]) == ("erased", 0)
        assert story.events(f"subject-request:{one['id']}") == [
            ("privacy.subject.requested", "user:default/edsger"),
            ("privacy.subject.searched", PLATFORM),
            ("privacy.subject.erasure.requested", "user:default/edsger"),
            ("privacy.subject.erasure.confirmed", "user:default/operator"),
            ("privacy.certificate.signed", PLATFORM),
            ("privacy.subject.erased", PLATFORM),
        ]

    def test_a_hold_is_placed_and_what_is_over_is_listed(self, story: Story) -> None:
        tab = Tab(story.browser, story.platform.portal, story.link("operator"), dark=True)
        page = tab.open("/privacy")
        button(page, "Place a hold…").click()
        page.get_by_label("What is held").fill(f"model:{NAME}")
        page.get_by_label("Reason").fill("lawsuit 17/2026")
        button(page, "Place").click()
        expect(entry(page, f"model:{NAME}")).to_contain_text("lawsuit 17/2026")
        button(page, "List what is over…").click()
        button(page, "List").click()
        page.get_by_text(re.compile("^List of what is over, .*: done")).click()
        expect(page.get_by_text("Nothing was over.").or_(page.get_by_text("What would go")).first).to_be_visible()
        tab.shot("privacy-dark")
        tab.accessible()
        entry(page, f"model:{NAME}").get_by_role("button", name="Lift…").click()
        page.get_by_label("Reason").fill("settled")
        button(page, "Lift").click()
        expect(page.get_by_text("Nothing is held.")).to_be_visible()
        holds = [event for event in story.events(f"model:{NAME}") if event[0].startswith("privacy.hold")]
        assert holds == [
            ("privacy.hold.placed", "user:default/operator"),
            ("privacy.hold.released", "user:default/operator"),
        ]
        page = tab.open("/access")
        expect(page.get_by_role("heading", name=re.compile("^fourth quarter"))).to_be_visible()
        tab.shot("access-dark")
        tab.accessible()
        assert [name for name, one in {**story.tabs, "dark": tab}.items() if one.broken] == []


class TestRecord:
    """What happened above is exported as evidence and verified by itself."""

    def test_evidence_is_exported_saved_and_verified(self, story: Story, tmp_path: Path) -> None:
        refused = story.tab("edsger").open("/compliance")
        expect(refused.get_by_text("user:default/edsger may not export evidence")).to_be_visible()
        expect(button(refused, "Export evidence…")).to_be_disabled()
        tab = story.tab("operator")
        page = tab.open("/compliance")
        expect(page.get_by_text("No evidence was exported yet.")).to_be_visible()
        button(page, "Export evidence…").click()
        asked = page.get_by_role("dialog")
        asked.get_by_label("From").fill("tomorrow")
        expect(page.get_by_text(re.compile("^Days are written as"))).to_be_visible()
        expect(button(page, "Export")).to_be_disabled()
        now = datetime.now(UTC)
        asked.get_by_label("From").fill(f"{now - timedelta(days=1):%Y-%m-%d}")
        asked.get_by_label(re.compile("^To")).fill(f"{now:%Y-%m-%dT%H:%M:%SZ}")
        tab.shot("evidence-ask")
        button(page, "Export").click()
        with page.expect_download() as saved:
            button(page, "Save the pack").click(timeout=SLOW)
        pack = tmp_path / "evidence.zip"
        saved.value.save_as(pack)
        key = str(story.platform.home / "audit" / "key.pub")
        verified = story.platform.person("operator").platform("evidence", "verify", str(pack), "--key", key)
        assert verified.document["valid"] is True
        page.get_by_text("Published checkpoints").click()
        expect(page.get_by_text("No checkpoint was published yet.")).to_be_visible()
        page.get_by_text("Sealed segments").click()
        expect(page.get_by_text("Nothing is sealed: all events lie in the database.")).to_be_visible()
        page.get_by_text("Is the log whole?").click()
        expect(page.get_by_text(re.compile("^The log is whole"))).to_be_visible()
        tab.shot("compliance-record")
        tab.accessible()
        (one,) = story.platform.signed_in("operator").api("/evidence/packs")["items"]
        assert [event for event in story.events(f"evidence:{one['id']}") if event[1] != PLATFORM] == [
            ("evidence.pack.requested", "user:default/operator"),
            ("evidence.pack.downloaded", "user:default/operator"),
        ]

    def test_no_page_was_broken(self, story: Story) -> None:
        assert {name: tab.broken for name, tab in story.tabs.items() if tab.broken} == {}
