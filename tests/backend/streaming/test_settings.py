"""Brokers of environments: which one a model gets, and what is refused."""

from pathlib import Path
from typing import Any

import pytest

from backend.core.config import Settings, load_settings
from backend.core.config_files import ConfigError
from backend.deployments.streams import StreamRefused, check_stream
from backend.local.brokers import broker_of, is_own
from mlplatform.spec.model import ModelSpec
from tests.backend.batch.conftest import SPEC

from .conftest import STREAMING


def settings(**brokers: Any) -> Settings:
    return Settings.model_validate({"environments": {"lab": {"brokers": brokers}, "production": {}}})


def spec(**streaming: Any) -> ModelSpec:
    return ModelSpec.model_validate({**SPEC, "type": "streaming", "streaming": {**STREAMING, **streaming}})


def test_nats_is_the_platforms_own_unless_there_is_another() -> None:
    own = broker_of(settings(), "production", "nats")
    assert own is not None
    assert is_own(settings(), own)
    assert (own.url, own.prefix) == ("nats://127.0.0.1:4222", "production.")
    other = broker_of(settings(nats={"url": "tls://nats.example.org:4222"}), "lab", "nats")
    assert other is not None
    assert not is_own(settings(), other)
    assert other.prefix == ""
    assert broker_of(settings(), "lab", "kafka") is None


@pytest.mark.parametrize(
    ("brokers", "said"),
    [
        ({"kafka": {"url": "nats://127.0.0.1"}}, "kafka has the URL of nats"),
        ({"nats": {"url": "nats://ada:secret@127.0.0.1"}}, "holds credentials"),
        ({"nats": {"url": "amqp://127.0.0.1"}}, "must begin with one of nats://"),
        ({"nats": {"url": "nats://127.0.0.1", "prefix": "staging"}}, "pattern"),
        ({"rabbit": {"url": "nats://127.0.0.1"}}, "'nats', 'kafka' or 'redis'"),
    ],
)
def test_wrong_brokers_are_named_with_file_and_key(tmp_path: Path, brokers: dict[str, Any], said: str) -> None:
    import json

    file = tmp_path / "app-config.yaml"
    file.write_text(json.dumps({"mlPlatform": {"environments": {"lab": {"brokers": brokers}}}}))
    with pytest.raises(ConfigError) as caught:
        load_settings([file], {})
    (fault,) = caught.value.faults
    assert "mlPlatform.environments.lab.brokers" in fault
    assert said in fault
    assert "secret" not in fault


def test_versions_that_share_a_stream_agree_on_it() -> None:
    check_stream(settings(), "lab", spec(), None)
    check_stream(settings(), "lab", spec(output="shop.other", maxInFlight=1), spec())
    for change in ({"input": "shop.returns"}, {"key": None}, {"broker": "kafka"}):
        with pytest.raises(StreamRefused, match=f"streaming.{next(iter(change))} is"):
            check_stream(settings(kafka={"url": "kafka://127.0.0.1"}), "lab", spec(**change), spec())
    with pytest.raises(StreamRefused, match="lab has no redis broker"):
        check_stream(settings(), "lab", spec(broker="redis"), None)
