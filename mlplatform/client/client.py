"""The platform's HTTP API as methods; answers are the API's own JSON objects (camelCase)."""

import json
import tarfile
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from mlplatform.client.access import AccessCalls
from mlplatform.client.calls import Json, json_object, path_part, present
from mlplatform.client.compliance import ComplianceCalls
from mlplatform.client.cost import CostCalls
from mlplatform.client.drift import DriftCalls
from mlplatform.client.errors import ClientError
from mlplatform.client.experiments import ExperimentCalls
from mlplatform.client.fleet import FleetCalls
from mlplatform.client.observability import ObservabilityCalls
from mlplatform.client.privacy import PrivacyCalls
from mlplatform.client.record import RecordCalls
from mlplatform.client.scaffolds import ScaffoldCalls
from mlplatform.client.support import SupportCalls
from mlplatform.client.tokens import TokenSource
from mlplatform.client.transport import IDEMPOTENCY_KEY, PREFIX, Transport

_UPLOAD_TIMEOUT = httpx.Timeout(600.0, connect=5.0)
_CHUNK = 1 << 20


class PlatformClient(
    ScaffoldCalls,
    FleetCalls,
    AccessCalls,
    ComplianceCalls,
    CostCalls,
    DriftCalls,
    ExperimentCalls,
    ObservabilityCalls,
    PrivacyCalls,
    RecordCalls,
    SupportCalls,
):
    """A caller of one platform.

    Reads and writes are retried when the connection fails or the platform answers 503: every write carries an
    idempotency key, so that a repeated one happens once.
    """

    def __init__(
        self,
        url: str,
        token: str | TokenSource | None = None,
        *,
        timeout: float = 30.0,
        attempts: int = 4,
        **options: Any,
    ) -> None:
        self.url = url.rstrip("/")
        self._transport = Transport(self.url, token, timeout=timeout, attempts=attempts, **options)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close pooled connections."""
        self._transport.close()

    def ping(self) -> None:
        """Raise :class:`PlatformUnreachable` if nothing answers, or something that is not the platform."""
        self._transport.send("GET", "/healthz")

    # identity

    def sign_in(self, secret: str, *, user: str | None = None, repository: str | None = None) -> Json:
        """Exchange the login secret of the embedded issuer for a token."""
        who = {"user": user, "repository": repository}
        return self._post("/identity/token", {"secret": secret, **who})

    def whoami(self) -> Json:
        """Return the caller as the platform sees it."""
        return self._get("/identity/me")

    def bind_signing_key(self, public_key: str, proof: str, *, repository: str | None = None) -> Json:
        """Say that signatures of this key are the caller's.

        ``public_key`` is base64 of its 32 bytes, ``proof`` of its signature over
        :func:`mlplatform.attest.keys.possession_text`.
        """
        body = {"publicKey": public_key, "proof": proof, "repository": repository}
        return self._post("/identity/signing-keys", body)

    # registry

    def register(self, model: str, manifest: Json, bundle: Path) -> tuple[Json, bool]:
        """Register a version from its bundle; returns the version, and whether it is a new one."""
        key = str(uuid.uuid4())
        with bundle.open("rb") as stream:

            def arguments() -> Mapping[str, Any]:
                stream.seek(0)
                return {
                    "files": {
                        "manifest": ("manifest.json", json.dumps(manifest).encode(), "application/json"),
                        "bundle": ("bundle.tar", stream, "application/x-tar"),
                    },
                    "headers": {IDEMPOTENCY_KEY: key},
                    "timeout": _UPLOAD_TIMEOUT,
                }

            response = self._transport.send("POST", f"{PREFIX}/registry/models/{path_part(model)}/versions", arguments)
        return json_object(response), response.status_code == httpx.codes.CREATED

    def models(self, **query: Any) -> Json:
        """Return a page of models."""
        return self._get("/registry/models", query)

    def versions(self, model: str, **query: Any) -> Json:
        """Return a page of a model's versions."""
        return self._get(f"/registry/models/{path_part(model)}/versions", query)

    def version(self, model: str, version: int | str) -> Json:
        """Return one version, by number or alias."""
        return self._get(f"/registry/models/{path_part(model)}/versions/{path_part(version)}")

    def download_bundle(self, model: str, version: int | str, folder: Path) -> None:
        """Unpack a version's bundle (``model/``, ``environment/``) into the empty folder ``folder``.

        Raises:
            ClientError: what came is not a bundle that can be unpacked safely.
        """
        path = f"{PREFIX}/registry/models/{path_part(model)}/versions/{path_part(version)}/bundle"
        with tempfile.TemporaryFile() as spool:
            with self._transport.stream("GET", path, lambda: {"timeout": _UPLOAD_TIMEOUT}) as response:
                for chunk in response.iter_bytes(_CHUNK):
                    spool.write(chunk)
            spool.seek(0)
            try:
                with tarfile.open(fileobj=spool) as archive:
                    archive.extractall(folder, filter="data")
            except (tarfile.TarError, OSError) as error:
                raise ClientError(f"the bundle of {model} {version} can't be unpacked: {error}") from error

    # attestations

    def attest(self, envelope: Json) -> Json:
        """Store one more attestation."""
        return self._post("/attestations", {"envelope": envelope})

    def attestations(self, digest: str) -> list[Json]:
        """Return all attestations about an artefact."""
        return list(self.pages("/attestations", {"digest": digest}))

    # deployments

    def deploy(
        self,
        model: str,
        environment: str,
        *,
        version: int | str | None = None,
        break_glass: str | None = None,
    ) -> Json:
        """Ask for a deployment; the platform decides whether it may be."""
        body = {
            "model": model,
            "version": version,
            "environment": environment,
            "breakGlass": {"reason": break_glass} if break_glass else None,
        }
        return self._post("/deployments", body)

    def deployment(self, identifier: str) -> Json:
        """Return one deployment with its steps."""
        return self._get(f"/deployments/{path_part(identifier)}")

    def deployments(self, **query: Any) -> Json:
        """Return a page of deployments, newest first."""
        return self._get("/deployments", query)

    def decide(self, identifier: str, decision: str, comment: str | None) -> Json:
        """Approve (``approve``) or reject (``reject``) a deployment that waits for it."""
        return self._post(
            f"/deployments/{path_part(identifier)}/approval", {"decision": decision, "comment": comment or ""}
        )

    def abort(self, identifier: str, reason: str) -> Json:
        """Stop a rollout and put traffic back."""
        return self._post(f"/deployments/{path_part(identifier)}/abort", {"reason": reason})

    def promote(self, identifier: str, reason: str) -> Json:
        """Skip what is left of a rollout's analysis."""
        return self._post(f"/deployments/{path_part(identifier)}/promote", {"reason": reason})

    def rollback(self, model: str, environment: str, reason: str) -> Json:
        """Put the former version back."""
        return self._post(
            f"/environments/{path_part(environment)}/models/{path_part(model)}/rollback", {"reason": reason}
        )

    def live(self, model: str, environment: str) -> Json:
        """Return what is live: versions, weights, replicas, the rollout under way."""
        return self._get(f"/environments/{path_part(environment)}/models/{path_part(model)}")

    def logs(
        self,
        model: str,
        environment: str,
        *,
        version: int | None = None,
        tail: int = 200,
        follow: bool = False,
        **wanted: str | int | None,
    ) -> Iterator[str]:
        """Yield log lines, ``<version>/<replica> <line>``; with ``follow`` until the caller stops.

        ``wanted`` are the conditions that the API has: replica, level, trace, since, grep.
        """
        query = {**wanted, "version": version, "tail": tail, "follow": "true" if follow else "false"}
        path = f"{PREFIX}/environments/{path_part(environment)}/models/{path_part(model)}/logs"
        timeout = httpx.Timeout(None if follow else 60.0, connect=5.0)
        arguments = {"params": present(query), "timeout": timeout, "headers": {"Accept": "text/plain"}}
        with self._transport.stream("GET", path, lambda: arguments) as response:
            yield from response.iter_lines()

    # batch

    def batch_run(
        self,
        model: str,
        environment: str,
        day: str,
        *,
        version: int | None = None,
        force: bool = False,
        reason: str | None = None,
    ) -> Json:
        """Have a day (``2013-01-05``) scored."""
        body = {"environment": environment, "model": model, "day": day, "version": version, "force": force}
        return self._post("/batch/runs", {**body, "reason": reason})

    def batch_runs(self, **query: Any) -> Json:
        """Return a page of runs, newest first."""
        return self._get("/batch/runs", query)

    def batch_run_of(self, identifier: str) -> Json:
        """Return one run."""
        return self._get(f"/batch/runs/{path_part(identifier)}")

    def cancel_batch_run(self, identifier: str, reason: str) -> Json:
        """End a run that is not over."""
        return self._post(f"/batch/runs/{path_part(identifier)}/cancel", {"reason": reason})

    def plan_backfill(
        self,
        model: str,
        environment: str,
        first: str,
        last: str,
        *,
        version: int | None = None,
        scored_by: int | None = None,
    ) -> Json:
        """Return what a backfill would do, day by day; changes nothing."""
        return self._post("/batch/backfills/plan", _range(model, environment, first, last, version, scored_by))

    def backfill(
        self,
        model: str,
        environment: str,
        first: str,
        last: str,
        *,
        version: int | None = None,
        scored_by: int | None = None,
        parallelism: int = 2,
        reason: str,
    ) -> Json:
        """Have a range of days scored, both ends included."""
        body = _range(model, environment, first, last, version, scored_by)
        return self._post("/batch/backfills", {**body, "parallelism": parallelism, "reason": reason})

    def backfills(self, **query: Any) -> Json:
        """Return a page of backfills, newest first."""
        return self._get("/batch/backfills", query)

    def backfill_of(self, identifier: str) -> Json:
        """Return one backfill and how far it is."""
        return self._get(f"/batch/backfills/{path_part(identifier)}")

    def cancel_backfill(self, identifier: str, reason: str) -> Json:
        """End a backfill that is not over."""
        return self._post(f"/batch/backfills/{path_part(identifier)}/cancel", {"reason": reason})

    def batch_standing(self, model: str, environment: str) -> Json:
        """Return the schedule of what is live, when it runs next, and how it went last."""
        return self._get(f"/environments/{path_part(environment)}/models/{path_part(model)}/batch")

    def pages(self, path: str, query: Mapping[str, Any], *, most: int | None = None) -> Iterator[Json]:
        """Yield the items of a list, page after page, at most ``most`` of them."""
        cursor: str | None = None
        given = 0
        while True:
            wanted = 200 if most is None else min(200, most - given)
            page = self._get(path, {**query, "limit": wanted, "cursor": cursor})
            for item in page.get("items", []):
                yield item
                given += 1
                if most is not None and given >= most:
                    return
            cursor = page.get("nextCursor")
            if not cursor:
                return


def _range(model: str, environment: str, first: str, last: str, version: int | None, scored_by: int | None) -> Json:
    place = {"environment": environment, "model": model, "from": first, "to": last}
    return {**place, "version": version, "scoredBy": scored_by}
