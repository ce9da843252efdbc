"""How far a scan has come, in a file that holds no value: a killed scan goes on where it was."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlplatform.pii.sources.base import SourceFailed

_VERSION = 1


class ScanState:
    """JSON lines: how the scan was asked for, then one line for each part that is done.

    A line that was cut off by a kill is dropped. Column names that are personal data themselves are not written.
    """

    def __init__(self, path: Path | None, plan: Mapping[str, Any], *, seed: int) -> None:
        """Read the file if it is there, else begin it.

        Raises:
            SourceFailed: it belongs to another scan, or is none.
        """
        self._path = path
        self._done: dict[tuple[str, int], dict[str, Any]] = {}
        self.seed = seed
        if path is None:
            return
        if path.exists() and path.stat().st_size:
            self._read(path, plan)
        else:
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
                stream.write(json.dumps({"version": _VERSION, "plan": plan, "seed": seed}) + "\n")

    def _read(self, path: Path, plan: Mapping[str, Any]) -> None:
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            os.truncate(path, len(whole))
        try:
            first, *lines = [json.loads(line) for line in whole.splitlines()] or [{}]
            known = first["version"] == _VERSION and first["plan"] == plan
            self.seed = int(first["seed"])
            self._done = {(line["table"], line["part"]): line for line in lines}
        except (ValueError, KeyError, TypeError) as error:
            raise SourceFailed(f"{path} is no state of a scan", "name another file") from error
        if not known:
            raise SourceFailed(
                f"{path} is the state of a scan that was asked for otherwise",
                "repeat it with the same sources and options, or name another file",
            )

    def known(self, table: str, part: int, fingerprint: str) -> dict[str, Any] | None:
        """Return what was written of a part, if its table is still the same."""
        line = self._done.get((table, part))
        return line if line is not None and fingerprint and line["fingerprint"] == fingerprint else None

    def add(self, table: str, part: int, fingerprint: str, result: Mapping[str, Any]) -> None:
        """Write a part down, on the disk before this returns."""
        if self._path is None or not fingerprint:
            return
        line = {"table": table, "part": part, "fingerprint": fingerprint, **result}
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
