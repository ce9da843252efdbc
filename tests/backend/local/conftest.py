import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from backend.core.config import Settings, load_settings
from backend.deployments.targets.local.target import LocalTarget
from backend.local import cli_api
from backend.local.cli_api import UpResult
from backend.local.folders import Folders
from tests.backend.targets.machine import STUB
from tests.ports import free_ports


@dataclass
class Install:
    """A HOME and a configuration with free ports, and what ``up`` and ``down`` said."""

    home: Path
    config: Path
    said: list[str] = field(default_factory=list)

    def up(self, **options: Any) -> UpResult:
        self.said.clear()
        return cli_api.up(home=self.home, configs=[self.config], wait=options.get("wait", True), echo=self.said.append)

    def down(self, **options: Any) -> None:
        self.said.clear()
        cli_api.down(home=self.home, echo=self.said.append, **options)

    @property
    def settings(self) -> Settings:
        return load_settings([self.config], {"ML_PLATFORM_HOME": str(self.home)})

    @property
    def folders(self) -> Folders:
        return Folders(self.settings.home)

    def target(self) -> LocalTarget:
        return LocalTarget.from_settings(self.settings)

    def configure(self, **sections: Any) -> None:
        section = json.loads(self.config.read_text())["mlPlatform"]
        self.config.write_text(json.dumps({"mlPlatform": {**section, **sections}}))


@pytest.fixture
def install() -> Iterator[Install]:
    root = Path(tempfile.mkdtemp(prefix="mlp-"))
    backend, ingress, admin, first = free_ports(4)
    config = root / "app-config.yaml"  # JSON is YAML
    sections = {
        "backend": {"port": backend},
        "ingress": {"port": ingress, "adminPort": admin},
        "serving": {
            "portRange": [first, min(first + 100, 65_535)],
            "command": [sys.executable, "-u", str(STUB)],
        },
        "mlflow": {"embedded": False},
    }
    config.write_text(json.dumps({"mlPlatform": sections}))
    one = Install(root / "home", config)
    try:
        yield one
    finally:
        for home in {one.home, *(path for path in root.iterdir() if (path / "run").is_dir())}:
            cli_api.down(home=home, echo=one.said.append)
            assert cli_api.leftovers(home) == []
        shutil.rmtree(root)
