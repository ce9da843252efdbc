"""How configuration files become one document, the way Backstage does it.

Several files are merged in order: objects are merged key by key, everything else (lists too) is replaced. ``${VAR}`` is
replaced by the environment variable, ``${VAR:-default}`` by the default when it is not set, and ``$${`` is a literal
``${``. An object ``{$env: VAR}`` or ``{$file: path}`` is replaced by the variable or by the file's text. Other top-level
sections than ``mlPlatform`` belong to others and are not looked at.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

SECTION = "mlPlatform"
_VARIABLE = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}|\$\{[^}]*\}?")
_LARGEST_FILE = 1 << 20

Location = tuple[Any, ...]


class ConfigError(Exception):
    """The configuration can't be used; ``faults`` says everything that is wrong, one line each."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


@dataclass
class Section:
    """The merged ``mlPlatform`` section, and which file each key came from."""

    document: dict[str, Any] = field(default_factory=dict)
    origins: dict[Location, Path] = field(default_factory=dict)

    def origin(self, location: Location) -> str:
        """Return the file that a key came from; for a key that nobody wrote, the file of the object around it."""
        for length in range(len(location), -1, -1):
            if found := self.origins.get(location[:length]):
                return str(found)
        return "defaults"

    @staticmethod
    def key(location: Location) -> str:
        """Write a location the way people do: ``mlPlatform.identity.issuers[0].kind``."""
        text = SECTION
        for part in location:
            text += f"[{part}]" if isinstance(part, int) else f".{part}"
        return text


def config_paths(env: Mapping[str, str]) -> list[Path]:
    """Return the files to read when none are named."""
    if named := env.get("ML_PLATFORM_CONFIG"):
        return [Path(part) for part in named.split(os.pathsep) if part]
    return [path for path in (Path("app-config.yaml"), Path("app-config.local.yaml")) if path.is_file()]


def read_section(paths: list[Path] | None, env: Mapping[str, str]) -> Section:
    """Read and merge the ``mlPlatform`` sections of all files.

    Raises:
        ConfigError: a file can't be read, is not YAML, or names a variable that is not set.
    """
    section = Section()
    faults: list[str] = []
    for path in config_paths(env) if paths is None else paths:
        try:
            own = _read(path)
        except ConfigError as error:
            faults += error.faults
            continue
        section.origins[()] = path
        resolved = _Resolver(path, env, faults).resolve(own, ())
        _merge(section, section.document, resolved, (), path)
    if faults:
        raise ConfigError(faults)
    return section


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as stream:
            raw = stream.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise ConfigError([f"{path}: can't be read: {error.strerror}"]) from None
    if len(raw) > _LARGEST_FILE:
        raise ConfigError([f"{path}: larger than {_LARGEST_FILE} bytes"])
    try:
        document = YAML(typ="safe", pure=True).load(raw)
    except (YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise ConfigError([f"{path}{place}: not valid YAML: {getattr(error, 'problem', None) or error}"]) from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ConfigError([f"{path}: must be an object with the section `{SECTION}`"])
    own = document.get(SECTION)
    if own is None:
        return {}
    if not isinstance(own, dict):
        raise ConfigError([f"{path}: {SECTION}: must be an object"])
    return own


class _Resolver:
    """Replaces variables and ``$env``/``$file`` objects in one file's section."""

    def __init__(self, path: Path, env: Mapping[str, str], faults: list[str]) -> None:
        self._path, self._env, self._faults = path, env, faults

    def resolve(self, value: Any, location: Location) -> Any:
        if isinstance(value, dict):
            if len(value) == 1 and (key := next(iter(value))) in {"$env", "$file"}:
                return self._included(key, str(value[key]), location)
            return {key: self.resolve(one, (*location, key)) for key, one in value.items()}
        if isinstance(value, list):
            return [self.resolve(one, (*location, index)) for index, one in enumerate(value)]
        if isinstance(value, str) and "${" in value:
            return _VARIABLE.sub(lambda match: self._variable(match, location), value)
        return value

    def _variable(self, match: re.Match[str], location: Location) -> str:
        if match.group() == "$${":
            return "${"
        name, default = match.groups()
        if name is None:
            self._fault(
                location,
                f"{match.group()!r} is no variable; write ${{NAME}} or ${{NAME:-default}}, or $${{ for a literal one",
            )
            return ""
        value = self._env.get(name)
        if not value and default is not None:
            return str(default)
        if value is None:
            self._fault(location, f"the environment variable {name} is not set; set it or write ${{{name}:-default}}")
            return ""
        return value

    def _included(self, key: str, name: str, location: Location) -> str | None:
        if key == "$env":
            return self._env.get(name)
        file = self._path.parent / name
        try:
            return file.read_text(encoding="utf-8").strip()
        except OSError as error:
            self._fault(location, f"{file} can't be read: {error.strerror}")
            return None

    def _fault(self, location: Location, message: str) -> None:
        self._faults.append(f"{self._path}: {Section.key(location)}: {message}")


def _merge(section: Section, into: dict[str, Any], new: dict[str, Any], location: Location, path: Path) -> None:
    for key, value in new.items():
        here = (*location, key)
        section.origins[here] = path
        present = into.get(key)
        if isinstance(present, dict) and isinstance(value, dict):
            _merge(section, present, value, here, path)
            continue
        if isinstance(value, dict):
            fresh: dict[str, Any] = {}
            into[key] = fresh
            _merge(section, fresh, value, here, path)
        else:
            into[key] = value
