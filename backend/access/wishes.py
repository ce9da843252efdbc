"""What can be asked for: which actions on what, for which purpose and how long."""

import re
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.orm import Session

from backend.access.resources import BREAKABLE, FOR_A_PURPOSE, GRANTABLE, Action, DatasetResource, Resource
from backend.access.schemas import WishableOut, WishesOut
from backend.access.service import AccessService
from backend.core.config_access import AccessSettings
from backend.core.errors import InvalidInput
from mlplatform.spec.model import Classification
from mlplatform.spec.quantities import format_duration

SHORTEST = timedelta(minutes=1)
_PRINCIPAL = re.compile(r"^(user:[a-z0-9-]+/|repository:|service:)[A-Za-z0-9][A-Za-z0-9._/ -]{0,180}$")
_SCOPES = {
    Action.READ: ("dataset", "classification"),
    Action.REVEAL: ("dataset", "classification"),
    Action.DEPLOY: ("model",),
    Action.ABORT: ("model",),
    Action.ROLLBACK: ("model",),
    Action.WAIVE: ("model", "dataset"),
    Action.RUN_BATCH: ("model",),
    Action.READ_SAMPLES: ("model",),
    Action.REQUEST_DRIFT_REPORT: ("model",),
    Action.EXPORT_EVIDENCE: ("platform",),
    Action.ERASE_SUBJECT: ("platform",),
}


@dataclass(frozen=True)
class Wish:
    """What is asked for."""

    action: str
    scope: str
    reason: str
    duration: timedelta
    purpose: str | None = None
    principal: str | None = None
    """For whom, if not for the caller."""


class Wishes:
    """Says what can be asked for, and refuses the rest."""

    def __init__(self, access: AccessService, settings: AccessSettings) -> None:
        self._access, self._settings = access, settings

    def all(self) -> WishesOut:
        """Return everything that a wish may name."""
        limits = self._settings.grants
        return WishesOut(
            actions=[
                WishableOut(
                    action=one.value,
                    scopes=list(_SCOPES[one]),
                    break_glass=one in BREAKABLE,
                    for_purpose=one in FOR_A_PURPOSE,
                )
                for one in GRANTABLE
            ],
            purposes={name: reaches.value for name, reaches in self._settings.purposes.items()},
            longest=format_duration(limits.longest),
            longest_break_glass=format_duration(limits.longest_break_glass),
        )

    def checked(self, session: Session, wish: Wish, among: tuple[Action, ...]) -> tuple[Action, str, Resource]:
        """Return action, scope in its one spelling, and what stands for it.

        Raises:
            InvalidInput: it can't be asked for.
            NotFound: what it is about is unknown.
        """
        if wish.action not in among:
            raise InvalidInput(f"action: {wish.action[:40]!r} can't be asked for", fix=f"It may be {', '.join(among)}.")
        action = Action(wish.action)
        kind = wish.scope.partition(":")[0]
        if kind not in _SCOPES[action]:
            raise InvalidInput(
                f"scope: {action} is about {' or '.join(_SCOPES[action])}, not about {wish.scope[:120]!r}"
            )
        if wish.principal is not None and not _PRINCIPAL.match(wish.principal):
            raise InvalidInput("principal: write user:NAMESPACE/NAME, repository:HOST/NAME or service:NAME")
        resource = self._access.resource(session, wish.scope)
        if isinstance(resource, DatasetResource) and action in FOR_A_PURPOSE:
            self.fitting(wish.purpose, resource.classification)
        return action, resource.ref, resource

    def not_too_long(self, name: str, duration: timedelta, longest: timedelta) -> None:
        """Refuse a time for which nothing is given.

        Raises:
            InvalidInput: it is too short or too long.
        """
        if not SHORTEST <= duration <= longest:
            raise InvalidInput(
                f"{name}: must be between {format_duration(SHORTEST)} and {format_duration(longest)}, "
                f"not {format_duration(duration)}"
            )

    def fitting(self, purpose: str | None, classification: Classification) -> None:
        """Refuse a purpose for which data of a class is never read.

        Raises:
            InvalidInput: it is none, or none is given.
        """
        known = self._settings.purposes
        fitting = [name for name, reaches in known.items() if reaches.level >= classification.level]
        if purpose not in fitting:
            what = "needs a purpose" if purpose is None else f"{purpose[:63]!r} is none for {classification} data"
            raise InvalidInput(f"purpose: {what}", fix=f"For {classification} data it may be {', '.join(fitting)}.")
