"""``platform login`` and ``platform whoami``."""

import os
import sys
from datetime import datetime
from pathlib import Path

import click

from mlplatform.cli import options, output, session
from mlplatform.cli.errors import CliError


@options.command(
    "Sign in with the embedded issuer: whoever can read the platform's login secret may. The token is kept in a file "
    "that only you can read. With an issuer of your organisation set ML_PLATFORM_TOKEN instead.",
    examples=[
        "platform login --user user:default/ada",
        "platform login --repository local/wine --user user:default/ada   # as CI does in a job that ada started",
        "platform login --show-token",
        "platform login --user user:default/ada --secret-file /srv/platform/identity/login-secret",
    ],
)
@click.option("--user", metavar="REF", help="Sign in as this user, for example user:default/ada.")
@click.option("--repository", metavar="ID", help="Sign in as a repository, for example github.com/acme/wine.")
@options.secret_file_option
@click.option("--show-token", is_flag=True, help="Print the token of the present sign-in, to paste into MLflow's page.")
def login(user: str | None, repository: str | None, secret_file: Path | None, show_token: bool, as_json: bool) -> None:
    """Exchange the secret for a token and keep it."""
    from mlplatform.client import Credentials, PlatformClient, default_url

    if show_token:
        if user or repository or secret_file:
            raise click.UsageError("--show-token goes alone: it prints the token of the present sign-in.")
        token = session.credentials().require(default_url()).token
        output.result({"token": token}, as_json=as_json, human=lambda: output.write(token))
        return
    if user is None and repository is None:
        raise click.UsageError("Give --user or --repository.")
    url = default_url()
    with PlatformClient(url, attempts=2) as client:
        answer = client.sign_in(read_secret(secret_file), user=user, repository=repository)
    who = f"repository:{repository}" if repository else str(user)
    expires = datetime.fromisoformat(answer["expiresAt"])
    store = session.credentials()
    store.save(url, Credentials(answer["accessToken"], who, expires))
    document = {"principal": who, "url": url, "expiresAt": answer["expiresAt"], "file": str(store.path)}

    def human() -> None:
        output.write(f"signed in to {url} as {who} until {expires.astimezone():%Y-%m-%d %H:%M}")

    output.result(document, as_json=as_json, human=human)
    if os.environ.get("ML_PLATFORM_TOKEN"):
        output.warn("ML_PLATFORM_TOKEN is set and goes before what was just saved")


@options.command("Show who you are to the platform.", examples=["platform whoami", "platform whoami --json"])
def whoami(as_json: bool) -> None:
    """Ask the platform."""
    with session.connected() as client:
        me = client.whoami()

    def human() -> None:
        output.write(str(me["ref"]))
        for group in me.get("groups") or []:
            output.write(f"  {group}")
        if me.get("expiresAt"):
            output.write(f"  until {me['expiresAt']}, issued by {me.get('issuer')}")

    output.result(me, as_json=as_json, human=human)


def read_secret(named: Path | None) -> str:
    """Return the platform's login secret.

    Raises:
        CliError: it was not found, or can't be read.
    """
    if named is not None and str(named) == "-":
        return sys.stdin.readline().strip()
    file = named or _found()
    if file is None:
        fix = "name it with --secret-file HOME/identity/login-secret, where HOME is the platform's state folder"
        raise CliError("the platform's login secret was not found", fix)
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        fix = "only those who run the platform may read it; others sign in with their organisation's issuer"
        raise CliError(f"{file} can't be read: {error.strerror}", fix) from error


def _found() -> Path | None:
    homes = [Path(os.environ["ML_PLATFORM_HOME"])] if os.environ.get("ML_PLATFORM_HOME") else []
    here = Path.cwd()
    homes += [folder / ".mlplatform" for folder in (here, *here.parents)]
    return next((file for home in homes if (file := home / "identity" / "login-secret").exists()), None)
