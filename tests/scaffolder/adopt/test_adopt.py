"""Adopting whole repositories: what is added, and that everything that was there is there still."""

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from mlplatform.generate.render import possible_paths
from scaffolder.adopt import Action, Adoption, AdoptionRefused, adopt
from scaffolder.names import ANSWERS_FILE
from tests.scaffolder.adopt.repositories import CHURN_TRAIN, FASTAPI, SKLEARN, Existing, Files

Make = Callable[..., Existing]
Adopt = Callable[..., Adoption]

POETRY: Files = {
    "pyproject.toml": '[tool.poetry]\nname = "scores"\n[tool.poetry.dependencies]\npython = "^3.11"\n',
    "poetry.lock": "# made by poetry\n",
    "scores.py": "import kafka\n",
}
NO_PYTHON: Files = {"index.html": "<html></html>\n", "package.json": "{}\n", "data.bin": b"\0\xff\xfe"}
CONFLICTS: Files = {
    "makefile": "platform-check:\n\techo mine\n",
    "docs": "a file where the pages would go\n",
    "openapi.json": "{}\n",
    "deploy/kubernetes/service.yaml": "mine: true\n",
    "mkdocs.yml/keep": "a folder of that name\n",
    "Dockerfile": b"FROM scratch\r\n",
    "CODEOWNERS": "* jane\n",
    ".gitignore": "build\n*.whl\nvendor/",
    "model.py": "x = 1\n",
    "catalog-info.yaml": "kind: Component\n",
    ".github/workflows/platform.yml": "on: push\n",
}
WINDOWS: Files = {
    "pyproject.toml": b'\xef\xbb\xbf[project]\r\nname = "churn"\r\nversion = "1"\r\n\r\n\r\n[tool.uv]\r\n'
    b'default-groups = ["a"]\r\n'
    b"[dependency-groups]\r\na = []",
    ".gitignore": b"*.pyc\r\n\r\n\r\n",
    "Makefile": b"test:\r\n\tpytest\r\n",
    "mkdocs.yml": b"site_name: x\r\nnav:\r\n  - Home: index.md\r\ntheme: readthedocs\r\n",
}


@pytest.mark.parametrize(
    "files",
    [SKLEARN, FASTAPI, POETRY, NO_PYTHON, CONFLICTS, WINDOWS],
    ids=["sklearn", "fastapi", "poetry", "no Python", "conflicts", "Windows"],
)
def test_what_was_there_is_there_still(existing: Make, adopted: Adopt, files: Files) -> None:
    repository = existing(
        files, links={"link": "README.md", "loop": "loop", "out": "/etc/passwd"}, executable=(sorted(files)[0],)
    )
    before, snapshot = repository.tree(), repository.snapshot()
    done = adopted(repository)
    assert repository.snapshot() == snapshot
    after = repository.tree("platform/adopt")
    decided: dict[str, set[Action]] = {}
    for decision in done.decisions:
        decided.setdefault(decision.path, set()).add(decision.action)
    for path, (mode, blob) in before.items():
        assert after[path][0] == mode
        if after[path][1] != blob:
            assert Action.MERGED in decided[path]
            _only_adds(repository.content(path, "main"), repository.content(path))
    assert {path for path in after if path not in before} == {path for path, a in decided.items() if Action.ADDED in a}
    assert {path for path in before if after[path] != before[path]} == {
        path for path, a in decided.items() if Action.MERGED in a
    }
    assert repository.git("rev-parse", "platform/adopt^") == repository.git("rev-parse", "main")

    repository.git("branch", "-D", "platform/adopt")
    assert repository.git("branch", "--list") == "* main"
    assert repository.snapshot() == snapshot


def _only_adds(before: bytes, after: bytes) -> None:
    """Hold that all lines are there in their order, byte for byte; that a list may have grown is for a test of its own."""
    rest = iter(after.split(b"\n"))
    for line in before.removesuffix(b"\n").split(b"\n"):
        known = line.partition(b"]")[0] if line.startswith(b"default-groups") else None
        assert any(one.rstrip(b"\r") == line.rstrip(b"\r") or (known and one.startswith(known)) for one in rest), line
    assert after.startswith(b"\xef\xbb\xbf") == before.startswith(b"\xef\xbb\xbf")
    if b"\r\n" in before:
        assert after.count(b"\n") == after.count(b"\r\n")


def test_the_branch_is_complete_where_the_code_says_everything(existing: Make, home: Path) -> None:
    """With the lock, which is made from the package index, `platform check` finds nothing."""
    repository = existing(
        {**SKLEARN, "pyproject.toml": '[project]\nname = "churn"\nversion = "1"\nrequires-python = ">=3.11"\n'}
    )
    done = adopt(repository.path, data={"classification": "internal"}, home=home)
    locked = [decision for decision in done.decisions if decision.path == "uv.lock"]
    assert locked[0].action is Action.ADDED, locked
    assert done.faults == []
    assert "passes." in done.body
    packages = tomllib.loads(repository.content("uv.lock").decode())["package"]
    assert {"churn", "mlplatform", "mlflow"} <= {package["name"] for package in packages}


def test_without_a_lock_that_is_all_that_is_missing(existing: Make, adopted: Adopt) -> None:
    repository = existing(SKLEARN)
    done = adopted(repository)
    assert [fault.partition(":")[0] for fault in done.faults] == ["uv.lock"]
    assert [(one.path, one.action) for one in done.decisions if one.action is Action.NEEDS_YOU] == [
        ("uv.lock", "needs you")
    ]
    model = yaml.safe_load(repository.content("model.yaml"))
    assert (model["owner"], model["type"]) == ("group:default/risk", "realtime")
    assert model["training"]["entrypoint"] == "churn.golden_path:train"
    entry = repository.content("src/churn/golden_path.py").decode()
    assert "from churn.data import load_customers as load\nfrom churn.train import train_model as fit\n" in entry
    assert "model = fit(rows, frame[context.spec.validation.target])" in entry
    compile(entry, "golden_path.py", "exec")


def test_files_that_follow_from_model_yaml_come_all_or_not_at_all(existing: Make, adopted: Adopt) -> None:
    whole = adopted(existing(SKLEARN))
    assert {"openapi.json", "deploy/kubernetes/service.yaml", "observability/rules.yaml"} <= set(whole.files)
    part = adopted(existing({"a.py": ""}, "part"))
    assert not set(part.files) & set(possible_paths())
    assert any("platform-generate" in one.why for one in part.decisions if one.action is Action.NEEDS_YOU)


def test_files_of_yours_that_would_be_derived_are_excluded(existing: Make, adopted: Adopt) -> None:
    repository = existing({**SKLEARN, "openapi.json": "{}", "observability/rules.yaml": "mine\n"})
    done = adopted(repository)
    project = tomllib.loads(repository.content("pyproject.toml").decode())
    assert set(project["tool"]["mlplatform"]["generate"]["exclude"]) == {"openapi.json", "observability/rules.yaml"}
    assert repository.content("openapi.json") == b"{}"
    assert [fault.partition(":")[0] for fault in done.faults] == ["uv.lock"]


@pytest.mark.parametrize("kind", ["realtime", "batch", "streaming"])
def test_each_golden_path(existing: Make, adopted: Adopt, kind: str) -> None:
    repository = existing(SKLEARN)
    done = adopted(repository, type=kind)
    assert yaml.safe_load(repository.content(ANSWERS_FILE))["type"] == kind
    assert yaml.safe_load(repository.content("model.yaml"))["type"] == kind
    said = b"".join(content for path, (content, _) in done.files.items() if not path.startswith("vendor/"))
    for sample in (b"shuttle", b"flights", b"tumour", b"quickstart.md", b"make test"):
        assert sample not in said
    waiting = {fault.split(": ")[1] for fault in done.faults if "not filled in yet" in fault}
    assert bool(waiting) == (kind != "realtime")
    assert all(field.startswith((kind, "uv.lock")) for field in waiting)
    if waiting:
        entities = list(yaml.safe_load_all(repository.content("catalog-info.yaml")))
        assert "API" not in {entity["kind"] for entity in entities}


def test_the_pipeline_runs_targets_that_are_there(existing: Make, adopted: Adopt) -> None:
    for files, place in ((SKLEARN, ".github/workflows/platform.yml"), (FASTAPI, ".gitlab/ci/platform.yml")):
        repository = existing(files, place.partition("/")[0].strip("."))
        adopted(repository)
        pipeline = repository.content(place).decode()
        made = repository.content("platform.mk").decode()
        for target in re.findall(r"make -f platform\.mk (\S+)", pipeline):
            assert re.search(rf"(?m)^{re.escape(target.rstrip(';'))}:", made), target
        assert not re.search(r"\bmake (?!-f)", pipeline)
        groups = tomllib.loads(repository.content("pyproject.toml").decode())["dependency-groups"]
        assert set(re.findall(r"group (\S+)", pipeline)) <= set(groups)
        yaml.safe_load(pipeline)
    assert "CI_PIPELINE_SOURCE" not in pipeline
    assert yaml.safe_load(repository.content(ANSWERS_FILE))["ci"] == "gitlab"


def test_what_the_report_says_of_conflicts(existing: Make, adopted: Adopt) -> None:
    repository = existing(CONFLICTS)
    done = adopted(repository)
    said = {(one.action.value, one.path): one.why for one in done.decisions}
    assert ("left", "docs/index.md") in said
    assert "targets named like the platform's" in said["left", "makefile"]
    assert "navigation" in said["left", "mkdocs.yml"] or "kept" in said["left", "mkdocs.yml"]
    assert "excluded" in said["left", "openapi.json"]
    assert ("left", ".github/workflows/platform.yml") in said
    assert ("added", "platform.mk") in said
    assert all(path and why for (_, path), why in said.items())
    message = repository.git("log", "-1", "--format=%B", "platform/adopt")
    for decision in done.decisions:
        assert decision.path in message
        assert decision.path in done.body
    assert json.dumps([decision.as_dict() for decision in done.decisions])


def test_a_dry_run_makes_nothing(existing: Make, adopted: Adopt) -> None:
    repository = existing(SKLEARN)
    objects = repository.git("count-objects", "-v")
    done = adopted(repository, {}, dry_run=True)
    assert done.commit is None
    assert repository.git("branch", "--list") == "* main"
    assert repository.git("count-objects", "-v") == objects
    assert {"model.yaml", "platform.mk"} <= set(done.files)


def test_a_dry_run_says_what_only_a_person_knows(existing: Make, adopted: Adopt) -> None:
    done = adopted(existing({"a.py": ""}), {}, dry_run=True)
    assert any(one.action is Action.NEEDS_YOU and "owner" in one.why for one in done.decisions)


@pytest.mark.parametrize("with_lock", [False, True], ids=["", "with a lock"])
def test_nothing_of_the_repository_runs(existing: Make, adopted: Adopt, tmp_path: Path, *, with_lock: bool) -> None:
    mark = tmp_path / "ran"
    evil = f"open({str(mark)!r}, 'a').write(__file__)\n"
    repository = existing(
        {
            **SKLEARN,
            "pyproject.toml": '[project]\nname = "churn"\nversion = "1"\nrequires-python = ">=3.11"\ndynamic = ["dependencies"]\n'
            '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
            "uv.lock": 'version = 1\nrevision = 3\nrequires-python = ">=3.11"\n\n[[package]]\nname = "churn"\n'
            'source = { editable = "." }\n',
            "backend.py": evil,
            "setup.py": evil,
            "conftest.py": evil,
            "sitecustomize.py": evil,
            "src/churn/__init__.py": evil,
            "src/churn/train.py": CHURN_TRAIN + evil,
            "Makefile": f"$(shell touch {mark})\ntest:\n\ttrue\n",
            ".gitattributes": "* filter=evil diff=evil merge=evil\n",
        }
    )
    for name in (
        "pre-commit",
        "commit-msg",
        "post-commit",
        "reference-transaction",
        "post-index-change",
        "pre-auto-gc",
    ):
        hook = repository.path / ".git" / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\necho $0 >> {mark}\n")
        hook.chmod(0o755)
    for name in ("core.fsmonitor", "core.editor", "core.pager", "diff.evil.command", "gpg.program"):
        repository.git("config", name, f"echo {name} >> {mark};")
    repository.git("config", "commit.gpgSign", "true")
    mark.unlink(missing_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UV_NO_CACHE", "1")
        done = adopted(repository, with_lock=with_lock)
    assert done.commit
    assert not mark.exists(), mark.read_text()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({ANSWERS_FILE: "_src_path: mlplatform:golden-path.git\n"}, "on the golden path already"),
        ({ANSWERS_FILE: "_src_path: gh:acme/other\n"}, "another Copier template"),
        ({"model.yaml": "name: x\n"}, "has a model.yaml already"),
        ({"pyproject.toml": "[project\n"}, "pyproject.toml can't be read"),
        ({"vendor": "a file\n"}, "in the way of vendor/"),
        ({"platform.mk": "x:\n"}, "in the way of platform.mk"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_refused(existing: Make, adopted: Adopt, files: Files, message: str) -> None:
    repository = existing({"a.txt": "a", **files})
    with pytest.raises(AdoptionRefused, match=message) as caught:
        adopted(repository)
    assert caught.value.fix
    assert repository.git("branch", "--list") == "* main"


def test_one_that_the_platform_made_is_refused(existing: Make, adopted: Adopt) -> None:
    """And so is one that was adopted, once the branch is merged."""
    repository = existing(SKLEARN)
    adopted(repository)
    with pytest.raises(AdoptionRefused, match="there is a branch platform/adopt already"):
        adopted(repository)
    repository.git("merge", "--quiet", "platform/adopt")
    with pytest.raises(AdoptionRefused, match="on the golden path already"):
        adopted(repository)


def test_links_and_files_that_are_no_text_are_never_written_over(existing: Make, adopted: Adopt) -> None:
    repository = existing(
        {"real.toml": '[project]\nname = "x"\n', "Makefile": b"\xff\xfe\0", "a.py": ""},
        links={
            "pyproject.toml": "real.toml",
            "uv.lock": "nowhere",
            ".gitignore": "/etc/hosts",
            "README.md": "real.toml",
        },
    )
    before = repository.tree()
    done = adopted(repository)
    after = repository.tree("platform/adopt")
    assert {path: after[path] for path in before} == before
    needed = " ".join(one.path for one in done.decisions if one.action is Action.NEEDS_YOU)
    assert "uv.lock" in needed


def test_a_lock_of_many_mebibytes_is_read_and_kept(existing: Make, adopted: Adopt) -> None:
    lock = 'version = 1\nrevision = 3\nrequires-python = ">=3.11"\n' + "# filler\n" * 300_000
    repository = existing({**SKLEARN, "uv.lock": lock})
    done = adopted(repository)
    assert repository.tree("platform/adopt")["uv.lock"] == repository.tree()["uv.lock"]
    assert "there is no uv.lock" not in " ".join(done.faults)


def test_values_that_are_complete_but_wrong_are_told_by_the_check(existing: Make, adopted: Adopt) -> None:
    done = adopted(existing(SKLEARN), {"classification": "internal", "training": "no entry: point"})
    assert any("model.yaml" in fault for fault in done.faults)
    assert not set(done.files) & set(possible_paths())
