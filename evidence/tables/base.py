"""What tables have in common."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Protocol

from evidence.events import Event

Row = tuple[str, ...]


@dataclass(frozen=True)
class Noted:
    """An exception: something on record that a control should have prevented, or that an auditor asks about."""

    check: str
    where: str
    message: str


class Table(Protocol):
    """One table; fed the events that it wants, the context's first, then the period's, all in order."""

    name: ClassVar[str]
    header: ClassVar[Row]

    def wants(self, type: str) -> bool:
        """Say whether events of this type are for this table."""
        ...

    def feed(self, event: Event, *, context: bool) -> Iterable[Row]:
        """Take up an event; return the rows that it makes."""
        ...

    def finish(self) -> Iterable[Row]:
        """Return the rows that only the end makes."""
        ...


def identities(*refs: str) -> set[str]:
    """Return who somebody is, as refs that can be compared; nobody is no identity."""
    return {ref.lower() for ref in refs if ref}
