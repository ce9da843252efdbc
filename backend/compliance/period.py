"""How controls stood over a period, as the audit log tells it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from backend.compliance.checks import CHECKS
from backend.compliance.controls import EVENT
from backend.compliance.framework import Control
from backend.compliance.models import CheckState
from backend.evidence.checks import ControlState

if TYPE_CHECKING:
    from backend.core.container import Services

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_EXCEPTIONS = 100


@dataclass
class _History:
    """What a check came to in a period: as it was at the beginning, and each change."""

    state: CheckState | None = None
    """The newest state before the end of the period; ``None`` if it never ran."""
    passed: bool = False
    """Whether it passed at some time in the period."""
    failures: list[str] = field(default_factory=list)

    def feed(self, event: dict[str, Any], since: datetime) -> None:
        self.state = CheckState(event["type"].rpartition(".")[2])
        at = datetime.fromisoformat(event["time"])
        if at < since:
            # What it was when the period began counts for the period.
            self.failures = []
            self.passed = self.state is CheckState.PASSING
        self.passed = self.passed or self.state is CheckState.PASSING
        if self.state is CheckState.FAILING:
            when = "before the period began" if at < since else f"from {at:%Y-%m-%d %H:%M} UTC"
            self.failures.append(f"{when}: {event['data']['summary']}")


class ControlsOverTime:
    """Answers for evidence packs: a control held when none of its checks failed at any time, and each passed at some time."""

    def __init__(self, services: "Services") -> None:
        self._services = services

    def __call__(
        self, session: Session, since: datetime, until: datetime, control: str | None
    ) -> Sequence[ControlState]:
        """Return the controls of all frameworks that the platform shows, or the one that is named."""
        histories = {id: _History() for id in CHECKS}
        for event in self._services.audit.events(session, f"{EVENT}.", _BEGINNING, until):
            history = histories.get(event["subject"].removeprefix("check:"))
            if history is not None:
                history.feed(event, since)
        return [
            _standing(one, histories)
            for framework in self._services.controls.frameworks.values()
            for one in framework.controls
            if one.checks and control in (None, one.id)
        ]


def _standing(control: Control, histories: dict[str, _History]) -> ControlState:
    own = {id: histories[id] for id in control.checks}
    failures = [f"{id} failed {said}" for id, history in own.items() for said in history.failures]
    idle = [id for id, history in own.items() if not history.passed and not history.failures]
    if failures:
        statement = f"{len(failures)} times a check failed in the period"
    elif idle:
        statement = f"not shown: {', '.join(idle)} had nothing to look at"
    else:
        statement = "every check passed throughout the period"
    return ControlState(
        control=control.id,
        title=control.title,
        satisfied=not failures and not idle,
        statement=statement,
        exceptions=tuple(failures[:_MOST_EXCEPTIONS]),
    )
