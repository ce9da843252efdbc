"""What the project's own files say of it: name, description, Python, package manager, CI, and where it came from."""

import configparser
import json
import re
import tomllib
from typing import Any

from scaffolder.adopt.repository import Repository
from scaffolder.adopt.survey.facts import Guess, Manager
from scaffolder.names import suggestion

_CI = {
    ".gitlab-ci.yml": "GitLab CI",
    "Jenkinsfile": "Jenkins",
    "azure-pipelines.yml": "Azure Pipelines",
    ".circleci/config.yml": "CircleCI",
    ".travis.yml": "Travis CI",
    ".drone.yml": "Drone",
    "bitbucket-pipelines.yml": "Bitbucket Pipelines",
    ".buildkite/pipeline.yml": "Buildkite",
}
_DESCRIPTION_LENGTH = 300


class Project:
    """Reads the files at the top that describe a project."""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository
        self.pyproject = self._toml("pyproject.toml")
        self.setup_cfg = self._ini("setup.cfg")

    def name(self) -> Guess[str]:
        """Return the name that the model would have."""
        for value, place in (
            (_inside(self.pyproject, "project", "name"), "pyproject.toml: project.name"),
            (_inside(self.pyproject, "tool", "poetry", "name"), "pyproject.toml: tool.poetry.name"),
            (_inside(self.setup_cfg, "metadata", "name"), "setup.cfg: metadata.name"),
            (self._of_setup_py("name"), "setup.py: name"),
            (self._of_mlproject(), "MLproject: name"),
            (self.repository.folder.name, "the folder's name"),
        ):
            if isinstance(value, str) and re.search(r"[A-Za-z0-9]", value):
                return Guess(suggestion(value), (f"{place} is {value}",))
        return Guess("model", ("nothing names it",))

    def description(self) -> Guess[str] | None:
        """Return one sentence about it."""
        for value, place in (
            (_inside(self.pyproject, "project", "description"), "pyproject.toml: project.description"),
            (_inside(self.pyproject, "tool", "poetry", "description"), "pyproject.toml: tool.poetry.description"),
            (_inside(self.setup_cfg, "metadata", "description"), "setup.cfg: metadata.description"),
            (self._of_setup_py("description"), "setup.py: description"),
        ):
            if isinstance(value, str) and (line := _one_line(value)):
                return Guess(line, (place,))
        for path in ("README.md", "README.rst", "README.txt", "README"):
            if text := self.repository.text(path):
                for number, line in enumerate(text.splitlines()[:60], 1):
                    if re.match(r"^[A-Za-z][^#=|\[\]!<>`{}]{20,}$", line.strip()) and (sentence := _one_line(line)):
                        return Guess(sentence, (f"{path}:{number}",))
        return None

    def python(self) -> Guess[str] | None:
        """Return the Python versions that the project is for, as a specifier."""
        for value, place in (
            (_inside(self.pyproject, "project", "requires-python"), "pyproject.toml: project.requires-python"),
            (_inside(self.pyproject, "tool", "poetry", "dependencies", "python"), "pyproject.toml: tool.poetry"),
            (_inside(self.setup_cfg, "options", "python_requires"), "setup.cfg: options.python_requires"),
            (self._of_setup_py("python_requires"), "setup.py: python_requires"),
        ):
            if isinstance(value, str) and value.strip():
                return Guess(value.strip(), (place,))
        for path in (".python-version", "runtime.txt"):
            match = re.search(r"(\d+\.\d+)", self.repository.text(path) or "")
            if match:
                return Guess(f"=={match[1]}.*", (path,))
        match = re.search(
            r"^\s*-\s*python\s*([=<>~!]+.*)$", self.repository.text("environment.yml") or "", re.MULTILINE
        )
        if match:
            return Guess(match[1].strip(), ("environment.yml",))
        return None

    def manager(self) -> Guess[Manager]:
        """Return what installs the dependencies, by its lock file or else by its settings."""
        entries = self.repository.entries
        for path, manager in (
            ("uv.lock", Manager.UV), ("poetry.lock", Manager.POETRY), ("pdm.lock", Manager.PDM), ("Pipfile", Manager.PIPENV),
        ):  # fmt: skip
            if path in entries:
                return Guess(manager, (path,))
        for table, manager in (("poetry", Manager.POETRY), ("pdm", Manager.PDM), ("uv", Manager.UV)):
            if _inside(self.pyproject, "tool", table) is not None:
                return Guess(manager, (f"pyproject.toml: tool.{table}",))
        if _inside(self.pyproject, "project") is not None:
            return Guess(Manager.PROJECT, ("pyproject.toml: project",))
        for path, manager in (
            ("setup.py", Manager.SETUPTOOLS), ("setup.cfg", Manager.SETUPTOOLS),
            ("environment.yml", Manager.CONDA), ("environment.yaml", Manager.CONDA), ("conda.yaml", Manager.CONDA),
            ("requirements.txt", Manager.REQUIREMENTS), ("requirements.in", Manager.REQUIREMENTS),
        ):  # fmt: skip
            if path in entries and (path != "setup.cfg" or "metadata" in self.setup_cfg):
                return Guess(manager, (path,))
        return Guess(Manager.NONE, ("no file declares dependencies",))

    def ci(self) -> list[Guess[str]]:
        """Return the CI systems in use."""
        found = [Guess(name, (path,)) for path, name in _CI.items() if path in self.repository.entries]
        workflows = sorted(
            path for path in self.repository.entries if re.fullmatch(r"\.github/workflows/[^/]+\.ya?ml", path)
        )
        return ([Guess("GitHub Actions", tuple(workflows))] if workflows else []) + found

    def origin(self) -> Guess[str] | None:
        """Return where the repository came from: a Cookiecutter template, an MLflow project."""
        for path in (".cruft.json", ".cookiecutter.json", ".cookiecutterrc"):
            text = self.repository.text(path)
            if text is None:
                continue
            try:
                document = json.loads(text)
            except (ValueError, RecursionError):
                document = {}
            template = document.get("template") or _inside(document, "context", "cookiecutter", "_template")
            commit = document.get("commit")
            shown = str(template or "a Cookiecutter template")[:200]
            at = f" at {str(commit)[:12]}" if commit else ""
            return Guess(f"{shown}{at}", (path,))
        if "MLproject" in self.repository.entries:
            return Guess("an MLflow project", ("MLproject",))
        return None

    def _toml(self, path: str) -> dict[str, Any]:
        try:
            return tomllib.loads(self.repository.text(path) or "")
        except (tomllib.TOMLDecodeError, RecursionError):
            return {}

    def _ini(self, path: str) -> dict[str, dict[str, str]]:
        parser = configparser.ConfigParser(interpolation=None)
        try:
            parser.read_string(self.repository.text(path) or "")
        except configparser.Error:
            return {}
        return {section: dict(parser.items(section)) for section in parser.sections()}

    def _of_setup_py(self, keyword: str) -> str | None:
        """Return an argument of ``setup()`` that is written out; nothing is run."""
        import ast

        try:
            tree = ast.parse(self.repository.text("setup.py") or "")
        except (SyntaxError, ValueError, RecursionError):
            return None
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "setup":
                for word in node.keywords:
                    if (
                        word.arg == keyword
                        and isinstance(word.value, ast.Constant)
                        and isinstance(word.value.value, str)
                    ):
                        return word.value.value
        return None

    def _of_mlproject(self) -> str | None:
        match = re.search(r"^name:\s*[\"']?([^\"'\n#]+)", self.repository.text("MLproject") or "", re.MULTILINE)
        return match[1].strip() if match else None


def _inside(document: Any, *keys: str) -> Any:
    for key in keys:
        if not isinstance(document, dict):
            return None
        document = document.get(key)
    return document


def _one_line(text: str) -> str | None:
    """Return a text as a description may be: one line, no control characters, nothing that Jinja would read."""
    line = " ".join(re.sub(r"[\x00-\x1f\x7f\x85\u2028\u2029]", " ", text).split())
    if not line or any(mark in line for mark in ("{{", "{%", "{#")):
        return None
    return line if len(line) <= _DESCRIPTION_LENGTH else f"{line[: _DESCRIPTION_LENGTH - 1]}…"
