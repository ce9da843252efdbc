"""YAML into plain values with the place of each, refusing what a declaration never needs.

A ``model.yaml`` is read on laptops, in CI and by the backend, so it is taken for hostile: its size and the number and
depth of its nodes are limited before anything is built from it; anchors, aliases and tags are refused outright, which
leaves neither expansion bombs nor foreign types; a key that stands twice is an error, not the last one winning.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, NodeEvent, ScalarEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from mlplatform.spec.faults import Fault, SpecError

MAX_BYTES = 1 << 20
MAX_NODES = 20_000
MAX_DEPTH = 24

Path_ = tuple[str | int, ...]
"""Place of a value in the document: keys and list positions from the root."""


@dataclass
class Document:
    """The values of a YAML file, and where each key and value stands (line and column, from 1)."""

    data: Any
    places: dict[Path_, tuple[int, int]] = field(default_factory=dict)

    def place(self, path: Path_) -> tuple[int, int]:
        """Return where ``path`` stands, or else the nearest thing around it that is in the file."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, (1, 1))


def read(file: Path) -> Document:
    """Read a YAML file.

    Raises:
        SpecError: it can't be read, is not YAML, or holds something that is refused.
    """
    try:
        with file.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        fix = "run the command inside a model repository, or make one with `platform new NAME`"
        raise SpecError(file, [Fault(1, 1, "", f"there is no {file.name} in {file.parent}", fix)]) from None
    except OSError as error:
        raise SpecError(file, [Fault(1, 1, "", f"can't be read: {error.strerror}")]) from error
    if len(raw) > MAX_BYTES:
        raise SpecError(file, [Fault(1, 1, "", f"is larger than {MAX_BYTES // 1024} KiB")])
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise SpecError(file, [Fault(line, 1, "", "is not UTF-8 text", "save the file as UTF-8")]) from error
    return _parse(file, text)


def read_all(file: Path, raw: bytes, *, most: int) -> list[Document]:
    """Read a stream of YAML documents, of which at most ``most`` are accepted, under the same limits as one.

    ``file`` is what the faults name; nothing is read from there. Empty documents are left out.

    Raises:
        SpecError: it is not YAML, or holds something that is refused.
    """
    if len(raw) > MAX_BYTES:
        raise SpecError(file, [Fault(1, 1, "", f"is larger than {MAX_BYTES // 1024} KiB")])
    documents: list[Document] = []
    faults: list[Fault] = []
    try:
        text = raw.decode("utf-8")
        _refuse_hostile(file, text, most=most)
        for root in _yaml().compose_all(text):
            if root is None:
                continue
            document = Document(None)
            document.data = _value(root, (), document, faults)
            if document.data is not None:
                documents.append(document)
    except (YAMLError, RecursionError, ValueError) as error:
        raise SpecError(file, [_fault(error)]) from error
    if faults:
        raise SpecError(file, faults)
    return documents


def _fault(error: Exception) -> Fault:
    mark = (error.problem_mark or error.context_mark) if isinstance(error, MarkedYAMLError) else None
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    problem = (error.problem or "") if isinstance(error, MarkedYAMLError) else ""
    reason = problem.strip() or (str(error).splitlines() or [type(error).__name__])[0]
    return Fault(line, column, "", f"is not valid YAML: {reason}")


def _parse(file: Path, text: str) -> Document:
    try:
        _refuse_hostile(file, text, most=1)
        root = _yaml().compose(text)
        if root is None:
            raise SpecError(file, [Fault(1, 1, "", "is empty", "`platform schema` prints what belongs in it")])
        document = Document(None)
        faults: list[Fault] = []
        document.data = _value(root, (), document, faults)
    except (YAMLError, RecursionError, ValueError) as error:
        raise SpecError(file, [_fault(error)]) from error
    if faults:
        raise SpecError(file, faults)
    return document


def _yaml() -> YAML:
    # The pure parser is the one that keeps YAML 1.2 rules and exact columns.
    return YAML(typ="safe", pure=True)


def _refuse_hostile(file: Path, text: str, *, most: int) -> None:
    nodes = depth = documents = 0
    for event in _yaml().parse(text):
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        refusal: tuple[str, str | None] | None = None
        if isinstance(event, AliasEvent) or (isinstance(event, NodeEvent) and event.anchor is not None):
            refusal = (
                "anchors and aliases (`&`, `*`) are not accepted",
                "write the value out where it is needed",
            )
        elif isinstance(event, CollectionStartEvent | ScalarEvent) and event.tag is not None:
            refusal = (f"tags ({event.tag}) are not accepted", "write the value without it")
        nodes += isinstance(event, NodeEvent)
        depth += isinstance(event, CollectionStartEvent)
        depth -= isinstance(event, CollectionEndEvent)
        documents += type(event).__name__ == "DocumentStartEvent"
        if nodes > MAX_NODES:
            refusal = (f"has more than {MAX_NODES} values", None)
        elif depth > MAX_DEPTH:
            refusal = (f"is nested more than {MAX_DEPTH} deep", None)
        elif documents > most:
            refusal = (
                ("holds more than one YAML document", "keep one document; remove the second `---`")
                if most == 1
                else (f"holds more than {most} YAML documents", None)
            )
        if refusal is not None:
            raise SpecError(file, [Fault(line, column, "", *refusal)])


def _value(node: Node, path: Path_, document: Document, faults: list[Fault]) -> Any:
    document.places.setdefault(path, (node.start_mark.line + 1, node.start_mark.column + 1))
    if isinstance(node, MappingNode):
        return _mapping(node, path, document, faults)
    if isinstance(node, SequenceNode):
        return [_value(item, (*path, index), document, faults) for index, item in enumerate(node.value)]
    return _scalar(node)


def _mapping(node: MappingNode, path: Path_, document: Document, faults: list[Fault]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line, column = key_node.start_mark.line + 1, key_node.start_mark.column + 1
        if not isinstance(key_node, ScalarNode):
            faults.append(Fault(line, column, dotted(path), "has a key that is not text"))
            continue
        key = key_node.value
        if key in values:
            first = document.places[(*path, key)][0]
            fix = f"it stands in line {first} already; keep one of the two"
            faults.append(Fault(line, column, dotted((*path, key)), f"`{key}` is given twice", fix))
            continue
        document.places[(*path, key)] = (line, column)
        values[key] = _value(value_node, (*path, key), document, faults)
    return values


def _scalar(node: Node) -> Any:
    text: str = node.value
    constructor = _yaml().constructor
    match str(node.tag).rpartition(":")[2]:
        case "null":
            return None
        case "bool":
            return constructor.construct_yaml_bool(node)
        case "int":
            return constructor.construct_yaml_int(node)
        case "float":
            return constructor.construct_yaml_float(node)
    return text  # dates stay the text they were written as: nothing in model.yaml is one


def dotted(path: Path_) -> str:
    """Write a path the way people do: ``validation.thresholds[0].metric``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else (f".{part}" if text else part)
    return text
