"""Each kind of key-encryption key: the same promises, and an error that names the key and the setting."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mlplatform.crypto import Binding, CryptoError, Envelope, KeyUnavailable, WrongKey
from mlplatform.crypto.providers.aws import AwsKmsKey
from mlplatform.crypto.providers.base import KeyProvider
from mlplatform.crypto.providers.gcp import GcpAccess, GcpKmsKey
from mlplatform.crypto.providers.vault import VaultTransitKey
from tests.key_services import GoogleCloud, Service, Vault

USE = Binding("payload-sample", "production/wine")
GCP_KEY = "projects/p/locations/eu/keyRings/r/cryptoKeys/"
Make = Callable[[str], KeyProvider]


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    from moto import mock_aws

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        import boto3

        kms = boto3.client("kms", region_name="eu-central-1")
        ids: dict[str, str] = {}

        def make(name: str) -> KeyProvider:
            if name not in ids and name != "missing":
                ids[name] = kms.create_key()["KeyMetadata"]["KeyId"]
            return AwsKmsKey(ids.get(name, name), region="eu-central-1")

        yield make


@pytest.fixture
def gcp() -> Iterator[Make]:
    cloud = GoogleCloud()
    service = Service(cloud)
    access = GcpAccess(None, metadata=service.url)

    def make(name: str) -> KeyProvider:
        if GCP_KEY + name not in cloud.keys and name != "missing":
            cloud.add_key(GCP_KEY + name)
        return GcpKmsKey(GCP_KEY + name, access, endpoint=service.url)

    yield make
    # One token lasts for an hour.
    assert cloud.asked_for_tokens == 1
    service.close()


@pytest.fixture
def vault() -> Iterator[Make]:
    server = Vault()
    service = Service(server)

    def make(name: str) -> KeyProvider:
        if name not in server.keys and name != "missing":
            server.add_key(name)
        return VaultTransitKey(service.url, name, Vault.TOKEN)

    yield make
    service.close()


@pytest.fixture(params=["aws", "gcp", "vault"])
def make(request: pytest.FixtureRequest) -> Make:
    return request.getfixturevalue(request.param)  # type: ignore[no-any-return]


def test_a_data_key_is_wrapped_by_the_service(make: Make) -> None:
    envelope = Envelope(make("one"))
    sealed = envelope.seal(b"alcohol 13.2", USE)
    assert envelope.open(sealed, USE) == b"alcohol 13.2"
    assert Envelope(make("one")).open(sealed, USE) == b"alcohol 13.2"


def test_the_service_binds_the_use_too(make: Make) -> None:
    key = make("one")
    wrapped = key.wrap(b"k" * 32, USE.encoded())
    assert key.unwrap(wrapped, USE.encoded()) == b"k" * 32
    with pytest.raises(WrongKey):
        key.unwrap(wrapped, Binding("token").encoded())


def test_another_key_of_the_service_does_not_open_it(make: Make) -> None:
    one, other = make("one"), make("other")
    wrapped = one.wrap(b"k" * 32, USE.encoded())
    # KMS says IncorrectKeyException, and moto AccessDeniedException.
    with pytest.raises(KeyUnavailable if other.name.startswith("aws") else WrongKey) as caught:
        other.unwrap(wrapped, USE.encoded())
    assert other.name in caught.value.message
    assert "mlPlatform.encryption.key" in caught.value.fix


def test_a_key_that_is_not_there_is_named(make: Make) -> None:
    missing = make("missing")
    make("one").wrap(b"k", b"")
    with pytest.raises(CryptoError, match="missing") as caught:
        Envelope(missing).seal(b"x", USE)
    assert "mlPlatform.encryption.key" in caught.value.fix


@pytest.mark.parametrize(
    "provider",
    [
        GcpKmsKey(GCP_KEY + "k", GcpAccess("given"), endpoint="http://127.0.0.1:1"),
        GcpKmsKey(GCP_KEY + "k", GcpAccess(None, metadata="http://127.0.0.1:1")),
        VaultTransitKey("http://127.0.0.1:1", "k", "hvs.very-secret"),
        AwsKmsKey("k", region="eu-central-1", endpoint="http://127.0.0.1:1"),
    ],
)
def test_a_service_that_is_away_is_an_error_without_the_credentials(
    provider: KeyProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "very-secret")
    with pytest.raises(KeyUnavailable) as caught:
        provider.wrap(b"k", b"")
    said = f"{caught.value.message} {caught.value.fix}"
    assert "very-secret" not in said
    assert "hvs." not in said


def test_a_token_that_vault_does_not_take_is_told(vault: Make) -> None:
    key: Any = vault("one")
    refused = VaultTransitKey(key._url.partition("/v1/")[0], "one", "hvs.stale")
    with pytest.raises(KeyUnavailable, match="answers 403"):
        refused.wrap(b"k", b"")
