"""Settings about the brokers of streaming models."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from backend.core.config_base import Port, SettingsModel
from mlplatform.spec.quantities import Duration, Memory
from mlplatform.streaming.brokers.address import Address, BrokerError

BrokerKind = Literal["nats", "kafka", "redis"]


class NatsSettings(SettingsModel):
    """The platform's own NATS server, which is started with the first streaming model that has no other broker."""

    port: Port = Field(default=4222, description="Where it listens, on 127.0.0.1.")
    stream_storage: Memory = Field(default="10Gi", description="Most disk space for all streams together.")


class BrokerSettings(SettingsModel):
    """A broker that streaming models of an environment use."""

    url: str = Field(
        description="nats://, tls://, kafka://, kafka+ssl://, redis:// or rediss:// URL without credentials."
    )
    credentials: Path | None = Field(
        default=None, description="File with the credentials, readable for the platform's user alone."
    )
    prefix: str = Field(
        default="",
        pattern=r"^([A-Za-z0-9_-]+\.)*$",
        max_length=100,
        description="What the names of model.yaml begin with at this broker, with a dot at its end.",
    )
    create: bool = Field(default=True, description="Whether streams that are missing are made.")
    retention: Duration = Field(default=timedelta(days=7), description="How long a stream that is made keeps messages.")
    stream_bytes: Memory = Field(default="1Gi", description="How large a stream that is made may become.")
    duplicate_window: Duration = Field(
        default=timedelta(minutes=10), description="How long a stream that is made knows duplicates."
    )

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        try:
            Address(value).check()
        except BrokerError as error:
            raise ValueError(str(error)) from None
        return value

    @field_validator("credentials")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser().resolve()


def check_brokers(brokers: Mapping[BrokerKind, BrokerSettings]) -> Mapping[BrokerKind, BrokerSettings]:
    """Refuse a broker that stands under the name of another kind.

    Raises:
        ValueError: saying which.
    """
    for kind, broker in brokers.items():
        if (found := Address(broker.url).kind) != kind:
            raise ValueError(f"{kind} has the URL of {found}: {broker.url}")
    return brokers
