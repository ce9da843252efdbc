"""Run :mod:`.child` under limits and return what it says."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from scaffolder.cookiecutter.limits import DEFAULT, Limits
from scaffolder.errors import ScaffoldError, TemplateRefused

_ANSWER_BYTES = 16 << 20
_MORE_SECONDS = 20.0
"""What each further job of the same template adds to the time."""
_KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "VIRTUAL_ENV", "SYSTEMROOT")


@dataclass(frozen=True)
class Request:
    """A template to render, any number of times."""

    engine: Literal["cookiecutter", "copier"]
    folder: Path
    """The template."""
    jobs: Sequence[tuple[Mapping[str, Any], Path]]
    """Answers, and where to: for Cookiecutter the folder above the project, for Copier the project."""
    context_file: str = "cookiecutter.json"
    source: str = ""
    checkout: str | None = None
    trusted: bool = False
    """Whether hooks and extensions may run, and Jinja outside of its sandbox."""


@dataclass(frozen=True)
class Answer:
    """What was rendered."""

    project: Path
    answers: dict[str, Any]


def render_once(request: Request, limits: Limits = DEFAULT) -> Answer:
    """Render the request's only job; see :func:`render_apart`.

    Raises:
        ScaffoldError: the template can't be rendered with these answers.
        TemplateRefused: it took longer, or wrote more, than templates may.
    """
    made = render_apart(request, limits)[0]
    if isinstance(made, ScaffoldError):
        raise made
    return made


def render_apart(request: Request, limits: Limits = DEFAULT) -> list[Answer | ScaffoldError]:
    """Render in a process of its own, which sees nothing of this one's environment but where programs are.

    Return for each job what was made, or why the template can't be rendered with these answers (with its file and line
    if they are known); a job that took more than templates may is a :class:`TemplateRefused`, and so are those after it.
    """
    seconds = limits.seconds + _MORE_SECONDS * (len(request.jobs) - 1)
    read, write = os.pipe()
    home = Path(tempfile.mkdtemp(prefix="render-"))
    document = {
        "engine": request.engine,
        "folder": str(request.folder),
        "jobs": [{"answers": dict(answers), "out": str(out)} for answers, out in request.jobs],
        "context_file": request.context_file,
        "source": request.source,
        "checkout": request.checkout,
        "trusted": request.trusted,
        "answer_to": write,
        "limits": {
            "seconds": seconds,
            "memory_bytes": limits.memory_bytes,
            "file_bytes": limits.file_bytes,
        },
    }
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    environment |= {"HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1", "GIT_TERMINAL_PROMPT": "0"}
    try:
        child = subprocess.Popen(
            [sys.executable, "-m", "scaffolder.cookiecutter.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(write,),
            env=environment,
            cwd=home,
            start_new_session=True,
        )
        os.close(write)
        write = -1
        late = False
        try:
            child.communicate(json.dumps(document).encode(), timeout=seconds)
        except subprocess.TimeoutExpired:
            late = True
        finally:
            _end(child)
        with os.fdopen(read, "rb") as stream:
            read = -1
            said = stream.read(_ANSWER_BYTES).split(b"\n")
    finally:
        for descriptor in (read, write):
            if descriptor >= 0:
                os.close(descriptor)
        shutil.rmtree(home, ignore_errors=True)
    ended = _ended(child.returncode, late=late, seconds=seconds)
    found = [_understood(line, limits) or ended for line in said[: len(request.jobs)]]
    return found + [ended] * (len(request.jobs) - len(found))


def _ended(status: int, *, late: bool, seconds: float) -> ScaffoldError:
    """Return why there is no answer."""
    if late:
        return TemplateRefused(f"rendering took more than {seconds:g} s; does the template loop?")
    if status in {-signal.SIGKILL, -signal.SIGXCPU}:
        return TemplateRefused("rendering took more time or memory than templates may take")
    return ScaffoldError(f"the process that rendered the template ended with {status}")


def _understood(line: bytes, limits: Limits) -> Answer | ScaffoldError | None:
    try:
        answer = json.loads(line)
    except ValueError:
        return None
    if "error" in answer:
        text = str(answer["error"])
        kind = TemplateRefused if "more memory" in text or "File too large" in text else ScaffoldError
        return kind(f"the template can't be rendered: {text}")
    project = Path(answer["project"])
    written = sum(path.lstat().st_size for path in project.rglob("*") if not path.is_dir())
    if written > limits.total_bytes:
        return TemplateRefused(f"the template renders to {written} bytes; at most {limits.total_bytes} are possible")
    return Answer(project, dict(answer["answers"]))


def _end(child: "subprocess.Popen[bytes]") -> None:
    """End the process and whatever it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
