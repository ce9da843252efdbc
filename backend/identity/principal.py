"""Who a caller is, whatever kind of token said so."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Self


class PrincipalKind(StrEnum):
    """What kind of caller it is."""

    USER = "user"
    GROUP = "group"
    REPOSITORY = "repository"
    SERVICE = "service"


@dataclass(frozen=True)
class Principal:
    """A verified caller.

    ``ref`` is a Backstage entity ref (``user:default/ada``), ``repository:<repository id>`` or ``service:<name>``.
    A CI job acts as its repository. ``on_behalf_of`` is whose push or click started it, ``run`` the job's address and
    ``commit`` the commit it runs for, as far as its token says so. ``via`` is the service that a user acts through.
    """

    kind: PrincipalKind
    ref: str
    groups: frozenset[str]
    issuer: str
    expires_at: datetime
    on_behalf_of: str | None = None
    run: str | None = None
    commit: str | None = None
    via: str | None = None

    @property
    def repository(self) -> str | None:
        """The repository that this caller is, if it is one."""
        return self.ref.removeprefix("repository:") if self.kind is PrincipalKind.REPOSITORY else None


@dataclass(frozen=True)
class Actor:
    """Whoever did something: a principal, and for a CI job the person who started it."""

    ref: str
    on_behalf_of: str | None = None

    @classmethod
    def of(cls, caller: Principal) -> Self:
        """Return the actor that a caller is."""
        return cls(caller.ref, caller.on_behalf_of)

    @property
    def is_known(self) -> bool:
        """Whether there is a person behind it: a CI job may not say who started it."""
        return self.on_behalf_of is not None or not self.ref.startswith("repository:")
