"""Let the repository declare what the platform needs of its environment, where that can be done without changing anything."""

import re
import tomllib
from dataclasses import dataclass
from typing import Any

from mlplatform.pipeline.metadata import table
from scaffolder.adopt.errors import AdoptionRefused
from scaffolder.adopt.merge.additions import below
from scaffolder.adopt.repository import Repository
from scaffolder.adopt.survey.facts import Manager, Survey

PLATFORM_GROUP, GATES_GROUP = "platform", "gates"
_LOWEST = (3, 11)
_PYTHON = ">=3.11,<3.14"
_SERVED = ("mlflow>=3.17,<4",)
_GENERATE = "tool.mlplatform.generate"


@dataclass(frozen=True)
class Project:
    """What becomes of ``pyproject.toml``: its new text (nothing: it stays), whether it is new, and what to tell."""

    text: str | None
    is_new: bool
    why: str
    fix: str | None = None
    """What a person has to do where it stays."""


def declare(
    repository: Repository, survey: Survey, name: str, wheel: str, description: str, excluded: list[str]
) -> Project:
    """Return the project file with the platform's dependency groups, where uv can use it and nobody else is disturbed.

    ``excluded`` are files of the repository's own where `platform generate` would write others.

    Raises:
        AdoptionRefused: the repository's project file is no TOML.
    """
    manager = survey.manager.value
    before = repository.text("pyproject.toml")
    if before is None and "pyproject.toml" in repository.entries:
        return Project(None, False, "is a link, or no text file of less than 1 MiB", _by_hand(wheel))
    document = _document(before or "")
    if manager in {Manager.POETRY, Manager.PDM}:
        return Project(
            None,
            False,
            f"{manager} locks it, and would refuse its lock file after any change of the dependencies",
            fix=f"add with {manager} what the platform needs (mlplatform[serve] from vendor/{wheel}, mlflow), and make uv.lock "
            "from a [project] table; the model server's environment is built from it",
        )
    if before is not None and isinstance(document.get("project"), dict):
        return _extended(before, document, wheel, excluded)
    if manager is not Manager.NONE and "build-system" in document:
        return _for_setuptools(wheel)
    if manager is Manager.SETUPTOOLS:
        return _for_setuptools(wheel)
    dependencies, odd = _dependencies(repository, manager)
    text = _new(name, description, _python(survey), dependencies, wheel)
    if excluded:
        text = f"{text}\n[{_GENERATE}]\n{_exclude(excluded)}\n"
    whole = f"{below(before)}{text}" if before is not None else text
    note = f"; look at what could not be taken over: {', '.join(odd[:5])}" if odd else ""
    where = survey.manager.evidence[0] if survey.manager.evidence else "nothing"
    why = f"declares the dependencies that {where} names, and the platform's own{note}"
    if not _only_adds(document, whole):
        return Project(None, False, "nothing could be added to it without changing something", _by_hand(wheel))
    return Project(whole, before is None, why, fix=None)


def _for_setuptools(wheel: str) -> Project:
    return Project(
        None,
        False,
        "setup.py or setup.cfg declares the project, and setuptools would read a [project] table instead of it",
        fix="move the metadata into [project] of pyproject.toml, add mlplatform[serve] and mlflow to a dependency group named "
        f'{PLATFORM_GROUP} with [tool.uv.sources] mlplatform = {{ path = "vendor/{wheel}" }}, and run `uv lock`',
    )


def _extended(before: str, document: dict[str, Any], wheel: str, excluded: list[str]) -> Project:
    """Return a ``[project]`` file with the groups added; only lines are added, which is checked by reading it again."""
    project, uv, groups = (
        table(document, "project"),
        table(document, "tool", "uv"),
        table(document, "dependency-groups"),
    )
    if PLATFORM_GROUP in groups or GATES_GROUP in groups:
        fix = "add mlplatform[serve] and mlflow to the one and mlplatform[gates] to the other"
        return Project(None, False, f"it has groups named {PLATFORM_GROUP} or {GATES_GROUP} already", fix)
    if "mlplatform" in table(uv, "sources") or ("default-groups" in uv and not isinstance(uv["default-groups"], list)):
        return Project(
            None, False, "it says for itself where mlplatform comes from", "see that it is the vendored wheel"
        )
    marker = "" if _starts_at(str(project.get("requires-python", _PYTHON))) >= _LOWEST else "; python_version >= '3.11'"
    defaults = uv.get("default-groups", ["dev"] if "dev" in groups else [])
    text = before if before.endswith("\n") else f"{before}\n"
    lines = [
        _group(PLATFORM_GROUP, ("mlplatform[serve]", *_SERVED), marker),
        _group(GATES_GROUP, ("mlplatform[gates]",), marker),
    ]
    text = _into(text, "dependency-groups", lines)
    text = _into(text, "tool.uv.sources", [f'mlplatform = {{ path = "vendor/{wheel}" }}'])
    if "default-groups" in uv:
        text, count = re.subn(
            r"(?m)^(default-groups\s*=\s*\[)([^\]\n]*)\]", rf'\1\2{", " if defaults else ""}"{PLATFORM_GROUP}"]', text
        )
        if count != 1:
            return Project(None, False, "its default-groups are written in a way that is left alone", _by_hand(wheel))
    else:
        named = ", ".join(f'"{name}"' for name in (*defaults, PLATFORM_GROUP))
        text = _into(text, "tool.uv", [f"default-groups = [{named}]"])
    if excluded:
        text = _into(text, _GENERATE, [_exclude(excluded)])
    if not _only_adds(document, text):
        return Project(None, False, "nothing could be added to it without changing something", _by_hand(wheel))
    return Project(
        text, False, f"dependency groups `{PLATFORM_GROUP}` and `{GATES_GROUP}`, and where the toolkit's wheel lies"
    )


def _document(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as fault:
        raise AdoptionRefused(
            f"pyproject.toml can't be read: {fault}", fix="correct it, commit that, and run it again"
        ) from fault


def _exclude(excluded: list[str]) -> str:
    return f"exclude = [{', '.join(_string(path) for path in excluded)}]"


def _by_hand(wheel: str) -> str:
    return f"add mlplatform[serve] and mlflow to a group {PLATFORM_GROUP}, with the wheel vendor/{wheel} as source"


def _into(text: str, table: str, lines: list[str]) -> str:
    """Put lines right below a table's heading, or the table at the end."""
    heading = re.compile(rf"(?m)^\[\s*{re.escape(table)}\s*\][^\n]*\n")
    added = "".join(f"{line}\n" for line in lines)
    if heading.search(text):
        return heading.sub(lambda match: match[0] + added, text, count=1)
    return f"{below(text)}[{table}]\n{added}"


def _only_adds(before: dict[str, Any], text: str) -> bool:
    try:
        after = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return _contains(after, before)


def _contains(after: Any, before: Any) -> bool:
    """Say whether everything that was there is there still; lists may have got longer at their end."""
    if isinstance(before, dict):
        return isinstance(after, dict) and all(
            key in after and _contains(after[key], value) for key, value in before.items()
        )
    if isinstance(before, list):
        return isinstance(after, list) and after[: len(before)] == before
    return bool(after == before)


def _group(name: str, requirements: tuple[str, ...], marker: str) -> str:
    return f"{name} = [{', '.join(f'{chr(34)}{requirement}{marker}{chr(34)}' for requirement in requirements)}]"


def _new(name: str, description: str, python: str, dependencies: list[str], wheel: str) -> str:
    listed = "".join(f"    {_string(dependency)},\n" for dependency in dependencies)
    return (
        f'[project]\nname = {_string(name)}\nversion = "0.1.0"\ndescription = {_string(description)}\n'
        f"requires-python = {_string(python)}\ndependencies = [\n{listed}]\n\n"
        f"[dependency-groups]\n# What the model server needs besides, and what only the gates do.\n"
        f"{_group(PLATFORM_GROUP, ('mlplatform[serve]', *_SERVED), '')}\n{_group(GATES_GROUP, ('mlplatform[gates]',), '')}\n\n"
        f'[tool.uv]\npackage = false\ndefault-groups = ["{PLATFORM_GROUP}"]\n\n'
        f'[tool.uv.sources]\nmlplatform = {{ path = "vendor/{wheel}" }}\n'
    )


def _string(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _python(survey: Survey) -> str:
    """Return the versions that both the repository and the platform are for."""
    found = survey.python.value if survey.python is not None else ""
    match = re.fullmatch(r"[=~^]*=?\s*(3\.\d+)(\.\*|\.\d+)?", found.strip())
    if match and match[1] in {"3.11", "3.12", "3.13"}:
        return f"=={match[1]}.*"
    return _PYTHON


def _starts_at(specifier: str) -> tuple[int, int]:
    found = [(int(major), int(minor)) for major, minor in re.findall(r"(?:>=|==|~=|>|\^)\s*(\d+)\.(\d+)", specifier)]
    return max(found, default=(0, 0))


def _dependencies(repository: Repository, manager: Manager) -> tuple[list[str], list[str]]:
    """Return requirements as they are written elsewhere, and lines that are no requirements."""
    lines: list[str] = []
    if manager is Manager.CONDA:
        lines = _of_conda(repository)
    elif manager is Manager.PIPENV:
        table = _toml(repository.text("Pipfile")).get("packages", {})
        lines = [
            f"{name}{'' if version == '*' else version}" for name, version in table.items() if isinstance(version, str)
        ]
        odd = [name for name, version in table.items() if not isinstance(version, str)]
        return _checked(lines)[0], odd
    else:
        for path in ("requirements.txt", "requirements.in"):
            if (text := repository.text(path)) is not None:
                lines = re.sub(r"\\\n", " ", text).splitlines()
                break
    return _checked(lines)


def _of_conda(repository: Repository) -> list[str]:
    """Return a conda environment's packages by the names that PyPI mostly has for them."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    path = next(
        (path for path in ("environment.yml", "environment.yaml", "conda.yaml") if path in repository.entries), ""
    )
    try:
        document = YAML(typ="safe", pure=True).load(repository.text(path) or "")
    except (YAMLError, ValueError, RecursionError):
        return []
    found: list[str] = []
    for item in document.get("dependencies", []) if isinstance(document, dict) else []:
        if isinstance(item, str) and not re.match(r"(python|pip)\b(?!-)", item):
            parts = item.rpartition("::")[2].split("=")
            version = (
                f"=={parts[1]}.*"
                if len(parts) > 1 and re.fullmatch(r"[\d.]+", parts[1]) and ">" not in parts[0]
                else ""
            )
            found.append(item if re.search(r"[<>~!]|==", item) else f"{parts[0].strip()}{version}")
        elif isinstance(item, dict) and isinstance(item.get("pip"), list):
            found += [str(part) for part in item["pip"]]
    return found


def _checked(lines: list[str]) -> tuple[list[str], list[str]]:
    from packaging.requirements import InvalidRequirement, Requirement

    good, odd = [], []
    for line in lines:
        text = re.sub(r"(^|\s)#.*$", "", line).partition(" --")[0].strip()
        if not text:
            continue
        try:
            good.append(str(Requirement(text)))
        except InvalidRequirement:
            odd.append(text)
    return list(dict.fromkeys(good)), odd


def _toml(text: str | None) -> dict[str, Any]:
    try:
        return tomllib.loads(text or "")
    except tomllib.TOMLDecodeError:
        return {}
