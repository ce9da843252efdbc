"""A server that speaks the platform's HTTP contract and can be told to misbehave; for the client's own behaviour only."""

import json
import socket
import tarfile
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse

from mlplatform.attest.digest import artefact_digest

TOKEN = "good-token"
SECRET = "login-secret-of-the-double"
PREFIX = "/api/ml-platform"

Fault = Callable[[], Response]


def problem(status: int, slug: str, detail: str, **members: Any) -> JSONResponse:
    body = {"type": f"urn:ml-platform:problem:{slug}", "title": slug, "status": status, "detail": detail, **members}
    return JSONResponse(body, status_code=status, media_type="application/problem+json")


@dataclass
class Seen:
    method: str
    path: str
    headers: dict[str, str]
    query: dict[str, str]
    body: bytes


@dataclass
class PlatformDouble:
    """State of the double; tests read what it has seen and set what it answers."""

    url: str = ""
    seen: list[Seen] = field(default_factory=list)
    faults: dict[str, deque[Fault]] = field(default_factory=lambda: defaultdict(deque))
    versions: list[dict[str, Any]] = field(default_factory=list)
    bundles: dict[int, bytes] = field(default_factory=dict)
    champion: int | None = None
    deployment_states: list[dict[str, Any]] = field(default_factory=list)
    refusal: list[dict[str, Any]] | None = None
    log_lines: list[str] = field(default_factory=list)
    audit_faults: list[dict[str, Any]] = field(default_factory=list)
    principal: dict[str, Any] = field(
        default_factory=lambda: {"kind": "user", "ref": "user:default/ada", "groups": ["group:default/risk"]}
    )
    replies: dict[str, Any] = field(default_factory=dict)

    def fail(self, method: str, path: str, *responses: Fault) -> None:
        """Answer the next requests to a path with these instead."""
        self.faults[f"{method} {PREFIX}{path}"].extend(responses)

    def calls(self, method: str, path: str) -> list[Seen]:
        """Return the requests seen for a path."""
        return [seen for seen in self.seen if seen.method == method and seen.path == PREFIX + path]


def application(double: PlatformDouble) -> FastAPI:
    app = FastAPI()

    @app.middleware("http")
    async def guard(request: Request, call_next: Any) -> Response:
        body = await request.body()
        seen = Seen(request.method, request.url.path, dict(request.headers), dict(request.query_params), body)
        double.seen.append(seen)
        waiting = double.faults[f"{request.method} {request.url.path}"]
        if waiting:
            return waiting.popleft()()
        key = request.headers.get("idempotency-key")
        if key and key in double.replies:
            return JSONResponse(double.replies[key], status_code=201)
        open_paths = {"/healthz", f"{PREFIX}/identity/token"}
        if request.url.path not in open_paths and request.headers.get("authorization") != f"Bearer {TOKEN}":
            return problem(401, "unauthenticated", "the token does not verify", fix="sign in with `platform login`")
        answer: Response = await call_next(request)
        return answer

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.post(f"{PREFIX}/identity/token")
    async def token(request: Request) -> Any:
        if (await request.json())["secret"] != SECRET:
            return problem(401, "unauthenticated", "the secret is wrong")
        return {"accessToken": TOKEN, "expiresAt": "2999-01-01T00:00:00Z"}

    @app.get(f"{PREFIX}/identity/me")
    def me() -> Any:
        return {**double.principal, "issuer": "double", "expiresAt": "2999-01-01T00:00:00Z"}

    @app.post(f"{PREFIX}/identity/signing-keys")
    async def keys(request: Request) -> Any:
        body = await request.json()
        return {"keyId": "k", "principal": double.principal["ref"], "repository": body["repository"], "createdAt": "x"}

    @app.post(PREFIX + "/registry/models/{name}/versions")
    async def register(name: str, request: Request) -> Any:
        form = await request.form()
        manifest = json.loads(await form["manifest"].read())  # type: ignore[union-attr]
        bundle = await form["bundle"].read()  # type: ignore[union-attr]
        for version in double.versions:
            if version["digest"] == manifest["modelDigest"]:
                return JSONResponse(version, status_code=200)
        number = len(double.versions) + 1
        version = {
            "model": name,
            "version": number,
            "digest": manifest["modelDigest"],
            "aliases": [],
            "manifest": manifest,
        }
        double.versions.append(version)
        double.bundles[number] = bundle
        key = request.headers.get("idempotency-key")
        if key:
            double.replies[key] = version
        return JSONResponse(version, status_code=201)

    @app.get(PREFIX + "/registry/models/{name}/versions")
    def versions(name: str) -> Any:
        return {"items": double.versions[::-1], "nextCursor": None}

    @app.get(PREFIX + "/registry/models/{name}/versions/{version}")
    def version(name: str, version: str) -> Any:
        number = double.champion if version == "champion" else int(version)
        if number is None:
            return problem(404, "not-found", f"{name} has no version {version}")
        return double.versions[number - 1]

    @app.get(PREFIX + "/registry/models/{name}/versions/{version}/bundle")
    def bundle(name: str, version: int) -> Any:
        return Response(double.bundles[version], media_type="application/x-tar")

    @app.post(f"{PREFIX}/deployments")
    async def deploy(request: Request) -> Any:
        if double.refusal is not None:
            detail = "wine version 3 may not be deployed to production"
            return problem(403, "admission-refused", detail, requirements=double.refusal)
        return JSONResponse(double.deployment_states[0], status_code=201)

    @app.get(PREFIX + "/deployments/{identifier}")
    def deployment(identifier: str) -> Any:
        if len(double.deployment_states) > 1:
            double.deployment_states.pop(0)
        return double.deployment_states[0]

    @app.post(PREFIX + "/deployments/{identifier}/{action}")
    async def decide(identifier: str, action: str, request: Request) -> Any:
        return {**double.deployment_states[0], "decided": {action: await request.json()}}

    @app.get(f"{PREFIX}/deployments")
    def deployments() -> Any:
        return {"items": double.deployment_states[:1], "nextCursor": None}

    @app.post(PREFIX + "/environments/{env}/models/{model}/rollback")
    def rollback(env: str, model: str) -> Any:
        return {**double.deployment_states[0], "environment": env, "model": model}

    @app.get(PREFIX + "/environments/{env}/models/{model}")
    def live(env: str, model: str) -> Any:
        traffic = [{"version": 2, "weight": 95, "state": "live"}, {"version": 3, "weight": 5, "state": "canary"}]
        replicas = [{"version": 2, "replica": 0, "state": "ready", "port": 1, "pid": 1}]
        rollout = double.deployment_states[0] if double.deployment_states else None
        url = f"http://127.0.0.1:8080/{env}/{model}/"
        return {
            "model": model,
            "environment": env,
            "url": url,
            "traffic": traffic,
            "rollout": rollout,
            "replicas": replicas,
        }

    @app.get(PREFIX + "/environments/{env}/models/{model}/logs")
    def logs(env: str, model: str, follow: bool = False) -> Any:
        def lines() -> Iterator[str]:
            yield from (f"{line}\n" for line in double.log_lines)
            while follow:
                time.sleep(0.05)
                yield "3/0 tick\n"

        return StreamingResponse(lines(), media_type="text/plain") if follow else PlainTextResponse("".join(lines()))

    @app.get(f"{PREFIX}/audit/events")
    def events(limit: int = 50, cursor: str | None = None) -> Any:
        start = int(cursor or 0)
        names = list(range(start, min(start + limit, 450)))
        event = {"time": "2026-01-01T00:00:00Z", "type": "t", "subject": "model:wine", "actor": "user:default/ada"}
        items = [{"seq": number, "hash": "h", "prevHash": "p", "event": event} for number in names]
        return {"items": items, "nextCursor": str(start + limit) if start + limit < 450 else None}

    @app.get(f"{PREFIX}/audit/verification")
    def verification() -> Any:
        head = {"seq": 214, "hash": "3f9a" * 16}
        return {"valid": not double.audit_faults, "events": 214, "head": head, "faults": double.audit_faults}

    return app


class Server(uvicorn.Server):
    def install_signal_handlers(self) -> None:
        """Leave signals to the tests."""


def serving(double: PlatformDouble) -> Iterator[PlatformDouble]:
    """Serve the double on a free port of its own until the generator is closed."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    double.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    server = Server(uvicorn.Config(application(double), log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield double
    server.should_exit = server.force_exit = True
    thread.join(timeout=5)


def bundle_of(model: Path) -> tuple[bytes, str]:
    """Return a bundle of a model folder, and its digest."""
    stream = BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.add(model, arcname="model")
    return stream.getvalue(), artefact_digest(model)
