"""``catalog-info.yaml`` into entities, with everything that is wrong by line; read as hostile as ``model.yaml``."""

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import TypeAdapter, ValidationError

from catalog.entities import KINDS, AnyEntity, Entity
from mlplatform.spec.faults import Fault, SpecError
from mlplatform.spec.reader import Document, read_all

MOST_ENTITIES = 500
OF_REPOSITORIES = frozenset({"Component", "Resource", "API", "System"})
"""What a repository may declare. Groups and users are said by the organisation alone, since rights hang on them, and templates
by the platform alone: whoever fills one in trusts it with an own name."""
OF_THE_ORGANISATION = frozenset({"Group", "User", "System"})
OF_THE_PLATFORM = frozenset({"Template"})

_ENTITY: TypeAdapter[Any] = TypeAdapter(Entity)


@dataclass
class Reading:
    """What a file declares, and what is wrong with it."""

    entities: list[AnyEntity] = field(default_factory=list)
    documents: list[dict[str, Any]] = field(default_factory=list)
    """The entities as they were written, in the same order."""
    faults: list[Fault] = field(default_factory=list)


def read_entities(path: str, raw: bytes, *, kinds: frozenset[str]) -> Reading:
    """Read a file's entities. Those that are right are returned even when others are not.

    An entity of a kind that the platform does not know is left to Backstage.
    """
    reading = Reading()
    try:
        documents = read_all(Path(PurePosixPath(path).name), raw, most=MOST_ENTITIES)
    except SpecError as error:
        reading.faults = list(error.faults)
        return reading
    seen: set[str] = set()
    for document in documents:
        kind = document.data.get("kind") if isinstance(document.data, dict) else None
        if isinstance(kind, str) and kind not in KINDS:
            continue
        faults = _faults(document, kinds)
        if not faults:
            entity = _ENTITY.validate_python(document.data)
            if entity.ref in seen:
                faults = [_at(document, ("metadata", "name"), f"{entity.ref} is declared twice")]
            else:
                seen.add(entity.ref)
                reading.entities.append(entity)
                reading.documents.append(document.data)
        reading.faults += faults
    return reading


def _faults(document: Document, kinds: frozenset[str]) -> list[Fault]:
    if not isinstance(document.data, dict):
        return [_at(document, (), "is no entity", "write an object with apiVersion, kind, metadata and spec")]
    kind = document.data.get("kind")
    if kind is None:
        return [_at(document, (), "has no kind", f"write one of {', '.join(sorted(kinds))}")]
    if kind not in kinds:
        who = "repositories"
        if kind in OF_THE_ORGANISATION | OF_THE_PLATFORM:
            who = "the platform" if kind in OF_THE_PLATFORM else "the organisation"
        return [_at(document, ("kind",), f"a {kind} is declared by {who} alone", "take it out of this file")]
    try:
        _ENTITY.validate_python(document.data)
    except ValidationError as error:
        return [_fault(document, one) for one in error.errors()[:20]]
    return []


def _fault(document: Document, error: Any) -> Fault:
    # The first part of the location is the kind by which the model was chosen.
    path = tuple(part for part in error["loc"][1:] if part != "[key]")
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "missing":
        message = "is missing"
    return _at(document, path, message)


def _at(document: Document, path: tuple[str | int, ...], message: str, fix: str | None = None) -> Fault:
    line, column = document.place(path)
    return Fault(line, column, ".".join(str(part) for part in path), message, fix)
