"""Locks between processes that a person may be waiting for."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def held(path: Path, waiting_for: str, echo: Callable[[str], None]) -> Iterator[None]:
    """Hold a lock file; say once what is waited for, if another process holds it."""
    import fcntl

    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            echo(f"waiting for {waiting_for}")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
