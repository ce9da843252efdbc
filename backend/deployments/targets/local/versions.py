"""What should run, one file a version: written by the target, read by the launcher of each replica.

The files are the only memory of the target, so that whoever comes next, after any crash, goes on from them.
"""

import json
import os
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from backend.deployments.targets.base import ReplicaSetSpec, TargetUnavailable, VersionKey
from backend.local.folders import Folders

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_SLUG = re.compile(rf"(?P<environment>{_NAME.pattern})--(?P<model>{_NAME.pattern})--v(?P<version>\d+)")
_PROGRAM = re.compile(rf"{_SLUG.pattern}--r(?P<replica>\d+)")


@dataclass(frozen=True)
class Version:
    """A version that should run, or should no longer."""

    key: VersionKey
    digest: str
    artefact_dir: Path
    ports: tuple[int, ...]
    startup_seconds: int
    drain_seconds: int
    wanted: Literal["running", "stopped"] = "running"
    was_ready: tuple[int, ...] = ()
    """Replicas that have been ready since the version was started."""
    stream: tuple[str, ...] | None = None
    """What a consumer of a stream is told besides; ``None`` for a server that answers requests alone."""

    @property
    def slug(self) -> str:
        """The version as a file name and as the beginning of program names."""
        return slug(self.key)

    @property
    def programs(self) -> dict[int, str]:
        """Program name of each replica."""
        return {replica: program_name(self.key, replica) for replica in range(len(self.ports))}

    @property
    def environment(self) -> Path:
        """The bundle's ``environment/`` folder."""
        return self.artefact_dir / "environment"

    def same_as(self, spec: ReplicaSetSpec, stream: tuple[str, ...] | None) -> bool:
        """Tell whether this is what is asked for."""
        return (
            self.digest == spec.digest
            and self.artefact_dir == spec.artefact_dir
            and len(self.ports) == spec.replicas
            and self.wanted == "running"
            and self.stream == stream
        )


def slug(key: VersionKey) -> str:
    """Write a key as a file name.

    Raises:
        ValueError: the environment or model name is not a legal one, and could reach outside of its folder.
    """
    for name in (key.environment, key.model):
        if len(name) > 63 or not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not a name: lower-case letters and digits, single hyphens between")
    return f"{key.environment}--{key.model}--v{key.version}"


def program_name(key: VersionKey, replica: int) -> str:
    """Name a replica for supervisord."""
    return f"{slug(key)}--r{replica}"


def parse_program(name: str) -> tuple[VersionKey, int] | None:
    """Return the replica that a program name stands for, or ``None`` for a program that is no model server."""
    match = _PROGRAM.fullmatch(name)
    if match is None:
        return None
    key = VersionKey(match["environment"], match["model"], int(match["version"]))
    return key, int(match["replica"])


class VersionFiles:
    """The records under ``run/versions``. Whoever writes holds the lock of the folder."""

    def __init__(self, folders: Folders) -> None:
        self._folders = folders

    def path(self, key: VersionKey) -> Path:
        """Return where the record of a version is."""
        return self._folders.versions / f"{slug(key)}.json"

    def all(self) -> dict[VersionKey, Version]:
        """Return all records; a file that is none is passed over."""
        found = {}
        for path in sorted(self._folders.versions.glob("*--v*.json")):
            version = read_version(path, self._folders.home)
            if version is not None:
                found[version.key] = version
        return found

    def get(self, key: VersionKey) -> Version | None:
        """Return the record of a version, if there is one."""
        return read_version(self.path(key), self._folders.home)

    def put(self, version: Version) -> None:
        """Write a record; readers see it whole or not at all."""
        path = self.path(version.key)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        temporary.write_text(json.dumps(_to_json(version, self._folders.home), indent=1), encoding="utf-8")
        temporary.replace(path)

    def mark_ready(self, key: VersionKey, replica: int) -> None:
        """Remember that a replica has been ready."""
        version = self.get(key)
        if version is not None and replica not in version.was_ready:
            self.put(replace(version, was_ready=tuple(sorted({*version.was_ready, replica}))))

    def forget(self, key: VersionKey) -> None:
        """Delete a record."""
        self.path(key).unlink(missing_ok=True)

    def free_ports(self, count: int, port_range: tuple[int, int], keep: Iterable[int] = ()) -> tuple[int, ...]:
        """Return ports that neither a record nor another process has; those in ``keep`` first.

        Raises:
            TargetUnavailable: the range is used up.
        """
        chosen = list(keep)[:count]
        taken = {port for version in self.all().values() for port in version.ports} | set(chosen)
        for port in range(port_range[0], port_range[1] + 1):
            if len(chosen) == count:
                break
            if port not in taken and port_is_free(port):
                chosen.append(port)
        if len(chosen) < count:
            raise TargetUnavailable(
                f"no {count} free ports between {port_range[0]} and {port_range[1]}",
                fix="Widen mlPlatform.serving.portRange in app-config.yaml.",
            )
        return tuple(chosen)


def port_is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Tell whether a server could listen there now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def read_version(path: Path, home: Path) -> Version | None:
    """Read a record; ``None`` if it is missing or not one."""
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
        return Version(
            key=VersionKey(str(entry["environment"]), str(entry["model"]), int(entry["version"])),
            digest=str(entry["digest"]),
            artefact_dir=home / str(entry["artefactDir"]),
            ports=tuple(int(port) for port in entry["ports"]),
            startup_seconds=int(entry["startupSeconds"]),
            drain_seconds=int(entry["drainSeconds"]),
            wanted="running" if entry["wanted"] == "running" else "stopped",
            was_ready=tuple(int(replica) for replica in entry["wasReady"]),
            stream=None if entry.get("stream") is None else tuple(str(part) for part in entry["stream"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _to_json(version: Version, home: Path) -> dict[str, object]:
    artefacts = version.artefact_dir
    # Relative to HOME where possible, so that HOME may be copied to another place.
    inside = artefacts.is_relative_to(home)
    return {
        "environment": version.key.environment,
        "model": version.key.model,
        "version": version.key.version,
        "digest": version.digest,
        "artefactDir": str(artefacts.relative_to(home) if inside else artefacts),
        "ports": list(version.ports),
        "startupSeconds": version.startup_seconds,
        "drainSeconds": version.drain_seconds,
        "wanted": version.wanted,
        "wasReady": list(version.was_ready),
        "stream": None if version.stream is None else list(version.stream),
    }
