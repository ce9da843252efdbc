"""``platform evidence export`` and ``platform evidence verify``."""

import time
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import click

from mlplatform.cli import options, output, session
from mlplatform.cli.errors import CliError

_LOOK_SECONDS = 0.5


class _MomentType(click.ParamType[datetime]):
    """A day, or a time with its zone; without one it is UTC."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Read ISO 8601."""
        try:
            found = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is no date such as 2026-01-01, and no time such as 2026-01-01T12:00:00Z", param, ctx)
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


@options.command(
    "Export what is on record about a period as one signed file that verifies offline: events, tables, attestations, findings.",
    examples=[
        "platform evidence export --from 2026-01-01 --to 2026-04-01 -o q1.zip",
        "platform evidence export --from 2026-01-01 --to 2026-04-01 --control CC8.1 --sample 40 --seed 'drawn by A. Uditor'",
    ],
)
@click.option(
    "--from", "since", type=_MomentType(), required=True, metavar="DATE", help="Beginning of the period (UTC)."
)
@click.option("--to", "until", type=_MomentType(), required=True, metavar="DATE", help="End of the period, not in it.")
@click.option("--control", metavar="ID", help="Only what shows this control, for example CC8.1.")
@click.option(
    "--sample", "size", type=click.IntRange(0, 10_000), default=25, show_default=True, help="Deployments to draw."
)
@click.option("--seed", help="What the sample is drawn with; the root of the log if left out.")
@click.option(
    "-o",
    "--output",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write; else evidence-FROM-TO.zip.",
)
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@options.timeout_option
def export(
    since: datetime,
    until: datetime,
    control: str | None,
    size: int,
    seed: str | None,
    file: Path | None,
    force: bool,
    timeout: Any,
    as_json: bool,
) -> None:
    """Have the platform write the pack, wait for it and fetch it."""
    file = file or Path(f"evidence-{since:%Y-%m-%d}-{until:%Y-%m-%d}.zip")
    if file.exists() and not force:
        raise CliError(f"{file} is there already", "name another with -o, or replace it with --force")
    if not file.parent.is_dir():
        raise CliError(f"there is no folder {file.parent}", "make it first, or name another file with -o")
    wish = {"from": since.isoformat(), "to": until.isoformat(), "sampleSize": size}
    wish |= {name: value for name, value in (("control", control), ("sampleSeed", seed)) if value is not None}
    ends = time.monotonic() + timeout.total_seconds()
    with session.connected() as client:
        pack = client.export_evidence(wish)
        with output.working("writing the evidence pack ..."):
            while pack["state"] not in ("done", "failed"):
                if time.monotonic() > ends:
                    fix = "it goes on without this command; see GET /evidence/packs"
                    raise CliError(f"the pack is not written yet ({pack['written']} of {pack['events']} events)", fix)
                time.sleep(_LOOK_SECONDS)
                pack = client.evidence_pack(pack["id"])
        if pack["state"] == "failed":
            raise CliError(f"the pack could not be written: {pack['reason']}", "see to that, and export it again")
        client.download_evidence(pack, file)

    def human() -> None:
        output.write(f"{file}: {pack['events']} events, {pack['bytes']} bytes, sha256 {pack['sha256']}")
        output.write(f"verify it with: platform evidence verify {file} --key key.pub")

    output.result({**pack, "file": str(file)}, as_json=as_json, human=human)


@options.command(
    "Verify an evidence pack: that it is what the platform signed, whole and unchanged. Works offline; with a checkpoint from a "
    "second place also that the log is the one that was published.",
    examples=[
        "platform evidence verify q1.zip --key key.pub",
        "platform evidence verify q1.zip --key key.pub --checkpoint checkpoints/0000000000005120",
    ],
)
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--key",
    "key_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    required=True,
    help="The platform's public audit key (audit/key.pub).",
)
@click.option(
    "--checkpoint",
    "checkpoints",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    multiple=True,
    help="Checkpoint from a second place; may be repeated.",
)
@click.option(
    "--proof",
    "proof_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Proof from the pack's end to a later checkpoint, as `platform audit prove --json` prints it.",
)
def verify(file: Path, key_file: Path, checkpoints: tuple[Path, ...], proof_file: Path | None, as_json: bool) -> int:
    """Verify with the evidence distribution; exit 1 when the pack is not valid."""
    told, judge = _verifier()
    try:
        key = told.key_in(key_file)
        known = [told.checkpoint_in(one, key) for one in checkpoints]
        proof = told.proof_in(proof_file) if proof_file else None
        with output.working("verifying ..."):
            result = judge.verify_pack(file, key, known, proof)
    except judge.EvidenceError as error:
        raise CliError(error.message, error.fix, exit_code=2) from None

    def human() -> None:
        for line in told.lines(result):
            output.write(line)

    output.result(told.document(result), as_json=as_json, human=human)
    return 0 if result.valid else 1


def _verifier() -> tuple[ModuleType, ModuleType]:
    """Import what verifies, which model repositories do not install.

    Raises:
        CliError: it is not installed here.
    """
    if find_spec("evidence") is None or find_spec("evidence.verify") is None:
        fix = "install it: pip install ml-platform-evidence (it brings `platform-evidence verify` as well)"
        raise CliError("verifying needs the distribution ml-platform-evidence, which is not installed here", fix)
    from evidence import told, verify

    return told, verify
