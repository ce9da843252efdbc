"""Policies from their files: parsed, checked against the schema, named and digested.

The text is Cedar (https://docs.cedarpolicy.com). Cedar itself says neither in which file nor on which line something is
wrong, so a file is first cut into its policies; each is then parsed and validated by itself.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import cedarpy
import rfc8785

from backend.core.config_files import ConfigError

SHIPPED = "shipped"
NAMESPACE = "MLPlatform"
_LARGEST_FILE = 1 << 20
_MOST_RULES = 1000
_ID = re.compile(r"^[a-z0-9]+([.-][a-z0-9]+)*$")
_TOKENS = re.compile(r'//[^\n]*|"(?:\\.|[^"\\])*"|;', re.DOTALL)
_PLACEHOLDER = re.compile(r"\{([a-z]+)\}")
_NAMED = re.compile(r'@id\("([^"]*)"\)')
_POSITION = re.compile(r"^for policy `[^`]*`, ")


@dataclass(frozen=True)
class Rule:
    """One policy: its name, what people are told when it decides, and where it stands."""

    id: str
    because: str
    effect: Literal["permit", "forbid"]
    file: str
    line: int
    text: str
    document: dict[str, Any] = field(repr=False)
    """Cedar's JSON form (EST)."""

    def reason(self, words: dict[str, str]) -> str:
        """Return why it decided so, with the names of this request filled in."""
        return _PLACEHOLDER.sub(lambda found: words.get(found[1], found[0]), self.because)


@dataclass(frozen=True)
class PolicySet:
    """All policies that hold, ready to be asked."""

    rules: tuple[Rule, ...]
    settings: dict[str, Any]
    """What of the settings changes decisions: roles, identities, purposes."""

    @cached_property
    def digest(self) -> str:
        """SHA-256, in hex, over the policies, the schema and the settings that decisions depend on (RFC 8785)."""
        said: dict[str, Any] = {"schema": schema_text(), "rules": self.documents, "settings": self.settings}
        return hashlib.sha256(rfc8785.dumps(said)).hexdigest()

    @cached_property
    def documents(self) -> dict[str, Any]:
        """The policies in Cedar's JSON form, by id."""
        return {rule.id: rule.document for rule in self.rules}

    @cached_property
    def by_id(self) -> dict[str, Rule]:
        """The rules by id."""
        return {rule.id: rule for rule in self.rules}

    @cached_property
    def parsed(self) -> Any:
        """Cedar's own handle: parsing is most of what a decision would cost."""
        return _parsed(self.documents)

    def about(self, action: str) -> Any:
        """Return Cedar's handle of those policies alone that can say something about an action."""
        if action not in self._by_action:
            relevant = {id: one for id, one in self.documents.items() if action in _actions(one["action"], action)}
            self._by_action[action] = _parsed(relevant)
        return self._by_action[action]

    @cached_property
    def _by_action(self) -> dict[str, Any]:
        return {}


def _parsed(documents: dict[str, Any]) -> Any:
    return cedarpy.PolicySet.from_json_str(
        json.dumps({"templates": {}, "templateLinks": [], "staticPolicies": documents})
    )


def _actions(scope: dict[str, Any], any_: str) -> set[str]:
    """Return the actions that a policy's scope names; ``any_`` where it names none. The schema has no groups of actions."""
    named = scope.get("entities") or ([scope["entity"]] if "entity" in scope else [])
    return {one["id"] for one in named} if named else {any_}


def schema_text() -> str:
    """Return the shipped schema."""
    return (files("backend.access") / "shipped" / "schema.cedarschema").read_text(encoding="utf-8")


def shipped_text() -> str:
    """Return the shipped policies."""
    return (files("backend.access") / "shipped" / "policies.cedar").read_text(encoding="utf-8")


def load(paths: Sequence[Path], settings: dict[str, Any]) -> PolicySet:
    """Return the shipped policies and those of the files.

    Raises:
        ConfigError: naming file, line and rule of everything that is wrong.
    """
    schema = cedarpy.Schema.from_str(schema_text())
    rules: dict[str, Rule] = {}
    faults: list[str] = []
    sources = [(SHIPPED, shipped_text()), *((str(path), _read(path, faults)) for path in paths)]
    for name, text in sources:
        for one in _rules(name, text, schema, faults):
            if (there := rules.get(one.id)) is not None:
                place = f"{Path(there.file).name}:{there.line}"
                faults.append(f"{name}:{one.line}: rule {one.id}: there is one of that name at {place}")
            rules.setdefault(one.id, one)
    if len(rules) > _MOST_RULES:
        faults.append(f"there are {len(rules)} policies; at most {_MOST_RULES} are taken")
    if faults:
        raise ConfigError(faults)
    return PolicySet(tuple(rules.values()), settings)


def _read(path: Path, faults: list[str]) -> str:
    try:
        with path.open("rb") as stream:
            raw = stream.read(_LARGEST_FILE + 1)
        if len(raw) > _LARGEST_FILE:
            raise ValueError(f"is larger than {_LARGEST_FILE // 1024} KiB")
        return raw.decode("utf-8")
    except OSError as error:
        faults.append(f"{path}: can't be read: {error.strerror}")
    except UnicodeDecodeError as error:
        faults.append(f"{path}:{raw.count(bytes([10]), 0, error.start) + 1}: is not UTF-8 text")
    except ValueError as error:
        faults.append(f"{path}: {error}")
    return ""


def _rules(file: str, text: str, schema: Any, faults: list[str]) -> Iterator[Rule]:
    for line, one in _cut(text):
        found = _rule(file, line, one, schema)
        if isinstance(found, Rule):
            yield found
        else:
            faults.extend(found)


def _rule(file: str, line: int, text: str, schema: Any) -> Rule | list[str]:
    where = f"{file}:{line}: "
    try:
        document = json.loads(cedarpy.policies_to_json_str(text))
    except ValueError as error:
        named = _NAMED.search(text)
        return [f"{where}{f'rule {named[1]}: ' if named else ''}is no Cedar policy: {_one_line(error)}"]
    if document["templates"] or len(document["staticPolicies"]) != 1:
        return [f"{where}a policy with slots (?principal, ?resource) can't be used; write it out"]
    (policy,) = document["staticPolicies"].values()
    notes = policy.get("annotations", {})
    name, because = notes.get("id"), notes.get("because")
    if not name or not _ID.match(name) or len(name) > 100:
        return [f'{where}the policy needs a name, such as @id("data.no-exports")']
    if not because or len(because) > 500:
        return [f'{where}rule {name}: needs @because("..."), which is what people are told (at most 500 characters)']
    result = cedarpy.validate_policies(text, schema)
    if not result.validation_passed:
        return [f"{where}rule {name}: {_POSITION.sub('', _one_line(one.error))}" for one in result.errors]
    return Rule(name, because, policy["effect"], file, line, text, policy)


def _cut(text: str) -> Iterator[tuple[int, str]]:
    """Yield each policy with the number of its first line; comments before it stay out."""
    begin = 0
    for token in _TOKENS.finditer(text):
        if token[0] == ";":
            yield _placed(text, begin, token.end())
            begin = token.end()
    line, rest = _placed(text, begin, len(text))
    if rest:
        yield line, rest


def _placed(text: str, begin: int, end: int) -> tuple[int, str]:
    while (blank := re.compile(r"\s+|//[^\n]*").match(text, begin, end)) is not None:
        begin = blank.end()
    return text.count("\n", 0, begin) + 1, text[begin:end]


def _one_line(error: object) -> str:
    return " ".join(str(error).split())[:500]
