"""Admission: which attestations count, who approves, and how the policy is overridden."""

import logging
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import update

from backend.attestations.models import AttestationRow
from backend.core.config import ApprovalSettings, EnvironmentSettings
from backend.deployments.admission import Decision, Facts, decide
from backend.identity.principal import Actor
from mlplatform.attest import dsse
from mlplatform.attest.statement import Subject, build_statement
from mlplatform.gates.result import Check, Gate, GateResult, Outcome
from tests.marks import on_one_database

from ..conftest import Someone
from .conftest import Lab

SUBJECT = Subject("wine", "ab" * 32, "local/wine", "c0ffee", lock_digest="1c" * 32, spec_digest="5c" * 32)


def envelope(
    lab: Lab, signer: Someone, gate: Gate, outcome: Outcome = Outcome.PASSED, version: int = 2, **said: str
) -> dict[str, Any]:
    with lab.services.database.read() as session:
        subject = lab.services.registry.subject(lab.services.registry.get_version(session, "wine", version))
    now = lab.services.clock.now()
    checks = [Check(name=f"{gate}.all", outcome=outcome, message="looked at it")]
    result = GateResult(
        gate=gate, outcome=outcome, summary=f"{gate} {outcome}", checks=checks, started_at=now, finished_at=now
    )
    standard = gate in {Gate.SCHEMA, Gate.THRESHOLDS, Gate.PII}
    statement = build_statement(result, replace(subject, **said), None if standard else {"standard": "body"})
    return dsse.sign(statement, signer.key)


def attest(lab: Lab, signer: Someone, *gates: Gate, outcome: Outcome = Outcome.PASSED, **said: Any) -> None:
    assert signer.bind_key().status_code in (200, 201)
    for gate in gates:
        answer = signer.post("/attestations", {"envelope": envelope(lab, signer, gate, outcome, **said)})
        assert answer.status_code == 201, answer.text


def ask(someone: Someone, environment: str, **more: Any) -> Any:
    return someone.post("/deployments", {"model": "wine", "version": 2, "environment": environment, **more})


def requirements(document: dict[str, Any]) -> dict[str, str]:
    return {one["requirement"]: one["state"] for one in document["requirements"]}


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"commit": "f" * 40}, "it is about the commit ffff"),
        ({"lock_digest": "f" * 64}, "it is about a uv.lock ffff"),
        ({"spec_digest": "f" * 64}, "it is about a model.yaml ffff"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_was_said_of_another_version_of_the_same_artefact_does_not_count(
    lab: Lab, said: dict[str, str], reason: str
) -> None:
    attest(lab, lab.ada, *Gate, **said)
    answer = ask(lab.ada, "staging")
    assert answer.status_code == 403
    listed = answer.json()["requirements"]
    messages = [one["message"] for one in listed if one["requirement"].startswith("gate:")]
    assert len(messages) == len(Gate)
    assert all(reason in message for message in messages), messages
    # Nor does it take away what was said of this one.
    attest(lab, lab.ada, *Gate)
    attest(lab, lab.ada, *Gate, outcome=Outcome.FAILED, **said)
    assert ask(lab.ada, "staging").status_code == 201


def test_without_attestations_every_requirement_is_listed_as_missing(lab: Lab) -> None:
    answer = ask(lab.ada, "production")
    assert answer.status_code == 403
    problem = answer.json()
    assert problem["type"].endswith("admission-refused")
    assert requirements(problem) == {
        **{f"gate:{gate}": "missing" for gate in Gate},
        "data-classification": "met",
        "error-budget": "met",
        "approval": "waiting",
    }
    (event,) = lab.events("deployment.refused")
    assert event["subject"] == "model:wine/versions/2"
    assert event["data"]["requirements"] == problem["requirements"]
    assert lab.ada.get("/deployments").json()["items"] == []


def test_all_gates_passed_is_admitted(lab: Lab) -> None:
    attest(lab, lab.ada, *Gate)
    answer = ask(lab.ada, "staging")
    assert answer.status_code == 201
    assert set(requirements(answer.json()).values()) == {"met"}
    assert all(one["evidence"] for one in answer.json()["requirements"] if one["requirement"].startswith("gate:"))
    assert lab.until(answer.json()["id"], "completed")["outcome"] == "promoted"


@on_one_database
def test_a_newer_failure_beats_an_older_pass_and_the_other_way_round(lab: Lab) -> None:
    attest(lab, lab.ada, *Gate)
    attest(lab, lab.ada, Gate.THRESHOLDS, outcome=Outcome.FAILED)
    refused = ask(lab.ada, "staging")
    assert refused.status_code == 403
    assert requirements(refused.json())["gate:thresholds"] == "failed"
    assert "failed, accepted is passed" in refused.json()["detail"]
    attest(lab, lab.ada, Gate.THRESHOLDS)
    assert ask(lab.ada, "staging").status_code == 201


@on_one_database
def test_not_evaluated_is_never_enough_for_production_by_default(lab: Lab) -> None:
    attest(lab, lab.ada, *(gate for gate in Gate if gate is not Gate.VULNERABILITIES))
    attest(lab, lab.ada, Gate.VULNERABILITIES, outcome=Outcome.NOT_EVALUATED)
    refused = ask(lab.ada, "production")
    assert refused.status_code == 403
    states = requirements(refused.json())
    assert [name for name, state in states.items() if state == "failed"] == ["gate:vulnerabilities"]


def test_a_revoked_key_takes_its_attestations_along(lab: Lab) -> None:
    attest(lab, lab.ada, *Gate)
    assert lab.ada.delete(f"/identity/signing-keys/{lab.ada.key.keyid}").status_code in (200, 204)
    refused = ask(lab.ada, "staging")
    assert refused.status_code == 403
    assert "revoked" in refused.json()["requirements"][0]["message"]


def test_a_tampered_row_does_not_count(lab: Lab) -> None:
    attest(lab, lab.ada, *(gate for gate in Gate if gate is not Gate.PII))
    attest(lab, lab.ada, Gate.PII, outcome=Outcome.FAILED)
    with lab.services.database.write() as session:
        session.execute(update(AttestationRow).where(AttestationRow.gate == "pii").values(outcome="passed"))
    refused = ask(lab.ada, "staging")
    assert refused.status_code == 403
    message = {one["requirement"]: one["message"] for one in refused.json()["requirements"]}["gate:pii"]
    assert "differs from what was signed" in message


def test_somebody_elses_model_is_not_theirs_to_deploy(lab: Lab) -> None:
    edsger = lab.backend.someone("edsger")
    answer = ask(edsger, "lab")
    assert answer.status_code == 403
    assert answer.json()["type"].endswith(":forbidden")
    (event,) = lab.events("deployment.refused")
    assert event["actor"] == edsger.ref


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"version": 99}, 404),
        ({"version": "champion"}, 404),
        ({"version": "latest"}, 422),
        ({"version": 0}, 422),
        ({"version": 2**40}, 422),
        ({"environment": "moon"}, 404),
        ({"model": "../etc"}, 422),
        ({"model": "beer"}, 404),
        ({"breakGlass": {"reason": "short"}}, 422),
        ({"unknown": 1}, 422),
    ],
)
@on_one_database
def test_wrong_requests_are_answered_with_a_problem(lab: Lab, body: dict[str, Any], status: int) -> None:
    answer = ask(lab.ada, **{"environment": "lab", **body})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")


class TestApproval:
    def waiting(self, lab: Lab) -> dict[str, Any]:
        attest(lab, lab.ada, *Gate)
        answer = ask(lab.ada, "production")
        assert answer.status_code == 201
        document: dict[str, Any] = answer.json()
        assert (document["phase"], requirements(document)["approval"]) == ("awaiting_approval", "waiting")
        return document

    def decide(self, someone: Someone, id: str, decision: str) -> Any:
        return someone.post(f"/deployments/{id}/approval", {"decision": decision, "comment": "looked at it"})

    def test_the_author_may_not_and_a_colleague_may(self, lab: Lab) -> None:
        id = self.waiting(lab)["id"]
        own = self.decide(lab.ada, id, "approve")
        assert own.status_code == 403
        assert "somebody else has to decide" in own.json()["detail"]
        assert self.decide(lab.backend.someone("edsger"), id, "approve").status_code == 403
        assert len(lab.events("approval.refused")) == 2
        answer = self.decide(lab.backend.someone("grace"), id, "approve")
        assert answer.status_code == 200
        assert requirements(answer.json())["approval"] == "met"
        done = lab.until(id, "completed")
        assert done["outcome"] == "promoted"
        assert [(one["by"], one["decision"]) for one in done["approvals"]] == [("user:default/grace", "approve")]
        assert self.decide(lab.backend.someone("grace"), id, "approve").status_code == 409

    def test_whoever_started_the_ci_job_is_its_author(self, lab: Lab) -> None:
        attest(lab, lab.ada, *Gate)
        ci = lab.backend.repository("local/wine", on_behalf_of="user:default/ada")
        waiting = ask(ci, "production").json()
        assert (waiting["requestedBy"], waiting["onBehalfOf"]) == ("repository:local/wine", "user:default/ada")
        own = self.decide(lab.ada, waiting["id"], "approve")
        assert (own.status_code, "asked for this deployment" in own.json()["detail"]) == (403, True), own.text
        (asked,) = lab.events("deployment.requested")
        assert (asked["actor"], asked["data"]["onBehalfOf"]) == ("repository:local/wine", "user:default/ada")
        assert self.decide(lab.backend.someone("grace"), waiting["id"], "approve").status_code == 200

    def test_a_version_of_a_ci_job_that_somebody_started_has_an_author(self, lab: Lab) -> None:
        with lab.services.database.write() as session:
            row = lab.services.registry.get_version(session, "wine", 2)
            row.created_by = "repository:local/wine"
            row.lineage = {**row.lineage, "onBehalfOf": "user:default/grace"}
        attest(lab, lab.ada, *Gate)
        waiting = ask(lab.ada, "production").json()
        own = self.decide(lab.backend.someone("grace"), waiting["id"], "approve")
        assert (own.status_code, "made this version" in own.json()["detail"]) == (403, True), own.text

    def test_nobody_approves_what_nobody_is_known_to_have_asked_for(self, lab: Lab) -> None:
        attest(lab, lab.ada, *Gate)
        waiting = ask(lab.backend.repository("local/wine"), "production").json()
        answer = self.decide(lab.backend.someone("grace"), waiting["id"], "approve")
        assert (answer.status_code, "names no person" in answer.json()["detail"]) == (403, True), answer.text

    def test_a_no_ends_it(self, lab: Lab) -> None:
        id = self.waiting(lab)["id"]
        answer = self.decide(lab.backend.someone("grace"), id, "reject")
        assert (answer.json()["phase"], answer.json()["outcome"]) == ("completed", "rejected")
        assert len(lab.events("deployment.rejected")) == 1
        assert lab.target.running == []

    def test_what_failed_meanwhile_is_not_approved_away(self, lab: Lab) -> None:
        id = self.waiting(lab)["id"]
        attest(lab, lab.ada, Gate.PII, outcome=Outcome.FAILED)
        answer = self.decide(lab.backend.someone("grace"), id, "approve")
        assert (answer.json()["phase"], answer.json()["outcome"]) == ("completed", "refused")
        assert "gate:pii failed" in answer.json()["reason"]
        assert len(lab.events("deployment.refused")) == 1

    def test_waiting_can_be_aborted(self, lab: Lab) -> None:
        id = self.waiting(lab)["id"]
        answer = lab.ada.post(f"/deployments/{id}/abort", {"reason": "changed my mind"})
        assert (answer.json()["phase"], answer.json()["outcome"]) == ("completed", "aborted")

    def test_the_champion_follows_production(self, lab: Lab) -> None:
        id = self.waiting(lab)["id"]
        self.decide(lab.backend.someone("grace"), id, "approve")
        lab.until(id, "completed")
        with lab.services.database.read() as session:
            assert lab.services.registry.aliases(session, "wine") == {"champion": 2}


class TestBreakGlass:
    @on_one_database
    def test_takes_the_right_group(self, lab: Lab) -> None:
        answer = ask(lab.ada, "production", breakGlass={"reason": "customers are down"})
        assert answer.status_code == 403
        (event,) = lab.events("deployment.refused")
        assert event["data"]["breakGlass"] == "customers are down"

    @on_one_database
    def test_shouts(self, lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
        operator = lab.backend.someone("operator")
        with caplog.at_level(logging.CRITICAL):
            answer = ask(operator, "production", breakGlass={"reason": "customers are down"})
        assert answer.status_code == 201
        assert answer.json()["breakGlass"] == {"reason": "customers are down"}
        assert answer.json()["phase"] == "pending"
        (event,) = lab.events("deployment.broke_glass")
        assert event["data"]["severity"] == "critical"
        overridden = {one["requirement"] for one in event["data"]["overridden"]}
        assert overridden == {*(f"gate:{gate}" for gate in Gate), "approval"}
        assert "break-glass deployment of wine v2 to production" in caplog.text
        metrics = lab.backend.http.get("/metrics").text
        assert 'ml_platform_break_glass_total{environment="production"} 1.0' in metrics
        assert lab.until(answer.json()["id"], "completed")["outcome"] == "promoted"


@on_one_database
def test_signers_that_the_environment_does_not_take_do_not_count(lab: Lab) -> None:
    """By the rules alone: what a user signed is no obstacle and no help where only CI counts."""
    attest(lab, lab.ada, *Gate)
    with lab.services.database.read() as session:
        subject = lab.services.registry.subject(lab.services.registry.get_version(session, "wine", 2))
        said = lab.services.attestations.for_digest(session, subject.digest)
    only_ci = EnvironmentSettings.model_validate({"policy": {"signers": ["repository"]}})
    facts = Facts(subject, said, "group:default/risk", Actor("user:default/ada"), Actor("user:default/ada"))
    verdict = decide(only_ci, facts)
    assert {one.state for one in verdict.findings if one.requirement.startswith("gate:")} == {"failed"}
    assert "only a repository counts here" in verdict.findings[0].message
    elsewhere = decide(
        EnvironmentSettings(),
        Facts(replace(subject, repository="local/beer"), said, "group:default/risk", Actor("x"), Actor("y")),
    )
    assert {one.state for one in elsewhere.findings if one.requirement.startswith("gate:")} == {"failed"}
    assert "about the repository local/wine" in elsewhere.findings[0].message


@on_one_database
def test_a_rejection_is_a_failed_requirement(lab: Lab) -> None:
    needs_approval = EnvironmentSettings(approval=ApprovalSettings(required=True))
    facts = Facts(
        SUBJECT, [], "group:default/risk", Actor("x"), Actor("y"), (Decision("user:default/grace", False, "no"),)
    )
    assert decide(needs_approval, facts).findings[-1].message == "rejected by user:default/grace: no"
