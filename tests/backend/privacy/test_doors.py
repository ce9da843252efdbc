"""A real backend process: the story by the command line, and canary secrets that must be seen nowhere."""

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from mlplatform.deidentify.secrets import key_from
from mlplatform.deidentify.vault import EmbeddedVault
from mlplatform.gates.result import Gate
from tests.backend.conftest import API, Someone, Trained
from tests.key_services import GoogleCloud, Service, Vault
from tests.mlplatform.repositories import platform
from tests.ports import free_ports
from tests.waiting import wait_until

from .conftest import EMAIL, PERSON

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
PEOPLE = {"ada": "risk", "operator": "platform", "second": "platform"}


@dataclass
class Running:
    """A backend process, what was planted in its settings, and what it said."""

    url: str
    home: Path
    process: "subprocess.Popen[bytes]"
    output: Path
    canaries: dict[str, str]
    answers: list[str] = field(default_factory=list)

    def someone(self, name: str) -> Someone:
        ref = f"user:default/{name}"
        body = {"secret": (self.home / "identity/login-secret").read_text(), "user": ref}
        http: Any = httpx.Client(base_url=self.url, timeout=60, event_hooks={"response": [self._heard]})
        answer = httpx.post(f"{self.url}{API}/identity/token", json=body)
        return Someone(http, ref, answer.raise_for_status().json()["accessToken"])

    def _heard(self, response: httpx.Response) -> None:
        response.read()
        self.answers.append(response.text)

    def cli(self, name: str, *arguments: str, input: str | None = None, status: int = 0) -> Any:
        """Run a command as somebody, and return the JSON it prints."""
        environment = {
            **os.environ,
            "ML_PLATFORM_URL": self.url,
            "ML_PLATFORM_TOKEN": self.someone(name).token,
            "ML_PLATFORM_HOME": str(self.home.parent / "elsewhere"),
        }
        done = subprocess.run(
            [str(Path(sys.executable).with_name("platform")), *arguments],
            env=environment, input=input, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == status, done.stdout + done.stderr
        return json.loads(done.stdout) if "--json" in arguments and done.stdout else done.stdout + done.stderr


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("doors")
    vault, cloud = Vault(), GoogleCloud()
    canaries = {
        name: f"c4n4ry-{name}-{os.urandom(8).hex()}"
        for name in ("env", "file", "vault", "gcp", "lake", "broker", "database")
    }
    vault.secrets["kv/git"] = {"token": canaries["vault"]}
    cloud.secrets["projects/p/secrets/git/versions/latest"] = canaries["gcp"]
    services = [Service(vault), Service(cloud)]
    pem = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "app.pem").write_bytes(pem)
    canaries["private-key"] = pem.decode().splitlines()[5]
    for name in ("file", "broker"):
        (folder / name).write_text(f"{'user:' if name == 'broker' else ''}{canaries[name]}\n")
        (folder / name).chmod(0o600)
    (folder / "vault-token").write_text(Vault.TOKEN)
    canaries["vault-token"], canaries["gcp-token"] = Vault.TOKEN, GoogleCloud.TOKEN
    (port,) = free_ports(1)
    home = folder / "home"
    gitlab = {"kind": "gitlab", "org": "acme", "apiUrl": "http://127.0.0.1:1"}
    open_policy = {"policy": {"require": {gate.value: None for gate in Gate}}}
    settings = {
        "home": str(home),
        "backend": {"port": port},
        "database": {"password": "env:CANARY_DATABASE"},
        "mlflow": {"embedded": False},
        "ingress": {"port": 1, "adminPort": 2},
        "retention": {"schedule": None, "runs": None},
        "gitHosts": [
            {"kind": "embedded", "name": "local"},
            {**gitlab, "name": "one", "token": "env:CANARY_ENV"},
            {**gitlab, "name": "two", "token": f"file:{folder}/file"},
            {**gitlab, "name": "three", "token": "vault:kv/git#token"},
            {**gitlab, "name": "four", "token": "gcp-sm:projects/p/secrets/git"},
            {"kind": "github", "org": "acme", "appId": "1", "privateKey": f"file:{folder}/app.pem",
             "apiUrl": "http://127.0.0.1:1"},
        ],
        "environments": {
            "lab": {
                **open_policy,
                "lakeVariables": ["CANARY_LAKE"],
                "brokers": {"nats": {"url": "nats://127.0.0.1:1", "credentials": f"{folder}/broker"}},
            }
        },
        "secrets": {
            "vault": {"address": services[0].url, "token": f"file:{folder}/vault-token"},
            "gcp": {"endpoint": services[1].url, "metadata": services[1].url},
        },
        "encryption": {
            "formerKeys": [
                {"kind": "vault-transit", "address": services[0].url, "key": "k", "token": f"file:{folder}/vault-token"}
            ]
        },
        "identity": {
            "localIssuer": {
                "users": [
                    {"ref": f"user:default/{name}", "groups": [f"group:default/{group}"]} for name, group in PEOPLE.items()
                ]
            }
        },
    }  # fmt: skip
    config, output = folder / "app-config.yaml", folder / "output.log"
    config.write_text(json.dumps({"mlPlatform": settings}))
    environment = {
        **os.environ,
        "ML_PLATFORM_CONFIG": str(config),
        "CANARY_DATABASE": canaries["database"],
        "CANARY_ENV": canaries["env"],
        "CANARY_LAKE": canaries["lake"],
    }
    with output.open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "backend"], env=environment, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    made = Running(url, home, process, output, canaries)
    try:
        wait_until(lambda: _is_up(made), 280, output.read_text)
        yield made
    finally:
        process.terminate()
        process.wait(30)
        for service in services:
            service.close()


def _is_up(running: Running) -> bool:
    assert running.process.poll() is None, running.output.read_text()
    try:
        return httpx.get(f"{running.url}/healthz", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def _vault(folder: Path, monkeypatch: pytest.MonkeyPatch) -> EmbeddedVault:
    """Make a vault that holds the person in two domains, and somebody else."""
    monkeypatch.setenv("VAULT_KEY", "a key for nothing but tests")
    vault = EmbeddedVault(folder / "people.vault", key_from("env:VAULT_KEY"))
    vault.tokens("mail", [EMAIL, "x@example.com"])
    vault.tokens("id", [PERSON])
    return vault


def _reveal(running: Running, vault: EmbeddedVault, file: Path) -> None:
    """Values are revealed by whom the platform permits, for a purpose, and not past it any more."""
    (token,) = vault.tokens("mail", ["x@example.com"])
    reveal = ("data", "reveal", token, "--vault", str(file), "--key", "env:VAULT_KEY", "--domain", "mail")
    wanted = (*reveal, "--purpose", "subject-request", "--reason", "call back, case 81")
    assert "it may be" in running.cli("ada", *reveal, "--purpose", "curiosity", status=1)
    refused = running.cli("ada", *wanted, status=1)
    assert "may not reveal tokens that stand for sensitive-pii data" in refused
    asks = "platform access request reveal classification:sensitive-pii --purpose subject-request"
    assert asks in refused
    assert vault.accesses() == []
    request = ("access", *asks.split()[2:], "--for", "1h", "--reason", "somebody has to be called back", "--json")
    grant = running.cli("ada", *request)
    running.cli("operator", "access", "approve", grant["id"])
    assert running.cli("ada", *wanted, "--json")["values"] == [{"token": token, "value": "x@example.com"}]
    (access,) = vault.accesses()
    assert (access.who, access.purpose) == ("user:default/ada", "subject-request: call back, case 81")
    operator = running.someone("operator")
    (told,) = operator.events(type="ml-platform.privacy.vault.revealed")
    assert (told["actor"], told["data"]["tokens"], told["data"]["access"]["grant"]) == (
        "user:default/ada",
        1,
        grant["id"],
    )
    assert len(operator.events(type="ml-platform.privacy.vault.refused")) == 1
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ML_PLATFORM")}
    alone = platform(*wanted, folder=file.parent, environment={**environment, "ML_PLATFORM_HOME": str(file.parent)})
    assert (alone.status, f"belongs to the platform {running.url}" in alone.err) == (1, True)
    assert len(vault.accesses()) == 1


def test_the_story_by_the_command_line(running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logs = running.home / "logs" / "models" / "lab" / "wine"
    logs.mkdir(parents=True)
    (logs / "v1-r0.log").write_text(f"scored {PERSON}\nscored C-1\n")
    (logs / "v1-r0.log.1").write_text("old\n")
    os.utime(logs / "v1-r0.log.1", (time.time() - 900 * 86400,) * 2)
    exports = running.home / "lake" / "lab" / "exports"
    exports.mkdir(parents=True)
    (exports / "people.csv").write_text(f"id,mail\nC-1,x@example.com\nC-2,{EMAIL}\n")
    person = tmp_path / "person.txt"
    person.write_text(f"{PERSON}\n\n{EMAIL}\n")

    hold = running.cli("operator", "retention", "hold", "kind:log", "--reason", "an audit", "--json")
    assert "an audit" in running.cli("operator", "retention", "holds")
    listed = running.cli("operator", "retention", "run", "--dry-run", "--json")
    assert [(item["name"], item["state"]) for item in listed["items"]] == [("models/lab/wine/v1-r0.log.1", "kept")]
    found = running.cli("operator", "privacy", "find", "--subject-file", str(person), "--reason", "asked", "--json")
    assert (found["state"], found["found"]) == ("found", 2)
    refused = running.cli("operator", "privacy", "erase", found["id"], "--reason", "asked", status=1)
    assert "kind:log is held since" in refused
    assert "platform retention release" in refused
    running.cli("operator", "retention", "release", hold["id"], "--reason", "audit over")
    vault = _vault(tmp_path, monkeypatch)
    _reveal(running, vault, tmp_path / "people.vault")
    forget = ("data", "forget", found["id"], "--vault", str(tmp_path / "people.vault"), "--key", "env:VAULT_KEY")
    forget += ("--subject-file", str(person))
    assert "Ask for the erasure first" in running.cli("operator", *forget, status=1)
    running.cli("operator", "privacy", "erase", found["id"], "--reason", "asked")
    assert "It waits for somebody else" in running.cli("operator", *forget, status=1)
    assert vault.holds("mail", EMAIL)
    assert "somebody else" in running.cli(
        "operator", "privacy", "confirm", found["id"], "--reason", "it is right", status=1
    )
    done = running.cli("second", "privacy", "confirm", found["id"], "--reason", "checked", "--json")
    assert (done["state"], done["remaining"]) == ("erased", 0)
    assert "may not" in running.cli("ada", *forget, status=1)
    assert vault.holds("mail", EMAIL)
    gone = running.cli("operator", *forget, "--json")
    assert gone["forgotten"] == 2
    assert [vault.holds("mail", value) for value in (EMAIL, "x@example.com")] == [False, True]
    assert not vault.holds("id", PERSON)
    shown = running.cli("operator", "privacy", "show", found["id"], "--json")
    (in_vault,) = [one for one in shown["findings"] if one["kind"] == "token"]
    assert (in_vault["location"], in_vault["found"], in_vault["remaining"]) == (gone["vault"], 2, 0)
    assert "destroyed by user:default/operator" in in_vault["reason"]
    (event,) = running.someone("operator").events(type="ml-platform.privacy.subject.vault.forgotten")
    assert (event["data"]["vault"], event["data"]["tokens"]) == (gone["vault"], 2)
    assert (exports / "people.csv").read_text() == "id,mail\nC-1,x@example.com\n"
    assert "scored C-1" in (logs / "v1-r0.log").read_text()
    again = running.cli(
        "operator", "privacy", "find", "--subject-file", "-", "--reason", "asked", "--json", input=person.read_text()
    )
    assert again["state"] == "nothing_found"
    assert done["id"] in running.cli("operator", "privacy", "requests")
    run = running.cli("operator", "retention", "run", "--json")
    assert [(item["name"], item["state"]) for item in run["items"]] == [("models/lab/wine/v1-r0.log.1", "deleted")]
    signed = running.cli("operator", "retention", "certificates", done["certificate"], "--json")
    assert signed["valid"]
    assert f"subject-request:{done['id']}" in running.cli("operator", "retention", "certificates")
    rotated = running.cli("operator", "keys", "rotate", "--reason", "yearly", "--wait", "--json")
    assert (rotated["state"], rotated["done"]) == ("done", rotated["total"])
    assert "subject-index" in running.cli("operator", "keys", "list")
    assert "valid" in running.cli("operator", "audit", "verify")


def test_wrong_usage_is_one_line_with_a_fix(running: Running, tmp_path: Path) -> None:
    empty = tmp_path / "empty.txt"
    empty.write_text("\n \n")
    asked = ("privacy", "find", "--reason", "asked", "--subject-file")
    assert "write one a line" in running.cli("operator", *asked, str(empty), status=1)
    assert "can't be read" in running.cli("operator", *asked, str(tmp_path / "none"), status=1)
    empty.write_text("Bo\n")
    assert "identifiers/0: has fewer than 5" in running.cli("operator", *asked, str(empty), status=1)
    running.cli("operator", "privacy", "find", "--reason", "asked", status=2)
    assert "there is no model" in running.cli(
        "operator", "retention", "hold", "model:unknown", "--reason", "asked", status=1
    )
    assert "may not delete" in running.cli("ada", "retention", "run", status=1)


def test_no_canary_is_seen_anywhere(running: Running, wine_model: Path, tmp_path: Path) -> None:
    """Secrets of every place that takes one, looked for in logs, answers, databases, files and process arguments."""
    import shutil

    from tests.backend.conftest import SPEC

    ada, operator = running.someone("ada"), running.someone("operator")
    shutil.copytree(wine_model, tmp_path / "model")
    trained = Trained(tmp_path / "model", json.loads(json.dumps(SPEC)))
    assert ada.bind_key().status_code == 200
    trained.attestations = [trained.attest(ada, Gate.PII), trained.attest(ada, Gate.SCHEMA)]
    assert ada.register(trained).status_code == 201
    for host in ("one", "two", "three", "four", "github"):
        body = {"name": f"m-{host}", "template": "golden-path", "host": host, "data": {}}
        operator.post("/scaffolds", body)
    operator.post("/privacy/keys/rotations", {"reason": "yearly"})
    operator.post("/privacy/retention/runs", {"dryRun": True})
    operator.http.get(f"{API}/identity/me", headers={"Authorization": "Bearer wrong"})
    document = operator.http.get("/openapi.json").json()
    plain = [path for path, methods in document["paths"].items() if "get" in methods and "{" not in path]
    statuses = [operator.http.get(path, headers=operator.headers).status_code for path in plain if "stream" not in path]
    assert statuses.count(200) > 15
    wait_until(lambda: operator.get("/privacy/keys/rotations").json()["items"][0]["state"] == "done", 60)

    login = (running.home / "identity/login-secret").read_text().strip()
    keyset = json.loads((running.home / "encryption/key").read_text())
    material = [key["keyData"]["value"] for key in keyset["key"]]
    own = {**running.canaries, "login": login, "token": operator.token, **dict(enumerate(material))}
    needles = [form for value in own.values() for form in _forms(value)]
    lawful = {running.home / "identity/login-secret", running.home / "encryption/key"}
    assert all((path.stat().st_mode & 0o077) == 0 for path in lawful)
    seen = {"output": running.output.read_bytes(), "answers": "\n".join(running.answers).encode()}
    seen |= {str(path): path.read_bytes() for path in running.home.rglob("*") if path.is_file() and path not in lawful}
    seen |= {str(path): _cmdline(path) for path in Path("/proc").glob("[0-9]*/cmdline")}
    # The search is able to find something: what is known to be there.
    assert any(b"wine-measurements" in text for name, text in seen.items() if "platform.db" in name)
    assert any(b"-m\0backend" in text for text in seen.values())
    found = {(name, needle[:12]) for name, text in seen.items() for needle in needles if needle in text}
    assert found == set()


def _forms(value: str) -> list[bytes]:
    """A secret as it is, and as it would be hidden."""
    raw = value.encode()
    return [raw, base64.b64encode(raw).rstrip(b"=")[:-2], raw.hex().encode()]


def _cmdline(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
