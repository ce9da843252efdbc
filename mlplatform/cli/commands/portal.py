"""``platform portal``."""

import os
from pathlib import Path

import click

from mlplatform.cli import options, output, rooms
from mlplatform.cli.commands.login import read_secret
from mlplatform.cli.errors import CliError


@options.command(
    "Print a link that signs a browser in to the portal on this machine. Whoever can read the platform's login secret "
    "may make one; it is good for as long as a sign-in is, so treat it as a password.",
    examples=["platform portal --user user:default/ada", "platform portal --user user:default/grace --json"],
)
@click.option("--user", metavar="REF", required=True, help="Sign in as this user, for example user:default/ada.")
@options.secret_file_option
@options.configs_option("The configuration that the platform was started with.")
def portal(user: str, secret_file: Path | None, configs: tuple[Path, ...], as_json: bool) -> None:
    """Exchange the secret for a token, and put that where no server sees it."""
    from mlplatform.client import PlatformClient, default_url

    url = rooms.launcher().portal_url(os.environ.get("ML_PLATFORM_HOME"), rooms.configuration(configs))
    if url is None:
        raise CliError("the portal is switched off", "set mlPlatform.portal.enabled, then run `platform up`")
    with PlatformClient(default_url(), attempts=2) as client:
        answer = client.sign_in(read_secret(secret_file), user=user)
    # What stands behind `#` stays in the browser: it is in no request and no log.
    link = f"{url}/#sign-in={answer['accessToken']}"
    output.result({"url": link, "expiresAt": answer["expiresAt"]}, as_json=as_json, human=lambda: output.write(link))
