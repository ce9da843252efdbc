"""The process in which templates are rendered: it loads Copier once and forks for each render.

It reads one job a line (JSON) on standard input, and answers each with two lines: the pid of the render, and how it ended. A
render leaves its result in a file. Nothing of a job happens in the process that stays.
"""

import contextlib
import ctypes
import json
import os
import resource
import sys
import tempfile
from pathlib import Path
from typing import Any

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000


def main() -> None:
    """Render until standard input ends."""
    import copier  # noqa: F401 (so that each fork has it)

    import scaffolder.engine

    for line in sys.stdin:
        job = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _end(scaffolder.engine, job)
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


def _end(engine: Any, job: dict[str, Any]) -> None:
    """Do a job and end the process, whatever happens."""
    code = 1
    try:
        os.setsid()
        # Standard output is the line to the platform, which a template's code could otherwise write to.
        with Path(os.devnull).open("w", encoding="utf-8") as nothing:
            os.dup2(nothing.fileno(), 1)
        os.close(0)
        _limit(job["limits"])
        isolated = without_network()
        folder = Path(job["folder"])
        os.chdir(folder)
        tempfile.tempdir = str(folder / "tmp")
        result = _result(engine, job, folder)
        result["isolated"] = isolated
        (folder / "result.json").write_text(json.dumps(result, default=str), encoding="utf-8")
        code = 0
    except MemoryError:
        code = 77
    except BaseException as fault:
        with contextlib.suppress(BaseException):
            text = f"{type(fault).__name__}: {fault}"[:500]
            Path(job["folder"], "result.json").write_text(json.dumps({"crash": text}), encoding="utf-8")
    finally:
        os._exit(code)


def _limit(limits: dict[str, Any]) -> None:
    memory, seconds, size = limits["memory_bytes"], limits["cpu_seconds"], limits["output_bytes"]
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _result(engine: Any, job: dict[str, Any], folder: Path) -> dict[str, Any]:
    from scaffolder.errors import InvalidAnswer, ScaffoldError, TemplateRefused
    from scaffolder.release import Release

    release = Release(Path(job["repository"]), job["tag"], job["url"])
    try:
        if job["kind"] == "questions":
            return {"questions": engine.read_questions(release)}
        answers = engine.render(release, folder / "output", job["answers"], defaults=True)
    except MemoryError:
        raise
    except InvalidAnswer as fault:
        return {"invalid": fault.message, "fix": fault.fix}
    except TemplateRefused as fault:
        return {"refused": fault.message, "fix": fault.fix}
    except ScaffoldError as fault:
        return {"failed": fault.message, "fix": fault.fix}
    return {"answers": answers}


def _say(document: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
