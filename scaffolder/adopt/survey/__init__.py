"""Find out about a repository what the golden path has to know, from its files alone."""

import ast
import re

from scaffolder.adopt.repository import Repository
from scaffolder.adopt.survey import functions
from scaffolder.adopt.survey.columns import find_columns
from scaffolder.adopt.survey.facts import FoundColumn, Guess, Survey
from scaffolder.adopt.survey.modules import Module, read_modules, read_notebooks
from scaffolder.adopt.survey.owner import find_owner
from scaffolder.adopt.survey.project import Project

_KINDS = {
    "streaming": {
        "faststream",
        "kafka",
        "confluent_kafka",
        "aiokafka",
        "nats",
        "bytewax",
        "pulsar",
        "quixstreams",
        "faust",
    },
    "realtime": {
        "fastapi",
        "flask",
        "bentoml",
        "starlette",
        "litestar",
        "sanic",
        "mlserver",
        "kserve",
        "ray.serve",
        "gradio",
    },
    "batch": {"airflow", "prefect", "dagster", "luigi", "metaflow", "kedro"},
}
"""Packages that speak for a golden path, the strongest word first."""


def survey(repository: Repository) -> Survey:
    """Return what was found; nothing of the repository is imported or run."""
    modules = list(read_modules(repository))
    project = Project(repository)
    owner, org, notes = find_owner(repository)
    found = Survey(name=project.name(), kind=_kind(repository, modules), owner=owner, org=org, notes=notes)
    found.description = project.description()
    found.python = project.python()
    found.manager = project.manager()
    found.ci = project.ci()
    found.origin = project.origin()
    found.ready, found.training = functions.training(modules)
    found.loaders = functions.loaders(modules)
    found.uri = functions.data_uri(modules)
    found.target = functions.target(modules)
    found.evaluator = functions.evaluator(modules)
    found.inputs, found.outputs = find_columns(repository, modules, found.target.value if found.target else None)
    if found.inputs is not None and found.target is not None:
        kept = tuple(column for column in found.inputs.value if column.name != found.target.value)
        found.inputs = Guess(kept, found.inputs.evidence) if kept else None
    if found.outputs is None and found.evaluator is not None:
        kind = "long" if found.evaluator.value == "classifier" else "double"
        found.outputs = Guess((FoundColumn("prediction", kind),), (f"what a {found.evaluator.value} answers",))
    found.packages = frozenset(
        name.partition(".")[0] for module in modules for node in ast.walk(module.tree) for name in _imported(node)
    )
    _note_notebooks(repository, found)
    if repository.submodules:
        found.notes.append(f"submodules are left as they are, and not looked into: {', '.join(repository.submodules)}")
    return found


def _kind(repository: Repository, modules: list[Module]) -> Guess[str]:
    evidence: dict[str, list[str]] = {kind: [] for kind in _KINDS}
    weak: list[str] = []
    for module in modules:
        if module.is_test:
            continue
        for node in ast.walk(module.tree):
            for name in _imported(node):
                for kind, packages in _KINDS.items():
                    if name in packages or name.partition(".")[0] in packages:
                        evidence[kind].append(f"{module.file}:{node.lineno} imports {name}")  # type: ignore[attr-defined]
            if isinstance(node, ast.Attribute) and node.attr in {"to_parquet", "read_parquet"}:
                weak.append(f"{module.file}:{node.lineno} {node.attr}")
    for path in repository.entries:
        if re.fullmatch(r"\.github/workflows/[^/]+\.ya?ml|crontab|.*\.cron", path):
            for number, line in enumerate((repository.text(path) or "").splitlines(), 1):
                if re.match(r"^\s*-\s*cron:", line):
                    weak.append(f"{path}:{number} runs on a schedule")
    for kind, places in evidence.items():
        if places:
            return Guess(kind, tuple(dict.fromkeys(places))[:4])
    if len(weak) > 1:
        return Guess("batch", tuple(weak[:4]))
    return Guess("realtime", ("nothing speaks for batch or streaming",))


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return []


def _note_notebooks(repository: Repository, found: Survey) -> None:
    for notebook in read_notebooks(repository):
        if notebook.fits and not found.training and found.ready is None:
            cell, line = notebook.fits[0]
            found.notes.append(
                f"{notebook.file}, cell {cell}, trains a model (`{line[:80]}`): move it into a function, since a notebook "
                "can't be called by the platform"
            )
