"""The stage ``register``: sign what the gates said, and hand the version over to the platform."""

import base64
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlplatform.gates.result import Gate, GateResult
from mlplatform.pipeline.bundle import environment_files, write_bundle
from mlplatform.pipeline.errors import StageRefused
from mlplatform.pipeline.records import TrainingRecord
from mlplatform.pipeline.workspace import SCAN_GATES, VALIDATE_GATES, Workspace

if TYPE_CHECKING:
    from mlplatform.attest.keys import SigningKey
    from mlplatform.client import CredentialStore, PlatformClient


@dataclass(frozen=True)
class Registration:
    """A registered version, and whether this call made it."""

    version: dict[str, Any]
    created: bool


@dataclass(frozen=True)
class Candidate:
    """A trained model with its gate results, ready to be registered."""

    workspace: Workspace
    trained: TrainingRecord
    results: list[GateResult]


def candidate(workspace: Workspace, *, allow_dirty: bool = False, partial: bool = False) -> Candidate:
    """Return what is in ``build/`` when it may be registered; asks no platform.

    Raises:
        StageRefused: an earlier stage is missing or was about something else, or the model was trained from
            uncommitted changes.
    """
    trained = workspace.trained()
    _require_commit(trained, allow_dirty)
    environment_files(workspace)
    return Candidate(workspace, trained, _results(workspace, trained, partial))


def register(
    model: Candidate,
    client: "PlatformClient",
    store: "CredentialStore",
    *,
    say: Callable[[str], None] = lambda _: None,
) -> Registration:
    """Register a model as a new version.

    Raises:
        ClientError: the platform refused, or can't be reached.
    """
    workspace, trained = model.workspace, model.trained
    principal = client.whoami()
    key = _bound_key(client, store, principal)
    envelopes = sign_results(workspace, trained, model.results, key)
    say(f"signed {len(envelopes)} gate results as {principal['ref']} (key {key.keyid[:12]})")
    manifest = {
        "modelDigest": trained.model_digest,
        "training": trained.model_dump(mode="json", by_alias=True),
        "spec": workspace.spec.model_dump(mode="json", by_alias=True),
        "attestations": envelopes,
    }
    bundle = workspace.build / "bundle.tar"
    try:
        write_bundle(workspace, bundle)
        say(f"uploading {bundle.stat().st_size / 1e6:.1f} MB")
        version, created = client.register(workspace.spec.name, manifest, bundle)
    finally:
        bundle.unlink(missing_ok=True)
    return Registration(version, created)


def sign_results(
    workspace: Workspace, trained: TrainingRecord, results: list[GateResult], key: "SigningKey"
) -> list[dict[str, Any]]:
    """Make the signed attestations of gate results; they are also kept in ``build/attestations``."""
    from mlplatform.attest import dsse
    from mlplatform.attest.statement import Subject, build_statement

    shutil.rmtree(workspace.attestations, ignore_errors=True)
    subject = Subject(
        model=workspace.spec.name,
        digest=trained.model_digest,
        repository=trained.git.repository,
        commit=trained.git.commit or "",
        lock_digest=trained.lock_digest or "",
        spec_digest=workspace.spec_digest(),
    )
    envelopes = []
    for result in results:
        statement = build_statement(result, subject, workspace.predicate(result.gate))
        envelope = dsse.sign(statement, key)
        workspace.write(workspace.attestations / f"{result.gate}.dsse.json", envelope)
        envelopes.append(envelope)
    return envelopes


def _require_commit(trained: TrainingRecord, allow_dirty: bool) -> None:
    if trained.git.commit is None:
        fix = "commit your work with git, then `platform train` again"
        raise StageRefused("the model was trained outside of a git commit, so nobody could trace it", fix=fix)
    if trained.git.dirty and not allow_dirty:
        fix = "commit and run `platform run` again, or pass --allow-dirty (the version is marked as such)"
        raise StageRefused("the model was trained with uncommitted changes", fix=fix)


def _results(workspace: Workspace, trained: TrainingRecord, partial: bool) -> list[GateResult]:
    found: list[GateResult] = []
    missing: list[Gate] = []
    for gate in (*VALIDATE_GATES, *SCAN_GATES):
        result = workspace.result(gate, trained.model_digest)
        found += [result] if result is not None else []
        missing += [gate] if result is None else []
    if missing and not partial:
        stages = [
            name
            for name, gates in (("validate", VALIDATE_GATES), ("scan", SCAN_GATES))
            if any(gate in gates for gate in missing)
        ]
        fix = "run " + " and ".join(f"`platform {stage}`" for stage in stages)
        raise StageRefused(f"these gates have not run: {', '.join(missing)}", fix=fix)
    return found


def _bound_key(client: "PlatformClient", store: "CredentialStore", principal: dict[str, Any]) -> "SigningKey":
    from mlplatform.attest.keys import KeyUnusable, SigningKey, possession_text

    try:
        key = SigningKey.load_or_create(store.signing_key)
    except KeyUnusable as error:
        raise StageRefused(f"the signing key can't be used: {error}") from error
    # A person's key speaks for the person in any repository; a repository's key only for that repository.
    repository = principal["ref"].removeprefix("repository:") if principal["kind"] == "repository" else None
    proof = key.sign(possession_text(principal["ref"], repository))
    public, signed = (base64.b64encode(raw).decode() for raw in (key.public_bytes, proof))
    client.bind_signing_key(public, signed, repository=repository)
    return key
