"""The golden path at a browser: a real Chromium, the real Backstage and the real backend."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from backend.deployments.targets.local.supervisor import Supervisor
from backend.local.folders import Folders
from demo import repository, template_fix
from demo.shell import wait_until
from tests.journeys.browser import Tab, chromium
from tests.journeys.conftest import started
from tests.journeys.portal import ENTITY, NAME, SLOW, Story, button, offered
from tests.journeys.story import ENVIRONMENT, Model

pytestmark = [pytest.mark.journey, pytest.mark.timeout(2400)]


@pytest.fixture(scope="module")
def story() -> Iterator[Story]:
    with chromium() as browser, started(portal=True) as platform:
        yield Story(platform, browser)


def types(model: Model) -> list[str]:
    return [event["type"].removeprefix("ml-platform.") for event in model.events()]


class TestPortal:
    """The tests build on one another, as a story does; each is a chapter."""

    def test_who_has_no_secret_does_not_get_in(self, story: Story) -> None:
        tab = Tab(story.browser, story.platform.portal, "")
        page = tab.open("/")
        page.get_by_label("User").fill("user:default/ada")
        page.get_by_label("Sign-in secret").fill("guessed")
        button(page, "Sign in").click()
        expect(page.get_by_role("alert")).to_contain_text("the login secret is wrong")
        tab.shot("sign-in-refused")
        tab.accessible()
        secret = (story.platform.home / "identity" / "login-secret").read_text().strip()
        page.get_by_label("Sign-in secret").fill(secret)
        button(page, "Sign in").click()
        expect(page.get_by_role("heading", name="Models")).to_be_visible()
        expect(page.get_by_text("No model is registered yet.")).to_be_visible()
        tab.shot("models-empty")

    def test_a_model_is_created_from_the_form(self, story: Story) -> None:
        tab = story.tab("ada")
        offered(tab, "/create", "Real-time model")
        tab.shot("create", ours=False)
        page = tab.open("/create/templates/default/realtime-model")
        page.get_by_label("Name").fill("Cell Check!")
        owner = page.get_by_label("Owner")
        owner.fill("risk")
        page.get_by_role("option", name="risk").click()
        button(page, "Next").click()
        expect(page.get_by_text("only lower-case letters, digits and single hyphens").first).to_be_visible()
        tab.shot("create-wrong-name", ours=False)
        page.get_by_label("Name").fill(NAME)
        button(page, "Next").click()
        expect(page.get_by_text("Who pays?")).to_be_visible()
        tab.shot("create-choices", ours=False)
        button(page, "Review").click()
        button(page, "Create").click()
        expect(button(page, "Open in the catalog")).to_be_visible(timeout=SLOW)
        tab.shot("create-done", ours=False)
        ada = story.platform.signed_in("ada")
        (made,) = ada.api(f"/scaffolds?name={NAME}")["items"]
        assert (made["state"], made["owner"], made["requestedBy"]) == ("done", "group:default/risk", "user:default/ada")
        (asked,) = [
            event["event"]
            for event in ada.api(f"/audit/events?subject=scaffold:{NAME}")["items"]
            if event["event"]["type"].endswith("scaffold.requested")
        ]
        assert (asked["actor"], asked["data"]["via"]) == ("user:default/ada", "service:backstage-scaffolder")
        story.model = Model(story.platform, NAME, clone_url=made["cloneUrl"])

    def test_a_name_that_is_taken_is_refused_in_the_log_of_the_task(self, story: Story) -> None:
        page = story.tab("ada").open("/create/templates/default/realtime-model")
        page.get_by_label("Name").fill(NAME)
        page.get_by_label("Owner").fill("risk")
        page.get_by_role("option", name="risk").click()
        button(page, "Next").click()
        button(page, "Review").click()
        button(page, "Create").click()
        expect(page.get_by_text(re.compile("already")).first).to_be_visible(timeout=SLOW)

    def test_it_is_found_in_the_catalog_with_its_documentation(self, story: Story) -> None:
        tab = story.tab("ada")
        offered(tab, ENTITY, "No version is registered yet.")
        tab.shot("entity-new")
        page = tab.open(f"{ENTITY}/docs")
        expect(page.get_by_role("heading", name=NAME).first).to_be_visible(timeout=SLOW)
        expect(page.get_by_role("link", name="Runbook").first).to_be_visible(timeout=SLOW)
        tab.shot("docs", ours=False)

    def test_the_first_version_goes_live_when_somebody_else_approves(self, story: Story) -> None:
        model = story.made
        model.author.platform("run", "--until", "register")
        ada, grace = story.tab("ada"), story.tab("grace")
        page = ada.open(f"{ENTITY}/deployments")
        button(page, "Deploy a version…").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("button", name=re.compile("Environment")).click()
        page.get_by_role("option", name=ENVIRONMENT).click()
        ada.shot("deploy")
        button(page, "Deploy").click()
        expect(button(page, "Approve…")).to_be_disabled()
        expect(page.get_by_text(re.compile("Approve: .*author|Approve: user:default/ada"))).to_be_visible()
        theirs = grace.open(f"{ENTITY}/deployments")
        button(theirs, "Approve…").click()
        expect(theirs.get_by_text("The rollout of v1 begins at once.")).to_be_visible()
        grace.shot("approve")
        theirs.get_by_label("Comment").fill("looks right")
        button(theirs, "Approve").click()
        expect(page.get_by_text(f"Rollout of v1 in {ENVIRONMENT}: promoted")).to_be_visible(timeout=SLOW)
        (found,) = model.get(f"/deployments?model={NAME}")["items"]
        assert [(one["by"], one["comment"]) for one in found["approvals"]] == [("user:default/grace", "looks right")]
        assert {"deployments.deployment.requested", "deployments.deployment.approved"} <= set(types(model))

    def test_a_request_can_be_tried(self, story: Story) -> None:
        tab = story.tab("ada")
        page = tab.open(f"{ENTITY}/endpoint")
        button(page, "Send").click()
        expect(page.get_by_text(re.compile("^200 after .*answered by v1$"))).to_be_visible()
        tab.shot("endpoint")
        page.get_by_label("Request").fill('{"inputs": []}')
        button(page, "Send").click()
        expect(page.get_by_text(re.compile("^4[0-9][0-9] after"))).to_be_visible()
        page.get_by_label("Request").fill("{")
        expect(page.get_by_text(re.compile("This is no JSON"))).to_be_visible()
        expect(button(page, "Send")).to_be_disabled()

    def test_a_canary_is_watched_and_a_bad_version_is_seen_to_go(self, story: Story) -> None:
        model, tab = story.made, story.tab("ada")
        model.change(repository.broken_version, "Look each request up in the enrichment service")
        model.author.platform("run", "--until", "register")
        with model.users():
            requested = model.author.platform("deploy", "--env", ENVIRONMENT, "--no-wait").document
            model.approver.platform("approve", requested["id"], "--comment", "looks right")
            page = tab.open(ENTITY)
            expect(page.get_by_role("list", name="Steps of the rollout")).to_be_visible(timeout=SLOW)
            expect(page.get_by_role("img", name=re.compile("^Success rate"))).to_be_visible(timeout=SLOW)
            tab.shot("rollout")
            expect(page.get_by_text("rolled back").first).to_be_visible(timeout=SLOW)
        ended = model.ended(requested["id"])
        assert ended["outcome"] == "rolled_back", ended["reason"]
        page = tab.open(f"{ENTITY}/deployments")
        page.get_by_text(f"Rollout of v2 in {ENVIRONMENT}: rolled back").click()
        expect(page.get_by_text(ended["reason"]).first).to_be_visible()
        tab.shot("rolled-back")

    def test_every_page_says_what_it_knows(self, story: Story) -> None:
        tab = story.tab("ada")
        for path, text in (
            ("versions", "Gates and attestations"),
            ("compliance", "Every requirement of the policy was met"),
            ("cost", "What it is made of"),
            ("health", "What is promised, and what is left of each error budget"),
            ("audit", "The log is whole"),
            ("template", "nothing: it is current"),
        ):
            page = tab.open(f"{ENTITY}/{path}")
            expect(page.get_by_text(re.compile(re.escape(text))).first).to_be_visible()
            if path == "health":
                for title in ("Requests", "Errors", "Latency"):
                    expect(page.get_by_role("img", name=re.compile(f"{title}, newest: .*v1"))).to_be_visible()
            tab.shot(path)
            tab.accessible()
        page = tab.open("/")
        page.get_by_label("Search models").fill("cell")
        expect(page.get_by_role("row", name=re.compile(NAME)).get_by_text("production v1")).to_be_visible()
        tab.shot("models")
        tab.accessible()
        page.get_by_label("Search models").fill("no such model")
        expect(page.get_by_text("No model is like that.")).to_be_visible()
        page = tab.open("/fleet")
        expect(page.get_by_text("deployment success rate")).to_be_visible()
        tab.shot("fleet")
        tab.accessible()

    def test_it_is_found_by_search(self, story: Story) -> None:
        def found() -> bool:
            page = story.tab("ada").open(f"/search?query={NAME}")
            page.wait_for_timeout(2000)
            return page.get_by_role("link", name=re.compile(NAME)).count() > 0

        wait_until(found, seconds=150, every=5, what="the model in the search index")

    def test_a_template_update_is_asked_for_and_its_request_is_seen(self, story: Story) -> None:
        operator = story.platform.signed_in("operator")
        checkout = template_fix.copy_checkout(story.platform.work / "platform-checkout")
        change = template_fix.ignore_more(checkout, 0)
        version = template_fix.release(operator, checkout, "--dev")["version"]
        operator.platform("fleet", "status")
        tab = story.tab("ada")
        page = tab.open(f"{ENTITY}/template")
        expect(
            page.get_by_text(change.replace("`", "")).or_(page.get_by_text(".ipynb_checkpoints/")).first
        ).to_be_visible()
        tab.shot("template-behind")
        button(page, "Open the update request…").click()
        expect(page.get_by_text("Nothing is merged without you")).to_be_visible()
        button(page, "Open the request").click()
        campaign = wait_until(
            lambda: next(iter(operator.api("/fleet/campaigns")["items"]), None), seconds=60, what="the campaign"
        )
        assert (campaign["version"], campaign["repository"]) == (version, f"local/models/{NAME}")
        assert campaign["requestedBy"] == "user:default/ada"
        pull = wait_until(
            lambda: [one for one in operator.api(f"/git/local/models/{NAME}/pull-requests") if one["state"] == "open"],
            seconds=180,
            what="the request",
        )
        assert version in pull[0]["title"]

    def test_a_viewer_without_rights_is_told_so(self, story: Story) -> None:
        tab = story.tab("edsger")
        page = tab.open(f"{ENTITY}/deployments")
        expect(button(page, "Deploy a version…")).to_be_disabled()
        expect(page.get_by_text(re.compile("user:default/edsger may not")).first).to_be_visible()
        expect(button(page, "Roll back…")).to_be_disabled()
        tab.shot("viewer")
        tab.accessible()

    def test_two_people_who_press_the_same_button_do_one_thing(self, story: Story) -> None:
        model, ada, grace = story.made, story.tab("ada"), story.tab("grace")
        requested = model.author.platform("deploy", "--env", ENVIRONMENT, "--version", "2", "--no-wait").document
        mine, theirs = ada.open(f"{ENTITY}/deployments"), grace.open(f"{ENTITY}/deployments")
        for page in (mine, theirs):
            button(page, "Abort…").click()
            page.get_by_label("Reason").fill("two of us at once")
        button(mine, "Abort").click()
        button(theirs, "Abort").click()
        expect(
            theirs.get_by_role("alert")
            .or_(theirs.get_by_text(f"v{requested['version']} in {ENVIRONMENT}: aborted"))
            .first
        ).to_be_visible()
        ended = model.ended(requested["id"])
        assert ended["outcome"] == "aborted"
        aborted = [event for event in model.events() if event["type"].endswith("deployment.aborted")]
        assert [event["actor"] for event in aborted] in (["user:default/ada"], ["user:default/grace"])

    def test_a_deployment_that_needed_help_is_on_the_page_of_the_fleet(self, story: Story) -> None:
        operator = story.platform.signed_in("operator", folder=story.made.folder)
        glass = ("--break-glass", "the approvers are all away")
        asked = operator.platform("deploy", "--env", ENVIRONMENT, "--version", "2", *glass, "--no-wait").document
        operator.platform("abort", asked["id"], "--reason", "only to be seen")
        tab = story.tab("operator")
        page = tab.open("/fleet")
        expect(page.get_by_role("cell", name="the approvers are all away")).to_be_visible()
        tab.shot("fleet-helped")

    def test_a_session_that_ends_loses_nothing_that_was_typed(self, story: Story) -> None:
        tab = Tab(story.browser, story.platform.portal, story.link("operator"))
        page = tab.open(f"{ENTITY}/deployments")
        button(page, "Deploy a version…").click()
        # As an issuer's clock or a revoked key would have it: the platform does not take the token any more.
        refused = {
            "status": 401,
            "content_type": "application/problem+json",
            "body": '{"detail": "the token has expired"}',
        }
        allowed = {"access-control-allow-origin": "*", "access-control-allow-headers": "*"}
        page.route("**/api/ml-platform/deployments", lambda route: route.fulfill(**refused, headers=allowed))
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("button", name=re.compile("Environment")).click()
        page.get_by_role("option", name=ENVIRONMENT).click()
        button(page, "Deploy").click()
        expect(page.get_by_text("Your session has ended.").first).to_be_visible()
        tab.shot("session-ended")
        with page.context.expect_page() as opened:
            page.get_by_role("button", name="Sign in again").first.click()
        expect(opened.value.get_by_role("heading", name="Models")).to_be_visible()
        page.unroute("**/api/ml-platform/deployments")
        expect(dialog.get_by_role("button", name=re.compile(ENVIRONMENT))).to_be_visible()

    def test_pages_say_that_the_backend_is_down_and_recover(self, story: Story) -> None:
        tab = story.tab("ada")
        page = tab.open("/")
        expect(page.get_by_role("row", name=re.compile(NAME))).to_be_visible()
        Supervisor(Folders(story.platform.home).socket).stop("backend")
        try:
            expect(page.get_by_text("The ML platform does not answer.").first).to_be_visible()
            tab.shot("backend-down")
        finally:
            story.platform.up()
        expect(page.get_by_text("The ML platform does not answer.")).to_have_count(0, timeout=SLOW)
        expect(page.get_by_role("row", name=re.compile(NAME))).to_be_visible()

    def test_no_page_was_broken(self, story: Story) -> None:
        assert {name: tab.broken for name, tab in story.tabs.items() if tab.broken} == {}


class TestSupportAndFigures:
    """What needs no model: each by itself."""

    def test_the_platform_team_is_asked_and_the_survey_answered(self, story: Story) -> None:
        ada = story.tab("ada")
        page = ada.open("/support")
        expect(page.get_by_text("Nothing was asked yet.")).to_be_visible()
        button(page, "Ask the platform team…").click()
        page.get_by_label("In a line").fill("staging refuses my model")
        page.get_by_label("What it is about").fill("since this morning; write to ada@example.com")
        ada.shot("support-ask")
        ada.accessible()
        button(page, "Ask").click()
        page.get_by_text("P3 · staging refuses my model").click()
        expect(page.get_by_text("write to [REDACTED:EMAIL]")).to_be_visible()
        expect(button(page, "Answer…")).to_be_disabled()
        expect(page.get_by_text(re.compile("user:default/ada may not answer this request"))).to_be_visible()

        operator = Tab(story.browser, story.platform.portal, story.link("operator"), dark=True)
        theirs = operator.open("/support")
        theirs.get_by_text("P3 · staging refuses my model").click()
        button(theirs, "Answer…").click()
        theirs.get_by_label("What you say").fill("the quota was full")
        button(theirs, "Answer").last.click()
        expect(theirs.get_by_text("the quota was full")).to_be_visible()
        expect(page.get_by_text("the quota was full")).to_be_visible()
        operator.shot("support-dark")
        operator.accessible()
        (one,) = story.platform.signed_in("ada").api("/support/requests")["items"]
        assert story.events(f"support:{one['id']}") == [
            ("support.request.asked", "user:default/ada"),
            ("support.request.answered", "user:default/operator"),
        ]

        for group in page.get_by_role("radiogroup").all():
            group.get_by_text("4", exact=True).click()
        page.get_by_label("What should be better?").fill("faster training")
        page.get_by_role("button", name="Answer", exact=True).last.click()
        expect(button(page, "Change my answer")).to_be_visible()
        expect(page.get_by_text("1 answer so far: too few to be shown.")).to_be_visible()
        ada.shot("support")
        ada.accessible()

    def test_a_figure_shows_its_trend_and_the_events_behind_it(self, story: Story) -> None:
        for dark in (False, True):
            tab = Tab(story.browser, story.platform.portal, story.link("ada"), dark=dark)
            page = tab.open("/fleet")
            expect(page.get_by_role("heading", name="pii violations")).to_be_visible()
            tab.accessible()
            button(page, "Trend and events of deployments").click()
            expect(page.get_by_role("dialog").get_by_text("Rollouts that were over in this time.")).to_be_visible()
            tab.shot(f"figure{'-dark' if dark else ''}")
            tab.accessible()
            button(page, "Close").click()
            expect(page.get_by_role("dialog")).to_have_count(0)
