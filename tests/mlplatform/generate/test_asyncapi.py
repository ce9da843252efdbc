"""The API of a streaming model, against AsyncAPI's own JSON Schema and with real messages."""

import json
import subprocess
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import jsonschema
import pytest

from mlplatform.generate.render import render
from tests.mlplatform.generate.specs import CASES, Json, as_spec, minimal
from tests.tools import tool

SPECS = "@asyncapi/specs@6.11.1"
STREAMS = [case for case, document in CASES.items() if document["type"] == "streaming"]


def document(spec: Json) -> dict[str, Any]:
    return json.loads(render(as_spec(spec))["asyncapi.json"])


@cache
def published_schema() -> dict[str, Any]:
    """Return the JSON Schema of AsyncAPI 3.0, which comes as an npm package."""
    folder = Path(mkdtemp(prefix="asyncapi-"))
    command = [
        tool("npm", "comes with Node"),
        "install",
        "--prefix",
        folder,
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        SPECS,
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return json.loads((folder / "node_modules" / "@asyncapi" / "specs" / "schemas" / "3.0.0.json").read_text("utf-8"))


@pytest.mark.slow
@pytest.mark.parametrize("case", STREAMS)
def test_the_document_is_asyncapi(case: str) -> None:
    jsonschema.Draft7Validator(published_schema()).validate(document(CASES[case]))


@pytest.mark.slow
def test_the_schema_sees_a_misspelt_member() -> None:
    wrong = document(CASES["nats"])
    wrong["channels"]["input"]["adress"] = wrong["channels"]["input"].pop("address")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(published_schema()).validate(wrong)


def referred(node: Any) -> list[str]:
    if isinstance(node, dict):
        return [node["$ref"]] if "$ref" in node else [ref for value in node.values() for ref in referred(value)]
    return [ref for value in node for ref in referred(value)] if isinstance(node, list) else []


@pytest.mark.parametrize("case", STREAMS)
def test_references_lead_somewhere(case: str) -> None:
    made = document(CASES[case])
    for reference in referred(made):
        place = made
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]
        assert place


def test_channels_are_those_of_model_yaml() -> None:
    channels = document(CASES["kafka"])["channels"]
    assert {name: channel["address"] for name, channel in channels.items()} == {
        "input": "shop.orders",
        "output": "shop.scores",
        "deadLetter": "shop.dead",
    }
    assert channels["input"]["bindings"]["kafka"]["topic"] == "shop.orders"


def test_a_message_is_held_to_the_declared_columns() -> None:
    columns = [
        {"name": "amount", "type": "double", "minimum": 0, "maximum": 10},
        {"name": "kind", "type": "string", "enum": ["a", "b"], "required": False},
        {"name": "when", "type": "datetime", "description": "Of the order"},
    ]
    schema = {"inputs": columns, "outputs": [{"name": "score", "type": "long"}]}
    made = document(minimal("streaming", schema=schema))["components"]["schemas"]["Input"]
    fine = {"amount": 1.5, "kind": "a", "when": "2026-03-01T00:00:00Z", "more": 1}
    jsonschema.validate(fine, made)
    for wrong in ({"amount": 11}, {"kind": "c"}, {"amount": "1"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**fine, **wrong}, made)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"kind": "a"}, made)


def test_what_is_carried_comes_with_the_answer() -> None:
    schemas = document(CASES["kafka"])["components"]["schemas"]
    assert set(schemas["Output"]["properties"]) == {"customer", "時", "y"}
