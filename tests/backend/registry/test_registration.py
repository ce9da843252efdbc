"""A registration is whole or it is nothing."""

import errno
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from backend.core.errors import Forbidden
from backend.identity.principal import Principal, PrincipalKind
from backend.registry.registration import Registration
from backend.registry.uploads import upload_folder
from mlplatform.gates.result import Gate, Outcome

API = "/api/ml-platform"


def leftovers(home: Path) -> list[Path]:
    """What a refused registration may not leave."""
    folders = [home / "uploads", home / "artefacts"]
    return [path for folder in folders if folder.is_dir() for path in folder.iterdir()]


def mlflow_versions(backend: Any) -> list[str]:
    client = backend.services.registry.store.client()
    return [f"{one.name}/{one.version}" for one in client.search_model_versions()]


def test_a_registered_version_can_be_read_back_whole(backend: Any, ada: Any, trained: Any) -> None:
    answer = ada.register(trained)
    assert answer.status_code == 201, answer.text
    version = answer.json()
    assert (version["model"], version["version"], version["digest"]) == ("wine", 1, trained.digest)
    assert version["createdBy"] == "user:default/ada"
    assert version["lineage"]["commit"] == trained.commit
    assert version["lineage"]["data"][0]["digest"] == {"sha256": "b" * 64}
    assert version["lineage"]["runId"]
    assert version["metrics"] == {"accuracy_score": 0.9}
    assert version["spec"]["costCentre"] == "CC-42"
    assert ada.get("/registry/models/wine/versions/1").json() == version
    model = ada.get("/registry/models/wine").json()
    assert (model["owner"], model["tier"], model["latestVersion"]) == ("group:default/risk", 2, 1)
    assert mlflow_versions(backend) == ["wine/1"]
    run = backend.services.registry.store.client().get_run(version["lineage"]["runId"])
    assert run.data.metrics == {"accuracy_score": 0.9}
    types = [event["type"] for event in ada.events(subject="model:wine")]
    assert types == ["ml-platform.registry.model.created", "ml-platform.registry.version.registered"]


def test_the_commits_time_is_kept_as_far_as_it_is_known(ada: Any, trained: Any, retrained: Any) -> None:
    def register(model: Any, *time: str) -> Any:
        training = model.manifest()["training"]
        training["git"] = {**training["git"], **dict(zip(["committedAt"], time, strict=False))}
        return ada.register(model, training=training)

    assert register(trained).json()["lineage"]["committedAt"] is None
    sent = "2026-03-01T11:00:00+01:00"
    assert register(retrained("later"), sent).json()["lineage"]["committedAt"] == sent
    assert register(retrained("zoneless"), "2026-03-01T11:00:00").status_code == 422
    events = ada.events(type="ml-platform.registry.version.registered")
    assert [one["data"]["lineage"]["committedAt"] for one in events] == [None, sent]


def test_the_same_content_again_gives_the_same_version(backend: Any, ada: Any, trained: Any) -> None:
    first = ada.register(trained)
    again = ada.register(trained)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert mlflow_versions(backend) == ["wine/1"]


def test_the_bundle_comes_back_as_it_went_in(ada: Any, trained: Any, tmp_path: Path) -> None:
    import io
    import tarfile

    from mlplatform.attest.digest import artefact_digest

    ada.register(trained)
    answer = ada.get("/registry/models/wine/versions/1/bundle")
    assert answer.headers["content-type"] == "application/x-tar"
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as archive:
        archive.extractall(tmp_path / "back", filter="data")
    assert artefact_digest(tmp_path / "back" / "model") == trained.digest
    assert (tmp_path / "back" / "environment" / "uv.lock").read_bytes() == trained.files["uv.lock"]


def test_two_locks_of_one_artefact_are_kept_apart(backend: Any, ada: Any, trained: Any) -> None:
    ada.register(trained)
    trained.files["uv.lock"] = b"version = 2\n"
    trained.commit = "c" * 40
    second = ada.register(trained)
    assert second.status_code == 201
    registry = backend.services.registry
    with backend.services.database.read() as session:
        paths = [registry.bundle_path(registry.get_version(session, "wine", number)) for number in (1, 2)]
    assert [(path / "environment" / "uv.lock").read_bytes() for path in paths] == [b"version = 1\n", b"version = 2\n"]


def test_a_changed_artefact_is_not_handed_out(backend: Any, ada: Any, trained: Any) -> None:
    ada.register(trained)
    (kept,) = (backend.services.settings.home / "artefacts").iterdir()
    (kept / "model" / "MLmodel").write_text("flavors: {}\n")
    answer = ada.get("/registry/models/wine/versions/1/bundle")
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:ml-platform:problem:artefact-damaged")


def without_signature(trained: Any) -> None:
    path = trained.folder / "MLmodel"
    text = path.read_text()
    start = text.index("signature:")
    path.write_text(
        text[:start] + "\n".join(line for line in text[start:].splitlines()[1:] if not line.startswith(" ")) + "\n"
    )


def other_lock(trained: Any) -> dict[str, Any]:
    manifest = trained.manifest()
    return {"training": {**manifest["training"], "lockDigest": "d" * 64}}


def other_spec(trained: Any) -> dict[str, Any]:
    return {"spec": {**trained.spec, "tier": 1}}


@pytest.mark.parametrize(
    ("slug", "prepare", "changes"),
    [
        ("model-without-signature", without_signature, None),
        (
            "digest-mismatch",
            None,
            lambda trained: {
                "modelDigest": "e" * 64,
                "training": {**trained.manifest()["training"], "modelDigest": "e" * 64},
            },
        ),
        ("contradicting-manifest", None, lambda trained: {"modelDigest": "e" * 64}),
        ("digest-mismatch", None, other_lock),
        ("contradicting-manifest", None, other_spec),
        ("contradicting-manifest", None, lambda trained: {"spec": {**trained.spec, "name": "beer"}}),
        ("invalid-input", None, lambda trained: {"spec": {**trained.spec, "teir": 1}}),
        ("invalid-input", None, lambda trained: {"training": {}}),
        (
            "invalid-input",
            None,
            lambda trained: {"training": {**trained.manifest()["training"], "metrics": {"a": float("nan")}}},
        ),
    ],
)
def test_what_does_not_fit_is_refused_and_leaves_nothing_but_an_event(
    backend: Any, ada: Any, trained: Any, slug: str, prepare: Any, changes: Any
) -> None:
    if prepare:
        prepare(trained)
    answer = ada.register(trained, **(changes(trained) if changes else {}))
    assert answer.status_code == 422, answer.text
    problem = answer.json()
    assert problem["type"] == f"urn:ml-platform:problem:{slug}", problem
    assert answer.headers["content-type"] == "application/problem+json"
    (event,) = ada.events(type="ml-platform.registry.registration.refused")
    assert event["subject"] == "model:wine"
    assert event["actor"] == "user:default/ada"
    assert event["data"]["slug"] == slug
    assert leftovers(backend.services.settings.home) == []
    assert ada.get("/registry/models/wine").status_code == 404
    assert mlflow_versions(backend) == []


def test_faults_of_a_manifest_are_named_one_by_one(ada: Any, trained: Any) -> None:
    spec = {**trained.spec, "teir": 1, "tier": 9}
    errors = ada.register(trained, spec=spec).json()["errors"]
    assert {error["pointer"] for error in errors} == {"manifest/spec/teir", "manifest/spec/tier"}


def test_others_may_not_register_somebody_elses_model(backend: Any, ada: Any, trained: Any, retrained: Any) -> None:
    assert ada.register(trained).status_code == 201
    edsger = backend.someone("edsger")
    answer = edsger.register(retrained("better"))
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:ml-platform:problem:forbidden")
    stolen = retrained("stolen")
    stolen.repository = "local/thief"
    answer = backend.repository("local/thief").register(stolen)
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:ml-platform:problem:other-repository")
    actors = [event["actor"] for event in ada.events(type="ml-platform.registry.registration.refused")]
    assert actors == ["user:default/edsger", "repository:local/thief"]
    assert backend.repository("local/wine").register(retrained("best")).json()["version"] == 2


def test_a_new_owner_in_model_yaml_is_the_models_owner(backend: Any, ada: Any, trained: Any, retrained: Any) -> None:
    ada.register(trained)
    moved = retrained("moved")
    moved.spec["owner"] = "group:default/search"
    assert ada.register(moved).status_code == 201
    assert ada.get("/registry/models/wine").json()["owner"] == "group:default/search"
    (event,) = ada.events(type="ml-platform.registry.model.changed")
    assert event["data"] == {"from": {"owner": "group:default/risk"}, "to": {"owner": "group:default/search"}}


@pytest.mark.parametrize("name", ["../etc", "a b", "{{7*7}}", "w" * 300, "Wine", "wine-", "%00"])
def test_names_that_are_none(ada: Any, trained: Any, name: str) -> None:
    answer = ada.register(trained, name=name.replace("%", "%25") if name != "%00" else name)
    assert answer.status_code in {404, 422}
    assert ada.get("/registry/models").json()["items"] == []


def test_a_full_disk_is_said_and_leaves_nothing(
    backend: Any, ada: Any, trained: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The one place where every registration writes its last file; a real full disk is in the fault tests.
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pathlib.Path.rename", full)
    answer = ada.register(trained)
    monkeypatch.undo()
    assert (answer.status_code, answer.json()["type"]) == (507, "urn:ml-platform:problem:insufficient-storage")
    assert leftovers(backend.services.settings.home) == []
    assert ada.get("/registry/models/wine").status_code == 404
    assert mlflow_versions(backend) == []
    assert ada.register(trained).status_code == 201


def test_attestations_come_with_the_version(backend: Any, ada: Any, trained: Any) -> None:
    ada.bind_key()
    trained.attestations = [trained.attest(ada, gate) for gate in Gate]
    assert ada.register(trained).status_code == 201
    stored = ada.get("/attestations", digest=trained.digest).json()["items"]
    assert [(one["gate"], one["outcome"], one["verified"]) for one in stored] == [
        (g.value, "passed", True) for g in Gate
    ]


def test_a_bad_attestation_refuses_the_whole_registration(backend: Any, ada: Any, trained: Any) -> None:
    ada.bind_key()
    trained.attestations = [trained.attest(ada, Gate.SCHEMA), trained.attest(ada, Gate.PII, digest="f" * 64)]
    answer = ada.register(trained)
    assert (answer.status_code, answer.json()["code"]) == (422, "wrong_subject")
    assert ada.get("/registry/models/wine").status_code == 404
    assert mlflow_versions(backend) == []
    assert ada.get("/attestations", digest=trained.digest).json()["items"] == []


def test_gates_that_ran_again_add_to_the_version_that_is_there(ada: Any, trained: Any) -> None:
    ada.bind_key()
    trained.attestations = [
        trained.attest(ada, Gate.SCHEMA),
        trained.attest(ada, Gate.THRESHOLDS, Outcome.NOT_EVALUATED),
    ]
    assert ada.register(trained).status_code == 201
    trained.attestations = [trained.attest(ada, Gate.THRESHOLDS)]
    again = ada.register(trained)
    assert (again.status_code, again.json()["version"]) == (200, 1)
    stored = ada.get("/attestations", digest=trained.digest).json()["items"]
    assert [(one["gate"], one["outcome"]) for one in stored] == [
        ("schema", "passed"),
        ("thresholds", "not_evaluated"),
        ("thresholds", "passed"),
    ]
    trained.attestations = [trained.attest(ada, Gate.PII, commit="f" * 40)]
    refused = ada.register(trained)
    assert (refused.status_code, refused.json()["code"]) == (422, "wrong_subject")


def test_ci_registers_only_the_commit_that_its_job_is_for(backend: Any, trained: Any) -> None:
    until = datetime.now(UTC) + timedelta(hours=1)
    registry = backend.services.registry

    def register(commit: str) -> Any:
        job = Principal(
            PrincipalKind.REPOSITORY, "repository:local/wine", frozenset(), "ci", until,
            on_behalf_of="user:default/ada", run="https://ci.example/jobs/7", commit=commit,
        )  # fmt: skip
        with upload_folder(registry.uploads) as folder:
            (folder / "manifest").write_text(json.dumps(trained.manifest()))
            (folder / "bundle").write_bytes(trained.bundle())
            return Registration(registry, backend.services.database, job, "wine", folder).run()[0]

    with pytest.raises(Forbidden, match="runs for commit bbbbbbbbbbbb, and the model was trained from aaaaaaaaaaaa"):
        register("b" * 40)
    lineage = register(trained.commit).lineage
    assert (lineage.on_behalf_of, lineage.ci_run) == ("user:default/ada", "https://ci.example/jobs/7")


def test_the_same_commit_can_not_stand_for_another_lock_or_model_yaml(ada: Any, trained: Any) -> None:
    assert ada.register(trained).status_code == 201
    trained.files["uv.lock"] = b"version = 2\n"
    answer = ada.register(trained)
    assert (answer.status_code, "with another uv.lock" in answer.json()["detail"]) == (409, True), answer.text
    trained.files["uv.lock"] = b"version = 1\n"
    trained.spec["rollout"] = {"steps": [100]}
    answer = ada.register(trained)
    assert (answer.status_code, "with another model.yaml" in answer.json()["detail"]) == (409, True), answer.text
    trained.commit = "b" * 40
    assert ada.register(trained).json()["version"] == 2


def test_aliases_move_with_an_event_and_reach_mlflow(backend: Any, ada: Any, trained: Any, retrained: Any) -> None:
    ada.register(trained)
    ada.register(retrained("two"))
    services = backend.services
    for version in (1, 2):
        with services.database.write() as session:
            services.registry.set_alias(session, "wine", "champion", version, "service:ml-platform")
    assert ada.get("/registry/models/wine/versions/champion").json()["version"] == 2
    assert ada.get("/registry/models/wine/versions/2").json()["aliases"] == ["champion"]
    with services.database.read() as session:
        services.registry.sync_aliases(session, "wine")
    client = services.registry.store.client()
    assert int(client.get_model_version_by_alias("wine", "champion").version) == 2
    with services.database.write() as session:
        services.registry.clear_alias(session, "wine", "champion", "service:ml-platform")
    assert ada.get("/registry/models/wine/versions/champion").status_code == 404
    moves = [event["data"] for event in ada.events(type="ml-platform.registry.alias.moved")]
    assert [(move["from"], move["to"]) for move in moves] == [(None, 1), (1, 2), (2, None)]


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"", "multipart/form-data; boundary=x", 422),
        (b"{}", "application/json", 422),
        (b"--x\r\n\r\n", "multipart/form-data; boundary=x", 422),
        (
            b'--x\r\nContent-Disposition: form-data; name="evil"\r\n\r\n1\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
            422,
        ),
        (
            b'--x\r\nContent-Disposition: form-data; name="manifest"\r\n\r\n{}\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
            422,
        ),
        (b"not a form", "multipart/form-data; boundary=x", 422),
        (b"x", "multipart/form-data", 422),
    ],
)
def test_bodies_that_are_no_upload(backend: Any, ada: Any, body: bytes, content_type: str, status: int) -> None:
    answer = backend.http.post(
        f"{API}/registry/models/wine/versions", content=body, headers={**ada.headers, "Content-Type": content_type}
    )
    assert answer.status_code == status, answer.text
    assert leftovers(backend.services.settings.home) == []


def test_pages_of_versions_meet_without_gap_or_overlap(ada: Any, retrained: Any) -> None:
    for mark in "abcde":
        assert ada.register(retrained(mark)).status_code == 201
    seen, cursor = [], None
    while True:
        page = ada.get("/registry/models/wine/versions", limit=2, **({"cursor": cursor} if cursor else {})).json()
        seen += [item["version"] for item in page["items"]]
        cursor = page["nextCursor"]
        if cursor is None:
            break
    assert seen == [5, 4, 3, 2, 1]
    assert ada.get("/registry/models/wine/versions", cursor="bm9uZQ==").status_code == 422
    assert ada.get("/registry/models", q="GROWER").json()["items"][0]["name"] == "wine"
    assert ada.get("/registry/models", q="%").json()["items"] == []
    assert ada.get("/registry/models", owner="group:default/search").json()["items"] == []
