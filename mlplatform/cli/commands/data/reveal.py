"""``platform data reveal``."""

import getpass
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlplatform.cli import options, output, session
from mlplatform.cli.errors import CliError

if TYPE_CHECKING:
    from mlplatform.deidentify.vault import EmbeddedVault


@options.command(
    "Show the values that tokens of a vault stand for. Where you are signed in, the platform decides, and has it in its audit "
    "log before any value is shown; a vault that belongs to a platform is read in no other way. Who asked, when and what for is "
    "kept in the vault's own record as well.",
    examples=[
        "platform data reveal tok_2v… --vault people.vault --key env:PEOPLE_KEY --domain person --purpose subject-request "
        "--dataset default/customers --reason 'call back, case 81'",
    ],
)
@click.argument("tokens", nargs=-1, required=True, metavar="TOKEN...")
@click.option(
    "--vault", type=click.Path(path_type=Path, exists=True, dir_okay=False), required=True, help="The vault's file."
)
@click.option("--key", required=True, metavar="REFERENCE", help="Key of the vault: env:NAME or file:PATH.")
@click.option("--domain", required=True, help="Domain that the tokens were made in.")
@click.option(
    "--purpose",
    required=True,
    help="What the values are needed for: for a platform one of its purposes, such as subject-request.",
)
@click.option(
    "--dataset",
    metavar="NAME",
    help="The catalog's name of the data set that the values come from; without one they count as sensitive-pii.",
)
@click.option("--reason", help="The purpose in more words, such as the number of a case; it goes into the audit log.")
def reveal(
    tokens: tuple[str, ...],
    vault: Path,
    key: str,
    domain: str,
    purpose: str,
    dataset: str | None,
    reason: str | None,
    as_json: bool,
) -> int:
    """Reveal tokens; exit 1 when one is unknown, or the platform says no."""
    from mlplatform.deidentify.secrets import key_from
    from mlplatform.deidentify.vault import EmbeddedVault

    secret = key_from(key)
    opened = EmbeddedVault(vault, secret)
    wanted = {
        "vault": f"{vault.name} of key {secret.identity}",
        "domain": domain,
        "tokens": len(tokens),
        "purpose": purpose,
        "dataset": _dataset(opened, vault, dataset),
        "reason": reason,
    }
    who = _permitted(opened, vault, wanted)
    values = opened.reveal(domain, tokens, who=who, purpose=f"{purpose}: {reason}" if reason else purpose)
    document = {"values": [{"token": token, "value": value} for token, value in zip(tokens, values, strict=True)]}

    def human() -> None:
        output.table(("token", "value"), [(token, value or "-") for token, value in zip(tokens, values, strict=True)])

    output.result(document, as_json=as_json, human=human)
    return 0 if None not in values else 1


def _dataset(opened: "EmbeddedVault", vault: Path, named: str | None) -> str | None:
    """Return the data set that the values come from: the one that is named, else the vault's only one."""
    known = opened.home.datasets
    if named is None:
        return known[0] if len(known) == 1 else None
    if known and named not in known:
        raise CliError(f"{vault} has no values of {named}", f"it has those of {', '.join(known)}")
    return named


def _permitted(opened: "EmbeddedVault", vault: Path, wanted: dict[str, object]) -> str:
    """Have the platform decide, and return who asks; without a platform that is whoever runs the command."""
    from mlplatform.client import default_url
    from mlplatform.deidentify.vault import Home

    home, url = opened.home.platform, default_url()
    if home is None and "ML_PLATFORM_URL" not in os.environ and session.credentials().find(url) is None:
        output.warn("you are signed in to no platform, so that this is on record in the vault alone")
        return getpass.getuser()
    if home is not None and home != url:
        raise CliError(
            f"{vault} belongs to the platform {home}, which decides who sees its values",
            f"set ML_PLATFORM_URL={home}, and sign in with `platform login`",
        )
    with session.connected() as client:
        decision = client.permit_reveal(wanted)
    opened.belong(Home(url))
    return str(decision["principal"])
