"""Read the answers file of a repository, which anybody may have edited.

Copier loads it with ``yaml.safe_load`` and believes what it says. Here it is measured first: a small file can stand for
gigabytes by aliases, and rendering would write them all out.
"""

from collections.abc import Mapping
from typing import Any

from scaffolder.names import ANSWERS_FILE, shortened
from scaffolder.update.errors import AnswersUnreadable

SOURCE, VERSION = "_src_path", "_commit"
LARGEST_FILE = 256 * 1024
_MOST_NODES = 20_000
_RESTORE = "restore the file from the repository's history"


def read_answers(content: bytes, path: str = ANSWERS_FILE) -> dict[str, Any]:
    """Return the answers that a file holds, with ``_src_path`` and ``_commit`` and without other private keys.

    Raises:
        AnswersUnreadable: it is not what Copier writes.
    """
    if len(content) > LARGEST_FILE:
        raise AnswersUnreadable(f"{path} has {len(content)} bytes; at most {LARGEST_FILE} are read", fix=_RESTORE)
    loaded = _load(content, path)
    if not isinstance(loaded, dict):
        raise AnswersUnreadable(f"{path} holds {_kind(loaded)} instead of answers", fix=_RESTORE)
    for key in loaded:
        if not isinstance(key, str):
            raise AnswersUnreadable(f"{path} has the key {shortened(str(key))}, which is {_kind(key)}", fix=_RESTORE)
    for key, what in ((SOURCE, "which template"), (VERSION, "which version of it")):
        value = loaded.get(key)
        if not isinstance(value, str) or not value.strip():
            found = f"is {_kind(value)}" if key in loaded else "is missing"
            raise AnswersUnreadable(
                f"{path} does not say {what} the repository was made from: {key} {found}",
                fix=f"put {key} back as it was in the repository's history, as text",
            )
    _check_size(loaded, path)
    return {key: value for key, value in loaded.items() if key in (SOURCE, VERSION) or not key.startswith("_")}


def public(answers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answers without Copier's own keys."""
    return {key: value for key, value in answers.items() if not key.startswith("_")}


def _load(content: bytes, path: str) -> object:
    import yaml

    try:
        return yaml.safe_load(content)
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark
        where = f" in line {mark.line + 1}" if mark is not None else ""
        raise AnswersUnreadable(f"{path} is not YAML{where}: {fault.problem}", fix=_RESTORE) from fault
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, OverflowError, RecursionError) as fault:
        raise AnswersUnreadable(f"{path} is not YAML: {shortened(str(fault))}", fix=_RESTORE) from fault


def _check_size(loaded: object, path: str) -> None:
    """Count what the answers stand for once every alias is written out; one that contains itself never ends."""
    pending, seen = [loaded], 0
    while pending:
        value = pending.pop()
        seen += 1
        if seen > _MOST_NODES:
            raise AnswersUnreadable(f"{path} stands for more than {_MOST_NODES} values by its aliases", fix=_RESTORE)
        if isinstance(value, dict):
            pending.extend(value)
            pending.extend(value.values())
        elif isinstance(value, (list, tuple, set)):
            pending.extend(value)


def _kind(value: object) -> str:
    names = {dict: "a mapping", list: "a list", str: "text", bool: "true or false", type(None): "nothing"}
    return names.get(type(value), f"a {type(value).__name__}")
