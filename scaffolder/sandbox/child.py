"""The process in which templates are rendered: it loads Copier once and forks for each render.

It reads one job a line on standard input (a pickle in base64: the platform wrote it), and answers each with two lines of JSON:
the pid of the render, and how it ended. A render leaves its result in a file of JSON, which the platform reads with the
distrust that it deserves. Nothing of a job happens in the process that stays.
"""

import base64
import contextlib
import ctypes
import errno
import json
import os
import pickle
import resource
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaffolder.errors import InvalidAnswer, ScaffoldError, TemplateRefused
from scaffolder.sandbox.jobs import OUTPUT, RESULT, Job, Questions, RenderNew
from scaffolder.sandbox.limits import Limits

if TYPE_CHECKING:
    from scaffolder.update.jobs import RenderJob, Renders

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000


def main() -> None:
    """Render until standard input ends."""
    import scaffolder.update.preload  # noqa: F401 (so that each fork has it)

    for line in sys.stdin:
        job = pickle.loads(base64.b64decode(line))  # noqa: S301 (the platform's own)
        pid = os.fork()
        if pid == 0:
            _end(job)
        _say({"pid": pid})
        _, status = os.waitpid(pid, 0)
        signal = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
        _say({"signal": signal, "code": os.waitstatus_to_exitcode(status)})


def without_network() -> bool:
    """Leave the machine's network behind; say whether that was possible here."""
    user, group = os.getuid(), os.getgid()
    libc = ctypes.CDLL(None, use_errno=True)
    unshare = getattr(libc, "unshare", None)
    if unshare is None or unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
        return False
    with contextlib.suppress(OSError):
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1\n", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1\n", encoding="ascii")
    return True


def _end(job: Job) -> None:
    """Do a job and end the process, whatever happens."""
    code = 1
    try:
        os.setsid()
        # Standard output is the line to the platform, which a template's code could otherwise write to.
        with Path(os.devnull).open("w", encoding="utf-8") as nothing:
            os.dup2(nothing.fileno(), 1)
        os.close(0)
        _limit(job.limits)
        isolated = without_network()
        os.chdir(job.folder)
        tempfile.tempdir = str(job.folder / "tmp")
        result = _result(job)
        result["isolated"] = isolated
        _leave(job, result)
        code = 0
    except MemoryError:
        code = 77
    except BaseException as fault:
        with contextlib.suppress(BaseException):
            _leave(job, {"crash": f"{type(fault).__name__}: {fault}"[:500]})
    finally:
        os._exit(code)


def _limit(limits: Limits) -> None:
    memory, seconds, size = limits.memory_bytes, limits.cpu_seconds, limits.output_bytes
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _result(job: Job) -> dict[str, Any]:
    try:
        return _done(job)
    except ScaffoldError as fault:
        if isinstance(fault.__cause__, OSError) and fault.__cause__.errno == errno.EFBIG:
            return {"too_large": True}
        kind = "failed"
        if isinstance(fault, InvalidAnswer):
            kind = "invalid"
        elif isinstance(fault, TemplateRefused):
            kind = "refused"
        question = getattr(fault, "question", "")
        return {"fault": {"kind": kind, "message": fault.message, "fix": fault.fix, "question": question}}


def _done(job: Job) -> dict[str, Any]:
    from scaffolder import engine

    task, output = job.task, job.folder / OUTPUT
    if isinstance(task, Questions):
        return {"questions": engine.in_process().questions(task.version)}
    if isinstance(task, RenderNew):
        return {"answers": engine.render_version(task.version, output, task.answers, source=task.source, defaults=True)}
    output.mkdir()
    return _described(_updated(replace(task.job, workspace=output), whole=task.whole))


def _updated(job: "RenderJob", *, whole: bool) -> "Renders":
    from scaffolder import engine

    renderer = engine.in_process()
    return renderer.renders(job) if whole else renderer.old_only(job)


def _described(renders: "Renders") -> dict[str, Any]:
    """Return what an update's renders came to; where they are the platform knows, and YAML keeps the answers' types."""
    import yaml

    return {
        "same": renders.new == renders.current,
        "answers_path": renders.answers_path,
        "skip": renders.skip,
        "skip_unanswered": renders.skip_unanswered,
        "remembered": yaml.safe_dump(dict(renders.remembered), sort_keys=False) if renders.remembered else None,
        "needs": renders.needs,
    }


def _leave(job: Job, result: dict[str, Any]) -> None:
    (job.folder / RESULT).write_text(json.dumps(result, default=str), encoding="utf-8")


def _say(document: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
