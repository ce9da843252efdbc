"""``platform data forget``."""

import getpass
from pathlib import Path

import click

from mlplatform.cli import options, output, session
from mlplatform.cli.commands.privacy.subjects import identifiers_in
from mlplatform.cli.errors import CliError


@options.command(
    "Have a vault forget the values of a person whose erasure is confirmed; their tokens stand for nothing from then on. The "
    "values are read from a file, one a line, never from the command line. It is in the audit log, and among the findings of the "
    "request, before it is done.",
    examples=[
        "platform data forget 0197f2c4-7b1e-7c3a-9f00-000000000000 --vault people.vault --key env:PEOPLE_KEY "
        "--subject-file person.txt",
        "pass show person | platform data forget 0197f2c4-7b1e-7c3a-9f00-000000000000 --vault people.vault --key "
        "file:people.key --subject-file -",
    ],
)
@click.argument("request_id", metavar="REQUEST")
@click.option(
    "--vault", type=click.Path(path_type=Path, exists=True, dir_okay=False), required=True, help="The vault's file."
)
@click.option("--key", required=True, metavar="REFERENCE", help="Key of the vault: env:NAME or file:PATH.")
@click.option(
    "--subject-file",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    required=True,
    help="File with the values as they were in the data, one a line; `-` for standard input.",
)
def forget(request_id: str, vault: Path, key: str, subject_file: Path, as_json: bool) -> None:
    """Look the values up in all domains, put it on record, and forget them."""
    from mlplatform.client import default_url
    from mlplatform.deidentify.operators import canonical
    from mlplatform.deidentify.secrets import key_from
    from mlplatform.deidentify.vault import EmbeddedVault, Home

    given = identifiers_in(subject_file)
    spellings = {canonical(value, fold_case=fold) for value in given for fold in (False, True)}
    secret = key_from(key)
    opened = EmbeddedVault(vault, secret)
    held = [
        (domain, value) for domain in opened.domains() for value in sorted(spellings) if opened.holds(domain, value)
    ]
    name = f"{vault.name} of key {secret.identity}"
    with session.connected() as client:
        client.forget_in_vault(request_id, name, len(held))
    if opened.home.platform is None:
        opened.belong(Home(default_url()))
    for domain, value in held:
        opened.forget(domain, value, who=getpass.getuser(), purpose=f"data-subject request {request_id}")
    left = sum(opened.holds(domain, value) for domain, value in held)
    if left:
        raise CliError(
            f"{left} of {len(held)} values are in {vault} again", "stop what writes to it, and run this again"
        )
    document = {"request": request_id, "vault": name, "forgotten": len(held)}
    output.result(
        document,
        as_json=as_json,
        human=lambda: output.write(f"{vault} has forgotten {len(held)} values; it is on record"),
    )
