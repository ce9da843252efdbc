"""What configuration is read, and what is said about a wrong one."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from backend.core.config import Settings, load_settings
from backend.core.config_files import ConfigError
from mlplatform.gates.result import Gate, Outcome

ROOT = Path(__file__).parents[3]


def load(tmp_path: Path, *texts: str, env: dict[str, str] | None = None) -> Settings:
    paths = []
    for number, text in enumerate(texts):
        paths.append(tmp_path / f"app-config.{number}.yaml")
        paths[-1].write_text(text)
    return load_settings(paths, env or {})


def faults(tmp_path: Path, *texts: str, env: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, *texts, env=env)
    return [fault.replace(f"{tmp_path}/", "") for fault in caught.value.faults]


def test_the_file_of_the_repository_says_the_defaults() -> None:
    written = load_settings([ROOT / "app-config.yaml"], {}).model_dump()
    default = Settings().model_dump()
    people = written["identity"]["local_issuer"].pop("users")
    assert default["identity"]["local_issuer"].pop("users") == []
    assert {person["ref"] for person in people} >= {"user:default/ada", "user:default/grace"}
    assert (default["portal"].pop("enabled"), written["portal"].pop("enabled")) == (False, True)
    assert written == default


def test_objects_merge_and_everything_else_is_replaced(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        "mlPlatform: {backend: {port: 1111, host: '::1'}, permissions: {breakGlass: [group:default/a, group:default/b]}}",
        "mlPlatform: {backend: {port: 2222}, permissions: {breakGlass: [group:default/c]}}",
        "{}",
    )
    assert (settings.backend.port, settings.backend.host) == (2222, "::1")
    assert settings.permissions.break_glass == ["group:default/c"]


def test_sections_of_others_are_not_looked_at(tmp_path: Path) -> None:
    text = "app: {title: '${NOT_SET}'}\nbackend: {listen: {port: nonsense}}\nmlPlatform: {backend: {port: 1111}}"
    assert load(tmp_path, text).backend.port == 1111


def test_variables_defaults_and_escapes(tmp_path: Path) -> None:
    text = """mlPlatform:
  backend: {port: "${PORT}", host: "${HOST:-127.0.0.1}", baseUrl: "http://$${x}.${DOMAIN}"}
  identity: {audience: {$env: AUDIENCE}}
  mlflow: {trackingUri: {$file: uri.txt}}
"""
    (tmp_path / "uri.txt").write_text("http://mlflow.example\n")
    settings = load(tmp_path, text, env={"PORT": "1234", "HOST": "", "DOMAIN": "example.org", "AUDIENCE": "us"})
    assert (settings.backend.port, settings.backend.host) == (1234, "127.0.0.1")
    assert settings.backend.base_url == "http://${x}.example.org"
    assert (settings.identity.audience, settings.mlflow.tracking_uri) == ("us", "http://mlflow.example")


WRONG: list[tuple[list[str], list[str]]] = [
    (["{bakend: {}}"], ["0: mlPlatform.bakend: unknown key; accepted here: access, audit, backend, batch,"]),
    (
        ["{}", "{backend: {prot: 1}}"],
        ["1: mlPlatform.backend.prot: unknown key; accepted here: allowedOrigins, baseUrl, host, port"],
    ),
    (["{backend: {port: 99999}}"], ["0: mlPlatform.backend.port: Input should be less than or equal to 65535"]),
    (["{backend: {port: '${PORT}'}}"], ["0: mlPlatform.backend.port: the environment variable PORT is not set"]),
    (["{backend: {host: '${1x}'}}"], ["0: mlPlatform.backend.host: '${1x}' is no variable"]),
    (["{rollouts: {pollInterval: soon}}"], ["0: mlPlatform.rollouts.pollInterval: 'soon' is not a duration"]),
    (["{database: {url: 'oracle://x'}}"], ["0: mlPlatform.database.url: not a database URL"]),
    (
        ["{identity: {issuers: [{issuer: x, jwksUri: 'http://x', kind: saml}]}}"],
        [
            "0: mlPlatform.identity.issuers[0].kind: Input should be 'backstage', 'github', 'gitlab', 'kubernetes' or 'oidc'"
        ],
    ),
    (
        ["{environments: {production: {policy: {require: {pii: [pased]}}}}}"],
        ["0: mlPlatform.environments.production.policy.require.pii[0]: Input should be 'passed', 'failed'"],
    ),
    (
        ["{environments: {production: {policy: {require: {piii: [passed]}}}}}"],
        ["0: mlPlatform.environments.production.policy.require.piii: Input should be 'schema'"],
    ),
    (
        ["{environments: {production: {policy: {require: {pii: []}}}}}"],
        ["0: mlPlatform.environments.production.policy.require: pii accepts no outcome"],
    ),
    (["{environments: {Prod: {}}}"], ["0: mlPlatform.environments.Prod: String should match pattern"]),
    (["{serving: {portRange: [5, 4]}}"], ["0: mlPlatform.serving.portRange: write [first, last]"]),
    (
        ["{backend: {port: 8080}}"],
        [
            "0: mlPlatform: backend.port 8080, ingress.port 8080, ingress.adminPort 9901, nats.port 4222: ports must differ"
        ],
    ),
    (
        ["{portal: {enabled: true, port: 7070}}"],
        [
            "0: mlPlatform: backend.port 7070, ingress.port 8080, ingress.adminPort 9901, nats.port 4222, portal.port 7070: ports"
        ],
    ),
    (["[1]"], ["0: mlPlatform: must be an object"]),
    (["{a: 1, a: 2}"], ["0:1:20: not valid YAML"]),
    (["{"], ["0:1:14: not valid YAML"]),
    (["{backend: {port: x}, ingress: {port: y}}"], ["0: mlPlatform.backend.port: I", "0: mlPlatform.ingress.port: I"]),
]


@pytest.mark.parametrize(("sections", "wanted"), WRONG)
def test_what_is_wrong_is_named_by_file_and_key(tmp_path: Path, sections: list[str], wanted: list[str]) -> None:
    said = faults(tmp_path, *(f"mlPlatform: {section}" for section in sections))
    assert len(said) == len(wanted), said
    for one, start in zip(said, wanted, strict=True):
        assert one.replace("app-config.", "").replace(".yaml", "").startswith(start), one


def test_a_file_that_is_no_object_is_named(tmp_path: Path) -> None:
    assert faults(tmp_path, "[1]") == ["app-config.0.yaml: must be an object with the section `mlPlatform`"]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"missing\.yaml: can't be read: No such file"):
        load_settings([tmp_path / "missing.yaml"], {})


@pytest.mark.parametrize(
    ("require", "gates"),
    [
        ({}, {gate: [Outcome.PASSED] for gate in Gate}),
        ({"pii": None}, {gate: [Outcome.PASSED] for gate in Gate if gate is not Gate.PII}),
        (
            {"sbom": ["passed", "not_evaluated"]},
            {gate: [Outcome.PASSED] for gate in Gate} | {Gate.SBOM: [Outcome.PASSED, Outcome.NOT_EVALUATED]},
        ),
    ],
)
def test_a_gate_that_a_policy_does_not_name_must_have_passed(require: Any, gates: Any) -> None:
    settings = Settings.model_validate({"environments": {"production": {"policy": {"require": require}}}})
    assert settings.environments["production"].policy.require == gates


def test_home_is_absolute_and_the_environment_beats_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load(tmp_path, "mlPlatform: {home: state}").home == tmp_path / "state"
    settings = load(tmp_path, "mlPlatform: {home: state}", env={"ML_PLATFORM_HOME": "/elsewhere"})
    assert settings.home == Path("/elsewhere")
    assert settings.database_url == "sqlite:////elsewhere/platform.db"
    assert settings.workflows_url == "sqlite:////elsewhere/workflows.db"


def test_postgresql_urls_name_the_driver_that_is_installed(tmp_path: Path) -> None:
    settings = load(tmp_path, "mlPlatform: {database: {url: 'postgresql://u:${PW}@h/db'}}", env={"PW": "s3cret"})
    assert settings.database_url == settings.workflows_url == "postgresql+psycopg://u:s3cret@h/db"


def test_files_are_found_where_nobody_named_any(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings(None, {}).backend.port == 7070
    Path("app-config.yaml").write_text("mlPlatform: {backend: {port: 1111}}")
    Path("app-config.local.yaml").write_text("mlPlatform: {backend: {host: localhost}}")
    assert load_settings(None, {}).base_url == "http://localhost:1111"
    Path("other.yaml").write_text("mlPlatform: {rollouts: {pollInterval: 2s}}")
    only = load_settings(None, {"ML_PLATFORM_CONFIG": "other.yaml"})
    assert (only.backend.port, only.rollouts.poll_interval) == (7070, timedelta(seconds=2))


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "http://*",
        "localhost:7007",
        "http://a/",
        "http://a/b",
        "http://a?b",
        "ftp://a",
        "http://u@a",
        "http://A",
        "",
    ],
)
def test_an_origin_is_scheme_host_and_port(origin: str, tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, f"mlPlatform: {{backend: {{allowedOrigins: ['{origin}']}}}}")
    assert "mlPlatform.backend.allowedOrigins[0]" in fault or "mlPlatform.backend.allowedOrigins.0" in fault
    for good in ("http://localhost", "https://portal.example.org:8443", "http://[::1]:7007"):
        text = f"mlPlatform: {{backend: {{allowedOrigins: ['{good}']}}}}"
        assert load(tmp_path, text).backend.allowed_origins == [good]


def test_a_portal_that_is_on_is_believed_and_called_by_its_address(tmp_path: Path) -> None:
    ci = "{kind: github, issuer: 'https://ci.example', jwksUri: 'https://ci.example/keys', audience: x}"
    own = f"identity: {{issuers: [{ci}]}}, backend: {{allowedOrigins: ['https://a']}}"
    # A port that nobody will listen on is in nobody's way.
    off = load(tmp_path, f"mlPlatform: {{{own}, portal: {{port: 7070}}}}")
    assert [one.issuer for one in off.trusted.issuers] == ["https://ci.example"]
    assert off.origins == ["https://a"]

    on = load(
        tmp_path, f"mlPlatform: {{{own}, portal: {{enabled: true, port: 7117, baseUrl: 'https://p.example:8443/'}}}}"
    )
    issuer = on.trusted.issuers[-1]
    assert [one.issuer for one in on.trusted.issuers] == ["https://ci.example", "https://p.example:8443/api/auth"]
    assert (issuer.kind, issuer.audience) == ("backstage", "backstage")
    # Keys are fetched on this machine, whatever name browsers know the portal by.
    assert issuer.jwks_uri == "http://127.0.0.1:7117/api/auth/.well-known/jwks.json"
    assert on.origins == ["https://a", "https://p.example:8443"]
    assert on.identity.issuers == off.identity.issuers
