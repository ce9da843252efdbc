"""The provenance gate: which commit, data, lock and seed made exactly this artefact (SLSA provenance v1)."""

import hashlib
import os
from typing import Any

from mlplatform.attest.digest import artefact_digest, file_sha256
from mlplatform.gates.context import GateContext
from mlplatform.gates.recorder import Recorder, explain, training_record
from mlplatform.gates.result import Gate, GateResult, Reference

BUILD_TYPE = "urn:ml-platform:build-type:train:v1"
"""Type URI of ``platform train``; its external parameters are ``entrypoint`` and ``seed``."""
_NEEDED = ("modelDigest", "git", "data", "startedAt", "finishedAt")


def evaluate(context: GateContext) -> GateResult:
    """Check that what training wrote down is about the artefact that lies there."""
    record = Recorder(Gate.PROVENANCE, context)
    trained = training_record(context)
    missing = [name for name in _NEEDED if name not in trained]
    if missing:
        record.failed("record", f"build/training.json lacks {', '.join(missing)}: run `platform train`")
        return record.finish("")
    _check_artefact(context, record, trained)
    _check_lock(context, record, trained)
    _check_commit(record, trained)
    _check_data(context, record, trained)
    git = trained["git"]
    return record.finish(
        f"trained from commit {str(git.get('commit'))[:12]} of {git.get('repository')}"
        f" on {len(trained['data'])} data sets"
    )


def body(result: GateResult, context: GateContext) -> dict[str, Any]:
    """Return the predicate of the statement about the result (SLSA provenance v1)."""
    trained = training_record(context)
    git = trained.get("git") or {}
    materials: list[dict[str, Any]] = []
    if git.get("commit"):
        dirty = {"dirty": bool(git.get("dirty"))}
        repository = str(git.get("repository"))
        materials.append(
            {"uri": _repository_uri(repository), "digest": {"gitCommit": git["commit"]}, "annotations": dirty}
        )
    materials += [
        {"name": entry.get("name"), "uri": entry.get("uri"), "digest": entry.get("digest", {})}
        for entry in trained.get("data", [])
    ]
    if trained.get("lockDigest"):
        materials.append({"name": "uv.lock", "digest": {"sha256": trained["lockDigest"]}})
    return {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {"entrypoint": context.spec.training.entrypoint, "seed": trained.get("seed")},
            "internalParameters": {"python": trained.get("python")},
            "resolvedDependencies": materials,
        },
        "runDetails": {
            "builder": {"id": builder_id()},
            "metadata": {
                "invocationId": invocation_id(trained),
                "startedOn": trained.get("startedAt"),
                "finishedOn": trained.get("finishedAt"),
            },
        },
    }


def builder_id() -> str:
    """Return who ran the build: the CI job's workflow, or ``local``, which names neither host nor user."""
    if os.environ.get("GITHUB_ACTIONS") == "true":
        server = os.environ.get("GITHUB_SERVER_URL", "https://github.com")
        workflow = os.environ.get("GITHUB_WORKFLOW_REF") or os.environ.get("GITHUB_REPOSITORY", "")
        return f"{server}/{workflow}"
    if os.environ.get("GITLAB_CI") == "true":
        return (
            f"{os.environ.get('CI_PROJECT_URL', 'https://gitlab.com')}/-/runners/{os.environ.get('CI_RUNNER_ID', '')}"
        )
    return "urn:ml-platform:builder:local"


def invocation_id(trained: dict[str, Any]) -> str:
    """Return the id of the run: the CI job's address, or for a local run one made from what the run was."""
    if os.environ.get("GITHUB_ACTIONS") == "true":
        server, repository = os.environ.get("GITHUB_SERVER_URL", ""), os.environ.get("GITHUB_REPOSITORY", "")
        run, attempt = os.environ.get("GITHUB_RUN_ID", ""), os.environ.get("GITHUB_RUN_ATTEMPT", "1")
        return f"{server}/{repository}/actions/runs/{run}/attempts/{attempt}"
    if os.environ.get("GITLAB_CI") == "true":
        return os.environ.get("CI_JOB_URL", "")
    facts = f"{trained.get('modelDigest')} {trained.get('startedAt')} {trained.get('finishedAt')}"
    return f"urn:ml-platform:run:{hashlib.sha256(facts.encode()).hexdigest()[:32]}"


def _repository_uri(repository: str) -> str:
    """Return the address of a repository id; one without a host is known on the platform only."""
    host = repository.partition("/")[0]
    return f"git+https://{repository}" if "." in host else f"urn:ml-platform:repository:{repository}"


def _check_artefact(context: GateContext, record: Recorder, trained: dict[str, Any]) -> None:
    try:
        digest = artefact_digest(context.model)
    except (OSError, ValueError) as error:
        record.failed("artefact", f"build/model has no digest: {explain(error)}")
        return
    record.against.append(Reference(name="build/model", digest={"sha256": digest}))
    if digest != trained["modelDigest"]:
        record.failed(
            "artefact",
            "build/model was changed after training, so nobody knows what made it: run `platform train` again",
            observed=digest,
            limit=str(trained["modelDigest"]),
        )
    else:
        record.passed("artefact", "build/model is byte for byte what training left", observed=digest)


def _check_lock(context: GateContext, record: Recorder, trained: dict[str, Any]) -> None:
    path = context.repository / "uv.lock"
    present = file_sha256(path) if path.is_file() else None
    if trained.get("lockDigest") is None or present is None:
        record.failed("lock", "the model was trained without a uv.lock: run `uv lock`, commit it and train again")
    elif present != trained["lockDigest"]:
        record.failed(
            "lock",
            "uv.lock was changed after training, so the model would be served in another environment: train again",
            observed=present,
            limit=str(trained["lockDigest"]),
        )
    else:
        record.against.append(Reference(name="uv.lock", digest={"sha256": present}))
        record.passed("lock", "uv.lock is the one that the model was trained with", observed=present)


def _check_commit(record: Recorder, trained: dict[str, Any]) -> None:
    git = trained["git"]
    commit = git.get("commit")
    if not commit:
        record.failed("commit", "the model was not trained from a git commit: commit your work and train again")
        return
    record.against.append(Reference(name=str(git.get("repository")), digest={"gitCommit": str(commit)}))
    if git.get("dirty"):
        record.not_evaluated(
            "commit",
            f"trained with uncommitted changes on top of {str(commit)[:12]}: nobody can tell what made it, or make it again",
            limit="a clean commit",
        )
    else:
        record.passed("commit", f"trained from the clean commit {str(commit)[:12]}", observed=str(commit))


def _check_data(context: GateContext, record: Recorder, trained: dict[str, Any]) -> None:
    loaded = {entry.get("name"): entry for entry in trained["data"]}
    undigested = [str(name) for name, entry in loaded.items() if not entry.get("digest")]
    if not loaded:
        record.failed("data", "training loaded no data through context.load, so its data is unknown")
    elif undigested:
        record.failed("data", f"data sets without a digest: {', '.join(undigested)}: run `platform train` again")
    else:
        for reference in context.spec.data:
            if reference.name in loaded:
                record.against.append(
                    Reference(name=reference.name, uri=reference.uri, digest=loaded[reference.name]["digest"])
                )
        record.passed("data", f"{len(loaded)} data sets are recorded with their digests", observed=str(len(loaded)))
