"""How fast a page of the overview and the catalog's feed are, beside MLflow's registry asked the same."""

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import create_engine, insert, text
from sqlalchemy.orm import Session

from backend.app import create_app
from backend.core.config import Settings
from backend.core.ids import new_id
from backend.deployments.models import Deployment, Kind, Outcome, Phase, Traffic, TrafficState
from backend.registry.models import ModelRow, VersionRow
from benchmarks import report
from catalog.entities import Component
from catalog.models import Location, LocationState
from catalog.reader import Reading
from catalog.service import Found

API = "/api/ml-platform"
START = datetime(2026, 1, 1, tzinfo=UTC)
PAGE = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    models, repeats = (1_000, 50) if quick else (10_000, 300)
    folder = Path(tempfile.mkdtemp(prefix="mlp-overview-bench-"))
    try:
        raw = measure(folder, models, versions=10, repeats=repeats)
    finally:
        shutil.rmtree(folder)
    rows = []
    for what, one in raw["pages"].items():
        ours, theirs = one["ours"], one["mlflow"]
        peer = f"{theirs['p50']:.1f} / {theirs['p99']:.1f} ms" if theirs else "no such question"
        ratio = f"{ours['p50'] / theirs['p50']:.2f}×" if theirs else ""
        rows.append((what, f"{ours['p50']:.1f} / {ours['p99']:.1f} ms", peer, ratio))
    for what, seconds in raw["feed"].items():
        rows.append((what, f"{seconds:.3f} s", "", ""))
    report.write(
        "overview",
        title="Overview of all models",
        command="python -m benchmarks.overview",
        header=("what", "ours, p50 / p99", "MLflow's registry", "ours / MLflow, p50"),
        rows=rows,
        notes=f"{models:,} models with {raw['versions']:,} versions on SQLite, pages of {PAGE}. Ours over HTTP in the "
        "process: token, JSON and total included. MLflow's store was called directly (`search_registered_models`), "
        "which is its better case. Both took turns. Aim: p99 within 20 ms.",
        raw=raw,
    )


def measure(folder: Path, models: int, *, versions: int, repeats: int) -> dict[str, Any]:
    """Fill both with the same models, and ask both."""
    settings = Settings.model_validate(
        {
            "home": str(folder / "home"),
            "mlflow": {"embedded": False},
            "identity": {"localIssuer": {"users": [{"ref": "user:default/ada", "groups": ["group:default/risk"]}]}},
            "ingress": {"port": 1, "adminPort": 2},
        }
    )
    app = create_app(settings)
    services = app.state.services
    with services.database.write() as session:
        fill(session, models, versions)
    start = time.perf_counter()
    services.overview.fill()
    raw: dict[str, Any] = {"versions": models * versions, "rebuild_seconds": time.perf_counter() - start}
    raw["feed"] = {"overview: all rows made anew": raw["rebuild_seconds"]}
    store = fill_mlflow(folder, models, versions)
    with signed_in(app) as get:
        raw["pages"] = pages(get, store, models, repeats)
        raw["feed"] |= feed(get, app, models)
    services.database.close()
    return raw


def fill(session: Session, models: int, versions: int) -> None:
    """Register and deploy models without their artefacts."""
    rows, numbers, deployments, traffic = [], [], [], []
    for number in range(models):
        name, at = f"model-{number:05d}", START + timedelta(minutes=number)
        rows.append(
            {
                "name": name, "description": f"Predicts what {number} will be.", "type": "realtime",
                "owner": f"group:default/team-{number % 40}", "system": f"system:default/s-{number % 100}",
                "tier": number % 3 + 1, "cost_centre": "C", "repository": f"git.example/models/{name}",
                "created_at": at, "created_by": "user:default/ada",
            }
        )  # fmt: skip
        for version in range(1, versions + 1):
            numbers.append(
                {
                    "model": name, "version": version, "digest": f"{number:056d}{version:08d}", "bundle": "b", "run_id": "r",
                    "repository": f"git.example/models/{name}", "commit": f"{version:040d}", "lineage": {}, "metrics": {},
                    "params": {}, "spec": {}, "created_at": at + timedelta(hours=version), "created_by": "user:default/ada",
                }
            )  # fmt: skip
        for environment in ("staging", "production")[: number % 3]:
            deployments.append(
                {
                    "id": new_id(), "kind": Kind.ROLLOUT, "model": name, "version": versions, "environment": environment,
                    "digest": "d", "phase": Phase.COMPLETED, "outcome": Outcome.PROMOTED, "requested_by": "user:default/ada",
                    "requested_at": at, "finished_at": at + timedelta(minutes=9), "requirements": [],
                }
            )  # fmt: skip
            traffic.append(
                {
                    "environment": environment, "model": name, "version": versions, "weight": 100, "mirror": 0,
                    "state": TrafficState.LIVE, "replicas": 1, "failed_over": False,
                }
            )  # fmt: skip
    for kind, made in ((ModelRow, rows), (VersionRow, numbers), (Deployment, deployments), (Traffic, traffic)):
        session.execute(insert(kind), made)


def fill_mlflow(folder: Path, models: int, versions: int) -> Any:
    """Put the same models into MLflow's own tables; its API would take hours for it."""
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore

    url = f"sqlite:///{folder / 'mlflow.db'}"
    store = SqlAlchemyStore(url)
    engine = create_engine(url)
    with engine.begin() as connection:
        columns = {row[1] for row in connection.execute(text("PRAGMA table_info(registered_models)"))}
        extra = {"workspace": "default"} if "workspace" in columns else {}
        names = ["name", "creation_time", "last_updated_time", "description", *extra]
        put(connection, "registered_models", names, [
            {"name": f"model-{n:05d}", "creation_time": n, "last_updated_time": n, "description": f"Predicts {n}.", **extra}
            for n in range(models)
        ])  # fmt: skip
        put(connection, "registered_model_tags", ["name", "key", "value", *extra], [
            {"name": f"model-{n:05d}", "key": key, "value": value, **extra}
            for n in range(models)
            for key, value in (("owner", f"team-{n % 40}"), ("tier", str(n % 3 + 1)))
        ])  # fmt: skip
        names = ["name", "version", "creation_time", "last_updated_time", "current_stage", "status", *extra]
        put(connection, "model_versions", names, [
            {
                "name": f"model-{n:05d}", "version": version, "creation_time": n, "last_updated_time": n,
                "current_stage": "None", "status": "READY", **extra,
            }
            for n in range(models)
            for version in range(1, versions + 1)
        ])  # fmt: skip
    engine.dispose()
    return store


def put(connection: Any, table: str, names: list[str], rows: list[dict[str, Any]]) -> None:
    values = ", ".join(f":{name}" for name in names)
    connection.execute(text(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({values})"), rows)


@contextmanager
def signed_in(app: FastAPI) -> Iterator[Callable[..., Any]]:
    """Give what asks the API; the app's background work is not started."""
    http = TestClient(app)
    secret = (app.state.services.settings.home / "identity" / "login-secret").read_text()
    token = http.post(f"{API}/identity/token", json={"secret": secret, "user": "user:default/ada"}).json()
    headers = {"Authorization": f"Bearer {token['accessToken']}"}

    def get(path: str, **query: Any) -> Any:
        answer = http.get(f"{API}{path}", params=query, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    yield get


def pages(get: Callable[..., Any], store: Any, models: int, repeats: int) -> dict[str, Any]:
    """Ask both sides for the same pages, in turns."""
    cursor, token = None, None
    for _ in range(models // PAGE // 2):
        more = {"cursor": cursor} if cursor else {}
        cursor = get("/overview/models", limit=PAGE, sort="updated", **more)["nextCursor"]
        token = store.search_registered_models(
            max_results=PAGE, order_by=["last_updated_timestamp"], page_token=token
        ).token
    owned = {"filter_string": "tags.owner = 'team-7'", "order_by": ["last_updated_timestamp DESC"]}
    asked: dict[str, tuple[dict[str, Any], dict[str, Any] | None]] = {
        "first page": ({}, {}),
        "one owner, newest first": ({"owner": "group:default/team-7", "sort": "-updated"}, owned),
        "a word in the name": ({"q": "model-004"}, {"filter_string": "name ILIKE '%model-004%'"}),
        "a page in the middle": (
            {"sort": "updated", "cursor": cursor},
            {"order_by": ["last_updated_timestamp"], "page_token": token},
        ),
        "live in production, by owner": ({"environment": "production", "live": True, "sort": "owner"}, None),
    }
    found: dict[str, Any] = {}
    for what, (query, theirs) in asked.items():
        times: dict[str, list[float]] = {"ours": [], "mlflow": []}
        for _ in range(repeats):
            times["ours"].append(timed(lambda query=query: get("/overview/models", limit=PAGE, **query)))
            if theirs is not None:
                times["mlflow"].append(
                    timed(lambda theirs=theirs: store.search_registered_models(max_results=PAGE, **theirs))
                )
        found[what] = {side: percentiles(values) if values else None for side, values in times.items()}
    return found


def feed(get: Callable[..., Any], app: FastAPI, count: int) -> dict[str, float]:
    """Read all of the catalog's feed, and then what ten changes add to it."""
    put_entities(app, count, "first")
    start = time.perf_counter()
    cursor, seen = 0, 0
    while True:
        answer = get("/catalog/changes", after=cursor, limit=500)
        cursor, seen = answer["cursor"], seen + len(answer["items"])
        if not answer["more"]:
            break
    whole = time.perf_counter() - start
    assert seen >= count
    put_entities(app, 10, "second")
    start = time.perf_counter()
    assert len(get("/catalog/changes", after=cursor, limit=500)["items"]) == 10
    return {f"feed: all {count:,} entities": whole, "feed: 10 changes": time.perf_counter() - start}


def put_entities(app: FastAPI, count: int, title: str) -> None:
    """Put components into the catalog, by its own service, as ten repositories would declare them."""
    services = app.state.services
    for first in range(0, count, 500):
        reading = Reading()
        for number in range(first, min(first + 500, count)):
            document = {
                "apiVersion": "backstage.io/v1alpha1",
                "kind": "Component",
                "metadata": {"name": f"model-{number:05d}", "title": title, "annotations": {"a/b": "c" * 40}},
                "spec": {"type": "model-server", "lifecycle": "production", "owner": "group:default/risk"},
            }
            reading.entities.append(Component.model_validate(document))
            reading.documents.append(document)
        with services.database.write() as session:
            now = services.clock.now()
            row = Location(
                id=new_id(), host="local", org="models", repository=f"r-{first}-{title}", path="catalog-info.yaml",
                state=LocationState.FRESH, faults=[], registered_by="user:default/ada", registered_at=now, read_at=now,
            )  # fmt: skip
            before = session.query(Location).filter_by(repository=f"r-{first}-first").one_or_none()
            if before is None:
                session.add(row)
                session.flush()
            # A faulty file takes nothing away, so that ten of its entities may change by themselves.
            services.catalog.apply(session, before or row, Found(LocationState.FAULTY, reading))


def timed(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1000


def percentiles(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {"p50": ordered[len(ordered) // 2], "p99": ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]}


if __name__ == "__main__":
    main()
