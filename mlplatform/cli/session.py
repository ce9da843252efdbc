"""What commands start from: the model repository, the model's name, a client that is signed in."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mlplatform.cli import output
from mlplatform.cli.errors import CliError

if TYPE_CHECKING:
    from mlplatform.client import CredentialStore, PlatformClient
    from mlplatform.pipeline.workspace import Workspace

HANDED_OVER = "ML_PLATFORM_HANDED_OVER"
"""Set to the repository's path for the process that was started in the repository's own environment."""


def workspace(directory: Path) -> "Workspace":
    """Return the model repository around the folder."""
    from mlplatform.pipeline.workspace import Workspace

    return Workspace.find(directory)


def repository_workspace(directory: Path) -> "Workspace":
    """Return the repository, in a process that has the repository's own dependencies.

    A command that runs the model's code may be started from any environment: it is then run again by uv in the
    repository's, as its ``uv.lock`` says, and this process becomes that one.
    """
    handed_over = os.environ.get(HANDED_OVER)
    found = workspace(Path(handed_over) if handed_over else directory)
    if not (found.project_file.is_file() and found.lock_file.is_file()):
        return found
    if found.runs_here():
        return found
    if handed_over:
        fix = "add the toolkit to its dependencies (`mlplatform[gates,serve]`) and run `uv lock`"
        raise CliError(f"the environment of {found.path.name} has no `platform` command", fix)
    _hand_over(found.path)
    raise AssertionError("the process was replaced")


def _hand_over(repository: Path) -> None:
    from mlplatform.pipeline.check import find_uv

    uv = find_uv()
    if uv is None:
        from mlplatform.pipeline.workspace import ANY_PYTHON

        fix = f"install uv, or set {ANY_PYTHON}=1 if this environment has the model's dependencies"
        raise CliError("uv is needed to run the model's code in the repository's own environment", fix)
    # VIRTUAL_ENV is that of the shell that we were started from; uv would warn that it is not the repository's.
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    environment[HANDED_OVER] = str(repository)
    if not (repository / ".venv").is_dir():
        output.say(f"building the environment of {repository.name} from its uv.lock ...")
    # Not --directory: the command goes on in the folder where it was started, so that relative paths stay right.
    arguments = [uv, "run", "--frozen", "--project", str(repository), "platform", *sys.argv[1:]]
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(uv, arguments, environment)  # noqa: S606 (the point is to become that process)


def model_name(directory: Path, model: str | None) -> str:
    """Return the model that is meant: named, or the one of the repository around the folder."""
    from mlplatform.pipeline.errors import StageRefused

    if model:
        return model
    try:
        return workspace(directory).spec.name
    except StageRefused as error:
        raise CliError(
            "which model? There is no model.yaml here", "name one with --model, or a repository with -C"
        ) from error


def credentials() -> "CredentialStore":
    """Return the store of credentials, which warns on standard error."""
    from mlplatform.client import CredentialStore

    return CredentialStore(warn=output.warn)


@contextmanager
def connected(*, attempts: int = 3) -> Iterator["PlatformClient"]:
    """A client for the platform in use, signed in."""
    from mlplatform.client import CredentialFault, PlatformClient, default_url

    url = default_url()
    try:
        found = credentials().require(url)
    except CredentialFault:
        # Signing in would be the wrong advice where nothing is running.
        with PlatformClient(url, timeout=5, attempts=1) as client:
            client.ping()
        raise
    with PlatformClient(url, found.source or found.token, attempts=attempts) as client:
        yield client
