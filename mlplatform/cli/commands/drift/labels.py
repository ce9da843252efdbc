"""``platform drift labels``."""

import csv
import json
import math
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import click

from mlplatform.cli import options, output, session
from mlplatform.cli.errors import CliError

Json = dict[str, Any]

_AT_ONCE = 5000
_OTHERS = ("day", "value", "at")
"""Of a file with days, the columns that are no key."""


@options.command(
    "Send the truth of predictions: a CSV file with the columns id, value and perhaps at, or JSON lines with these members. "
    "The id is what the answer's header X-Prediction-Id said; of a streaming model, the message's id. Of a batch model the "
    "columns are day, those of batch.keys, and value (in JSON lines: day, key, value). A file may be sent again; nothing counts "
    "twice.",
    examples=[
        "platform drift labels labels.csv --env production",
        "platform drift labels late.csv --model flight-delays --env production",
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
    heads = list(rows.fieldnames or ())
    keys = [name for name in heads if name not in _OTHERS] if "day" in heads else None
    missing = {"id" if keys is None else "day", "value"} - set(heads)
    if missing or keys == []:
        raise CliError(
            f"{file}: has no column {' and '.join(sorted(missing)) or 'with a key'}",
            "its first line is id,value or id,value,at; of a batch model day, the columns of batch.keys, and value",
        )
    for row in rows:
        told = {"value": _plain(row["value"]), "at": row.get("at") or None}
        named = {"id": row["id"]} if keys is None else {"day": row["day"], "key": {name: row[name] for name in keys}}
        yield rows.line_num, {**named, **told}


def _plain(text: str | None) -> Any:
    """Read a number or true and false as such; anything else is a text."""
    try:
        value = json.loads(text or "")
    except ValueError:
        return text
    return value if isinstance(value, bool | int | float) else text


def _checked(file: Path, number: int, row: Json) -> Json:
    named = _row(file, number, row) if "day" in row else _id(file, number, row)
    value = row.get("value")
    if value in (None, "", []) or (isinstance(value, float) and not math.isfinite(value)):
        raise CliError(f"{file}:{number}: has no value", "leave out predictions whose truth is not known yet")
    at = row.get("at")
    return {**named, "value": value, **({"at": at} if at else {})}


def _id(file: Path, number: int, row: Json) -> Json:
    if row.get("id") in (None, ""):
        raise CliError(
            f"{file}:{number}: has no id",
            "take it from the answer's header X-Prediction-Id; of a streaming model it is the message's",
        )
    return {"id": str(row["id"])}


def _row(file: Path, number: int, row: Json) -> Json:
    try:
        day = date.fromisoformat(str(row["day"])).isoformat()
    except ValueError:
        raise CliError(
            f"{file}:{number}: {str(row['day'])[:40]!r} is no day", "write it as in 2026-03-01: the partition's"
        ) from None
    key = row.get("key")
    if not isinstance(key, dict) or None in key.values() or not key:
        raise CliError(f"{file}:{number}: has no key", "give a value for each column of batch.keys")
    return {"day": day, "key": key}
