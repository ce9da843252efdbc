"""Every route that writes is decided by the policies: with a policy that forbids everything, none of them does anything."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import JSON, Boolean, Date, DateTime, Integer, LargeBinary, Numeric, inspect
from sqlalchemy.orm import Session

from backend.access.models import Grant, Review, ReviewItem
from backend.app import create_app
from backend.batch.models import Backfill, BatchRun
from backend.compliance.models import Waiver
from backend.core.config import Settings
from backend.deployments.models import Deployment
from backend.experiments.models import Experiment
from backend.observability.models import Incident
from backend.privacy.models import LegalHold, SubjectRequest
from backend.registry.models import ModelRow, VersionRow
from backend.support.models import SupportRequest
from catalog.datasets.models import Dataset
from catalog.models import Location
from mlplatform.attest.keys import SigningKey
from scaffolder.fleet.models import Campaign
from scaffolder.git import push
from scaffolder.hosts.base import NewRepository
from scaffolder.hosts.embedded import EmbeddedHost
from scaffolder.models import Scaffold
from tests.catalog.test_reader import COMPONENT
from tests.scaffolder.hosts.conftest import Clone

from ..conftest import API, SPEC, Backend, Someone, Trained, make_settings
from .conftest import RISK, add_data

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ID = "0197f2c4-7b1e-7c3a-9f00-000000000000"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(days=9000)
REASON = {"reason": "it has to be done now"}
FORBIDDEN = """@id("test.nothing") @because("nobody does anything")
forbid (principal, action, resource) unless { principal in MLPlatform::Group::"group:default/root" };"""

BODIES: dict[str, Any] = {
    "POST /observability/incidents/{id}/acknowledgement": {},
    "POST /observability/incidents/{id}/resolution": {"cause": "other", "resolution": "it is over"},
    "POST /observability/incidents/{id}/notes": {"text": "it is under way"},
    "POST /observability/incidents/{id}/roles": {"commander": "user:default/ada"},
    "POST /observability/alertmanager": {"version": "4", "status": "firing", "alerts": []},
    "POST /compliance/evaluations": None,
    "POST /compliance/waivers": {
        "model": "wine", "gate": "pii", "checks": ["pii.logs"], "duration": "1d", **REASON,
    },
    "POST /compliance/waivers/{id}/decision": {"decision": "approve"},
    "POST /compliance/waivers/{id}/revocation": REASON,
    "POST /audit/sealings": None,
    "POST /access/reviews": {"name": "spring"},
    "POST /access/reviews/{id}/close": REASON,
    "POST /access/review-items/{id}/confirm": {},
    "POST /access/review-items/{id}/revoke": {},
    "POST /access/break-glass": {"action": "deploy", "scope": "model:wine", "duration": "1h", **REASON},
    "POST /access/grants/{id}/approve": {},
    "POST /access/grants/{id}/deny": {},
    "POST /access/grants/{id}/revoke": REASON,
    "POST /access/grants/{id}/look-at": {"justified": True, "comment": "it was needed"},
    "POST /access/clock": REASON,
    "POST /experiments": {
        "kind": "shadow", "model": "wine", "environment": "staging", "version": 1, "percent": 10, **REASON,
    },
    "POST /experiments/{id}/approval": {"decision": "approve"},
    "POST /experiments/{id}/stop": REASON,
    "POST /experiments/{id}/outcomes": {"outcomes": [{"predictionId": ID, "value": 1}]},
    "POST /experiments/{id}/decision": {"decision": "keep", **REASON},
    "POST /drift/models/{name}/labels": {"environment": "staging", "labels": [{"id": ID, "value": 1}]},
    "POST /drift/models/{name}/reports": {"environment": "staging"},
    "POST /privacy/retention/runs": {},
    "POST /privacy/holds": {"subject": "everything", **REASON},
    "POST /privacy/holds/{id}/release": REASON,
    "POST /privacy/subject-requests": {"identifiers": ["C-100777"], **REASON},
    "POST /privacy/subject-requests/{id}/erasure": REASON,
    "POST /privacy/subject-requests/{id}/confirmation": REASON,
    "POST /privacy/subject-requests/{id}/vault-erasures": {"vault": "people.vault", "tokens": 1},
    "POST /privacy/vault-reveals": {
        "vault": "people.vault", "domain": "person", "tokens": 1, "purpose": "subject-request",
    },
    "POST /privacy/keys/rotations": REASON,
    "POST /support/requests/{id}/answers": {"text": "look again"},
    "POST /support/requests/{id}/notes": {"text": "look again"},
    "POST /support/requests/{id}/resolution": {"text": "look again"},
    "POST /batch/runs": {"environment": "staging", "model": "orders", "day": "2026-03-01"},
    "POST /batch/runs/{id}/cancel": REASON,
    "POST /batch/backfills": {
        "environment": "staging", "model": "orders", "from": "2026-03-01", "to": "2026-03-02", **REASON,
    },
    "POST /batch/backfills/{id}/cancel": REASON,
    "POST /evidence/packs": {"from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z"},
    "POST /deployments": {"model": "wine", "environment": "staging", "version": 1},
    "POST /deployments/{id}/approval": {"decision": "approve"},
    "POST /deployments/{id}/abort": REASON,
    "POST /deployments/{id}/promote": REASON,
    "POST /environments/{environment}/models/{model}/rollback": REASON,
    "PUT /cost/budgets/{kind}/{name}": {"monthly": "100.00"},
    "DELETE /cost/budgets/{kind}/{name}": None,
    "PUT /cost/bills/{month}/{provider}": None,
    "POST /cost/usage": {
        "records": [
            {
                "id": "job-1", "model": "wine", "activity": "training", "resource": "cpu", "quantity": "1",
                "start": "2026-03-01T11:00:00Z", "end": "2026-03-01T11:30:00Z",
            }
        ]
    },
    "POST /scaffolds": {"name": "beer", "type": "realtime", "owner": RISK},
    "POST /scaffolds/plan": {"name": "beer", "type": "realtime", "owner": RISK},
    "POST /scaffolds/{id}/cancel": None,
    "POST /git/{host}/{org}/{name}/pull-requests": {"head": "change", "title": "a change"},
    "POST /git/{host}/{org}/{name}/pull-requests/{number}/decision": {"decision": "merge"},
    "POST /fleet/campaigns": {"version": "1.0.0"},
    "POST /fleet/campaigns/plan": {"version": "1.0.0"},
    "POST /fleet/campaigns/{id}/decision": {"decision": "pause"},
    "POST /catalog/locations": {"host": "local", "org": "models", "repository": "churn"},
    "DELETE /catalog/locations/{id}": None,
    "POST /datasets/scans": {
        "name": "s3://lake/orders", "entity": "resource:default/orders", "owner": RISK,
        "columns": [{"name": "id", "type": "string", "classification": "pii", "reason": "seen"}],
    },
    "POST /datasets/{id}/confirmation": {"columns": {"id": "pii"}},
}  # fmt: skip
"""What is sent to each route: with the shipped policies the owner group, or an administrator, could do it."""

TESTED_ELSEWHERE = {
    "POST /registry/models/{name}/versions": "takes a bundle: below",
    "POST /attestations": "takes a signed statement: below",
}
OPEN = {
    "POST /identity/token": "gives out the token by which callers are known",
    "POST /identity/signing-keys": "binds a key to the caller alone, who shows that its private half is theirs",
    "DELETE /identity/signing-keys/{keyId}": "everybody takes back their own keys; somebody else's are not found: below",
    "POST /audit/verification": "reads; it is a POST for the checkpoints in its body",
    "POST /access/decisions": "is the question itself, and its answer is on record",
    "POST /access/grants": "asks; the owner decides",
    "POST /batch/backfills/plan": "looks, and changes nothing",
    "POST /environments/{environment}/models/{model}/trial": "sends a model a request as its users do",
    "POST /support/requests": "asks; the platform team answers",
    "POST /support/survey": "is everybody's own opinion",
    "POST /fleet/inventories": "has repositories looked at sooner, and changes none",
    "POST /catalog/locations/{id}/refresh": "reads sooner what a location says in any case",
}
"""Routes that policies don't decide, and why."""

PATHS = {
    "{id}": ID,
    "{name:path}": "wine",
    "{name}": "wine",
    "{kind}": "model",
    "{environment}": "staging",
    "{model}": "wine",
    "{month}": "2026-02",
    "{provider}": "aws",
    "{host}": "local",
    "{org}": "models",
    "{number}": "1",
}


def add(session: Session, table: type, **said: Any) -> None:
    """Add a row of which only what matters here is said."""
    mapped: Any = inspect(table)
    for attribute in mapped.column_attrs:
        column = attribute.columns[0]
        if attribute.key not in said and not column.nullable and column.default is None:
            said[attribute.key] = _filled(column.type)
    session.add(table(**said))
    session.flush()


def _filled(kind: Any) -> Any:
    kind = getattr(kind, "impl", kind)
    numbers: list[tuple[type, Any]] = [(Boolean, False), (Integer, 1), (Numeric, 1)]
    others: list[tuple[type, Any]] = [(DateTime, NOW), (Date, date(2026, 3, 1)), (JSON, {}), (LargeBinary, b"x")]
    return next((value for one, value in (*numbers, *others) if isinstance(kind, one)), "x")


def fill(session: Session) -> None:
    """Add one of everything that a route is about."""
    own = {"id": ID, "model": "wine", "requested_by": "user:default/grace"}
    there = {"environment": "staging", "version": 1, **own}
    add(session, ModelRow, name="orders", type="batch", owner=RISK, repository="local/orders")
    add(
        session,
        VersionRow,
        model="wine",
        version=1,
        digest="a" * 64,
        lineage={"lockDigest": "b" * 64, "specDigest": "c" * 64},
        spec=SPEC,
        created_by="user:default/grace",
    )
    add(session, Incident, id=ID, model="wine", environment="staging", owner=RISK, state="open", alerts={}, roles={})
    add(session, Waiver, **own, state="waiting", checks=[], environments=[], expires_at=LATER)
    add(session, Review, id=ID, state="open")
    add(session, ReviewItem, id=ID, review_id=ID, owner=RISK, state="pending", persons=[])
    add(session, Grant, id=ID, kind="break-glass", state="active", owner=RISK, ends_at=LATER)
    add(session, Experiment, **own, environment="staging", kind="shadow", phase="running", champion=1, challenger=1)
    add(session, LegalHold, id=ID, subject="everything")
    add(
        session, SubjectRequest, id=ID, state="found", hashes=[], words=[], models=[], requested_by="user:default/grace"
    )
    add(session, BatchRun, **{**there, "model": "orders"}, state="pending", cause="manual")
    add(session, Backfill, **{**there, "model": "orders"}, state="running", days=[], skipped={})
    add(session, Deployment, **there, phase="awaiting_approval", kind="rollout", digest="a" * 64, requirements=[])
    add(session, Scaffold, id=ID, name="cider", owner=RISK, state="pending", step="reserve", answers={})
    add(session, SupportRequest, id=ID, state="open", priority="P2", asked_by="user:default/grace")
    add(session, Campaign, id=ID, state="running", waves=[3], repository="")
    add(
        session,
        Location,
        id=ID,
        host="local",
        org="models",
        repository="cider",
        path="catalog-info.yaml",
        state="fresh",
        faults=[],
    )
    add(session, Dataset, id=ID, name="s3://lake/customers", entity="resource:default/customers", owner=RISK)


def host_a_repository(settings: Settings, folder: Path) -> None:
    """Put a repository with something for the catalog on the embedded host."""
    host, clone = EmbeddedHost(settings.home / "git"), Clone(folder / "clone")
    made = host.create(NewRepository("models", "churn", "", "claim"))
    (clone.folder / "catalog-info.yaml").write_text(COMPONENT)
    clone.git("add", "--all")
    clone.git("commit", "--quiet", "--message", "begin")
    push(clone.folder, host.access(made))


@pytest.fixture(scope="module")
def shut(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """A backend whose policies let nobody do anything, with one of everything in it, and without its runtime."""
    folder = tmp_path_factory.mktemp("shut")
    (folder / "nothing.cedar").write_text(FORBIDDEN)
    settings = make_settings(
        folder / "home",
        None,
        access={"policies": [str(folder / "nothing.cedar")]},
        permissions={"platformAdmins": ["group:default/platform", "group:default/root"]},
        audit={"sealing": {"keep": "30d"}},
    )
    app = create_app(settings)
    add_data(app.state.services)
    with app.state.services.database.write() as session:
        fill(session)
    host_a_repository(settings, folder)
    yield Backend(TestClient(app, raise_server_exceptions=False), app.state.services)
    app.state.services.database.close()


@pytest.fixture(scope="module")
def ada(shut: Backend) -> Someone:
    return shut.someone("ada")


@pytest.fixture(scope="module")
def operator(shut: Backend) -> Someone:
    return shut.someone("operator")


def writes(app: Any) -> set[str]:
    """The routes of the API that may change something, as the documentation has them."""
    found = set()
    for path, item in app.openapi()["paths"].items():
        found |= {
            f"{verb.upper()} {path.removeprefix(API)}" for verb in item if verb in ("post", "put", "patch", "delete")
        }
    return found


def sent(someone: Someone, route: str) -> Any:
    verb, _, path = route.partition(" ")
    for name, value in PATHS.items():
        path = path.replace(name, "churn" if name == "{name}" and path.startswith("/git/") else value)
    if route == "PUT /cost/bills/{month}/{provider}":
        return someone.http.put(f"{API}{path}", content=b"x", headers=someone.headers)
    return someone.http.request(verb, f"{API}{path}", json=BODIES[route], headers=someone.headers)


def test_every_route_that_writes_is_known_here(shut: Backend) -> None:
    known = [*BODIES, *TESTED_ELSEWHERE, *OPEN]
    assert len(known) == len(set(known))
    assert writes(shut.http.app) == set(known)


def test_what_is_not_in_the_documentation_is_no_route_of_ours(shut: Backend) -> None:
    app: Any = shut.http.app
    hidden = {
        route.path
        for route in app.routes
        if getattr(route, "include_in_schema", False) is False
        and (getattr(route, "methods", None) or set()) - {"GET", "HEAD"}
    }
    assert hidden == set()


def is_refused_by_the_policy(answer: Any) -> None:
    assert answer.status_code == 403, answer.text
    problem = answer.json()
    assert problem["access"]["rules"] == ["test.nothing"], answer.text
    assert "nobody does anything" in problem["detail"]


@pytest.mark.parametrize("route", sorted(BODIES))
@pytest.mark.parametrize("who", ["ada", "operator"])
def test_the_policies_decide(shut: Backend, ada: Someone, operator: Someone, who: str, route: str) -> None:
    someone = {"ada": ada, "operator": operator}[who]
    before = len(someone.events(actor=someone.ref))
    is_refused_by_the_policy(sent(someone, route))
    refusals = someone.events(actor=someone.ref)[before:]
    assert [one["data"]["access"]["rules"] for one in refusals] == [["test.nothing"]], refusals


def test_nothing_is_registered(shut: Backend, ada: Someone, tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "MLmodel").write_text("nothing")
    is_refused_by_the_policy(ada.register(Trained(model, json.loads(json.dumps(SPEC)))))
    (refused,) = ada.events(type="ml-platform.registry.registration.refused")
    assert refused["data"]["access"]["rules"] == ["test.nothing"]


def test_nothing_is_attested(shut: Backend, ada: Someone, tmp_path: Path) -> None:
    from mlplatform.gates.result import Gate

    (tmp_path / "MLmodel").write_text("nothing")
    model = Trained(tmp_path, json.loads(json.dumps(SPEC)))
    envelope = model.attest(ada, Gate.PII, digest="a" * 64)
    is_refused_by_the_policy(ada.post("/attestations", {"envelope": envelope}))


def test_nobody_revokes_somebody_elses_key(shut: Backend, ada: Someone, operator: Someone) -> None:
    assert ada.bind_key().status_code == 200
    assert operator.delete(f"/identity/signing-keys/{ada.key.keyid}").status_code == 404
    assert ada.delete(f"/identity/signing-keys/{SigningKey.generate().keyid}").status_code == 404
    assert ada.delete(f"/identity/signing-keys/{ada.key.keyid}").status_code == 200


@pytest.mark.parametrize(
    "path", ["/privacy/keys", "/privacy/subject-requests", f"/privacy/subject-requests/{ID}", "/evidence/packs"]
)
def test_what_only_some_may_read_is_decided_too(operator: Someone, path: str) -> None:
    is_refused_by_the_policy(operator.get(path))


def test_samples_are_not_read(ada: Someone) -> None:
    is_refused_by_the_policy(ada.get("/privacy/samples", environment="staging", model="wine"))
