"""Becomes another program after writing down its pid: ``python -m backend.local.exec FOLDER NAME [--clean] -- COMMAND``.

supervisord starts everything through this or through the model servers' launcher, so that what it started can be
found and stopped also after supervisord itself was killed. ``--clean`` gives the program an environment without secrets.
"""

import argparse
import os
import resource
from pathlib import Path

from backend.local.processes import record

_MOST_FILES = 65_536
_KEPT = ("LANG", "LC_ALL", "TZ")


def clean_environment(*, home: Path) -> dict[str, str]:
    """Return an environment that holds nothing of the user's: no tokens, no home folder, no proxies."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {
        "LANG": "C.UTF-8",
        **kept,
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(home),
        "TMPDIR": str(home),
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def raise_file_limit() -> None:
    """Allow as many open files as the system lets this user have."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if wanted > resource.getrlimit(resource.RLIMIT_NOFILE)[0]:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def main() -> None:
    """Record this process and become the command."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("name")
    parser.add_argument("--clean", action="store_true")
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args()
    record(arguments.folder, arguments.name)
    environment = clean_environment(home=Path("/")) if arguments.clean else dict(os.environ)
    raise_file_limit()
    os.execvpe(arguments.command[0], arguments.command, environment)  # noqa: S606


if __name__ == "__main__":
    main()
