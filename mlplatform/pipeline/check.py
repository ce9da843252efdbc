"""The stage ``check``: ``model.yaml`` by itself, and against what else is in the repository."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlplatform.pipeline import entrypoints
from mlplatform.pipeline.metadata import project_to_build
from mlplatform.pipeline.workspace import Workspace
from mlplatform.spec.faults import Fault
from mlplatform.spec.load import load_with_places
from mlplatform.spec.model import DataRole, ModelSpec
from mlplatform.spec.reader import Document, Path_, dotted

_CATALOG = "catalog-info.yaml"
_UV_SECONDS = 60


@dataclass
class CheckReport:
    """What the check found: faults by file (each makes it fail), and notes on what could not be checked."""

    spec: ModelSpec
    faults: list[tuple[str, Fault]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    checked: list[str] = field(default_factory=list)


def check(workspace: Workspace) -> CheckReport:
    """Check the repository without running any of its code.

    Raises:
        SpecError: ``model.yaml`` by itself has faults; there is nothing to hold the rest against.
    """
    spec, document = load_with_places(workspace.spec_file)
    report = CheckReport(spec, checked=[workspace.spec_file.name])
    name = workspace.spec_file.name
    report.faults += [(name, fault) for fault in _entry_points(spec, document, workspace.path)]
    report.faults += [(name, fault) for fault in _roles(spec, document)]
    report.checked.append("entry points")
    _lock(workspace, report)
    _catalog(workspace, spec, report)
    _derived(workspace, spec, report)
    return report


def _entry_points(spec: ModelSpec, document: Document, repository: Path) -> Iterator[Fault]:
    places: list[tuple[Path_, str]] = [(("training", "entrypoint"), spec.training.entrypoint)]
    places += [(("data", index, "load"), data.load) for index, data in enumerate(spec.data)]
    if spec.streaming is not None and spec.streaming.sample is not None:
        places.append((("streaming", "sample"), spec.streaming.sample))
    for path, entrypoint in places:
        if wrong := entrypoints.missing(entrypoint, repository):
            yield Fault(*document.place(path), dotted(path), wrong[0], wrong[1] or None)


def _roles(spec: ModelSpec, document: Document) -> Iterator[Fault]:
    reference = spec.dataset(spec.validation.dataset)
    if reference.role is not DataRole.EVALUATION:
        path = ("validation", "dataset")
        message = f"`{reference.name}` has the role `{reference.role}`; a model is judged on data it was not trained on"
        fix = "name a data set with `role: evaluation`"
        yield Fault(*document.place(path), dotted(path), message, fix)


def _lock(workspace: Workspace, report: CheckReport) -> None:
    if not workspace.project_file.is_file():
        fault = Fault(
            1,
            1,
            "",
            "there is no pyproject.toml",
            "a model repository declares its dependencies there: `uv init`",
        )
        report.faults.append(("pyproject.toml", fault))
        return
    if not workspace.lock_file.is_file():
        fault = Fault(1, 1, "", "there is no uv.lock: nobody can build the same environment again", "run `uv lock`")
        report.faults.append(("uv.lock", fault))
        return
    uv = find_uv()
    if uv is None:
        report.notes.append("uv is not installed, so whether uv.lock fits pyproject.toml was not checked")
        return
    if (built := project_to_build(workspace.path)) is not None:
        # May lie outside of the repository, where a path source leads.
        shown = os.path.relpath(built, workspace.path)
        why = f"what {shown} depends on is told by its build alone, which would run code; `uv lock --check` does"
        report.notes.append(f"whether uv.lock fits pyproject.toml was not checked: {why}")
        return
    try:
        done = subprocess.run(
            [uv, "lock", "--check", "--offline", "--directory", str(workspace.path), "--color", "never"],
            capture_output=True,
            text=True,
            check=False,
            timeout=_UV_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        report.notes.append(f"whether uv.lock fits pyproject.toml could not be checked: {error}")
        return
    reason = done.stderr.strip().splitlines()
    if done.returncode == 0:
        report.checked.append("uv.lock")
    elif any("needs to be updated" in line for line in reason):
        fault = Fault(1, 1, "", "does not fit pyproject.toml any more", "run `uv lock` and commit the result")
        report.faults.append(("uv.lock", fault))
    elif any("Failed to parse" in line for line in reason):
        report.faults.append(
            ("uv.lock", Fault(1, 1, "", f"can't be read by uv: {reason[-1].strip()}", "run `uv lock`"))
        )
    else:
        said = " ".join(line.strip() for line in reason)[:300]
        report.notes.append(f"whether uv.lock fits pyproject.toml could not be checked offline: {said}")


def find_uv() -> str | None:
    """Return the path of uv, from PATH or from its Python package."""
    if found := shutil.which("uv"):
        return found
    try:
        import uv
    except ImportError:
        return None
    try:
        return str(uv.find_uv_bin())
    except FileNotFoundError:
        return None


def _catalog(workspace: Workspace, spec: ModelSpec, report: CheckReport) -> None:
    file = workspace.path / _CATALOG
    if not file.is_file():
        report.notes.append(f"there is no {_CATALOG}, so Backstage can't show this model")
        return
    report.checked.append(_CATALOG)
    for entity in _entities(file, report):
        if entity.get("kind") != "Component" or not isinstance(entity.get("spec"), dict):
            continue
        name = entity.get("metadata", {}).get("name") if isinstance(entity.get("metadata"), dict) else None
        owner = entity["spec"].get("owner")
        if name == spec.name and _entity_ref(str(owner)) != _entity_ref(spec.owner):
            message = f"says that {owner} owns {name}; model.yaml says {spec.owner}"
            fault = Fault(_line_of(file, "owner:"), 1, "spec.owner", message, "let both name the same group")
            report.faults.append((_CATALOG, fault))


def _derived(workspace: Workspace, spec: ModelSpec, report: CheckReport) -> None:
    """Hold the derived files against ``model.yaml``, where the repository has any."""
    from mlplatform.generate.repository import FIX, State, compare

    derived = compare(workspace.path, spec)
    report.notes += derived.notes
    if not derived.adopted:
        return
    if derived.stale and not workspace.runs_here():
        # Another toolkit may derive other text, and the repository's own is the one that counts.
        report.notes.append(
            f"{len(derived.stale)} derived files are not what this toolkit would write; `uv run platform check` asks the "
            "repository's own"
        )
        return
    report.checked.append("derived files")
    wrong = {
        State.CHANGED: "is not what model.yaml says now",
        State.MISSING: "is missing",
        State.LEFT_OVER: "was derived from an earlier model.yaml",
    }
    report.faults += [(file.path, Fault(1, 1, "", wrong[file.state], FIX)) for file in derived.stale]


def _entities(file: Path, report: CheckReport) -> list[dict[str, Any]]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    if file.stat().st_size > 1 << 20:
        report.faults.append((_CATALOG, Fault(1, 1, "", "is larger than 1 MiB")))
        return []
    try:
        return [entity for entity in YAML(typ="safe", pure=True).load_all(file) if isinstance(entity, dict)]
    except (YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        problem = getattr(error, "problem", None) or "is not valid YAML"
        report.faults.append((_CATALOG, Fault(line, column, "", f"is not valid YAML: {problem}")))
        return []


def _entity_ref(ref: str) -> str:
    """Return an owner's full entity ref; in a catalog file kind and namespace may be left out."""
    kind, _, rest = ref.rpartition(":")
    namespace, _, name = rest.rpartition("/")
    return f"{kind or 'group'}:{namespace or 'default'}/{name}".lower()


def _line_of(file: Path, text: str) -> int:
    lines = file.read_text(encoding="utf-8").splitlines()
    return next((number for number, line in enumerate(lines, 1) if line.strip().startswith(text)), 1)
