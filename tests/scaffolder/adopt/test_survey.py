"""What is guessed about a repository, and by what evidence."""

import json
from collections.abc import Callable

import pytest

from scaffolder.adopt.answers import NOBODY, decide
from scaffolder.adopt.errors import AnswersNeeded
from scaffolder.adopt.repository import Repository
from scaffolder.adopt.survey import survey
from scaffolder.adopt.survey.facts import Manager, Survey
from scaffolder.errors import InvalidAnswer
from tests.scaffolder.adopt.repositories import FASTAPI, SKLEARN, Existing, Files

Surveyed = Callable[[Files], Survey]


def test_a_repository_that_trains(surveyed: Surveyed) -> None:
    found = {name: (guess.value, guess.evidence) for name, guess in surveyed(SKLEARN).guesses().items()}
    assert found["name"] == ("churn", ("pyproject.toml: project.name is churn",))
    assert found["owner"] == ("group:default/risk", (".github/CODEOWNERS:2",))
    assert found["org"] == ("acme", (".github/CODEOWNERS:2",))
    assert found["description"][0] == "Tells which customers will leave us within a month."
    assert found["target"] == ("churned", ("src/churn/data.py:4 TARGET",))
    assert found["evaluator"] == ("classifier", ("src/churn/train.py:7 LogisticRegression",))
    assert found["training"] == ("churn.train:train_model", ("src/churn/train.py:6 train_model(x, y)",))
    assert found["data loader"] == ("churn.data:load_customers", ("src/churn/data.py:7 load_customers()",))
    assert found["inputs"] == ("tenure: long, charges: double", ("src/churn/data.py:3 FEATURES",))
    assert found["outputs"][0] == "prediction: long"
    assert found["data"] == ("file://data/customers.csv", ("src/churn/data.py:8 read_csv()",))


def test_a_repository_that_serves(surveyed: Surveyed) -> None:
    found = surveyed(FASTAPI)
    assert (found.kind.value, found.kind.evidence[0]) == ("realtime", "app/main.py:1 imports fastapi")
    assert found.owner is not None
    assert (found.owner.value, found.owner.evidence) == ("group:default/pricing", ("catalog-info.yaml:8",))
    assert found.inputs is not None
    assert [(one.name, one.type) for one in found.inputs.value] == [
        ("rooms", "long"),
        ("area", "double"),
        ("city", "string"),
        ("has_lift", "boolean"),
    ]
    assert found.outputs is not None
    assert [(one.name, one.type) for one in found.outputs.value] == [("price", "double")]
    assert found.uri is not None
    assert found.uri.value == "s3://lake/prices/2024.parquet"
    assert found.evaluator is not None
    assert found.evaluator.value == "regressor"
    assert [guess.value for guess in found.ci] == ["GitLab CI"]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("from aiokafka import AIOKafkaConsumer", "streaming"),
        ("import nats", "streaming"),
        ("import flask", "realtime"),
        ("from prefect import flow", "batch"),
        ("import fastapi\nimport faststream", "streaming"),
        ("import pandas as pd\npd.read_parquet('a').to_parquet('b')", "batch"),
        ("print('hello')", "realtime"),
        ("def broken(:", "realtime"),
    ],
)
def test_the_golden_path(surveyed: Surveyed, code: str, kind: str) -> None:
    found = surveyed({"main.py": f"{code}\n", "tests/test_main.py": "import faust\n"})
    assert found.kind.value == kind
    assert found.kind.evidence


@pytest.mark.parametrize(
    ("text", "owner", "line"),
    [
        ("* @acme/risk\n", "group:default/risk", 1),
        ("/docs @acme/writers\n* @acme/risk @acme/more\n", "group:default/risk", 2),
        ("* @acme/old\n* @acme/new\n", "group:default/new", 2),
        ("# * @acme/nobody\n/docs @acme/writers\n", "group:default/writers", 2),
        ("* @acme/ml/platform/risk\n", "group:default/risk", 1),
        ("* jane@example.org @jane\n", None, 0),
        ("* @acme/ends-badly_\n", None, 0),
        ("* @acme/risk\r\n", "group:default/risk", 1),
    ],
)
def test_the_owner(surveyed: Surveyed, text: str, owner: str | None, line: int) -> None:
    found = surveyed({"CODEOWNERS": text}).owner
    assert (found.value if found else None) == owner
    if found is not None:
        assert found.evidence == (f"CODEOWNERS:{line}",)


@pytest.mark.parametrize(
    ("files", "manager"),
    [
        ({"uv.lock": "", "pyproject.toml": "[project]\nname = 'x'\n"}, Manager.UV),
        ({"pyproject.toml": "[tool.poetry]\nname = 'x'\n"}, Manager.POETRY),
        ({"Pipfile": ""}, Manager.PIPENV),
        ({"environment.yml": "dependencies: [python=3.12]\n"}, Manager.CONDA),
        ({"setup.py": "from setuptools import setup\nsetup(name='x')\n"}, Manager.SETUPTOOLS),
        ({"requirements.txt": ""}, Manager.REQUIREMENTS),
        ({"pyproject.toml": "[tool.black]\n"}, Manager.NONE),
        ({"pyproject.toml": "no toml"}, Manager.NONE),
    ],
)
def test_the_package_manager(surveyed: Surveyed, files: Files, manager: Manager) -> None:
    assert surveyed(files).manager.value is manager


def test_a_repository_that_came_from_cookiecutter(surveyed: Surveyed) -> None:
    cruft = {"template": "https://git.example.org/templates/service", "commit": "0123456789abcdef"}
    origin = surveyed({".cruft.json": json.dumps(cruft)}).origin
    assert origin is not None
    assert origin.value == "https://git.example.org/templates/service at 0123456789ab"


def test_a_notebook_is_told_of_and_a_submodule_too(existing: Callable[..., Existing]) -> None:
    cells = [{"cell_type": "markdown", "source": []}, {"cell_type": "code", "source": ["m = X()\n", "m.fit(x, y)\n"]}]
    other = existing({"a.txt": "a"}, "other")
    repository = existing({"explore.ipynb": json.dumps({"cells": cells}), "bad.ipynb": "{"})
    repository.git("submodule", "--quiet", "add", str(other.path), "libs/other")
    repository.commit("with a submodule")
    notes = "\n".join(survey(Repository.open(repository.path)).notes)
    assert "explore.ipynb, cell 2, trains a model (`m.fit(x, y)`)" in notes
    assert "submodules are left as they are, and not looked into: libs/other" in notes


def test_a_name_that_a_model_can_not_have_is_bent(surveyed: Surveyed) -> None:
    for name, wanted in (("Churn_Model 2", "churn-model-2"), ("mlflow", "mlflow-model"), ("日本", "churn")):
        found = surveyed_name(surveyed, name)
        assert decide(found, {"owner": "group:default/a"}, None, None).name == wanted


def surveyed_name(surveyed: Callable[..., Survey], name: str) -> Survey:
    # Each in a folder named churn, which stands where the project's name can't.
    return surveyed({"pyproject.toml": f'[project]\nname = "{name}"\n'}, f"{abs(hash(name))}/churn")


def test_what_is_given_goes_before_what_was_found(surveyed: Surveyed) -> None:
    found = surveyed(SKLEARN)
    answers = decide(found, {"owner": "group:default/other", "target": "y", "name": "attrition"}, "batch", None)
    assert (answers.name, answers.kind) == ("attrition", "batch")
    assert answers.template["owner"] == "group:default/other"
    assert answers.own["target"] == "y"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"ownr": "group:default/a"}, "there is no question 'ownr'"),
        ({"owner": "group:default/a", "classification": "secret"}, "classification is one of public"),
        ({"owner": "group:default/a", "evaluator": "cluster"}, "evaluator is classifier or regressor"),
        ({"owner": "group:default/a", "name": "Not A Name"}, "can't be a model's name"),
        ({"owner": "group:default/a", "type": "batch"}, "type is given twice"),
    ],
)
def test_wrong_answers(surveyed: Surveyed, given: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidAnswer, match=message):
        decide(surveyed({"a.py": ""}), given, "realtime" if "type" in given else None, None)


def test_who_owns_it_has_to_be_known(surveyed: Surveyed) -> None:
    found = surveyed({"a.py": ""})
    with pytest.raises(AnswersNeeded, match=r"which group owns the model \(most commits are by Ada \(1\)\)") as caught:
        decide(found, {}, None, None)
    assert caught.value.fix == "say it with --data owner=group:default/TEAM"
    assert caught.value.exit_code == 2
    assert decide(found, {}, None, None, required=False).template["owner"] == NOBODY
    asked: list[str] = []

    def ask(question: str, _proposal: str | None) -> str | None:
        asked.append(question)
        return "group:default/a" if "group" in question else None

    answers = decide(found, {}, None, ask)
    assert answers.template["owner"] == "group:default/a"
    assert [question.split()[0] for question in asked] == ["Which", "The", "Classifier", "How"]
