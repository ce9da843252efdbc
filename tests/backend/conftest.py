"""A backend for each test, the people who use it, and a real trained model to register."""

import base64
import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from ruamel.yaml import YAML

from backend.app import build_services, create_app
from backend.core.clock import SystemClock
from backend.core.config import Settings
from backend.core.container import Services
from backend.registry.mlflow_store import MlflowStore
from mlplatform.attest import dsse
from mlplatform.attest.digest import artefact_digest
from mlplatform.attest.keys import SigningKey, possession_text
from mlplatform.attest.statement import Subject, build_statement
from mlplatform.gates.result import Check, Gate, GateResult, Outcome

API = "/api/ml-platform"
ENVIRONMENT_FILES = {
    "pyproject.toml": b'[project]\nname = "wine"\nversion = "0.1.0"\n',
    "uv.lock": b"version = 1\n",
}
SPEC: dict[str, Any] = {
    "name": "wine",
    "description": "Which grower a wine is from.",
    "type": "realtime",
    "owner": "group:default/risk",
    "system": "system:default/cellar",
    "tier": 2,
    "costCentre": "CC-42",
    "data": [
        {
            "name": "wine-measurements",
            "uri": "sklearn://wine",
            "role": "evaluation",
            "classification": "public",
            "load": "wine.data:load",
        }
    ],
    "training": {"entrypoint": "wine.train:train"},
    "schema": {
        "inputs": [{"name": "alcohol", "type": "double"}, {"name": "hue", "type": "double"}],
        "outputs": [{"name": "prediction", "type": "long"}],
    },
    "validation": {
        "evaluator": "classifier",
        "dataset": "wine-measurements",
        "target": "grower",
        "thresholds": [{"metric": "accuracy_score", "minimum": 0.5}],
    },
}


@pytest.fixture(scope="session")
def empty_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's database as MLflow makes it, which takes it seconds: made once, copied into each home."""
    folder = tmp_path_factory.mktemp("mlflow")
    MlflowStore(None, folder).client()
    return folder / "mlflow.db"


@pytest.fixture
def settings(tmp_path: Path, database_url: str, empty_mlflow: Path) -> Settings:
    """Settings of a platform whose users are the usual people."""
    home = tmp_path / "home"
    (home / "mlflow").mkdir(parents=True)
    shutil.copyfile(empty_mlflow, home / "mlflow" / "mlflow.db")
    return make_settings(home, database_url)


def make_settings(home: Path, database_url: str | None, **sections: Any) -> Settings:
    people = {
        "ada": ["group:default/risk"],
        "grace": ["group:default/risk"],
        "edsger": ["group:default/search"],
        "operator": ["group:default/platform"],
    }
    users = [{"ref": f"user:default/{name}", "groups": groups} for name, groups in people.items()]
    return Settings.model_validate(
        {
            "home": str(home),
            "database": {"url": database_url},
            "identity": {"localIssuer": {"users": users}},
            "mlflow": {"embedded": False},
            # Nobody answers there: what listens on this machine's usual ports is none of a test's business.
            "ingress": {"port": 1, "adminPort": 2},
            **sections,
        }
    )


@pytest.fixture
def services(settings: Settings) -> Iterator[Services]:
    """The services without HTTP in front."""
    built = build_services(settings, SystemClock())
    yield built
    built.database.close()


@dataclass
class Someone:
    """Somebody with a token and a signing key."""

    http: TestClient
    ref: str
    token: str
    key: SigningKey = field(default_factory=SigningKey.generate)

    def get(self, path: str, **query: Any) -> Any:
        return self.http.get(f"{API}{path}", params=query, headers=self.headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.http.post(f"{API}{path}", json=body, headers={**self.headers, **headers})

    def delete(self, path: str) -> Any:
        return self.http.delete(f"{API}{path}", headers=self.headers)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def bind_key(self, repository: str | None = None) -> Any:
        return self.post("/identity/signing-keys", self.key_binding(self.key, repository))

    def key_binding(self, key: SigningKey, repository: str | None = None) -> dict[str, Any]:
        proof = key.sign(possession_text(self.ref, repository))
        public, signed = (base64.b64encode(raw).decode() for raw in (key.public_bytes, proof))
        return {"publicKey": public, "proof": signed, "repository": repository}

    def events(self, **query: Any) -> list[dict[str, Any]]:
        """The audit events that match, oldest first."""
        return [item["event"] for item in self.get("/audit/events", limit=500, **query).json()["items"]]

    def register(self, model: "Trained", *, name: str | None = None, **changes: Any) -> Any:
        """Register a trained model; ``changes`` replace top members of the manifest."""
        manifest = {**model.manifest(), **changes}
        return self.http.post(
            f"{API}/registry/models/{name or model.spec['name']}/versions",
            files={
                "manifest": ("manifest.json", json.dumps(manifest), "application/json"),
                "bundle": ("bundle.tar", model.bundle(), "application/x-tar"),
            },
            headers=self.headers,
        )


@dataclass
class Backend:
    """A running backend."""

    http: TestClient
    services: Services

    def someone(self, name: str) -> Someone:
        return self._signed_in(f"user:default/{name}", user=f"user:default/{name}")

    def repository(self, id: str, on_behalf_of: str | None = None) -> Someone:
        if on_behalf_of is None:
            return self._signed_in(f"repository:{id}", repository=id)
        return self._signed_in(f"repository:{id}", repository=id, user=on_behalf_of)

    def _signed_in(self, ref: str, **who: str) -> Someone:
        local = self.services.identity.local
        assert local is not None
        body = {"secret": local.secret_file.read_text(), **who}
        answer = self.http.post(f"{API}/identity/token", json=body)
        assert answer.status_code == 200, answer.text
        return Someone(self.http, ref, answer.json()["accessToken"])


@pytest.fixture
def backend(settings: Settings) -> Iterator[Backend]:
    """The app over HTTP, as a client sees it."""
    app = create_app(settings)
    # Problem details of unexpected errors are looked at, so they must not be raised into the test.
    with TestClient(app, raise_server_exceptions=False) as http:
        yield Backend(http, app.state.services)


@pytest.fixture
def ada(backend: Backend) -> Someone:
    return backend.someone("ada")


@dataclass
class Trained:
    """A trained model's build folder, and how it is registered."""

    folder: Path
    spec: dict[str, Any]
    repository: str = "local/wine"
    commit: str = "a" * 40
    files: dict[str, bytes] = field(default_factory=lambda: dict(ENVIRONMENT_FILES))
    attestations: list[dict[str, Any]] = field(default_factory=list)
    metrics: dict[str, float] = field(default_factory=lambda: {"accuracy_score": 0.9})

    @property
    def digest(self) -> str:
        return artefact_digest(self.folder)

    @property
    def spec_file(self) -> bytes:
        text = io.BytesIO()
        YAML(typ="safe", pure=True).dump(self.spec, text)
        return text.getvalue()

    def manifest(self) -> dict[str, Any]:
        return {
            "modelDigest": self.digest,
            "spec": self.spec,
            "attestations": self.attestations,
            "training": {
                "modelDigest": self.digest,
                "metrics": self.metrics,
                "params": {"C": 1.0, "solver": "lbfgs", "iterations": 100},
                "startedAt": "2026-03-01T12:00:00Z",
                "finishedAt": "2026-03-01T12:00:02Z",
                "data": [
                    {"name": "wine-measurements", "uri": "sklearn://wine", "rows": 178, "digest": {"sha256": "b" * 64}}
                ],
                "git": {"commit": self.commit, "repository": self.repository, "dirty": False},
                "lockDigest": hashlib.sha256(self.files["uv.lock"]).hexdigest(),
                "python": "3.11.7",
            },
        }

    def bundle(self) -> bytes:
        """The tar of model/ and environment/."""
        sink = io.BytesIO()
        with tarfile.open(fileobj=sink, mode="w") as archive:
            archive.add(self.folder, "model")
            for name, content in {**self.files, "model.yaml": self.spec_file}.items():
                info = tarfile.TarInfo(f"environment/{name}")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        return sink.getvalue()

    def attest(self, signer: Someone, gate: Gate, outcome: Outcome = Outcome.PASSED, **said: str) -> dict[str, Any]:
        """Return a signed attestation about this artefact; ``said`` replaces what the subject says."""
        checks = [Check(name=f"{gate}.all", outcome=outcome, message="looked at it")]
        now = datetime.now(UTC)
        result = GateResult(
            gate=gate, outcome=outcome, summary=f"{gate} {outcome}", checks=checks, started_at=now, finished_at=now
        )
        subject = Subject(
            model=self.spec["name"],
            digest=self.digest,
            repository=self.repository,
            commit=self.commit,
            lock_digest=hashlib.sha256(self.files["uv.lock"]).hexdigest(),
            spec_digest=hashlib.sha256(self.spec_file).hexdigest(),
        )
        standard = gate in {Gate.SCHEMA, Gate.THRESHOLDS, Gate.PII}
        statement = build_statement(result, replace(subject, **said), None if standard else {"standard": "body"})
        return dsse.sign(statement, signer.key)


@pytest.fixture(scope="session")
def wine_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real scikit-learn model, as MLflow saves it with a signature."""
    import mlflow.sklearn
    from mlflow.models import infer_signature
    from sklearn.datasets import load_wine
    from sklearn.linear_model import LogisticRegression

    frame = load_wine(as_frame=True)
    inputs = frame.data[["alcohol", "hue"]]
    model = LogisticRegression(max_iter=500).fit(inputs, frame.target)
    folder = tmp_path_factory.mktemp("wine") / "model"
    mlflow.sklearn.save_model(
        model,
        folder,
        signature=infer_signature(inputs, model.predict(inputs)),
        input_example=inputs.head(2),
        pip_requirements=["scikit-learn"],
    )
    return folder


@pytest.fixture
def trained(wine_model: Path, tmp_path: Path) -> Trained:
    """A trained model that a test may change."""
    folder = tmp_path / "build-model"
    shutil.copytree(wine_model, folder)
    return Trained(folder, json.loads(json.dumps(SPEC)))


@pytest.fixture
def retrained(wine_model: Path, tmp_path: Path) -> Callable[[str], Trained]:
    """Make further artefacts that differ from each other."""

    def make(mark: str) -> Trained:
        folder = tmp_path / f"build-{mark}"
        shutil.copytree(wine_model, folder)
        (folder / "note.txt").write_text(mark)
        return Trained(folder, json.loads(json.dumps(SPEC)), commit=hashlib.sha256(mark.encode()).hexdigest()[:40])

    return make
