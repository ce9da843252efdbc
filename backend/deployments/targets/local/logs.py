"""Reads the logs of model servers: the last lines over all replicas, then what comes, across rotation."""

import json
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from backend.deployments.targets.base import VersionKey
from backend.deployments.targets.log_filter import EVERYTHING, LogFilter, members
from backend.local.folders import Folders
from mlplatform.redaction import redact

_BLOCK = 65_536
_POLL_SECONDS = 0.2
_SIGN_OF_LIFE_SECONDS = 1.0
_LONGEST_LINE = 32_768
_MESSAGE_LENGTH = 500


def log_path(folders: Folders, key: VersionKey, replica: int) -> Path:
    """Return where a replica's log is; rotated ones have ``.1``, ``.2``, … at their end."""
    return folders.logs / "models" / key.environment / key.model / f"v{key.version}-r{replica}.log"


def log_files(folders: Folders, key: VersionKey) -> dict[int, Path]:
    """Return the present log of each replica that ever ran."""
    folder = folders.logs / "models" / key.environment / key.model
    prefix = f"v{key.version}-r"
    found = {}
    for path in folder.glob(f"{prefix}*.log"):
        number = path.name.removeprefix(prefix).removesuffix(".log")
        if number.isdigit():
            found[int(number)] = path
    return dict(sorted(found.items()))


def last_lines(path: Path, count: int) -> list[str]:
    """Return the last lines of a log, going back into rotated ones as far as needed."""
    lines: list[str] = []
    backup = 0
    while len(lines) < count:
        current = path if backup == 0 else path.with_name(f"{path.name}.{backup}")
        try:
            with current.open("rb") as file:
                lines = _tail(file, count - len(lines)) + lines
        except FileNotFoundError:
            if backup > 0:
                break
        backup += 1
    return lines


def _tail(file: BinaryIO, count: int) -> list[str]:
    end = file.seek(0, os.SEEK_END)
    position, data = end, b""
    while position > 0 and data.count(b"\n") <= count:
        size = min(_BLOCK, position)
        position -= size
        file.seek(position)
        data = file.read(size) + data
    lines = data.decode("utf-8", "replace").splitlines()
    return lines[-count:] if count > 0 else []


def last_message(path: Path) -> str | None:
    """Return what a log says last, in one short redacted line."""
    for line in reversed(last_lines(path, 20)):
        text = line.strip()
        if not text:
            continue
        if text.startswith("{"):
            try:
                entry = json.loads(text)
                text = str(entry.get("message") or text)
            except ValueError:
                pass
        text = " ".join(redact(text).split())
        return text if len(text) <= _MESSAGE_LENGTH else text[: _MESSAGE_LENGTH - 1] + "…"
    return None


class _Follower:
    """One log that is still written to."""

    def __init__(self, path: Path, *, from_start: bool) -> None:
        self._path = path
        self._rest = b""
        self._file: BinaryIO | None = None
        self._open(from_start=from_start)

    def _open(self, *, from_start: bool) -> None:
        try:
            self._file = self._path.open("rb")
        except FileNotFoundError:
            self._file = None
            return
        if not from_start:
            self._file.seek(0, os.SEEK_END)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def lines(self) -> Iterator[str]:
        """Yield what was added since the last call."""
        if self._file is None:
            self._open(from_start=True)
        while self._file is not None:
            rotated = self._rotated()
            # Asked before reading: what was written up to the rotation is then certainly in the file that is open.
            yield from self._read()
            if not rotated:
                return
            self.close()
            self._open(from_start=True)

    def _rotated(self) -> bool:
        assert self._file is not None
        try:
            now = self._path.stat()
        except FileNotFoundError:
            return False
        mine = os.fstat(self._file.fileno())
        if (now.st_dev, now.st_ino) != (mine.st_dev, mine.st_ino):
            return True
        if now.st_size < self._file.tell():
            self._file.seek(0)
        return False

    def _read(self) -> Iterator[str]:
        assert self._file is not None
        while chunk := self._file.read(_BLOCK):
            *whole, self._rest = (self._rest + chunk).split(b"\n")
            if len(self._rest) > _LONGEST_LINE:
                whole, self._rest = [*whole, self._rest], b""
            for line in whole:
                yield line.decode("utf-8", "replace").rstrip("\r")


def read_logs(
    folders: Folders,
    keys: Sequence[VersionKey],
    *,
    tail: int,
    follow: bool,
    running: Callable[[], bool],
    wanted: LogFilter = EVERYTHING,
) -> Iterator[str]:
    """Yield ``<version>/<replica> <line>``; see :meth:`backend.deployments.targets.base.Target.logs`."""

    def files() -> dict[str, Path]:
        return {f"{key.version}/{replica}": path for key in keys for replica, path in log_files(folders, key).items()}

    return follow_files(files, tail=tail, follow=follow, running=running, wanted=wanted)


def follow_files(
    files: Callable[[], dict[str, Path]],
    *,
    tail: int,
    follow: bool,
    running: Callable[[], bool],
    wanted: LogFilter = EVERYTHING,
) -> Iterator[str]:
    """Yield ``<label> <line>`` for labelled logs, also for those that come while it follows."""

    def present() -> dict[str, Path]:
        return {label: path for label, path in files().items() if wanted.takes(label)}

    followers: dict[str, _Follower] = {}
    try:
        # Opened before the tail is read: a line that comes in between is then shown twice at worst, never lost.
        if follow:
            followers = {label: _Follower(path, from_start=False) for label, path in present().items()}
        yield from _last_of_all(present(), tail, wanted)
        quiet_since = time.monotonic()
        while follow:
            still_running = running()
            for label, path in present().items():
                if label not in followers:
                    followers[label] = _Follower(path, from_start=True)
            for label, follower in followers.items():
                for text in follower.lines():
                    if (shown := _shown(text, wanted)) is not None:
                        quiet_since = time.monotonic()
                        yield f"{label} {shown}"
            if not still_running:
                return
            if time.monotonic() - quiet_since > _SIGN_OF_LIFE_SECONDS:
                quiet_since = time.monotonic()
                yield ""
            time.sleep(_POLL_SECONDS)
    finally:
        for follower in followers.values():
            follower.close()


def _shown(line: str, wanted: LogFilter) -> str | None:
    """Return a line as it may be shown, if it is wanted."""
    if not wanted.passes(line):
        return None
    redacted = redact(line)
    return redacted if wanted.shows(redacted) else None


def _last_of_all(files: dict[str, Path], tail: int, wanted: LogFilter) -> Iterator[str]:
    """Yield the last lines of all logs by their time; a line without one belongs to the line before it."""
    found: list[tuple[str, str]] = []
    for label, path in files.items():
        time_of_last = ""
        for text in last_wanted(path, tail, wanted):
            time_of_last = str(members(text).get("time") or time_of_last)
            found.append((time_of_last, f"{label} {text}"))
    found.sort(key=lambda one: one[0])
    yield from (line for _, line in found)


def last_wanted(path: Path, count: int, wanted: LogFilter) -> list[str]:
    """Return the last lines of a log that are wanted, as they may be shown."""
    if wanted == EVERYTHING or wanted == LogFilter(replica=wanted.replica):
        return [redact(line) for line in last_lines(path, count)]
    found: list[str] = []
    backup = 0
    while len(found) < count:
        current = path if backup == 0 else path.with_name(f"{path.name}.{backup}")
        try:
            with current.open(encoding="utf-8", errors="replace") as file:
                shown = (_shown(line.rstrip("\r\n"), wanted) for line in file)
                newest = deque((line for line in shown if line is not None), maxlen=count - len(found))
        except FileNotFoundError:
            if backup > 0:
                break
            newest = deque()
        found = [*newest, *found]
        backup += 1
    return found
