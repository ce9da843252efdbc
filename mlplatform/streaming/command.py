"""The command line of the worker."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from mlplatform import __version__
from mlplatform.serving import command
from mlplatform.spec.quantities import memory_bytes, parse_duration

if TYPE_CHECKING:
    from mlplatform.spec.model import ModelSpec

EXTRAS = {"nats": "streaming-nats", "kafka": "streaming-kafka", "redis": "streaming-redis"}
"""The extra of the distribution mlplatform that brings a broker's client."""
_ALONE = "whole-stream.json"


def main(arguments: list[str] | None = None) -> int:
    """Consume for one model version; return the exit code: 0 after a drain, 1 if it is not possible, 2 for wrong usage."""
    parser = command.parser(
        "python -m mlplatform.streaming", "Answer the messages of a stream with one version of a model."
    )
    parser.add_argument(
        "--control", type=Path, help="control file: which share the version has; without it, it has the whole stream"
    )
    parser.add_argument(
        "--broker", required=True, help="nats://, tls://, kafka://, kafka+ssl://, redis:// or rediss:// URL"
    )
    parser.add_argument("--broker-credentials", type=Path, help="file with the credentials, readable for nobody else")
    parser.add_argument("--subject-prefix", default="", help="what the names of model.yaml begin with at this broker")
    parser.add_argument(
        "--state", type=Path, default=Path(), help="folder that outlives the process; the working folder"
    )
    parser.add_argument("--existing", action="store_true", help="make no streams: what is missing is an error")
    parser.add_argument(
        "--retention", type=_seconds, default="7d", help="how long a stream that is made keeps messages"
    )
    parser.add_argument("--stream-bytes", type=_bytes, default="1Gi", help="how large a stream that is made may become")
    parser.add_argument(
        "--duplicate-window", type=_seconds, default="10m", help="how long a stream that is made knows duplicates"
    )
    return command.run(parser.parse_args(arguments), _serve, service="stream-worker")


def _number(version: str) -> int:
    try:
        return int(version)
    except ValueError:
        raise command.Refused(f"the version of a streaming model is a number, not {version}") from None


def _seconds(text: str) -> float:
    try:
        return parse_duration(text).total_seconds()
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _bytes(text: str) -> int:
    try:
        return memory_bytes(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _serve(options: argparse.Namespace, spec: "ModelSpec") -> None:
    from mlplatform.serving.app import Identity
    from mlplatform.serving.server import Settings, StartFailed
    from mlplatform.streaming.brokers.address import Address, BrokerError
    from mlplatform.streaming.brokers.base import Retention
    from mlplatform.streaming.control import stand_alone, write_control
    from mlplatform.streaming.server import StreamServer, StreamSettings

    if spec.streaming is None:
        raise command.Refused(f"model.yaml is of type {spec.type}; only a streaming model has messages to answer")
    address = Address(options.broker, options.broker_credentials)
    identity = Identity(options.name, str(options.version), options.environment, __version__)
    settings = StreamSettings(
        address=address,
        control=options.control or options.state / _ALONE,
        state=options.state,
        prefix=options.subject_prefix,
        retention=Retention(options.retention, options.stream_bytes, options.duplicate_window),
        create=not options.existing,
    )
    try:
        address.check()
        address.secret()
        if options.control is None:
            write_control(settings.control, stand_alone(options.environment, options.name, _number(options.version)))
        server = StreamServer(Settings(options.model_dir, spec, identity, options.host, options.port), settings)
        server.run()
    except (StartFailed, BrokerError) as failed:
        raise command.Refused(str(failed)) from None
    except ModuleNotFoundError as missing:
        extra = EXTRAS[address.kind]
        raise command.Refused(
            f"the client for {address.kind} is not installed ({missing.name}); add `mlplatform[{extra}]` to the dependencies"
        ) from None
