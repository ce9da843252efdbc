"""How long a decision takes with many models and grants, beside other ways of asking Cedar the same."""

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import cedarpy
from sqlalchemy import insert
from sqlalchemy.orm import Session

from backend.access.engine import Context
from backend.access.models import Grant, GrantState
from backend.access.policies import NAMESPACE, schema_text
from backend.access.resources import Action, DatasetResource, ModelResource
from backend.app import build_services
from backend.core.clock import SystemClock
from backend.core.config import Settings
from backend.core.container import Services
from backend.core.ids import new_id
from backend.identity.principal import Principal, PrincipalKind
from backend.registry.models import ModelRow
from benchmarks import report
from mlplatform.spec.model import Classification

TEAMS = 40


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    models, grants, repeats = (1_000, 100, 500) if quick else (10_000, 1_000, 5_000)
    folder = Path(tempfile.mkdtemp(prefix="mlp-access-bench-"))
    try:
        raw = measure(folder, models, grants, repeats)
    finally:
        shutil.rmtree(folder)
    rows = [
        (
            what,
            *(f"{one[name]:.3f} ms" for name in ("p50", "p99", "p99_cpu")),
            f"{one['p50'] / raw['ours']['p50']:.1f}×",
        )
        for what, one in (*raw["decisions"].items(), *raw["others"].items())
    ]
    report.write(
        "access",
        title="Access decisions",
        command="python -m benchmarks.access",
        header=("what", "p50", "p99", "p99 of processor time", "to the first row, p50"),
        rows=rows,
        notes=f"{models:,} models of {TEAMS} teams, {grants:,} active grants, {raw['rules']} rules, SQLite. The first four rows "
        "are `services.access.decide` as routes call it, explanation included; the rest asks Cedar (cedarpy) the first "
        "row's question in other ways. Each question is about another person, so that nothing is remembered from one to the "
        "next. Processor time is what the deciding thread used: on a machine that others use too, the rest of the time is "
        "theirs. Aim: p99 within 1 ms.",
        raw=raw,
    )


def measure(folder: Path, models: int, grants: int, repeats: int) -> dict[str, Any]:
    """Fill a platform, and ask it."""
    settings = Settings.model_validate(
        {"home": str(folder), "mlflow": {"embedded": False}, "ingress": {"port": 1, "adminPort": 2}}
    )
    services = build_services(settings, SystemClock())
    with services.database.write() as session:
        fill(session, models, grants)
    with services.database.read() as session:
        decisions = own_ways(services, session, models, grants, repeats)
        ours = decisions["allowed by a policy (deploy by the owner group)"]
        others = other_ways(services, models, grants, max(repeats // 50, 20))
    services.database.close()
    return {
        "ours": ours,
        "decisions": decisions,
        "others": others,
        "rules": len(services.access.engine.policies.rules),
        "models": models,
        "grants": grants,
    }


def own_ways(
    services: Services, session: Session, models: int, grants: int, repeats: int
) -> dict[str, dict[str, float]]:
    """Return how long decisions take that policies, grants and nothing allow."""

    def owner(number: int) -> bool:
        who, what = person(number, number % TEAMS), model(number % models)
        what = ModelResource(what.name, f"group:default/team-{number % TEAMS}", what.repository)
        return services.access.decide(session, who, Action.DEPLOY, what).allowed

    def registered(number: int) -> bool:
        what = services.access.model(session, f"model-{number % models:05d}")
        who = person(number, int(what.owner.rpartition("-")[2]))
        session.expunge_all()  # each request has a session of its own
        return services.access.decide(session, who, Action.DEPLOY, what).allowed

    def granted(number: int) -> bool:
        return services.access.decide(
            session, person(number % grants, 0), Action.READ, customers(), Context(purpose="model-training")
        ).allowed

    def denied(number: int) -> bool:
        return not services.access.decide(
            session, person(grants + number, 0), Action.READ, customers(), Context(purpose="model-training")
        ).allowed

    return {
        "allowed by a policy (deploy by the owner group)": timed(owner, repeats),
        "the same, with the model read from the registry": timed(registered, repeats),
        "allowed by a grant (personal data)": timed(granted, repeats),
        "denied (no policy, no grant)": timed(denied, repeats),
    }


def other_ways(services: Services, models: int, grants: int, repeats: int) -> dict[str, dict[str, float]]:
    """Return how long the first question takes when Cedar is asked otherwise."""
    engine, now = services.access.engine, services.clock.now()
    who, what = person(1, 1), model(1)
    request, entities = engine.request(who, Action.DEPLOY, what, Context(), now)
    text = "\n".join(rule.text for rule in engine.policies.rules)
    parsed, schema = engine.policies.parsed, cedarpy.Schema.from_str(schema_text())
    everything = json.dumps([*json.loads(entities)[:-1], *(model(number).entity() for number in range(models))])
    handle = cedarpy.Entities.from_json_str(everything)
    template = '@id("t") permit (principal == ?principal, action == MLPlatform::Action::"read", resource == ?resource);'
    links = [
        {
            "template_id": "t",
            "new_id": f"grant-{number}",
            "values": {
                "?principal": {"type": f"{NAMESPACE}::User", "id": person(number, 0).ref},
                "?resource": customers().entity()["uid"],
            },
        }
        for number in range(grants)
    ]
    linked = parsed.with_added_str(template).with_linked_batch(links)

    def asked(policies: Any, known: Any, checked: Any = None) -> Callable[[int], bool]:
        return lambda _: bool(cedarpy.is_authorized(request, policies, known, checked).allowed)

    return {
        "Cedar alone, policies parsed before": timed(asked(parsed, entities), repeats * 10),
        "and each request checked against the schema": timed(asked(parsed, entities, schema), repeats * 10),
        "policies parsed with each question": timed(asked(text, entities), repeats),
        "all models as entities, parsed before": timed(asked(parsed, handle), repeats),
        "all models as entities, parsed with each question": timed(asked(parsed, everything), max(repeats // 5, 5)),
        "each grant as a linked template": timed(asked(linked, entities), repeats),
    }


def timed(work: Callable[[int], bool], repeats: int) -> dict[str, float]:
    """Return p50 and p99 in milliseconds of something that has to come out true."""
    took: list[tuple[float, float]] = []
    warm = min(50, repeats)
    for number in range(-warm, repeats):
        start, cpu = time.perf_counter(), time.thread_time()
        good = work(abs(number))
        took.append((time.perf_counter() - start, time.thread_time() - cpu))
        if not good:
            raise SystemExit(f"question {number} has the wrong answer")
    wall, cpu_only = (sorted(kind) for kind in zip(*took[warm:], strict=True))
    last = int(len(wall) * 0.99)
    return {"p50": wall[len(wall) // 2] * 1e3, "p99": wall[last] * 1e3, "p99_cpu": cpu_only[last] * 1e3}


def person(number: int, team: int) -> Principal:
    groups = frozenset({f"group:default/team-{team}", "group:default/everybody", f"group:default/g-{number % 7}"})
    end = datetime(2100, 1, 1, tzinfo=UTC)
    return Principal(PrincipalKind.USER, f"user:default/person-{number}", groups, "bench", end)


def model(number: int) -> ModelResource:
    return ModelResource(f"model-{number:05d}", f"group:default/team-{number % TEAMS}", f"git.example/models/{number}")


def customers() -> DatasetResource:
    return DatasetResource("default/customers", "group:default/team-39", Classification.PII)


def fill(session: Session, models: int, grants: int) -> None:
    """Register models, and grant access to data."""
    at = datetime.now(UTC) - timedelta(hours=1)
    rows = [
        {
            "name": one.name, "description": "", "type": "realtime", "owner": one.owner, "system": None, "tier": 2,
            "cost_centre": "C", "repository": one.repository, "created_at": at, "created_by": "user:default/ada",
        }
        for one in map(model, range(models))
    ]  # fmt: skip
    session.execute(insert(ModelRow), rows)
    given = [
        {
            "id": new_id(), "kind": "grant", "principal": person(number, 0).ref, "person": person(number, 0).ref,
            "requested_by": person(number, 0).ref, "action": "read", "scope": "dataset:default/customers",
            "purpose": "model-training", "reason": "bench", "seconds": 86_400, "owner": "group:default/team-39",
            "state": GrantState.ACTIVE, "requested_at": at, "starts_at": at, "ends_at": at + timedelta(days=1),
        }
        for number in range(grants)
    ]  # fmt: skip
    session.execute(insert(Grant), given)


if __name__ == "__main__":
    main()
