"""Validates requests to a stand-in of a host, and the stand-in's answers, against the host's published description."""

import json
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

import yaml
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

ASSETS = Path(__file__).parents[2] / "assets" / "openapi"
_URI = "urn:description"


@dataclass
class Call:
    """One request, matched to an operation of the description."""

    method: str
    template: str
    path: dict[str, str]
    query: dict[str, Any]
    body: Any
    faults: list[str] = field(default_factory=list)


class Description:
    """A reduced OpenAPI document (see ``tests/assets/openapi``)."""

    def __init__(self, host: str) -> None:
        (file,) = (path for path in ASSETS.glob(f"{host}.*") if path.suffix in {".json", ".yaml"})
        self.document = yaml.safe_load(file.read_text(encoding="utf-8"))
        resource = Resource(contents=self.document, specification=DRAFT202012)
        self._registry: Any = Registry().with_resource(_URI, resource)
        self._patterns = [
            (re.compile("^" + re.sub(r"\{(\w+)\}", self._segment, template) + "$"), template)
            for template in sorted(self.document["paths"], key=lambda one: (one.count("{"), one))
        ]

    @staticmethod
    def _segment(match: "re.Match[str]") -> str:
        # GitHub takes a file's path as it is, with its slashes.
        return f"(?P<{match[1]}>.+)" if match[1] == "path" else f"(?P<{match[1]}>[^/]+)"

    def match(self, method: str, path: str, query: str, body: bytes, content_type: str) -> Call | None:
        """Return the operation that a request calls, with everything about it that the description does not allow."""
        for pattern, template in self._patterns:
            operations = self.document["paths"][template]
            if (found := pattern.match(path)) and method in operations:
                call = Call(
                    method, template, {key: unquote(value) for key, value in found.groupdict().items()}, {}, None
                )
                self._check(call, operations[method], query, body, content_type)
                return call
        return None

    def answer_faults(self, call: Call, status: int, answer: Any) -> list[str]:
        """Return what an answer has that the description does not say."""
        responses = self.document["paths"][call.template][call.method]["responses"]
        if str(status) not in responses:
            return [f"{status} is none of {list(responses)}"]
        schema = responses[str(status)].get("content", {}).get("application/json", {}).get("schema")
        return [] if schema is None else self._faults(schema, answer)

    def example(self, method: str, template: str) -> Any:
        """Return the description's own example of an operation's answer."""
        response = next(iter(self.document["paths"][template][method]["responses"].values()))
        example = next(iter(response["content"]["application/json"]["examples"].values()))
        return json.loads(json.dumps(self._resolved(example)["value"]))

    def _check(self, call: Call, operation: dict[str, Any], query: str, body: bytes, content_type: str) -> None:
        parameters = [self._resolved(one) for one in operation["parameters"]]
        known = {one["name"]: one for one in parameters if one["in"] == "query"}
        for name, text in parse_qsl(query, keep_blank_values=True):
            if name not in known:
                call.faults.append(f"query {name}: unknown")
                continue
            schema = self._resolved(known[name]["schema"])
            call.query[name] = _read(text, schema)
            call.faults += [f"query {name}: {fault}" for fault in self._faults(schema, call.query[name])]
        call.faults += [f"query {n}: missing" for n, p in known.items() if p.get("required") and n not in call.query]
        for one in parameters:
            if one["in"] == "path" and one["name"] in call.path:
                schema = self._resolved(one["schema"])
                value = _read(call.path[one["name"]], schema)
                call.faults += [f"path {one['name']}: {fault}" for fault in self._faults(schema, value)]
        self._check_body(call, operation, body, content_type)

    def _check_body(self, call: Call, operation: dict[str, Any], body: bytes, content_type: str) -> None:
        wanted = operation.get("requestBody")
        if wanted is None:
            call.faults += ["a body where none is taken"] if body else []
            return
        wanted = self._resolved(wanted)
        if not body:
            call.faults += ["no body"] if wanted.get("required") else []
            return
        if not content_type.startswith("application/json"):
            call.faults.append(f"content type {content_type}")
            return
        call.body = json.loads(body)
        call.faults += [
            f"body {fault}" for fault in self._faults(wanted["content"]["application/json"]["schema"], call.body)
        ]

    def _faults(self, schema: dict[str, Any], value: Any) -> list[str]:
        validator = self._validator(json.dumps(schema, sort_keys=True))
        return [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(value)]

    @cache  # noqa: B019 (lives as long as the test session)
    def _validator(self, schema: str) -> Draft202012Validator:
        absolute = schema.replace('"$ref": "#/', f'"$ref": "{_URI}#/')
        return Draft202012Validator(json.loads(absolute), registry=self._registry)

    def _resolved(self, node: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in node:
            _, _, kind, name = node["$ref"].split("/", 3)
            node = self.document["components"][kind][name]
        return node


def _read(text: str, schema: dict[str, Any]) -> Any:
    kinds = schema.get("type", "string")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    if "integer" in kinds and re.fullmatch(r"-?\d+", text):
        return int(text)
    if "boolean" in kinds and text.lower() in {"true", "false", "1", "0"}:
        return text.lower() in {"true", "1"}
    return text
