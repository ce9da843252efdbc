"""``platform drift labels``."""

import csv
import json
import math
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from mlplatform.cli import options, output, session
from mlplatform.cli.errors import CliError

Json = dict[str, Any]

_AT_ONCE = 5000


@options.command(
    "Send the truth of predictions: a CSV file with the columns id, value and perhaps at, or JSON lines with these members. "
    "The id is what the answer's header X-Prediction-Id said. A file may be sent again; nothing counts twice.",
    examples=[
        "platform drift labels labels.csv --env production",
        "platform drift labels labels.jsonl --model wine --json",
    ],
)
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@options.directory_option
@options.model_option
@options.environment_option
def labels(file: Path, directory: Path, model: str | None, environment: str, as_json: bool) -> None:
    """Send labels, some thousands at a time."""
    name = session.model_name(directory, model)
    found = list(_read(file))
    if not found:
        raise CliError(f"{file} holds no label", "a CSV file begins with the line id,value")
    total: dict[str, int] = {}
    with session.connected() as client:
        for start in range(0, len(found), _AT_ONCE):
            taken = client.send_labels(name, environment, found[start : start + _AT_ONCE])
            total = {key: total.get(key, 0) + count for key, count in taken.items()}

    def human() -> None:
        said = ", ".join(f"{total[key]} {key}" for key in ("new", "changed", "repeated", "outdated"))
        output.write(
            f"{len(found)} labels of {name} in {environment}: {said}; {total['sampled']} have their prediction"
        )

    output.result({"model": name, "environment": environment, **total}, as_json=as_json, human=human)


def _read(file: Path) -> Iterator[Json]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            first = stream.read(1)
            stream.seek(0)
            rows = _lines(file, stream) if first == "{" else _csv(file, csv.DictReader(stream))
            for number, row in rows:
                yield _checked(file, number, row)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CliError(f"{file} can't be read: {error}", "it must be CSV or JSON lines, in UTF-8") from None


def _lines(file: Path, stream: Any) -> Iterator[tuple[int, Json]]:
    for number, line in enumerate(stream, start=1):
        if line.strip():
            try:
                row = json.loads(line)
            except ValueError:
                raise CliError(f"{file}:{number}: is no JSON", 'write {"id": "...", "value": ...}') from None
            if not isinstance(row, dict):
                raise CliError(f"{file}:{number}: is no object", 'write {"id": "...", "value": ...}')
            yield number, row


def _csv(file: Path, rows: "csv.DictReader[str]") -> Iterator[tuple[int, Json]]:
    missing = {"id", "value"} - set(rows.fieldnames or ())
    if missing:
        raise CliError(
            f"{file}: has no column {' and '.join(sorted(missing))}", "its first line is id,value or id,value,at"
        )
    for row in rows:
        yield rows.line_num, {**row, "value": _plain(row["value"]), "at": row.get("at") or None}


def _plain(text: str | None) -> Any:
    """Read a number or true and false as such; anything else is a text."""
    try:
        value = json.loads(text or "")
    except ValueError:
        return text
    return value if isinstance(value, bool | int | float) else text


def _checked(file: Path, number: int, row: Json) -> Json:
    try:
        id = str(uuid.UUID(str(row.get("id"))))
    except ValueError:
        raise CliError(
            f"{file}:{number}: {str(row.get('id'))[:40]!r} is no prediction's id",
            "take it from the header X-Prediction-Id",
        ) from None
    value = row.get("value")
    if value in (None, "", []) or (isinstance(value, float) and not math.isfinite(value)):
        raise CliError(f"{file}:{number}: has no value", "leave out predictions whose truth is not known yet")
    at = row.get("at")
    return {"id": id, "value": value, **({"at": at} if at else {})}
