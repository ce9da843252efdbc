"""``platform pr``: pull requests of the platform's own git host. GitHub and GitLab have their own pages and commands."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from mlplatform.cli import options, output, session
from mlplatform.cli.app import group
from mlplatform.cli.errors import CliError

_EMBEDDED = re.compile(r"/git/(?P<org>[^/]+)/(?P<name>[^/]+)\.git/?$")


pr = group(
    "pr",
    "Open, show and merge pull requests of the platform's own git host.",
    examples=["git push origin topic && platform pr create", "platform pr merge 3"],
)


host_option = click.option("--host", metavar="NAME", default="local", show_default=True, help="Name of the git host.")


@options.command("List pull requests, newest first.", examples=["platform pr list"])
@options.directory_option
@host_option
def list_pulls(directory: Path, host: str, as_json: bool) -> None:
    """Ask the platform."""
    with session.connected() as client:
        items = client.pull_requests(host, *_repository(directory))

    def human() -> None:
        rows = [(one["number"], _state(one), one["checks"], one["head"], one["title"]) for one in items]
        output.table(("#", "state", "checks", "branch", "title"), rows)

    output.result({"items": items}, as_json=as_json, human=human)


@options.command("Show a pull request.", examples=["platform pr show 3"])
@click.argument("number", type=click.IntRange(1))
@options.directory_option
@host_option
def show(number: int, directory: Path, host: str, as_json: bool) -> None:
    """Ask the platform."""
    with session.connected() as client:
        found = client.pull_request(host, *_repository(directory), number)
    output.result(found, as_json=as_json, human=lambda: _show(found))


@options.command(
    "Open a pull request from the present branch, which must be pushed.",
    examples=["platform pr create", 'platform pr create --title "Use more features" --draft'],
)
@click.option("--title", help="Its title; the last commit's subject if left out.")
@click.option("--body", default="", help="What it is about.")
@click.option("--head", metavar="BRANCH", help="Another branch than the present one.")
@click.option("--draft", is_flag=True, help="Not to be merged yet.")
@options.directory_option
@host_option
def create(
    title: str | None, body: str, head: str | None, draft: bool, directory: Path, host: str, as_json: bool
) -> None:
    """Ask the platform."""
    branch = head or _git(directory, "branch", "--show-current")
    subject = title or _git(directory, "log", "-1", "--format=%s", branch)
    with session.connected() as client:
        new = {"head": branch, "title": subject, "body": body, "draft": draft}
        found = client.open_pull_request(host, *_repository(directory), new)
    output.result(found, as_json=as_json, human=lambda: _show(found))


def _decision(verb: str, help: str) -> click.Command:
    @options.command(help, examples=[f"platform pr {verb} 3"])
    @click.argument("number", type=click.IntRange(1))
    @options.directory_option
    @host_option
    def decide(number: int, directory: Path, host: str, as_json: bool) -> None:
        with session.connected() as client:
            found = client.decide_pull_request(host, *_repository(directory), number, verb)
        output.result(found, as_json=as_json, human=lambda: _show(found))

    return decide


merge = _decision("merge", "Merge a pull request. Members of the group that owns the repository may.")
close = _decision("close", "Close a pull request without merging it.")
ready = _decision("ready", "Mark a draft as ready to be merged.")


def _repository(directory: Path) -> tuple[str, str]:
    """Return organisation and name of the repository around the folder."""
    remote = _git(directory, "remote", "get-url", "origin")
    match = _EMBEDDED.search(remote)
    if match is None:
        fix = "use the host's own pages or command line"
        raise CliError(f"{remote} is not a repository of the platform's own git host", fix)
    return match["org"], match["name"]


def _git(directory: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(directory), *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0 or not done.stdout.strip():
        said = done.stderr.strip().splitlines() or ["it says nothing"]
        raise CliError(f"git {arguments[0]}: {said[-1]}", "run it in a clone of a repository of the platform")
    return done.stdout.strip()


def _state(one: dict[str, Any]) -> str:
    return "draft" if one["draft"] and one["state"] == "open" else str(one["state"])


def _show(found: dict[str, Any], write: Callable[[str], None] = output.write) -> None:
    write(f"#{found['number']} {found['title']}: {output.mark(_state(found), stream=sys.stdout)}")
    merges = {True: "merges", False: "conflicts with the base", None: "-"}[found["mergeable"]]
    write(f"  {found['head']} -> {found['base']}, {found['headCommit'][:12]}, checks {found['checks']}, {merges}")
    if found["body"]:
        write("\n".join(f"  {line}" for line in found["body"].splitlines()))
