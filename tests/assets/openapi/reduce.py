"""Reduce a host's published OpenAPI description to the operations that the platform uses.

``python tests/assets/openapi/reduce.py github FULL.json`` and ``... gitlab FULL.yaml`` write the files beside this one. Kept are
parameters, request bodies and successful answers with everything that they refer to; prose is left out. A request body may
hold nothing that the description does not name, so that a misspelt member is found.
"""

import json
import sys
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
_REPO = "/repos/{owner}/{repo}"
OPERATIONS: dict[str, list[tuple[str, str]]] = {
    "github": [
        ("get", "/orgs/{org}/installation"),
        ("post", "/app/installations/{installation_id}/access_tokens"),
        ("get", "/orgs/{org}/repos"),
        ("post", "/orgs/{org}/repos"),
        ("get", _REPO),
        ("patch", _REPO),
        ("delete", _REPO),
        ("get", f"{_REPO}/branches"),
        ("get", f"{_REPO}/branches/{{branch}}"),
        ("put", f"{_REPO}/branches/{{branch}}/protection"),
        ("get", f"{_REPO}/contents/{{path}}"),
        ("get", f"{_REPO}/pulls"),
        ("post", f"{_REPO}/pulls"),
        ("get", f"{_REPO}/pulls/{{pull_number}}"),
        ("patch", f"{_REPO}/pulls/{{pull_number}}"),
        ("get", f"{_REPO}/issues/{{issue_number}}/comments"),
        ("post", f"{_REPO}/issues/{{issue_number}}/comments"),
        ("patch", f"{_REPO}/issues/comments/{{comment_id}}"),
        ("post", f"{_REPO}/issues/{{issue_number}}/labels"),
        ("get", f"{_REPO}/commits/{{ref}}/check-runs"),
        ("get", f"{_REPO}/commits/{{ref}}/status"),
        ("post", f"{_REPO}/statuses/{{sha}}"),
    ],
}
_PROSE = {
    "description",
    "summary",
    "title",
    "externalDocs",
    "tags",
    "x-github",
    "x-github-breaking-changes",
    "operationId",
}


class Reducer:
    """Copies operations out of a description, with what they refer to."""

    def __init__(self, full: dict[str, Any]) -> None:
        self._full = full
        self.components: dict[str, dict[str, Any]] = {}

    def operation(self, method: str, path: str) -> dict[str, Any]:
        """Return an operation with its parameters, body and first successful answer."""
        whole = self._full["paths"][path]
        found = whole[method]
        kept: dict[str, Any] = {"parameters": self.copy([*whole.get("parameters", []), *found.get("parameters", [])])}
        if "requestBody" in found:
            kept["requestBody"] = self.copy(found["requestBody"])
            for content in kept["requestBody"]["content"].values():
                _close(content.get("schema", {}))
        status = next(status for status in found["responses"] if str(status).startswith("2"))
        kept["responses"] = {str(status): self.copy(self._answer(found["responses"][status]))}
        return kept

    def _answer(self, answer: dict[str, Any]) -> dict[str, Any]:
        content = {kind: one for kind, one in answer.get("content", {}).items() if kind == "application/json"}
        for one in content.values():
            if len(one.get("examples", {})) > 1:
                first = next(iter(one["examples"]))
                one["examples"] = {first: one["examples"][first]}
        return {"content": content} if content else {}

    def copy(self, node: Any, *, named: bool = False) -> Any:
        """Return a copy without prose; ``named`` says that the keys are names, not keywords."""
        if isinstance(node, list):
            return [self.copy(one) for one in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            self._bring(node["$ref"])
            return {"$ref": node["$ref"]}
        made = {}
        for key, value in node.items():
            if named:
                made[key] = self.copy(value)
            elif key in {"example", "examples", "default", "enum"}:
                made[key] = self._example(value) if key == "examples" else value
            elif key not in _PROSE:
                made[key] = self.copy(value, named=key in {"properties", "content", "responses"})
        if made.pop("nullable", False):
            return _nullable(made)
        return made

    def _example(self, examples: Any) -> Any:
        if isinstance(examples, dict):
            for one in examples.values():
                if isinstance(one, dict) and "$ref" in one:
                    self._bring(one["$ref"], raw=True)
        return examples

    def _bring(self, ref: str, *, raw: bool = False) -> None:
        _, _, kind, name = ref.split("/", 3)
        group = self.components.setdefault(kind, {})
        if name not in group:
            group[name] = {}
            whole = self._full["components"][kind][name]
            group[name] = whole if raw or kind == "examples" else self.copy(whole)


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    """Say in JSON Schema what OpenAPI 3.0 says by a keyword of its own."""
    if "enum" in schema:
        schema["enum"] = [*schema["enum"], None]
    if isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
        return schema
    return {"anyOf": [schema, {"type": "null"}]}


def _close(schema: dict[str, Any]) -> None:
    if schema.get("properties") and "additionalProperties" not in schema:
        schema["additionalProperties"] = False


def main() -> None:
    """Write the reduced file."""
    host, source = sys.argv[1], Path(sys.argv[2])
    text = source.read_text(encoding="utf-8")
    reducer = Reducer(json.loads(text) if source.suffix == ".json" else yaml.safe_load(text))
    paths: dict[str, Any] = {}
    for method, path in OPERATIONS[host]:
        paths.setdefault(path, {})[method] = reducer.operation(method, path)
    document = {"openapi": "3.1.0", "paths": paths, "components": reducer.components}
    (HERE / f"{host}.json").write_text(json.dumps(document, indent=None, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
