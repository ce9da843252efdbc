"""Secrets by reference: fetched from where they are, and told about without a value."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.core.config import Settings, load_settings
from backend.core.config_files import ConfigError
from tests.key_services import GoogleCloud, Service, Vault

CANARY = "c4n4ry-value"
HOST = "gitHosts: [{kind: gitlab, org: acme, token: '%s'}]"


@pytest.fixture
def vault() -> Iterator[Service]:
    server = Vault()
    server.secrets["kv/ml/git"] = {"token": CANARY}
    service = Service(server)
    yield service
    service.close()


@pytest.fixture
def gcp() -> Iterator[Service]:
    cloud = GoogleCloud()
    cloud.secrets["projects/p/secrets/git/versions/latest"] = CANARY
    cloud.secrets["projects/p/secrets/git/versions/3"] = json.dumps({"token": CANARY})
    service = Service(cloud)
    yield service
    service.close()


def load(tmp_path: Path, reference: str, *more: str, env: dict[str, str] | None = None) -> Settings:
    file = tmp_path / "app-config.yaml"
    file.write_text("mlPlatform:\n" + "\n".join(f"  {line}" for line in (HOST % reference, *more)))
    return load_settings([file], env or {})


def token(settings: Settings) -> str:
    host = settings.git_hosts[0]
    assert host.kind == "gitlab"
    assert CANARY not in repr(settings) + settings.model_dump_json() + str(settings.model_dump())
    return host.token.get_secret_value()


def fault(tmp_path: Path, reference: str, *more: str, env: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, reference, *more, env=env)
    (only,) = caught.value.faults
    assert CANARY not in only
    return only


def test_of_environment_and_file(tmp_path: Path) -> None:
    assert token(load(tmp_path, "env:GIT", env={"GIT": CANARY})) == CANARY
    (tmp_path / "secret").write_text(f"{CANARY}\n")
    assert token(load(tmp_path, f"file:{tmp_path}/secret")) == CANARY


def test_of_vault_whose_token_is_a_reference_itself(tmp_path: Path, vault: Service) -> None:
    store = f"secrets: {{vault: {{address: '{vault.url}', token: env:VAULT_TOKEN}}}}"
    env = {"VAULT_TOKEN": Vault.TOKEN}
    assert token(load(tmp_path, "vault:kv/ml/git#token", store, env=env)) == CANARY
    assert "has no text under other" in fault(tmp_path, "vault:kv/ml/git#other", store, env=env)
    assert "Vault (mlPlatform.secrets.vault) answers 404" in fault(tmp_path, "vault:kv/none#token", store, env=env)
    stale = fault(tmp_path, "vault:kv/ml/git#token", store, env={"VAULT_TOKEN": f"{CANARY}-stale"})
    assert "answers 403" in stale
    assert "mlPlatform.gitHosts[0]" in stale
    assert "VAULT_TOKEN is not set" in fault(tmp_path, "env:X", store, env={"X": "x"})


def test_of_google_secret_manager(tmp_path: Path, gcp: Service) -> None:
    store = f"secrets: {{gcp: {{endpoint: '{gcp.url}', metadata: '{gcp.url}'}}}}"
    assert token(load(tmp_path, "gcp-sm:projects/p/secrets/git", store)) == CANARY
    assert token(load(tmp_path, "gcp-sm:projects/p/secrets/git/versions/3#token", store)) == CANARY
    assert "answers 404" in fault(tmp_path, "gcp-sm:projects/p/secrets/none", store)
    assert "write gcp-sm:projects" in fault(tmp_path, "gcp-sm:git", store)
    assert "is no JSON object" in fault(tmp_path, "gcp-sm:projects/p/secrets/git#token", store)


def test_of_aws_secrets_manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from moto import mock_aws

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    store = "secrets: {aws: {region: eu-central-1}}"
    with mock_aws():
        import boto3

        client = boto3.client("secretsmanager", region_name="eu-central-1")
        client.create_secret(Name="ml/git", SecretString=json.dumps({"token": CANARY}))
        client.create_secret(Name="ml/raw", SecretBinary=b"\x00")
        assert token(load(tmp_path, "aws-sm:ml/git#token", store)) == CANARY
        assert "ResourceNotFoundException" in fault(tmp_path, "aws-sm:none", store)
        assert "is binary" in fault(tmp_path, "aws-sm:ml/raw", store)


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("env:MISSING", "MISSING is not set"),
        ("file:relative/path", "write an absolute path"),
        ("file:/nowhere/at/all", "can't be read: No such file"),
        ("vault:kv/x#y", "set mlPlatform.secrets.vault.address"),
    ],
)
def test_what_can_not_be_had_is_told_with_file_key_and_fix(tmp_path: Path, reference: str, said: str) -> None:
    found = fault(tmp_path, reference)
    assert found.startswith(f"{tmp_path}/app-config.yaml: mlPlatform.gitHosts[0]")
    assert reference in found
    assert said in found


def test_the_database_password_goes_into_the_url_and_nowhere_else(tmp_path: Path) -> None:
    database = "database: {url: 'postgresql://ml@db/ml', password: 'env:DB'}"
    settings = load(tmp_path, "env:GIT", database, env={"GIT": "x", "DB": f"{CANARY}/@:"})
    assert settings.database_url == "postgresql+psycopg://ml:c4n4ry-value%2F%40%3A@db/ml"
    assert settings.workflows_url == settings.database_url
    assert CANARY not in repr(settings) + settings.model_dump_json()


def test_an_error_of_the_settings_shows_no_value() -> None:
    host = {"kind": "gitlab", "org": "acme", "token": CANARY}
    with pytest.raises(ValueError, match="each needs a name of its own") as caught:
        Settings.model_validate({"gitHosts": [host, host]})
    assert CANARY not in str(caught.value)
