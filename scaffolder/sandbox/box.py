"""The platform's side of the box: starts the process, hands jobs over, enforces what the kernel does not."""

import contextlib
import json
import logging
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from scaffolder.errors import InvalidAnswer, ScaffoldError, TemplateRefused
from scaffolder.git import safe_environment
from scaffolder.release import Release
from scaffolder.sandbox.limits import Limits, OutputRefused, check_answers, check_output, check_size

_LOOK = 0.02
_START_SECONDS = 60.0
_OUT_OF_MEMORY = 77

_log = logging.getLogger(__name__)


class RenderRefused(TemplateRefused):
    """A template was not rendered, and nothing of it is left.

    ``limit`` is the setting under ``mlPlatform.sandbox`` that it ran into, if it was one.
    """

    def __init__(self, message: str, *, limit: str | None = None, fix: str | None = None) -> None:
        super().__init__(message, fix=fix)
        self.limit = limit


@dataclass(frozen=True)
class Rendered:
    """A folder that was made, with all answers, computed ones included."""

    folder: Path
    answers: dict[str, Any]


class Sandbox:
    """Renders templates one after the other in a process beside; safe for several threads.

    The process is started by the first render and stays, since loading Copier takes longer than rendering.
    """

    def __init__(self, folder: Path, limits: Limits | None = None) -> None:
        self.folder = folder
        self.limits = limits or Limits()
        self.isolated: bool | None = None
        """Whether renders have no network; ``None`` before the first one."""
        self._turn = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def render(self, release: Release, answers: Mapping[str, Any], folder: Path) -> Rendered:
        """Render into ``folder``, which must not exist, with the default answers where none is given.

        Raises:
            InvalidAnswer: an answer is not acceptable.
            RenderRefused: the template uses too much, or something it may not.
        """
        result = self._run("render", release, answers, folder)
        return Rendered(folder, result["answers"])

    def answers(self, release: Release, answers: Mapping[str, Any]) -> dict[str, Any]:
        """Return all answers as a render would use them; nothing of it is kept.

        Raises:
            InvalidAnswer: an answer is not acceptable.
            RenderRefused: the template uses too much, or something it may not.
        """
        return dict(self._run("render", release, answers, None)["answers"])

    def questions(self, release: Release) -> dict[str, Any]:
        """Return the template's questions as ``copier.yml`` has them, in order.

        Raises:
            RenderRefused: the template can't be read within the limits.
        """
        return dict(self._run("questions", release, {}, None)["questions"])

    def close(self) -> None:
        """End the process."""
        with self._turn:
            self._stop()

    def _run(self, kind: str, release: Release, answers: Mapping[str, Any], folder: Path | None) -> dict[str, Any]:
        check_answers(answers, self.limits)
        with self._turn:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            job = Path(tempfile.mkdtemp(dir=self.folder, prefix="job-"))
            try:
                (job / "tmp").mkdir()
                asked = {
                    "kind": kind,
                    "folder": str(job),
                    "repository": str(release.repository),
                    "tag": release.tag,
                    "url": release.url,
                    "answers": dict(answers),
                    "limits": asdict(self.limits),
                }
                result = self._result(job, self._ended(job, asked))
                if folder is not None:
                    check_output(job / "output", self.limits)
                    shutil.move(job / "output", folder)
            except OutputRefused as fault:
                raise _over(str(fault), fault.limit) from fault
            finally:
                shutil.rmtree(job, ignore_errors=True)
        return result

    def _ended(self, job: Path, asked: dict[str, Any]) -> dict[str, Any]:
        """Hand a job over and return how its process ended; kill it when it takes too long or writes too much."""
        process = self._started()
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(asked).encode() + b"\n")
            process.stdin.flush()
        except BrokenPipeError:  # it was killed since the last render
            self._stop()
            process = self._started()
            assert process.stdin is not None
            process.stdin.write(json.dumps(asked).encode() + b"\n")
            process.stdin.flush()
        pid = int(self._said(process, _START_SECONDS)["pid"])
        until = time.monotonic() + self.limits.wall_seconds
        try:
            while (answer := self._said_within(process, _LOOK)) is None:
                if time.monotonic() > until:
                    raise _over(f"the template took more than {self.limits.wall_seconds:g} s", "wallSeconds")
                try:
                    check_size(job, self.limits)
                except OutputRefused as fault:
                    raise _over(str(fault), fault.limit) from fault
        except BaseException:
            _kill(pid)
            with contextlib.suppress(ScaffoldError, OSError, ValueError):  # it may have ended itself
                self._said(process, _START_SECONDS)
            raise
        _kill(pid)  # whatever it started and left behind
        return answer

    def _result(self, job: Path, ended: dict[str, Any]) -> dict[str, Any]:
        limits = self.limits
        if ended["signal"] in {signal.SIGXCPU, signal.SIGKILL}:
            raise _over(f"the template used more than {limits.cpu_seconds} s of processor time", "cpuSeconds")
        if ended["code"] == _OUT_OF_MEMORY or ended["signal"] in {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS}:
            raise _over(f"the template used more than {limits.memory_bytes} bytes of memory", "memoryBytes")
        if ended["signal"] == signal.SIGXFSZ:
            raise _over(f"the template makes more than {limits.output_bytes} bytes", "outputBytes")
        try:
            result: dict[str, Any] = json.loads((job / "result.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as fault:
            raise RenderRefused("rendering the template ended without a result") from fault
        if (crash := result.get("crash")) is not None:
            if "File too large" in crash:
                raise _over(f"the template makes more than {limits.output_bytes} bytes", "outputBytes")
            raise RenderRefused(f"the template can't be rendered: {crash}")
        if self.isolated is None and not result["isolated"]:
            _log.warning("templates are rendered with the machine's network: this system has no namespaces for users")
        self.isolated = bool(result["isolated"])
        for key, kind in (("invalid", InvalidAnswer), ("refused", RenderRefused), ("failed", RenderRefused)):
            if key in result:
                raise kind(_limited(result[key]), fix=result["fix"])
        return result

    def _started(self) -> "subprocess.Popen[bytes]":
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._stop()
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(home),
            "TMPDIR": str(home),
            "PYTHONDONTWRITEBYTECODE": "1",
            "COPIER_SETTINGS_PATH": os.devnull,
            **safe_environment(protocols=("file",), settings=[("safe.directory", "*")]),
        }
        self._process = subprocess.Popen(
            [sys.executable, "-s", "-m", "scaffolder.sandbox.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            cwd=self.folder,
            start_new_session=True,
            close_fds=True,
        )
        return self._process

    def _stop(self) -> None:
        if self._process is not None:
            assert self._process.stdin is not None
            with contextlib.suppress(OSError):
                self._process.stdin.close()
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    def _said(self, process: "subprocess.Popen[bytes]", seconds: float) -> dict[str, Any]:
        answer = self._said_within(process, seconds)
        if answer is None:
            self._stop()
            raise ScaffoldError("the process that renders templates does not answer", fix="Try again.")
        return answer

    def _said_within(self, process: "subprocess.Popen[bytes]", seconds: float) -> dict[str, Any] | None:
        """Return the next line, if it comes in time."""
        assert process.stdout is not None
        readable, _, _ = select.select([process.stdout], [], [], seconds)
        if not readable:
            return None
        line = process.stdout.readline()
        if not line:
            self._stop()
            raise ScaffoldError("the process that renders templates ended", fix="Try again.")
        answer: dict[str, Any] = json.loads(line)
        return answer


def _over(message: str, limit: str | None) -> RenderRefused:
    fix = None if limit is None else f"Is the template right? The limit is mlPlatform.sandbox.{limit}."
    return RenderRefused(message, limit=limit, fix=fix)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def _limited(text: str) -> str:
    return text if len(text) <= 500 else f"{text[:500]}..."
