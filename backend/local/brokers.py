"""Which broker streaming models of an environment use."""

from backend.core.config import Settings
from backend.core.config_streams import BrokerSettings
from backend.local import nats
from backend.local.folders import Folders


def broker_of(settings: Settings, environment: str, kind: str) -> BrokerSettings | None:
    """Return the broker of an environment; for nats the platform's own where there is no other."""
    configured = settings.environments.get(environment)
    for name, broker in (configured.brokers if configured else {}).items():
        if name == kind:
            return broker
    if kind != "nats":
        return None
    return BrokerSettings(
        url=nats.url(settings),
        credentials=Folders(settings.home).nats_credentials,
        prefix=f"{environment}.",  # one server for all environments
    )


def is_own(settings: Settings, broker: BrokerSettings) -> bool:
    """Tell whether a broker is the platform's own NATS server."""
    return broker.url == nats.url(settings)


def missing(environment: str, kind: str) -> tuple[str, str]:
    """Say that there is none, and what to do."""
    setting = f"mlPlatform.environments.{environment}.brokers.{kind}.url"
    return f"{environment} has no {kind} broker", f"Set {setting} in app-config.yaml."
