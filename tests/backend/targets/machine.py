"""A whole serving machine in a temporary folder: real supervisord, real Envoy, small model servers."""

import hashlib
import http.client
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from backend.core.config import Settings
from backend.deployments.targets.base import ReplicaSetSpec, ReplicaState, Route, VersionKey
from backend.deployments.targets.local.keeper import ServerSettings
from backend.deployments.targets.local.supervisor import render_config
from backend.deployments.targets.local.target import LAUNCHER, LocalTarget
from backend.local.folders import Folders
from backend.local.platform import ENVOY, LocalPlatform, programs, write_text
from mlplatform.spec.model import ModelSpec
from tests.backend.bytecode import share_bytecode
from tests.ports import free_ports
from tests.waiting import wait_until

STUB = Path(__file__).with_name("stub_server.py")
SPEC = ModelSpec.model_validate(
    {
        "name": "wine",
        "type": "realtime",
        "owner": "group:default/risk",
        "costCentre": "cc-1",
        "data": [{"name": "wine-data", "uri": "file/wine", "classification": "public", "load": "wine.data:load"}],
        "training": {"entrypoint": "wine.train:train"},
        "schema": {
            "inputs": [{"name": "alcohol", "type": "double", "minimum": 0, "maximum": 20}],
            "outputs": [{"name": "prediction", "type": "double", "minimum": 0}],
        },
        "validation": {
            "evaluator": "classifier",
            "dataset": "wine-data",
            "target": "class",
            "thresholds": [{"metric": "accuracy_score", "minimum": 0.5}],
        },
        "serving": {"requestTimeout": "1s", "drainTimeout": "3s", "startupTimeout": "20s"},
    }
)
BODY = json.dumps({"inputs": [{"name": "alcohol", "shape": [1, 1], "datatype": "FP64", "data": [12.5]}]})


def wait_for(what: Callable[[], Any], seconds: float = 15.0) -> Any:
    return wait_until(what, seconds)


@dataclass
class Answer:
    status: int
    version: str | None
    text: str
    content_type: str

    @property
    def document(self) -> Any:
        return json.loads(self.text)


@dataclass
class Machine:
    """One serving machine and the target that drives it."""

    settings: Settings
    target: LocalTarget
    platform: LocalPlatform
    artefacts: Path
    specs: dict[VersionKey, ReplicaSetSpec] = field(default_factory=dict)

    @property
    def folders(self) -> Folders:
        return self.platform.folders

    def another_target(self) -> LocalTarget:
        """As after a restart of the backend: nothing is known but what is on disk."""
        return LocalTarget(self.folders, stub_servers(self.settings), admin_port=self.settings.ingress.admin_port)

    def spec(self, version: int, *, model: str = "wine", replicas: int = 1, **behaviour: Any) -> ReplicaSetSpec:
        folder = self.artefacts / f"{model}-{version}"
        (folder / "model").mkdir(parents=True)
        (folder / "environment").mkdir()
        (folder / "model" / "behaviour.json").write_text(json.dumps(behaviour))
        (folder / "model" / "input_example.json").write_text(json.dumps({"columns": ["alcohol"], "data": [[13.0]]}))
        (folder / "environment" / "uv.lock").write_text("version = 1\n")
        (folder / "environment" / "model.yaml").write_text("name: wine\n")
        key = VersionKey("production", model, version)
        digest = hashlib.sha256(str(folder).encode()).hexdigest()
        spec = SPEC.model_copy(update={"name": model})
        return ReplicaSetSpec(key=key, digest=digest, artefact_dir=folder, spec=spec, replicas=replicas)

    def spec_key(self, version: int, model: str = "wine") -> VersionKey:
        return VersionKey("production", model, version)

    def run(self, version: int, **options: Any) -> VersionKey:
        """Start a version and wait until all of its replicas are ready."""
        spec = self.spec(version, **options)
        self.target.start(spec)
        self.until(spec.key, "ready", spec.replicas)
        return spec.key

    def until(self, key: VersionKey, state: str, count: int = 1, seconds: float = 15) -> list[ReplicaState]:
        def reached() -> list[ReplicaState]:
            found = [replica for replica in self.target.replicas(key) if replica.state == state]
            return found if len(found) == count else []

        found: list[ReplicaState] = wait_for(reached, seconds)
        return found

    def until_gone(self, key: VersionKey, seconds: float = 15) -> None:
        wait_for(lambda: not self.target.replicas(key), seconds)

    def pid(self, program: str) -> int:
        return int(wait_for(lambda: self.platform.states()[program].pid))

    def infer(self, path: str = "/production/wine", **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.settings.ingress.port, timeout=15)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("POST", f"{path}/v2/models/wine/infer", BODY, named)
        response = connection.getresponse()
        answer = Answer(
            response.status,
            response.getheader("x-model-version"),
            response.read().decode(),
            response.getheader("content-type") or "",
        )
        connection.close()
        return answer


def route(*weights: tuple[int, int], **options: Any) -> Route:
    chosen = {"mirror": None, "warm": (), "request_timeout": timedelta(seconds=1), "model": "wine", **options}
    return Route(environment="production", weights=weights, **chosen)


def stub_servers(settings: Settings) -> ServerSettings:
    return ServerSettings(
        launcher=LAUNCHER,
        port_range=settings.serving.port_range,
        command=(sys.executable, "-u", str(STUB)),
        log_bytes=20_000,
        log_backups=2,
    )


@contextmanager
def serving_machine(name: str = "home", **sections: Any) -> Iterator[Machine]:
    """Start supervisord and Envoy in a fresh folder; stop everything in the end."""
    root = Path(tempfile.mkdtemp(prefix="mlp-"))
    port, admin_port, backend_port, first = free_ports(4)
    settings = Settings.model_validate(
        {
            "home": str(root / name),
            "ingress": {"port": port, "adminPort": admin_port},
            "backend": {"port": backend_port},
            "serving": {"portRange": [first, min(first + 200, 65_535)]},
            **sections,
        }
    )
    platform = LocalPlatform(Folders(settings.home))
    platform.folders.make()
    share_bytecode(settings.home)
    target = LocalTarget(platform.folders, stub_servers(settings), admin_port=admin_port)
    try:
        start_without_backend(platform, settings)
        wait_for(lambda: platform.states().get(ENVOY) and target.acknowledged())
        yield Machine(settings, target, platform, root / "artefacts")
    finally:
        target.close()
        platform.stop_kept(lambda _: None)
        platform.stop_orphans(lambda _: None)
        shutil.rmtree(root)


def start_without_backend(platform: LocalPlatform, settings: Settings) -> None:
    platform.prepare(settings, [])
    only_envoy = [program for program in programs(platform.folders, settings, []) if program.name == ENVOY]
    write_text(platform.folders.supervisor_config, render_config(platform.folders, only_envoy))
    platform.start_keeper([])
