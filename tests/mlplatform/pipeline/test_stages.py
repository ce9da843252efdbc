"""The stages after training: what each needs from the one before, and what goes to the platform."""

import base64
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from mlplatform.attest import dsse
from mlplatform.attest.digest import artefact_digest, file_sha256
from mlplatform.attest.keys import PublicKey, SigningKey
from mlplatform.gates.context import NO_CHAMPION
from mlplatform.pipeline.champion import fetch_champion
from mlplatform.pipeline.workspace import Workspace
from mlplatform.reference.profile import parse
from tests.mlplatform.platform_double import TOKEN, PlatformDouble, bundle_of
from tests.mlplatform.repositories import Repository

pytestmark = pytest.mark.timeout(280)


@pytest.fixture
def connected(validated: Repository, double: PlatformDouble) -> Repository:
    """A repository whose model was validated, and whose commands reach the double."""
    validated.environment |= {"ML_PLATFORM_URL": double.url, "ML_PLATFORM_TOKEN": TOKEN}
    return validated


def document(repository: Repository, *arguments: str, status: int = 0) -> dict[str, Any]:
    run = repository.platform(*arguments, "--json")
    assert run.status == status, run.err + run.out
    answer: dict[str, Any] = json.loads(run.out)
    return answer


@pytest.mark.parametrize("stage", ["validate", "scan", "register"])
def test_without_a_model_there_is_nothing_to_do(repository: Repository, stage: str) -> None:
    run = repository.platform(stage)
    assert run.status == 1
    assert run.err == "error: there is no trained model in build/\n  run `platform train`\n"


@pytest.mark.parametrize("stage", ["validate", "scan", "register"])
def test_a_model_that_was_changed_after_training_is_not_taken(trained: Repository, stage: str) -> None:
    trained.write("build/model/added.txt", "x")
    run = trained.platform(stage)
    assert run.status == 1
    assert "build/model was changed after training" in run.err


def test_validate_writes_results_about_this_model(validated: Repository) -> None:
    for gate in ("schema", "thresholds"):
        kept = json.loads((validated.path / f"build/gates/{gate}.json").read_text())
        assert (kept["gate"], kept["outcome"]) == (gate, "passed")
        assert kept["modelDigest"] == artefact_digest(validated.path / "build/model")


@pytest.fixture
def here(trained: Repository, double: PlatformDouble, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """The trained repository, with this process signed in to the double."""
    for name, value in trained.environment.items():
        if name.startswith("ML_PLATFORM"):
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("ML_PLATFORM_URL", double.url)
    monkeypatch.setenv("ML_PLATFORM_TOKEN", TOKEN)
    return Workspace(trained.path)


def crown(double: PlatformDouble, workspace: Workspace, digest: str | None = None) -> str:
    bundle, true_digest = bundle_of(workspace.model)
    double.versions = [{"model": "wine", "version": 1, "digest": digest or true_digest}]
    double.bundles[1] = bundle
    double.champion = 1
    return true_digest


def test_the_champion_is_fetched_once(here: Workspace, double: PlatformDouble) -> None:
    digest = crown(double, here)
    for _ in range(2):
        champion = fetch_champion(here)
        assert champion.unavailable is None
        assert champion.artefact is not None
        assert (champion.artefact.version, champion.artefact.digest) == (1, digest)
        assert artefact_digest(champion.artefact.path) == digest
    assert len(double.calls("GET", "/registry/models/wine/versions/1/bundle")) == 1


def test_a_champion_that_is_not_what_it_says_is_not_used(here: Workspace, double: PlatformDouble) -> None:
    crown(double, here, digest="0" * 64)
    champion = fetch_champion(here)
    assert champion.artefact is None
    assert "does not have the digest" in str(champion.unavailable)
    assert not list(here.build.glob("champion*"))


def test_why_there_is_no_champion_is_told(
    here: Workspace, double: PlatformDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fetch_champion(here).unavailable == NO_CHAMPION
    monkeypatch.setenv("ML_PLATFORM_TOKEN", "stolen")
    assert str(fetch_champion(here).unavailable).startswith("the platform refused to say")
    monkeypatch.delenv("ML_PLATFORM_TOKEN")
    assert fetch_champion(here).unavailable == f"not signed in to {double.url}"
    monkeypatch.setenv("ML_PLATFORM_TOKEN", TOKEN)
    monkeypatch.setenv("ML_PLATFORM_URL", "http://127.0.0.1:9")
    assert str(fetch_champion(here).unavailable).startswith("no platform")


@pytest.mark.slow
def test_a_model_is_judged_beside_the_champion(connected: Repository, double: PlatformDouble) -> None:
    crown(double, Workspace(connected.path))
    connected.replace("model.yaml", "minimum: 0.7", "minimum: 0.7, maxRegression: 0.01")
    gate = document(connected, "validate")["gates"][1]
    assert gate["outcome"] == "passed"
    assert any("champion" in check["message"] for check in gate["checks"])


def test_registering_needs_the_gates(connected: Repository) -> None:
    run = connected.platform("register")
    assert run.status == 1
    assert "these gates have not run: pii, sbom, vulnerabilities, provenance" in run.err
    assert "run `platform scan`" in run.err


def test_results_about_another_model_yaml_do_not_count(connected: Repository) -> None:
    connected.replace("model.yaml", "minimum: 0.7", "minimum: 0.6")
    run = connected.platform("register", "--partial")
    assert run.status == 1
    assert "model.yaml was changed after the gate `schema` ran" in run.err


def test_a_registered_version_is_signed_and_complete(
    connected: Repository, double: PlatformDouble, tmp_path: Path
) -> None:
    version = document(connected, "register", "--partial")
    digest = artefact_digest(connected.path / "build/model")
    assert (version["version"], version["created"], version["digest"]) == (1, True, digest)

    manifest = double.versions[0]["manifest"]
    assert manifest["training"] == json.loads((connected.path / "build/training.json").read_text())
    assert manifest["spec"]["costCentre"] == "cc-100"
    key = SigningKey.load_or_create(Path(connected.environment["ML_PLATFORM_HOME"]) / "signing-key.pem")
    for envelope, gate in zip(manifest["attestations"], ("schema", "thresholds"), strict=True):
        statement, keyid = dsse.verify(envelope, {key.keyid: PublicKey(key.public_bytes)})
        assert (keyid, statement.subject.digest, statement.gate_result.gate) == (key.keyid, digest, gate)
        about = statement.subject
        assert (about.repository, about.commit) == ("local/wine", connected.git("rev-parse", "HEAD"))
        assert about.lock_digest == file_sha256(connected.path / "uv.lock")
        assert about.spec_digest == file_sha256(connected.path / "model.yaml")

    with tarfile.open(fileobj=io.BytesIO(double.bundles[1])) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
        assert {entry.mtime for entry in archive} == {0}
    assert artefact_digest(tmp_path / "unpacked/model") == digest
    assert sorted(file.name for file in (tmp_path / "unpacked/environment").iterdir()) == [
        "model.yaml",
        "pyproject.toml",
        "uv.lock",
    ]
    assert not (connected.path / "build/bundle.tar").exists()

    again = document(connected, "register", "--partial")
    assert (again["version"], again["created"]) == (1, False)


def test_a_repositorys_key_is_bound_to_that_repository_only(connected: Repository, double: PlatformDouble) -> None:
    double.principal = {"kind": "repository", "ref": "repository:local/wine", "groups": []}
    document(connected, "register", "--partial")
    (call,) = double.calls("POST", "/identity/signing-keys")
    body = json.loads(call.body)
    assert body["repository"] == "local/wine"
    key, proof = (base64.b64decode(body[name]) for name in ("publicKey", "proof"))
    assert PublicKey(key).verify(b"ml-platform signing key v1\nrepository:local/wine\nlocal/wine\n", proof)


@pytest.mark.slow
def test_uncommitted_changes_are_refused_unless_allowed(connected: Repository) -> None:
    connected.write("src/wine/notes.py", "x = 1\n")
    assert "trained with uncommitted changes" in connected.platform("train").err
    assert connected.platform("validate").status == 0
    run = connected.platform("register", "--partial")
    assert run.status == 1
    assert "the model was trained with uncommitted changes" in run.err
    assert document(connected, "register", "--partial", "--allow-dirty")["created"]


def test_without_a_lock_nothing_is_registered(connected: Repository) -> None:
    (connected.path / "uv.lock").unlink()
    run = connected.platform("register", "--partial")
    assert run.status == 1
    assert "there is no uv.lock" in run.err


@pytest.mark.slow
def test_run_stops_at_the_first_gate_that_fails(connected: Repository, double: PlatformDouble) -> None:
    connected.replace("model.yaml", "minimum: 0.7", "minimum: 0.999")
    connected.commit()
    answer = document(connected, "run", status=1)
    assert [(stage["stage"], stage["outcome"]) for stage in answer["stages"]] == [
        ("check", "passed"),
        ("train", "passed"),
        ("validate", "failed"),
    ]
    assert answer["outcome"] == "failed"
    assert "thresholds" in answer["reason"]
    assert answer["version"] is None
    assert not double.calls("POST", "/registry/models/wine/versions")


def test_run_tells_the_faults_of_model_yaml(repository: Repository) -> None:
    repository.replace("model.yaml", "thresholds:", "treshold:")
    run = repository.platform("run", "--json")
    assert run.status == 1
    assert "model.yaml:29:3: validation.treshold: unknown field `treshold`" in run.err
    assert json.loads(run.out)["error"]["faults"][0]["path"] == "validation.treshold"


def test_run_can_end_early_and_says_how_long_it_took(repository: Repository) -> None:
    answer = document(repository, "run", "--until", "check")
    assert [stage["stage"] for stage in answer["stages"]] == ["check"]
    assert answer["stages"][0]["seconds"] > 0
    assert (answer["outcome"], answer["model"]) == ("passed", "wine")


def test_run_never_deploys_another_model_than_the_one_in_build(connected: Repository, double: PlatformDouble) -> None:
    double.versions = [{"model": "wine", "version": 1, "digest": "0" * 64}]
    answer = document(connected, "run", "--from", "deploy", status=1)
    assert answer["reason"] == "the model in build/ is not registered"
    assert not double.calls("POST", "/deployments")


def test_a_disk_that_is_full_is_told(connected: Repository) -> None:
    (connected.path / "build" / "bundle.tar").symlink_to("/dev/full")
    run = connected.platform("register", "--partial")
    assert run.status == 1
    assert "the disk is full" in run.err


def test_a_model_that_passes_gets_its_training_reference(validated: Repository) -> None:
    reference = parse((validated.path / "build" / "reference.json").read_bytes())
    assert (reference.dataset, reference.answered) == ("wine-train", "wine-holdout")
    assert reference.model_digest == Workspace(validated.path).trained().model_digest
    (everything,) = reference.parts
    kinds = {(one.side, one.name): (one.kind, one.rows) for one in everything.columns}
    assert kinds == {
        ("input", "alcohol"): ("number", 106),
        ("input", "color_intensity"): ("number", 106),
        ("input", "proline"): ("number", 106),
        ("output", "prediction"): ("category", 72),
        ("error", "error"): ("category", 72),
    }
    validated.replace("model.yaml", "minimum: 0.7", "minimum: 1.0")
    assert validated.platform("validate").status == 1
    assert not (validated.path / "build" / "reference.json").exists()
