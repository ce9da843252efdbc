"""Settings of traces and of logs that are sent."""

from pydantic import Field

from backend.core.config_base import SettingsModel


class OtlpSettings(SettingsModel):
    """An OpenTelemetry collector. Keys of whoever it passes things on to belong into it: models run code of their own."""

    endpoint: str = Field(
        pattern=r"^https?://[^\s@/?#]+(/[^\s@?#]*)?$",
        description="Where it takes OTLP over HTTP, without /v1/traces; reached by Envoy, model servers, batch runs and the "
        "backend.",
        examples=["http://127.0.0.1:4318"],
    )
    logs: bool = Field(
        default=True,
        description="Whether lines of logs are sent too, redacted as they are written; they are written all the same.",
    )


class TelemetrySettings(SettingsModel):
    """Traces of requests, from Envoy through model servers and the backend, and their logs."""

    otlp: OtlpSettings | None = Field(
        default=None,
        description="Where spans are sent; null sends none, and requests have trace ids in logs all the same.",
    )
    sample_ratio: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="Part of the requests without a trace of their own that spans are made of.",
    )
