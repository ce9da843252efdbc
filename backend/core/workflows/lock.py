"""One runtime per database: several backend processes may serve requests, one of them works rows off."""

import fcntl
import os
from pathlib import Path
from typing import IO, Protocol

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from backend.core.database import Database

_NAME = "ml-platform workflow runtime"


class RuntimeLock(Protocol):
    """Held by one process at a time; let go of by the system when that process dies."""

    def acquire(self) -> bool:
        """Take it if it is free; say whether it is held now."""
        ...

    def held(self) -> bool:
        """Say whether it is still held."""
        ...

    def release(self) -> None:
        """Let go of it."""
        ...


class FileLock:
    """For SQLite: a lock file beside the database."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def acquire(self) -> bool:
        """Take it if it is free; say whether it is held now."""
        if self._file is not None:
            return True
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = self._path.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        self._file = file
        return True

    def held(self) -> bool:
        """Say whether it is still held."""
        return self._file is not None

    def release(self) -> None:
        """Let go of it."""
        if self._file is not None:
            self._file.close()
            self._file = None


class AdvisoryLock:
    """For PostgreSQL: a session-level advisory lock on a connection of its own, gone with that connection."""

    def __init__(self, database: Database) -> None:
        self._engine = create_engine(database.url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        self._connection: Connection | None = None

    def acquire(self) -> bool:
        """Take it if it is free; say whether it is held now."""
        if self._connection is not None:
            return True
        try:
            connection = self._engine.connect()
        except SQLAlchemyError:
            return False
        query = text("SELECT pg_try_advisory_lock(hashtextextended(:name, 0))")
        if connection.execute(query, {"name": _NAME}).scalar_one():
            self._connection = connection
            return True
        connection.close()
        return False

    def held(self) -> bool:
        """Say whether it is still held: whether the connection that holds it still answers."""
        if self._connection is None:
            return False
        try:
            self._connection.execute(text("SELECT 1"))
        except SQLAlchemyError:
            self.release()
            return False
        return True

    def release(self) -> None:
        """Let go of it."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.invalidate()
            connection.close()


def runtime_lock(database: Database) -> RuntimeLock:
    """Return the lock that runtimes on this database share."""
    if database.is_sqlite:
        return FileLock(Path(f"{database.url.database}.runtime.lock"))
    return AdvisoryLock(database)
