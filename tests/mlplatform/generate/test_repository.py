"""`platform generate` in a repository: what it writes, removes, leaves alone and refuses."""

import json
from pathlib import Path

import pytest

from mlplatform.cli.app import run
from mlplatform.generate.repository import State, compare, write
from mlplatform.pipeline.errors import StageRefused
from tests.mlplatform.generate.specs import CASES, Json, as_spec, minimal


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    declare(tmp_path, CASES["kubernetes-cpu"])
    write(compare(tmp_path, as_spec(CASES["kubernetes-cpu"])))
    return tmp_path


def declare(folder: Path, document: Json) -> None:
    (folder / "model.yaml").write_text(json.dumps(document), encoding="utf-8")


def stale(folder: Path, document: Json) -> dict[str, State]:
    return {file.path: file.state for file in compare(folder, as_spec(document)).stale}


def test_what_was_written_is_current(repository: Path) -> None:
    assert stale(repository, CASES["kubernetes-cpu"]) == {}


def test_another_target_leaves_no_file_of_the_former_one(repository: Path) -> None:
    own = repository / "deploy" / "kubernetes" / "own.yaml"
    own.write_text("mine: true\n")
    found = stale(repository, CASES["kserve"])
    assert found["deploy/kubernetes/deployment.yaml"] is State.LEFT_OVER
    assert found["deploy/kserve/inference-service.yaml"] is State.MISSING
    write(compare(repository, as_spec(CASES["kserve"])))
    assert stale(repository, CASES["kserve"]) == {}
    assert list((repository / "deploy" / "kubernetes").iterdir()) == [own]
    own.unlink()


def test_a_file_that_only_has_the_name_of_a_derived_one_is_not_removed(repository: Path) -> None:
    service = repository / "deploy" / "bentoml" / "service.py"
    service.parent.mkdir()
    service.write_text("print('mine')\n")
    assert stale(repository, CASES["kubernetes-cpu"]) == {}


def test_a_deleted_file_comes_back_unless_it_is_excluded(repository: Path) -> None:
    (repository / "observability" / "dashboard.json").unlink()
    assert stale(repository, CASES["kubernetes-cpu"]) == {"observability/dashboard.json": State.MISSING}
    (repository / "pyproject.toml").write_text(
        '[tool.mlplatform.generate]\nexclude = ["observability/dashboard.json", "deploy/"]\n'
    )
    (repository / "deploy" / "kubernetes" / "deployment.yaml").write_text("mine: true\n")
    derived = compare(repository, as_spec(CASES["kubernetes-cpu"]))
    assert derived.stale == []
    assert "deploy/kubernetes/deployment.yaml" in derived.excluded
    write(derived)
    assert (repository / "deploy" / "kubernetes" / "deployment.yaml").read_text() == "mine: true\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('exclude = "deploy/"', "must be a list of paths"),
        ("exclude = [1]", "must be a list of paths"),
        ('exclude = ["observability/dashbord.json"]', "never derived"),
        ("exclude = [", "can't be read"),
    ],
)
def test_a_wrong_exclusion_is_refused(repository: Path, text: str, message: str) -> None:
    (repository / "pyproject.toml").write_text(f"[tool.mlplatform.generate]\n{text}\n")
    with pytest.raises(StageRefused, match=message) as refused:
        compare(repository, as_spec(CASES["kubernetes-cpu"]))
    assert refused.value.fix


def test_line_breaks_of_a_checkout_are_no_change(repository: Path) -> None:
    rules = repository / "observability" / "rules.yaml"
    rules.write_bytes(rules.read_bytes().replace(b"\n", b"\r\n"))
    assert stale(repository, CASES["kubernetes-cpu"]) == {}


def test_nothing_is_written_outside_the_repository(tmp_path: Path) -> None:
    outside, repository = tmp_path / "outside", tmp_path / "repository"
    outside.mkdir()
    repository.mkdir()
    (repository / "observability").symlink_to(outside)
    with pytest.raises(StageRefused, match="leads out of the repository"):
        write(compare(repository, as_spec(CASES["plain"])))
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("make", [lambda path: path.mkdir(parents=True), lambda path: path.parent.write_text("x")])
def test_what_is_in_the_way_is_named(tmp_path: Path, make: object) -> None:
    make(tmp_path / "observability" / "rules.yaml")  # type: ignore[operator]
    with pytest.raises(StageRefused, match="observability"):
        write(compare(tmp_path, as_spec(CASES["plain"])))
    assert not (tmp_path / "openapi.json").exists()


def test_the_command_checks_writes_and_says_what(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    declare(tmp_path, minimal(slos=[{"name": "d", "indicator": "drift", "objective": 9}]))
    assert run(["generate", "-C", str(tmp_path), "--check"]) == 1
    out, err = capsys.readouterr()
    assert "missing    observability/rules.yaml" in out
    assert "run `platform generate` and commit the result" in err
    assert not (tmp_path / "observability").exists()
    assert run(["generate", "-C", str(tmp_path), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert {file["state"] for file in document["files"]} == {"missing"}
    assert document["notes"] == ["slos `d`: the platform judges drift itself, so there is no alert for it"]
    assert run(["generate", "-C", str(tmp_path), "--check"]) == 0
    assert "derived files are current" in capsys.readouterr().out
