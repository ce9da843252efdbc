"""The dependencies that a model runs with, as its repository's ``uv.lock`` has them for this platform.

Development groups are left out: they are not installed where the model is served.
"""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class LockUnusable(Exception):
    """``uv.lock`` is missing or is not one; the message says what to do."""


@dataclass(frozen=True)
class Package:
    """One locked dependency."""

    name: str
    version: str
    registry: bool
    """Whether it comes from a package index, so that advisories can speak of it."""
    source: str
    sha256: str | None
    """Of the wheel, or of the source archive where there is no wheel; nothing where there are several wheels."""
    requires: tuple[str, ...]
    """Names of the packages it needs here, sorted."""

    @property
    def purl(self) -> str:
        """Package URL."""
        return f"pkg:pypi/{self.name}@{self.version}"


@dataclass(frozen=True)
class Locked:
    """A repository's runtime dependencies."""

    packages: tuple[Package, ...]
    """Sorted by name."""
    direct: tuple[str, ...]
    """Names of those that the repository itself asks for, sorted."""


def read_lock(path: Path) -> Locked:
    """Read the packages that the project at ``path``'s lock needs at run time on this platform.

    Raises:
        LockUnusable: there is no lock, or it is damaged.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LockUnusable("there is no uv.lock: run `uv lock` and commit it") from None
    except (OSError, ValueError) as error:
        raise LockUnusable(f"uv.lock can't be read ({type(error).__name__}): run `uv lock`") from error
    entries = document.get("package", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) and "name" in entry for entry in entries):
        raise LockUnusable("uv.lock is not one that uv wrote: run `uv lock`")
    by_name: dict[str, list[dict[str, Any]]] = {}
    for entry in entries:
        by_name.setdefault(entry["name"], []).append(entry)
    root = next((entry for entry in entries if _path_of(entry) == "."), None)
    if root is None:
        return Locked((), ())
    try:
        return _reachable(root, by_name)
    except (KeyError, TypeError, AttributeError) as error:
        raise LockUnusable(f"uv.lock is not one that uv wrote ({error!r}): run `uv lock`") from error


def _path_of(entry: dict[str, Any]) -> str | None:
    source: dict[str, str] = entry.get("source", {})
    return source.get("virtual") or source.get("editable") or source.get("directory")


def _reachable(root: dict[str, Any], by_name: dict[str, list[dict[str, Any]]]) -> Locked:
    """Walk from the project along the edges that apply here, following the extras that are asked for."""
    needed: dict[tuple[str, str], set[str]] = {}
    entries: dict[tuple[str, str], dict[str, Any]] = {}
    seen: set[tuple[str, str, str | None]] = set()
    todo: list[tuple[dict[str, Any], str | None]] = [(root, None)]
    direct: set[str] = set()
    while todo:
        entry, extra = todo.pop()
        key = (entry["name"], entry.get("version", "0"))
        if (*key, extra) in seen:
            continue
        seen.add((*key, extra))
        entries[key] = entry
        edges = needed.setdefault(key, set())
        for edge in _edges(entry, extra):
            target = _target(edge, by_name)
            if target is None:
                continue
            if target["name"] != entry["name"]:
                edges.add(target["name"])
                if entry is root:
                    direct.add(target["name"])
            todo += [(target, None), *((target, name) for name in edge.get("extra", []))]
    packages = [_package(entry, needed[key]) for key, entry in sorted(entries.items()) if entry is not root]
    return Locked(tuple(packages), tuple(sorted(direct)))


def _edges(entry: dict[str, Any], extra: str | None) -> Iterator[dict[str, Any]]:
    from packaging.markers import InvalidMarker, Marker, UndefinedEnvironmentName

    found = entry.get("dependencies", []) if extra is None else entry.get("optional-dependencies", {}).get(extra, [])
    for edge in found:
        try:
            if "marker" not in edge or Marker(edge["marker"]).evaluate({"extra": extra or ""}):
                yield edge
        except (InvalidMarker, UndefinedEnvironmentName):
            yield edge  # what can't be decided is listed rather than left out


def _target(edge: dict[str, Any], by_name: dict[str, list[dict[str, Any]]]) -> dict[str, Any] | None:
    candidates = by_name.get(edge["name"], [])
    if "version" in edge:
        candidates = [entry for entry in candidates if entry.get("version") == edge["version"]]
    return candidates[0] if candidates else None


def _package(entry: dict[str, Any], requires: set[str]) -> Package:
    source: dict[str, Any] = entry.get("source", {})
    files = entry.get("wheels", []) or [entry[kind] for kind in ("sdist",) if kind in entry]
    digest = files[0].get("hash", "") if len(files) == 1 else ""
    return Package(
        name=entry["name"],
        version=str(entry.get("version", "0")),
        registry="registry" in source,
        source=next((f"{kind}: {place}" for kind, place in source.items()), "unknown"),
        sha256=digest.removeprefix("sha256:") if digest.startswith("sha256:") else None,
        requires=tuple(sorted(requires)),
    )
