"""``platform data reveal``."""

import getpass
from pathlib import Path

import click

from mlplatform.cli import options, output


@options.command(
    "Show the values that tokens of a vault stand for. Who asked, when and what for is kept in the vault's record.",
    examples=[
        "platform data reveal tok_2v… --vault people.vault --key env:PEOPLE_KEY --domain person --purpose 'call back, case 81'",
    ],
)
@click.argument("tokens", nargs=-1, required=True, metavar="TOKEN...")
@click.option(
    "--vault", type=click.Path(path_type=Path, exists=True, dir_okay=False), required=True, help="The vault's file."
)
@click.option("--key", required=True, metavar="REFERENCE", help="Key of the vault: env:NAME or file:PATH.")
@click.option("--domain", required=True, help="Domain that the tokens were made in.")
@click.option("--purpose", required=True, help="What the values are needed for.")
def reveal(tokens: tuple[str, ...], vault: Path, key: str, domain: str, purpose: str, as_json: bool) -> int:
    """Reveal tokens; exit 1 when one is unknown."""
    from mlplatform.deidentify.secrets import key_from
    from mlplatform.deidentify.vault import EmbeddedVault

    opened = EmbeddedVault(vault, key_from(key))
    values = opened.reveal(domain, tokens, who=getpass.getuser(), purpose=purpose)
    document = {"values": [{"token": token, "value": value} for token, value in zip(tokens, values, strict=True)]}

    def human() -> None:
        output.table(("token", "value"), [(token, value or "-") for token, value in zip(tokens, values, strict=True)])

    output.result(document, as_json=as_json, human=human)
    return 0 if None not in values else 1
