"""Load ``model.yaml``: every fault at once, each with line, column, path and what to do."""

import difflib
import json
import types
from enum import Enum
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from mlplatform.spec import base
from mlplatform.spec.faults import Fault, SpecError, describe
from mlplatform.spec.model import ModelSpec
from mlplatform.spec.placeholders import unfilled
from mlplatform.spec.reader import Document, Path_, dotted, read

__all__ = ["FILE_NAME", "Fault", "SpecError", "describe", "load_spec"]

FILE_NAME = "model.yaml"

_FORMS = {
    base.NAME_PATTERN: "use lower-case letters, digits and single hyphens, for example `credit-risk`",
    base.ENTITY_REF_PATTERN: "write the kind out, for example `group:default/risk`",
    r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$": "write `package.module:function`, for example `wine.train:train`",
    r"^[A-Za-z][\w./-]*$": "use the metric's name as MLflow reports it, for example `roc_auc`",
    r"^[A-Za-z0-9][\w-]*(/[A-Za-z0-9][\w-]*)*$": "write folders of the lake, for example `flights/scheduled`",
    r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$": "use letters, digits, `_` and `-`, with dots between, for example `shop.orders`",
    r"^[A-Za-z0-9][A-Za-z0-9._-]*$": "use letters, digits, `.`, `_` and `-`",
}
_KINDS = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "list_type": "a list",
    "model_type": "a mapping with fields of its own",
    "model_attributes_type": "a mapping with fields of its own",
    "dict_type": "a mapping",
}


def load_spec(path: Path) -> ModelSpec:
    """Read and check a ``model.yaml`` (or the one in the folder ``path``).

    Raises:
        SpecError: with all faults, in the order of the file.
    """
    return load_with_places(path)[0]


def load_with_places(path: Path) -> tuple[ModelSpec, Document]:
    """Do what :func:`load_spec` does, and also return where everything stands, for checks that go further."""
    file = path / FILE_NAME if path.is_dir() else path
    document = read(file)
    if not isinstance(document.data, dict):
        raise SpecError(file, [Fault(1, 1, "", "must be a mapping of fields, such as `name: wine`")])
    waiting = unfilled(document)
    try:
        # Strict, and by the names in the file only: `"3"` is no number, and `cost_centre` is no `costCentre`.
        text = json.dumps(document.data)
        spec = ModelSpec.model_validate_json(text, strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        raise SpecError(file, _faults(document, error.errors(include_url=False), waiting)) from None
    if waiting:
        raise SpecError(file, list(waiting.values()))
    return spec, document


def _faults(document: Document, errors: list[ErrorDetails], waiting: dict[Path_, Fault]) -> list[Fault]:
    """Return a fault for each place; one that waits for a person says so, and not that its mark has the wrong form."""
    unknown = {_existing(document.data, error["loc"]) for error in errors if error["type"] == "extra_forbidden"}
    found: dict[Path_, Fault] = dict(waiting)
    for error in errors:
        path = _existing(document.data, error["loc"])
        if error["type"] == "missing":
            name = str(error["loc"][-1])
            if any(_meant(known, [name]) for known in unknown if known[:-1] == path):
                continue  # said already, as "did you mean", where it is misspelt
            path = (*path, name)
        elif error["type"] == "value_error":
            path = _named_in_message(document, path, error["msg"])
        if path in found:
            continue  # the other branches of a choice of types
        message, fix = _wording(document, path, error)
        line, column = document.place(path)
        found[path] = Fault(line, column, dotted(path), message, fix)
    return sorted(found.values(), key=lambda fault: (fault.line, fault.column, fault.path))


def _wording(document: Document, path: Path_, error: ErrorDetails) -> tuple[str, str | None]:
    kind, context = error["type"], error.get("ctx", {})
    shown = _shown(error["input"])
    field = _field(path)
    hint = field.description if field is not None else None
    match kind:
        case "missing":
            return f"`{path[-1]}` is missing", f"add `{path[-1]}:`" + (f" ({hint})" if hint else "")
        case "extra_forbidden":
            known = _fields(_model(path[:-1]))
            taken = set(_inside(document.data, path[:-1]))
            guess = _meant(path, [name for name in known if name not in taken] or list(known))
            fix = f"did you mean `{guess}`?" if guess else f"known here: {', '.join(known)}"
            return f"unknown field `{path[-1]}`", fix
        case "enum" | "literal_error":
            choices = _choices(field)
            close = difflib.get_close_matches(str(error["input"]), choices, n=1)
            fix = f"did you mean `{close[0]}`?" if close else f"one of: {', '.join(choices)}"
            return f"{shown} is not accepted", fix
        case "string_pattern_mismatch":
            return f"{shown} has the wrong form", _FORMS.get(str(context.get("pattern")), hint)
        case "string_too_long":
            return (
                f"has {len(str(error['input']))} characters, at most {context['max_length']} are accepted",
                None,
            )
        case "string_too_short" | "too_short":
            return "is empty", hint
        case "value_error":
            return str(context.get("error", error["msg"])), None
    if kind in _KINDS and field is not None and _is_choice(field):
        return f"{shown} is not accepted here", hint
    if kind in _KINDS:
        return f"{shown} is not {_KINDS[kind]}", hint
    message = error["msg"]
    for start in ("Input should be ", "Value should have "):
        if message.startswith(start):
            return f"{shown} is not {message.removeprefix(start)}", hint
    return message[:1].lower() + message[1:], hint


def _named_in_message(document: Document, path: Path_, message: str) -> Path_:
    """Point a check of several fields at the one that its message begins with, where that is in the file."""
    words = message.removeprefix("Value error, ").split()
    named = (*path, *words[0].split(".")) if words else path
    return named if named in document.places else path


def _existing(data: Any, loc: tuple[int | str, ...]) -> Path_:
    """Keep of an error's place what is in the file (pydantic adds the branch of a choice of types)."""
    path: list[int | str] = []
    for part in loc:
        inside_mapping = isinstance(data, dict) and part in data
        if not inside_mapping and not (isinstance(data, list) and isinstance(part, int) and part < len(data)):
            break
        data = data[part]
        path.append(part)
    return tuple(path)


def _inside(data: Any, path: Path_) -> dict[str, Any]:
    for part in path:
        data = data[part]
    return data if isinstance(data, dict) else {}


def _meant(path: Path_, known: list[str]) -> str | None:
    word = str(path[-1])
    folded = {name.lower(): name for name in known}
    plain = word.replace("_", "").replace("-", "").lower()
    close = difflib.get_close_matches(plain, folded, n=1, cutoff=0.7)
    return folded[close[0]] if close else None


def _fields(model: type[BaseModel] | None) -> dict[str, FieldInfo]:
    if model is None:
        return {}
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _field(path: Path_) -> FieldInfo | None:
    model, names = _model(path[:-1]), path
    return _fields(model).get(str(names[-1])) if names else None


def _model(path: Path_) -> type[BaseModel] | None:
    """Return the pydantic model that the mapping at ``path`` is read into."""
    model: type[BaseModel] | None = ModelSpec
    for part in path:
        if isinstance(part, int):
            continue  # a list holds one kind of model, found with the list's own name
        field = _fields(model).get(part)
        model = _model_in(field.annotation) if field is not None else None
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for inner in get_args(annotation) if (found := _model_in(inner))), None)


def _choices(field: FieldInfo | None) -> list[str]:
    annotation = field.annotation if field is not None else None
    if get_origin(annotation) is Literal:
        return [str(choice) for choice in get_args(annotation)]
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return [str(choice.value) for choice in annotation]
    return []


def _is_choice(field: FieldInfo) -> bool:
    if get_origin(field.annotation) not in {Union, types.UnionType}:
        return False
    return len([kind for kind in get_args(field.annotation) if kind is not type(None)]) > 1


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."
