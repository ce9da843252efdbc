"""The platform's side of the box: starts the process, hands jobs over, enforces what the kernel does not."""

import base64
import contextlib
import json
import logging
import os
import pickle
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from scaffolder.engine import template_store
from scaffolder.errors import ScaffoldError, TemplateRefused
from scaffolder.git import safe_environment
from scaffolder.release import Release
from scaffolder.sandbox.jobs import OUTPUT, RESULT, Job, Questions, RenderNew, Update
from scaffolder.sandbox.limits import Limits, OutputRefused, check_answers, check_output, check_size
from scaffolder.update.errors import AnswerInvalid
from scaffolder.update.store import TemplateVersion

_LOOK = 0.02
_START_SECONDS = 60.0
_OUT_OF_MEMORY = 77

_log = logging.getLogger(__name__)


class RenderRefused(TemplateRefused):
    """A template was not rendered, and nothing of it is left.

    ``limit`` is the setting under ``mlPlatform.sandbox`` that it ran into, if it was one; ``unsafe`` says that it asks for what
    the platform trusts no template with.
    """

    def __init__(self, message: str, *, limit: str | None = None, fix: str | None = None, unsafe: bool = False) -> None:
        super().__init__(message, fix=fix)
        self.limit = limit
        self.unsafe = unsafe


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
            ScaffoldError: there is no such version.
        """

        def take(output: Path) -> None:
            check_output(output, self.limits)
            shutil.move(output, folder)

        return Rendered(folder, self._new(release, answers, take)["answers"])

    def answers(self, release: Release, answers: Mapping[str, Any]) -> dict[str, Any]:
        """Return all answers as a render would use them; nothing of it is kept.

        Raises:
            As :meth:`render`.
        """
        return dict(self._new(release, answers, lambda _output: None)["answers"])

    def questions(self, release: Release) -> dict[str, Any]:
        """Return the template's questions as ``copier.yml`` has them, in order.

        Raises:
            RenderRefused: the template can't be read within the limits.
            ScaffoldError: there is no such version.
        """
        return dict(self.run(Questions(_version(release)), self.limits, lambda _output: None)["questions"])

    def close(self) -> None:
        """End the process."""
        with self._turn:
            self._stop()

    def run(self, task: Questions | RenderNew | Update, limits: Limits, take: Callable[[Path], None]) -> dict[str, Any]:
        """Do a task and return its result; ``take`` looks at what was rendered, and moves away what is to be kept.

        Raises:
            AnswerInvalid: an answer is not acceptable.
            RenderRefused: the template uses too much, or something it may not.
        """
        with self._turn:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            job = Job(task, Path(tempfile.mkdtemp(dir=self.folder, prefix="job-")), limits)
            try:
                (job.folder / "tmp").mkdir()
                result = self._result(job, self._ended(job))
                take(job.folder / OUTPUT)
            except OutputRefused as fault:
                raise _over(str(fault), fault.limit) from fault
            finally:
                shutil.rmtree(job.folder, ignore_errors=True)
        return result

    def _new(self, release: Release, answers: Mapping[str, Any], take: Callable[[Path], None]) -> dict[str, Any]:
        check_answers(answers, self.limits)
        return self.run(RenderNew(_version(release), release.url, dict(answers)), self.limits, take)

    def _ended(self, job: Job) -> dict[str, Any]:
        """Hand a job over and return how its process ended; kill it when it takes too long or writes too much."""
        line = base64.b64encode(pickle.dumps(job)) + b"\n"
        process = self._started()
        assert process.stdin is not None
        try:
            process.stdin.write(line)
            process.stdin.flush()
        except BrokenPipeError:  # it was killed since the last render
            self._stop()
            process = self._started()
            assert process.stdin is not None
            process.stdin.write(line)
            process.stdin.flush()
        pid = int(self._said(process, _START_SECONDS)["pid"])
        until = time.monotonic() + job.limits.wall_seconds
        try:
            while (answer := self._said_within(process, _LOOK)) is None:
                if time.monotonic() > until:
                    raise _over(f"the template took more than {job.limits.wall_seconds:g} s", "wallSeconds")
                try:
                    check_size(job.folder, job.limits)
                except OutputRefused as fault:
                    raise _over(str(fault), fault.limit) from fault
        except BaseException:
            _kill(pid)
            with contextlib.suppress(ScaffoldError, OSError, ValueError):  # it may have ended itself
                self._said(process, _START_SECONDS)
            raise
        _kill(pid)  # whatever it started and left behind
        return answer

    def _result(self, job: Job, ended: dict[str, Any]) -> dict[str, Any]:
        limits = job.limits
        if ended["signal"] in {signal.SIGXCPU, signal.SIGKILL}:
            raise _over(f"the template used more than {limits.cpu_seconds} s of processor time", "cpuSeconds")
        if ended["code"] == _OUT_OF_MEMORY or ended["signal"] in {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS}:
            raise _over(f"the template used more than {limits.memory_bytes} bytes of memory", "memoryBytes")
        if ended["signal"] == signal.SIGXFSZ:
            raise _over(f"the template makes more than {limits.output_bytes} bytes", "outputBytes")
        try:
            result: dict[str, Any] = json.loads((job.folder / RESULT).read_text(encoding="utf-8"))
        except (OSError, ValueError) as fault:
            raise RenderRefused("rendering the template ended without a result") from fault
        if "too_large" in result:
            raise _over(f"the template makes more than {limits.output_bytes} bytes", "outputBytes")
        if (crash := result.get("crash")) is not None:
            raise RenderRefused(f"the template can't be rendered: {crash}")
        if self.isolated is None and not result["isolated"]:
            _log.warning("templates are rendered with the machine's network: this system has no namespaces for users")
        self.isolated = bool(result["isolated"])
        if (refusal := result.get("fault")) is not None:
            raise _refusal(refusal)
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
            **safe_environment(protocols=()),
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


def _version(release: Release) -> TemplateVersion:
    """Check a version out, which runs nothing of it; whoever asks has seen that its source is allowed."""
    return template_store(release).version(release.tag)


def _refusal(fault: Mapping[str, Any]) -> AnswerInvalid | RenderRefused:
    message, fix = _limited(str(fault["message"])), fault["fix"]
    if fault["kind"] == "invalid":
        return AnswerInvalid(message, question=str(fault["question"]), fix=fix)
    return RenderRefused(message, fix=fix, unsafe=fault["kind"] == "refused")


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
