"""The platform's templates are in the catalog as entities that Backstage's own schema accepts and whose forms can be sent off."""

import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi.testclient import TestClient
from jsonschema import Draft7Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT7

from backend.app import create_app
from backend.identity.principal import Principal, PrincipalKind
from catalog.own import OwnSources
from catalog.reader import OF_REPOSITORIES, read_entities
from scaffolder.errors import HostUnavailable
from scaffolder.release import Release
from scaffolder.service import Wish
from scaffolder.templates import Templates
from tests.backend.conftest import Backend, empty_mlflow
from tests.scaffolder.conftest import _unchanging_content, home, released
from tests.scaffolder.service.conftest import scaffolding_settings
from tests.scaffolder.template_repositories import make_template

__all__ = ["_unchanging_content", "empty_mlflow", "home", "released"]
pytestmark = pytest.mark.slow
SCHEMAS = Path(__file__).parent.parent / "assets" / "backstage"
KINDS = {"realtime-model": "realtime", "batch-model": "batch", "streaming-model": "streaming"}
QUESTIONS = """
name: {type: str}
region: {type: str, help: "Where?", choices: [eu, us]}
zone:
  type: str
  when: "{{ region == 'eu' }}"
  default: a
  validator: "{% if not (zone | regex_search('^[a-c]$')) %}a to c{% endif %}"
token: {type: str, secret: true, default: none}
sizes: {type: int, multiselect: true, choices: [1, 2], default: [1]}
note: {type: str, default: "{{ region | upper }}"}
"""


class Templated:
    """A backend without its runtime, with one template besides the golden path, and what its catalog says."""

    def __init__(self, folder: Path, empty_mlflow: Path, home: Path) -> None:
        self.repository = folder / "theirs" / "feature-store"
        make_template(self.repository, {"copier.yml": QUESTIONS, "README.md": "hello"})
        settings = scaffolding_settings(
            folder / "home",
            f"sqlite:///{folder / 'platform.db'}",
            empty_mlflow,
            home,
            templates=[{"name": "feature-store", "url": str(self.repository), "description": "Features."}],
            templateSources={"roots": [str(folder / "theirs")]},
        )
        app = create_app(settings)
        self.backend = Backend(TestClient(app, raise_server_exceptions=False), app.state.services)
        self.services = self.backend.services
        self.ada = self.backend.someone("ada")
        self.own = OwnSources(self.services)

    def sync(self) -> None:
        self.own.templates.read()
        self.own.sync()

    def entities(self) -> dict[str, dict[str, Any]]:
        items = self.ada.get("/catalog/entities", kind="Template").json()["items"]
        return {one["name"]: one["entity"] for one in items}

    def changes(self, after: int) -> tuple[list[str], int]:
        answer = self.ada.get("/catalog/changes", after=after).json()
        return [one["ref"] for one in answer["items"]], answer["cursor"]


@pytest.fixture(scope="module")
def templated(tmp_path_factory: pytest.TempPathFactory, empty_mlflow: Path, home: Path) -> Iterator[Templated]:
    made = Templated(tmp_path_factory.mktemp("templated"), empty_mlflow, home)
    made.sync()
    yield made
    made.services.rendering.close()
    made.services.database.close()


def filled(page: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """What a form sends off when nothing is touched but what is given."""
    properties = dict(page["properties"])
    for name, cases in page.get("dependencies", {}).items():
        value = given.get(name, properties[name].get("default"))
        for case in cases["oneOf"]:
            if value in case["properties"][name]["enum"]:
                properties |= {key: one for key, one in case["properties"].items() if key != name}
    defaults = {name: one["default"] for name, one in properties.items() if "default" in one}
    return defaults | {name: value for name, value in given.items() if name in properties}


def test_backstage_accepts_them(templated: Templated) -> None:
    found = templated.entities()
    assert set(found) == {*KINDS, "feature-store"}
    registry: Registry[Any] = Registry()
    schemas = {path.name: json.loads(path.read_text()) for path in SCHEMAS.glob("*.json")}
    for schema in schemas.values():
        registry = registry.with_resource(schema["$id"], Resource.from_contents(schema, default_specification=DRAFT7))
    validator = Draft7Validator(schemas["Template.v1beta3.schema.json"], registry=registry)
    for entity in found.values():
        assert [error.message for error in validator.iter_errors(entity)] == []
        for page in entity["spec"]["parameters"]:
            Draft7Validator.check_schema(page)
        assert (entity["spec"]["type"], entity["spec"]["owner"]) == ("ml-model", "group:default/platform")
    assert not validator.is_valid({**found["batch-model"], "spec": {"type": "ml-model"}})


@pytest.mark.parametrize("name", KINDS)
def test_every_question_has_its_field(templated: Templated, released: Release, name: str) -> None:
    entity = templated.entities()[name]
    first, second = entity["spec"]["parameters"]
    assert [page["title"] for page in (first, second)] == ["Your model", "Choices"]
    assert list(first["properties"]) == ["owner", "name", "description", "system"]
    assert first["required"] == ["owner", "name"]
    assert first["properties"]["owner"]["ui:field"] == "OwnerPicker"
    assert first["properties"]["owner"]["ui:options"]["catalogFilter"] == {"kind": "Group"}
    assert first["properties"]["system"]["ui:options"]["catalogFilter"] == {"kind": "System"}
    assert first["errorMessage"]["properties"]["system"].startswith("a system of the catalog")
    in_cases = {
        key
        for cases in second.get("dependencies", {}).values()
        for case in cases["oneOf"]
        for key in case["properties"]
    }
    fields = {*first["properties"], *second["properties"], *in_cases}
    questions = templated.services.rendering.questions(released)
    kind = KINDS[name]
    only = {"streaming": {"broker"}, "batch": {"engine"}, "realtime": {"serving_target"}}
    asked = {key for key, one in questions.items() if one.get("when") is not False and one.get("ask") is not False}
    asked -= {"type", *(key for other, keys in only.items() if other != kind for key in keys)}
    asked -= {"replicas", "autoscaling", "max_replicas"} if kind == "batch" else set()
    assert fields == asked
    step = entity["spec"]["steps"][0]
    assert (step["id"], step["action"]) == ("scaffold", "mlplatform:scaffold")
    assert {key: step["input"][key] for key in ("template", "version", "type", "name", "owner")} == {
        "template": "golden-path",
        "version": released.tag,
        "type": kind,
        "name": "${{ parameters.name }}",
        "owner": "${{ parameters.owner }}",
    }
    assert step["input"]["answers"] == {key: f"${{{{ parameters.{key} }}}}" for key in fields - {"name", "owner"}}
    assert entity["spec"]["output"]["links"][1]["entityRef"] == "${{ steps.scaffold.output.entityRef }}"


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("autoscaling", [None, "cpu"])
def test_a_form_that_nobody_touched_is_accepted(templated: Templated, name: str, autoscaling: str | None) -> None:
    entity = templated.entities()[name]
    given = {"owner": "group:default/risk", "name": f"m-{name}"}
    if autoscaling is not None and name != "batch-model":
        given |= {"autoscaling": autoscaling, "max_replicas": 7}
    answers: dict[str, Any] = {}
    for page in entity["spec"]["parameters"]:
        values = filled(page, given)
        assert Draft7Validator(page).is_valid(values), list(Draft7Validator(page).iter_errors(values))
        answers |= values
    caller = Principal(
        PrincipalKind.USER, "user:default/ada", frozenset({"group:default/risk"}), "x", datetime(2030, 1, 1, tzinfo=UTC)
    )
    asked = entity["spec"]["steps"][0]["input"]
    rest = {key: value for key, value in answers.items() if key not in {"name", "owner"}}
    wish = Wish(answers["name"], asked["type"], asked["template"], asked["version"], rest, answers["owner"])
    prepared = templated.services.scaffolds.prepare(caller, wish)
    assert (prepared.org, prepared.owner) == ("models", "group:default/risk")


def test_what_follows_from_an_answer_is_asked_where_it_applies(templated: Templated) -> None:
    page = templated.entities()["realtime-model"]["spec"]["parameters"][1]
    assert page["properties"]["autoscaling"]["enum"] == ["none", "cpu", "requests"]
    assert "max_replicas" not in page["properties"]
    without, with_it = page["dependencies"]["autoscaling"]["oneOf"]
    assert list(without["properties"]) == ["autoscaling"]
    assert list(with_it["properties"]) == ["autoscaling", "max_replicas"]
    assert with_it["properties"]["max_replicas"]["maximum"] == 100
    validator = Draft7Validator(page)
    assert validator.is_valid({"autoscaling": "cpu", "max_replicas": 7})
    assert not validator.is_valid({"autoscaling": "cpu", "max_replicas": 700})
    assert not validator.is_valid({"memory": "much"})


def test_templates_of_others_have_forms_too(templated: Templated) -> None:
    entity = templated.entities()["feature-store"]
    first, *more = entity["spec"]["parameters"]
    assert list(first["properties"])[:3] == ["owner", "name", "region"]
    assert first["required"] == ["owner", "name", "region"]
    assert first["properties"]["note"]["description"].startswith("Worked out")
    assert first["properties"]["sizes"]["items"]["enum"] == [1, 2]
    assert first["dependencies"]["region"]["oneOf"][0]["properties"]["zone"]["pattern"] == "^[a-c]$"
    assert first["properties"]["token"]["ui:field"] == "Secret"
    answers = entity["spec"]["steps"][0]["input"]["answers"]
    assert answers["token"] == "${{ secrets.token }}"
    assert "type" not in entity["spec"]["steps"][0]["input"]
    assert more == []
    assert not re.search("\\{%|\\{\\{(?! parameters| steps| secrets)", json.dumps(entity).replace("${{", "{{"))


def test_they_change_when_a_version_is_released_and_not_otherwise(
    templated: Templated, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, cursor = templated.changes(0)
    begun = time.perf_counter()
    templated.sync()
    assert time.perf_counter() - begun < 5, "nothing is rendered again"
    again = OwnSources(templated.services)
    again.sync()
    again.templates.read()
    again.sync()
    assert templated.changes(cursor) == ([], cursor)

    def down(self: Templates, name: str, version: str | None = None) -> Release:
        raise HostUnavailable("it is down")

    with monkeypatch.context() as patch:
        patch.setattr(Templates, "release", down)
        templated.sync()
    assert templated.changes(cursor) == ([], cursor), "what can't be read is not gone"
    make_template(templated.repository, {"copier.yml": QUESTIONS, "README.md": "hello again"}, tag="v1.1.0")
    templated.sync()
    changed, cursor = templated.changes(cursor)
    assert changed == ["template:default/feature-store"]
    assert templated.entities()["feature-store"]["spec"]["steps"][0]["input"]["version"] == "v1.1.0"


def test_a_look_reads_beside_everything_else(templated: Templated) -> None:
    own = OwnSources(templated.services)
    own.templates.look()
    thread = own.templates._thread
    assert thread is not None
    thread.join(60)
    assert own.templates.found is not None
    own.templates.look()
    assert own.templates._thread is thread, "nothing was released, and it is not due"


def test_a_repository_declares_none(templated: Templated) -> None:
    entity = templated.entities()["batch-model"]
    reading = read_entities("catalog-info.yaml", yaml.safe_dump(entity).encode(), kinds=OF_REPOSITORIES)
    assert reading.entities == []
    assert [fault.message for fault in reading.faults] == ["a Template is declared by the platform alone"]
