"""Ports that the platform needs: are they free, and if not, who has them and whose setting is to be changed."""

import socket
from dataclasses import dataclass
from pathlib import Path

_LISTENING = "0A"


@dataclass(frozen=True)
class Needed:
    """A port that something of the platform will listen on, and the setting that it comes from."""

    host: str
    port: int
    setting: str


def is_free(host: str, port: int) -> bool:
    """Tell whether a server could listen there now."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError:
        return False
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError:
            return False
    return True


def taken(needed: list[Needed]) -> list[str]:
    """Return a sentence for each port that can't be had."""
    return [
        f"port {one.port} is taken{_by(one.port)}: set {one.setting} in app-config.yaml"
        for one in needed
        if not is_free(one.host, one.port)
    ]


def _by(port: int) -> str:
    owner = listener(port)
    return f" by pid {owner[0]} ({owner[1]})" if owner else ""


def listener(port: int) -> tuple[int, str] | None:
    """Return pid and name of the process that listens on a port, where the system lets one see that."""
    inodes = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    if not inodes:
        return None
    for process in Path("/proc").glob("[0-9]*"):
        try:
            for descriptor in (process / "fd").iterdir():
                if str(descriptor.readlink()) in inodes:
                    return int(process.name), (process / "comm").read_text(encoding="utf-8").strip()
        except OSError:
            continue
    return None


def _listening_inodes(port: int) -> set[str]:
    inodes = set()
    for table in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/net/{table}").read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(fields[9])
    return inodes
