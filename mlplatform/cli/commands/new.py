"""``platform new``."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mlplatform.cli import options, output, rooms, session
from mlplatform.cli.errors import CliError

if TYPE_CHECKING:
    from mlplatform.client import PlatformClient

GOLDEN_PATH = "golden-path"


@options.command(
    "Make a model repository from the golden-path template: code that trains a real model, tests, CI, serving, "
    "documentation, and a first commit. The platform pushes it to the git host, protects its branch and registers it in "
    "the catalog, all of it or nothing; then it is cloned.",
    examples=[
        "platform new wine --type realtime",
        "platform new churn --type realtime --defaults --data owner=group:default/risk",
        "platform new churn --template batch-job --owner group:default/risk --defaults",
        "platform new wine --type realtime --defaults --no-register --dest ~/work",
    ],
)
@click.argument("name")
@click.option(
    "--type",
    "kind",
    type=click.Choice(["realtime", "batch", "streaming"]),
    default="realtime",
    show_default=True,
    help="Which golden path.",
)
@click.option("--template", metavar="NAME", default=GOLDEN_PATH, show_default=True, help="Another template.")
@click.option(
    "--data", "answers", metavar="KEY=VALUE", multiple=True, help="Answer to one of the template's questions."
)
@click.option("--defaults", is_flag=True, help="Ask nothing: take the default answers.")
@click.option("--advanced", is_flag=True, help="Ask the questions too that most people leave to their defaults.")
@click.option("--owner", metavar="GROUP", help="Owning group, where the template does not ask for it.")
@click.option("--host", metavar="NAME", help="Git host; the platform's first one if left out.")
@click.option("--org", metavar="NAME", help="Organisation on the git host; the host's own default if left out.")
@click.option("--dest", type=click.Path(path_type=Path, file_okay=False), default=Path(), help="Folder to make it in.")
@click.option("--clone/--no-clone", default=True, help="Clone the new repository to the folder.")
@click.option("--register/--no-register", default=True, help="Also make its remote repository on the platform.")
def new(
    name: str,
    kind: str,
    template: str,
    answers: tuple[str, ...],
    defaults: bool,
    advanced: bool,
    owner: str | None,
    host: str | None,
    org: str | None,
    dest: Path,
    clone: bool,
    register: bool,
    as_json: bool,
) -> int:
    """Have it made by the platform, or make it here."""
    given = dict(options.pair(answer) for answer in answers)
    if not register:
        for option, value in (("--host", host), ("--org", org), ("--owner", owner)):
            if value is not None:
                raise click.UsageError(f"{option} goes without --no-register.")
        if template != GOLDEN_PATH:
            raise click.UsageError("Another --template needs the platform; leave --no-register out.")
        if advanced:
            given.setdefault("advanced", "true")
        return _local(name, kind, given, defaults, dest, as_json)
    from mlplatform.pipeline.scaffold import check_place

    place = dest.resolve() / name
    if clone:
        check_place(place)
    wish: dict[str, Any] = {"name": name, "template": template, "owner": owner, "host": host, "org": org}
    if template == GOLDEN_PATH:
        wish["type"] = kind
    with _connected() as client:
        wish["answers"] = {**given, **({} if defaults else _asked(client, wish, given, advanced=advanced))}
        for place_of in ("host", "org"):
            wish[place_of] = wish["answers"].pop(place_of, None) or wish[place_of]
        wish["answers"].pop("name", None)
        return _by_platform(client, wish, place if clone else None, as_json)


@contextmanager
def _connected() -> "Iterator[PlatformClient]":
    """A client that is signed in; where there is no platform, say how one does without."""
    from mlplatform.client import CredentialFault, PlatformUnreachable

    with ExitStack() as stack:
        try:
            client = stack.enter_context(session.connected())
            client.ping()
        except (PlatformUnreachable, CredentialFault) as error:
            raise CliError(error.message, f"{error.fix}; --no-register renders it here without a platform") from error
        yield client


def _asked(client: "PlatformClient", wish: dict[str, Any], given: dict[str, str], *, advanced: bool) -> dict[str, Any]:
    if not sys.stdin.isatty():
        raise click.UsageError("There is nobody to ask; give --defaults, and --data for what should be different.")
    from mlplatform.cli.questions import ask

    known = {**given, "name": wish["name"], **({"type": wish["type"]} if "type" in wish else {})}
    return ask(client.scaffold_questions(wish["template"])["parameters"], known, advanced=advanced)


def _by_platform(client: "PlatformClient", wish: dict[str, Any], place: Path | None, as_json: bool) -> int:
    from mlplatform.pipeline.scaffold import clone, follow

    scaffold = client.scaffold(wish)
    identifier = scaffold["id"]
    try:
        scaffold = follow(client, scaffold, show=_show)
    except KeyboardInterrupt:
        output.say(f"\nit goes on by itself; to stop it: platform scaffold cancel {identifier}")
        raise
    if scaffold["state"] != "done":
        left = "nothing of it is left" if scaffold["cleanedUp"] else scaffold["events"][-1]["message"]
        message = f"{wish['name']} was not made: {scaffold['reason']} ({left})"
        raise CliError(message, scaffold["fix"], scaffold=scaffold)
    if place is not None:
        clone(scaffold["cloneUrl"], place)
    document = {
        "path": str(place) if place is not None else None,
        "commit": scaffold["commit"],
        "templateVersion": scaffold["templateVersion"],
        "url": scaffold["cloneUrl"],
        "webUrl": scaffold["webUrl"],
        "id": identifier,
    }
    _result(document, as_json)
    return 0


def _local(name: str, kind: str, given: dict[str, str], defaults: bool, dest: Path, as_json: bool) -> int:
    made = rooms.scaffolder("api", "platform new --no-register").new_repository(
        name, type=kind, data=given, defaults=defaults, dest=dest.resolve(), progress=output.say
    )
    document = {"path": str(made.path), "commit": made.commit, "templateVersion": made.template_version, "url": None}
    _result(document, as_json)
    return 0


def _result(document: dict[str, Any], as_json: bool) -> None:
    where = document["path"] or document["url"]

    def human() -> None:
        output.write(f"{where} at {str(document['commit'])[:12]}, template {document['templateVersion']}")
        if document.get("webUrl"):
            output.write(str(document["webUrl"]))
        if document["path"] and (Path(document["path"]) / "model.yaml").is_file():
            output.say(f"next: cd {document['path']} && platform run")

    output.result(document, as_json=as_json, human=human)


def _show(event: dict[str, Any]) -> None:
    """Print a step when it is done, when it waits and when it fails."""
    if event["state"] != "running":
        output.say(f"  {output.mark(event['state'], 8, sys.stderr)} {event['step']:<10} {event['message']}")
