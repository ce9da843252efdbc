"""``platform dev``."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mlplatform.cli import options, output, session

if TYPE_CHECKING:
    from mlplatform.pipeline.workspace import Workspace


@options.command(
    "Run the trained streaming model here, without a platform: its consumer with a broker on this machine. The sample messages "
    "of streaming.sample are sent to it, answers and dead letters are shown as they come. Ends with Ctrl-C, or with --count.",
    examples=["platform dev", "platform dev --count 100 --rate 50", "platform dev --broker kafka://127.0.0.1:9092"],
)
@options.directory_option
@click.option(
    "--count", type=click.IntRange(1), metavar="N", help="Send so many messages, and end when they are answered."
)
@click.option(
    "--rate", type=click.FloatRange(0.01, 10_000), default=10.0, show_default=True, help="Messages to send in a second."
)
@click.option(
    "--broker",
    metavar="URL",
    help="Broker to use: nats://, kafka:// or redis:// without credentials. A NATS server of its own, else the usual port here.",
)
def dev(directory: Path, count: int | None, rate: float, broker: str | None, as_json: bool) -> int:
    """Consume in the repository's own environment."""
    workspace = session.repository_workspace(directory)
    from mlplatform.cli.errors import CliError
    from mlplatform.spec.model import ModelType

    spec = workspace.spec
    if spec.type is not ModelType.STREAMING or spec.streaming is None:
        other = {ModelType.BATCH: "`platform batch score` scores a day here"}.get(spec.type)
        raise CliError(f"{spec.name} is of type {spec.type}; only streaming models consume messages", other)
    workspace.trained()
    if count is not None and spec.streaming.sample is None:
        fix = "name a function that yields messages there, or leave --count out and send your own"
        raise CliError("there are no sample messages: model.yaml has no streaming.sample", fix)
    return _run(workspace, count, rate, broker, as_json)


def _run(workspace: "Workspace", count: int | None, rate: float, broker: str | None, as_json: bool) -> int:
    import asyncio
    import json
    import shutil
    import signal
    import sys

    from mlplatform.cli.errors import CliError

    try:
        from mlplatform.streaming.dev import DevFailed, Seen, consume_samples
    except ModuleNotFoundError as missing:
        raise CliError(
            f"the consumer is not installed ({missing.name})",
            "add `mlplatform[serve,streaming-nats]` to the dependencies",
        ) from None

    def show(what: str, message: Mapping[str, Any]) -> None:
        if as_json:
            return
        told = output.paint(f"{what}:", "red" if what != "answer" else "green", sys.stdout)
        headers = message.get("headers") or {}
        reason = f"  ({headers.get('dead-letter-detail')})" if headers else ""
        output.write(f"{told} {json.dumps(message['body'], ensure_ascii=False)}{reason}")
        sys.stdout.flush()

    seen = Seen()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # neither broker nor consumer is left behind
    folder = workspace.build / "dev"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        asyncio.run(
            consume_samples(
                workspace.spec,
                workspace.model,
                workspace.spec_file,
                folder,
                _samples(workspace),
                broker=broker,
                rate=rate,
                count=count,
                say=output.say,
                show=show,
                seen=seen,
            )
        )
    except DevFailed as failed:
        raise CliError(failed.message, failed.fix) from None
    except KeyboardInterrupt:
        output.say("")
    document = {"sent": seen.sent, "answers": seen.answers, "deadLetters": seen.dead}

    def human() -> None:
        output.say(f"{seen.sent} messages sent, {len(seen.answers)} answered, {len(seen.dead)} dead letters")

    output.result(document, as_json=as_json, human=human)
    return 0


def _samples(workspace: "Workspace") -> Iterator[Mapping[str, Any]]:
    streaming = workspace.spec.streaming
    if streaming is None or streaming.sample is None:
        output.say("model.yaml names no streaming.sample; send messages yourself")
        return
    from mlplatform.pipeline import code
    from mlplatform.pipeline.errors import StageRefused

    with code.inside(workspace.path):
        sample = code.function(streaming.sample, field="streaming.sample", repository=workspace.path)
        try:
            yield from sample()
        except Exception as error:
            raise StageRefused(f"streaming.sample failed: {code.explain(error, workspace.path)}") from error
