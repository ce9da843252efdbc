"""What the embedded Backstage is told, and how it is started."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from backend.core.config import Settings
from backend.local.folders import Folders
from backend.local.portal import program
from backend.local.portal.build import PORTAL
from backend.local.ports import Needed


def settings(home: Path, **portal: Any) -> Settings:
    return Settings.model_validate(
        {"home": str(home), "backend": {"port": 7170}, "portal": {"enabled": True, "port": 7117, **portal}}
    )


def test_its_configuration_follows_from_the_platforms(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    told = program.derived(folders, settings(tmp_path))
    assert told["app"]["baseUrl"] == told["backend"]["baseUrl"] == "http://127.0.0.1:7117"
    assert told["backend"]["listen"] == {"host": "127.0.0.1", "port": 7117}
    assert told["backend"]["csp"] == {
        "upgrade-insecure-requests": False,
        "connect-src": ["'self'", "http://127.0.0.1:7170"],
    }
    assert told["discovery"]["endpoints"] == [
        {"target": "http://127.0.0.1:7170/api/ml-platform", "plugins": ["ml-platform"]}
    ]
    assert Path(told["backend"]["database"]["connection"]["directory"]).is_relative_to(folders.portal)
    assert program.needed_port(settings(tmp_path)) == Needed("127.0.0.1", 7117, "mlPlatform.portal.port")


def test_behind_tls_browsers_know_it_by_another_name(tmp_path: Path) -> None:
    wanted = settings(tmp_path, baseUrl="https://portal.example.org/").model_copy(
        update={"backend": settings(tmp_path).backend.model_copy(update={"base_url": "https://ml.example.org"})}
    )
    told = program.derived(Folders(tmp_path), wanted)
    assert told["app"]["baseUrl"] == told["backend"]["baseUrl"] == "https://portal.example.org"
    assert told["backend"]["listen"] == {"host": "127.0.0.1", "port": 7117}
    assert told["backend"]["csp"] == {"connect-src": ["'self'", "https://ml.example.org"]}


def test_it_is_written_for_its_owner_only(tmp_path: Path) -> None:
    folders, wanted = Folders(tmp_path / "home"), settings(tmp_path / "home")
    folders.make()
    program.write_config(folders, wanted)
    assert json.loads(folders.portal_config.read_text()) == program.derived(folders, wanted)
    assert stat.S_IMODE(folders.portal.stat().st_mode) == 0o700


def test_its_own_configuration_goes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = tmp_path / "node" / "bin" / "node"
    monkeypatch.setattr(program, "node", lambda: node)
    folders = Folders(tmp_path)
    started = program.program(folders, [tmp_path / "a.yaml", tmp_path / "b.yaml"])
    command = list(started.command)
    files = [command[place + 1] for place, word in enumerate(command) if word == "--config"]
    assert files == [str(tmp_path / "a.yaml"), str(tmp_path / "b.yaml"), str(folders.portal_config)]
    (path,) = [word for word in command if word.startswith("PATH=")]
    assert path.startswith(f"PATH={node.parent}:")
    assert started.directory == PORTAL / "packages" / "backend"
