"""``platform check``: model.yaml against the rest of the repository."""

import json

import pytest

from tests.mlplatform.repositories import PYPROJECT, Repository

pytestmark = pytest.mark.slow

CATALOG = """\
apiVersion: backstage.io/v1alpha1
kind: Component
metadata: {name: wine}
spec:
  type: model-server
  owner: OWNER
---
kind: Resource
metadata: {name: wine}
spec: {owner: group:default/other}
"""


def faults(repository: Repository) -> list[tuple[str, int, str, str]]:
    run = repository.platform("check", "--json")
    assert run.status == 1, run.out
    return [(one["file"], one["line"], one["path"], one["message"]) for one in json.loads(run.out)["faults"]]


def test_a_good_repository(repository: Repository) -> None:
    repository.write("catalog-info.yaml", CATALOG.replace("OWNER", "risk"))
    run = repository.platform("check", "--json")
    assert run.status == 0, run.out
    assert json.loads(run.out) == {
        "valid": True,
        "model": "wine",
        "checked": ["model.yaml", "entry points", "uv.lock", "catalog-info.yaml"],
        "faults": [],
        "notes": [],
    }


def test_it_works_from_a_folder_inside_and_from_outside(repository: Repository) -> None:
    assert repository.platform("check", "-C", "src/wine").status == 0
    assert repository.platform("check", "--directory", str(repository.path)).status == 0


ENTRY = ("model.yaml", 17, "training.entrypoint")
LOAD = ("model.yaml", 15, "data[1].load")
ROLE = "`wine-holdout` has the role `training`; a model is judged on data it was not trained on"
MISFITS = {
    "no module": (
        "wine.train:train",
        "wine.training:train",
        *ENTRY,
        "there is no module wine.training in this repository",
    ),
    "no function": ("wine.train:train", "wine.train:fit", *ENTRY, "src/wine/train.py has no function fit"),
    "no loader": ("wine.data:holdout_data", "wine.data:holdout", *LOAD, "src/wine/data.py has no function holdout"),
    "not ours": ("wine.data:holdout_data", "os:getcwd", *LOAD, "there is no module os in this repository"),
    "role": ("role: evaluation", "role: training", "model.yaml", 27, "validation.dataset", ROLE),
}


@pytest.mark.parametrize("case", MISFITS)
def test_what_does_not_fit_is_told(repository: Repository, case: str) -> None:
    old, new, *fault = MISFITS[case]
    repository.replace("model.yaml", str(old), str(new))
    assert [list(found) for found in faults(repository)] == [fault]


def test_faults_of_the_file_itself_are_told_with_line_and_column(repository: Repository) -> None:
    repository.replace("model.yaml", "thresholds:", "treshold:")
    run = repository.platform("check")
    assert run.status == 1
    assert "model.yaml:29:3: validation.treshold: unknown field `treshold`" in run.err
    assert "did you mean `thresholds`?" in run.err
    document = json.loads(repository.platform("check", "--json").out)
    assert document["error"]["faults"][0]["line"] == 29


def test_a_module_that_can_not_be_parsed(repository: Repository) -> None:
    repository.write("src/wine/train.py", "def train(:\n")
    assert faults(repository)[0][3] == "src/wine/train.py can't be parsed: invalid syntax (line 1)"


def test_nothing_of_the_repository_is_run(repository: Repository) -> None:
    repository.write("src/wine/train.py", "raise SystemExit(9)\ndef train(context): ...\n")
    assert repository.platform("check").status == 0


BUILT = """\
[project]
name = "wine"
version = "0.1.0"
requires-python = ">=3.11"
dynamic = ["dependencies"]

[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""


@pytest.mark.parametrize("place", [".", "packages/part", "../beside"])
def test_a_project_is_not_built_to_see_whether_the_lock_fits(repository: Repository, place: str) -> None:
    repository.write(f"{place}/pyproject.toml", BUILT if place == "." else BUILT.replace('"wine"', '"part"'))
    repository.write(f"{place}/backend.py", "from pathlib import Path\nPath(__file__).with_name('ran').touch()\n")
    if place == "packages/part":
        repository.write("pyproject.toml", f'{PYPROJECT}\n[tool.uv.workspace]\nmembers = ["packages/*"]\n')
    if place == "../beside":
        source = f'[tool.uv.sources]\npart = {{ path = "{place}", editable = true }}\n'
        repository.write("pyproject.toml", PYPROJECT.replace("[]", '["part"]') + source)
    run = repository.platform("check", "--json", UV_NO_CACHE="1")
    assert not (repository.path / place / "ran").exists()
    (note,) = [note for note in json.loads(run.out)["notes"] if "uv.lock" in note]
    assert "told by its build alone" in note


def test_a_lock_that_is_missing_or_out_of_date(repository: Repository) -> None:
    repository.replace("pyproject.toml", 'version = "0.1.0"', 'version = "0.2.0"')
    assert faults(repository) == [("uv.lock", 1, "", "does not fit pyproject.toml any more")]
    (repository.path / "uv.lock").unlink()
    assert faults(repository)[0][3].startswith("there is no uv.lock")
    (repository.path / "pyproject.toml").unlink()
    assert faults(repository)[0][0] == "pyproject.toml"


@pytest.mark.parametrize("owner", ["group:default/fraud", "fraud", "user:default/risk"])
def test_two_owners_are_a_fault(repository: Repository, owner: str) -> None:
    repository.write("catalog-info.yaml", CATALOG.replace("OWNER", owner))
    assert faults(repository) == [
        ("catalog-info.yaml", 6, "spec.owner", f"says that {owner} owns wine; model.yaml says group:default/risk")
    ]


def test_a_catalog_file_that_is_no_yaml(repository: Repository) -> None:
    repository.write("catalog-info.yaml", "kind: [\n")
    assert faults(repository)[0][0] == "catalog-info.yaml"
