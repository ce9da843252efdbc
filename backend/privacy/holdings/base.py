"""What retention asks of each kind of place."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from sqlalchemy.orm import Session

from backend.privacy.models import Kind, RetentionItem


class KeptForNow(Exception):
    """Something is not deleted after all; the message says why."""


@dataclass(frozen=True)
class Over:
    """Something that is over."""

    kind: Kind
    name: str
    """What it is found by again; never holds a value."""
    refs: tuple[str, ...]
    """What it belongs to, in the words of holds."""
    at: datetime
    since: datetime
    bytes: int = 0
    digest: str | None = None


class Holding(Protocol):
    """A kind of place. Names that it gives out it must find again after any crash."""

    kind: Kind

    def over(self, session: Session, now: datetime) -> Iterator[Over]:
        """Yield what is over, in a fixed order."""
        ...

    def delete(self, item: RetentionItem, now: datetime) -> None:
        """Delete something, in transactions of its own; what is gone already is no error.

        Raises:
            KeptForNow: by now it is needed.
        """
        ...


def digest_of(names: Iterable[str]) -> str:
    """Return a digest that speaks for names, in their order."""
    summary = hashlib.sha256()
    for name in names:
        summary.update(f"{name}\n".encode())
    return summary.hexdigest()


def size_of(folder: Path) -> int:
    """Return the bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
