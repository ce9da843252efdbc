"""Find the model's columns: in a saved model's signature, in a pydantic model, in a list of names, or in a CSV file's head."""

import ast
import csv
import io
import json
import re
from collections.abc import Iterable, Iterator

from scaffolder.adopt.repository import Repository
from scaffolder.adopt.survey.facts import FoundColumn, Guess
from scaffolder.adopt.survey.modules import Module

Columns = tuple[FoundColumn, ...]
_PYDANTIC = {
    "float": "double", "int": "long", "str": "string", "bool": "boolean", "datetime": "datetime", "date": "datetime",
    "NonNegativeFloat": "double", "PositiveFloat": "double", "PositiveInt": "long", "NonNegativeInt": "long",
}  # fmt: skip
_LISTS = re.compile(r"^(ALL_)?(FEATURES?|FEATURE_(COLUMNS|NAMES|COLS)|INPUT_(COLUMNS|FEATURES)|(NUM|NUMERIC|NUMERICAL|CAT|"
                    r"CATEGORICAL|CONTINUOUS|BINARY)(_\w+)?)$", re.IGNORECASE)  # fmt: skip
_ASKED = re.compile(r"(Request|Input|Inputs|Features|Payload|Item|Record|Instance|Sample|Row)$")
_ANSWERED = re.compile(r"(Response|Output|Prediction|Result)$")
_MOST = 500
_ROWS = 200


def find_columns(
    repository: Repository, modules: list[Module], target: str | None
) -> tuple[Guess[Columns] | None, Guess[Columns] | None]:
    """Return the model's inputs and outputs where they are written down."""
    signed = _signature(repository)
    if signed[0] is not None:
        return signed
    classes = list(_pydantic(modules))
    table = _table(repository, target)
    inputs = next((guess for name, guess in classes if _ASKED.search(name)), None)
    outputs = next((guess for name, guess in classes if _ANSWERED.search(name)), None)
    inputs = inputs or _listed(modules, table[0] if table else None) or (table[0] if table else None)
    return inputs, outputs or (table[1] if table else None)


def _signature(repository: Repository) -> tuple[Guess[Columns] | None, Guess[Columns] | None]:
    """Read the signature of a model that MLflow has saved in the repository."""
    for path in sorted((path for path in repository.entries if path.rpartition("/")[2] == "MLmodel"), key=len)[:5]:
        text = repository.text(path) or ""
        found: list[Guess[Columns] | None] = []
        for side in ("inputs", "outputs"):
            match = re.search(rf"^\s+{side}:\s*'(\[.*?\])'\s*$", text, re.MULTILINE | re.DOTALL)
            found.append(_signed(match[1], path) if match else None)
        if found[0] is not None:
            return found[0], found[1]
    return None, None


def _signed(text: str, path: str) -> Guess[Columns] | None:
    try:
        columns = json.loads(" ".join(text.replace("''", "'").split()))
        named = [FoundColumn(str(column["name"]), str(column["type"])) for column in columns if "name" in column]
    except (ValueError, KeyError, TypeError):
        return None
    return Guess(tuple(named[:_MOST]), (path,)) if named else None


def _pydantic(modules: Iterable[Module]) -> Iterator[tuple[str, Guess[Columns]]]:
    for module in modules:
        if module.is_test:
            continue
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.ClassDef) or not any(
                ast.unparse(base).endswith("BaseModel") for base in node.bases
            ):
                continue
            fields = [
                part for part in node.body if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name)
            ]
            columns = [FoundColumn(part.target.id, _plain_type(part.annotation)) for part in fields]  # type: ignore[union-attr]
            if columns and all(column.type is not None for column in columns):
                yield node.name, Guess(tuple(columns[:_MOST]), (f"{module.file}:{node.lineno} {node.name}",))


def _plain_type(annotation: ast.expr) -> str | None:
    written = ast.unparse(annotation)
    match = re.fullmatch(r"(?:Optional\[)?(?:datetime\.)?(\w+)(?:\])?(?:\s*\|\s*None)?", written)
    if match and match[1] in _PYDANTIC:
        return _PYDANTIC[match[1]]
    match = re.match(r"(?:Annotated|conint|confloat|constr)[\[(](\w+)?", written)
    if written.startswith(("conint", "confloat", "constr")):
        return {"coni": "long", "conf": "double", "cons": "string"}[written[:4]]
    return _PYDANTIC.get(match[1]) if match and match[1] else "string" if written.startswith("Literal[") else None


def _listed(modules: Iterable[Module], table: Guess[Columns] | None) -> Guess[Columns] | None:
    """Take the lists of column names that a module has; several by kind are put together."""
    types = {column.name: column.type for column in table.value} if table else {}
    for module in modules:
        if module.is_test:
            continue
        names: list[str] = []
        places: list[str] = []
        for node in module.tree.body:
            if not (isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)):
                continue
            name, value = node.targets[0].id, node.value
            if not _LISTS.match(name) or not isinstance(value, ast.List | ast.Tuple):
                continue
            items = [
                part.value for part in value.elts if isinstance(part, ast.Constant) and isinstance(part.value, str)
            ]
            if items and len(items) == len(value.elts):
                names += [item for item in items if item not in names]
                places.append(f"{module.file}:{node.lineno} {name}")
        if names:
            return Guess(tuple(FoundColumn(name, types.get(name)) for name in names[:_MOST]), tuple(places[:4]))
    return None


def _table(repository: Repository, target: str | None) -> tuple[Guess[Columns], Guess[Columns] | None] | None:
    """Read the head of a CSV file, the one that has the target where that is known."""
    for path in sorted((path for path in repository.entries if path.endswith((".csv", ".tsv"))), key=len)[:20]:
        text = repository.text(path)
        if not text:
            continue
        rows = list(
            csv.reader(
                io.StringIO("\n".join(text.split("\n")[: _ROWS + 1])), delimiter="\t" if path.endswith(".tsv") else ","
            )
        )
        if len(rows) < 2 or not 1 < len(rows[0]) <= _MOST or any(not name.strip() for name in rows[0]):
            continue
        if target is not None and target not in rows[0]:
            continue
        columns = [
            FoundColumn(name, _type_of([row[index] for row in rows[1:] if len(row) == len(rows[0])]))
            for index, name in enumerate(rows[0])
        ]
        inputs = tuple(column for column in columns if column.name != target)
        truth = next((column for column in columns if column.name == target), None)
        answer = (FoundColumn("prediction", truth.type),) if truth is not None else None
        where = (f"{path}:1, types by its first {len(rows) - 1} rows",)
        return Guess(inputs, where), Guess(answer, where) if answer else None
    return None


def _type_of(values: list[str]) -> str:
    filled = [value.strip() for value in values if value.strip()]
    if filled and all(value.lower() in {"true", "false"} for value in filled):
        return "boolean"
    for kind, convert in (("long", int), ("double", float)):
        try:
            for value in filled:
                convert(value)
        except ValueError:
            continue
        # A whole number that is missing somewhere is read as a floating one.
        return "double" if len(filled) < len(values) and kind == "long" else kind if filled else "string"
    return "string"
