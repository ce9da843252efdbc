"""``platform templates import``."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from mlplatform.cli import options, output, rooms

_STYLES = {"needs you": "red", "different": "yellow", "converted": "green", "dropped": "dim"}


@options.command(
    "Convert a Cookiecutter template into a Copier template that renders the same bytes. Hooks are read, never run; what "
    "could not be converted is shown with file, line and what to do, and written to IMPORTED.md beside the template.",
    examples=[
        "platform templates import ~/src/cookiecutter-service --out service",
        "platform templates import https://git.example.org/templates/service --checkout v2 --verify 20",
        "copier copy service my-service",
    ],
)
@click.argument("source")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Folder to make; the template's name by default."
)
@click.option("--checkout", metavar="REF", help="Branch, tag or commit, for a git URL.")
@click.option("--directory", metavar="FOLDER", help="Folder of the repository that holds the template.")
@click.option(
    "--context",
    "context_file",
    metavar="FILE",
    default="cookiecutter.json",
    show_default=True,
    help="File with the variables, where a front end reads another one.",
)
@click.option(
    "--replay",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Replay file or .cruft.json whose answers to write as answers.yml.",
)
@click.option(
    "--verify",
    type=click.IntRange(0, 200),
    default=0,
    metavar="N",
    help="Render both with up to N sets of answers and compare the bytes; exit 1 if any differ.",
)
def import_(
    source: str,
    out: Path | None,
    checkout: str | None,
    directory: str | None,
    context_file: str,
    replay: Path | None,
    verify: int,
    as_json: bool,
) -> int:
    """Convert, and show what came of it."""
    api = rooms.scaffolder("cookiecutter.api", "platform templates import")
    sources = rooms.scaffolder("cookiecutter.source", "platform templates import")
    name = (directory or source).rstrip("/").rpartition("/")[2].rpartition(":")[2].removesuffix(".git")
    place = (out or Path(f"{name or 'template'}-copier")).resolve()
    imported = api.import_template(
        source,
        place,
        policy=sources.SourcePolicy.of_this_user(),
        checkout=checkout,
        directory=directory,
        context_file=context_file,
        replay=replay,
        verify=verify,
        progress=output.say,
    )
    document = {
        "templates": [{"path": str(one.folder), **one.report.as_dict()} for one in imported.imports],
        "verified": {
            folder: [
                {
                    "answers": dict(one.answers),
                    "files": one.files,
                    "fault": one.fault,
                    "differences": [{"path": item.path, "how": item.how} for item in one.differences],
                }
                for one in found
            ]
            for folder, found in imported.verified.items()
        },
    }

    def human() -> None:
        for one in imported.imports:
            _show(one)
        for folder, found in imported.verified.items():
            _show_verified(folder, found)

    output.result(document, as_json=as_json, human=human)
    return 0 if imported.identical else 1


def _show(one: Any) -> None:
    report = one.report
    output.write(f"{one.folder}: {report.rendered} files rendered, {report.copied} copied as they are")
    for kind in ("needs you", "different", "converted", "dropped"):
        for place, message, fix in _grouped(finding for finding in report.findings if finding.kind == kind):
            word = output.paint(f"{kind:<9}", _STYLES[kind], sys.stdout)
            output.write(f"  {word}  {place}: {message}")
            if fix and kind == "needs you":
                output.write(f"             {fix}")
    waiting = sum(finding.kind == "needs you" for finding in report.findings)
    if waiting:
        output.say(f"{waiting} thing{'s' if waiting != 1 else ''} to do by hand: see {one.folder / 'IMPORTED.md'}")
    output.say(f"next: copier copy {one.folder} my-project")


def _grouped(findings: Iterable[Any]) -> list[tuple[str, str, str | None]]:
    """Return findings that say the same of one file as one, with all of its lines."""
    lines: dict[tuple[str, str, str | None], list[str]] = {}
    for finding in sorted(findings, key=lambda item: (item.file, item.line or 0)):
        found = lines.setdefault((finding.file, finding.message, finding.fix), [])
        found += [str(finding.line)] if finding.line else []
    return [
        (f"{file}:{','.join(numbers)}" if numbers else file, message, fix)
        for (file, message, fix), numbers in lines.items()
    ]


def _show_verified(folder: str, found: list[Any]) -> None:
    faults = {one.fault for one in found if one.fault}
    differing = {(item.path, item.how) for one in found for item in one.differences}
    files = sum(one.files for one in found)
    word = output.mark("failed" if faults or differing else "passed")
    output.write(f"{folder}: {len(found)} sets of answers, {files} files compared {word}")
    for fault in sorted(faults):
        output.write(f"  {fault}")
    for path, how in sorted(differing):
        output.write(f"  {path} {how}")
