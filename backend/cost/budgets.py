"""Budgets: what a team or a model may cost in a month, who is told before it is used up, and what is refused afterwards."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from backend.access.engine import Decision
from backend.access.resources import Action, BudgetResource
from backend.audit.service import PLATFORM
from backend.core.errors import NotFound
from backend.cost import repository
from backend.cost.forecast import Forecast
from backend.cost.models import Budget, BudgetNotice
from backend.cost.money import to_cents
from backend.cost.periods import Month
from backend.identity.principal import Principal
from backend.notifications.service import Notice

if TYPE_CHECKING:
    from backend.core.container import Services

EVENT = "ml-platform.cost.budget"
TEAM, MODEL = "team", "model"
FORECAST = "forecast"


@dataclass(frozen=True)
class Limit:
    """A budget, wherever it was set."""

    kind: str
    name: str
    monthly: Decimal
    enforce: bool
    set_by: str


@dataclass(frozen=True)
class Standing:
    """A budget in the present month. A budget of zero is used up by the first cent."""

    limit: Limit
    spent: Decimal
    forecast: Decimal

    @property
    def exceeded(self) -> bool:
        """Whether nothing is left; a budget of zero of which nothing was spent is not exceeded."""
        return self.spent > 0 and self.spent >= self.limit.monthly

    @property
    def percent(self) -> Decimal | None:
        """How much of it is used; ``None`` for a budget of zero."""
        return self.spent * 100 / self.limit.monthly if self.limit.monthly else None

    def marks(self, warn_at: Sequence[int]) -> list[str]:
        """Return what somebody has to be told by now, the mildest first."""
        found = [FORECAST] if self.forecast > self.limit.monthly else []
        if self.exceeded:
            return [*found, *(str(mark) for mark in warn_at)]
        percent = self.percent
        return [*found, *(str(mark) for mark in warn_at if percent is not None and percent >= mark)]


class BudgetService:
    """See the module's docstring."""

    def __init__(self, services: "Services", forecast: Forecast) -> None:
        self._services, self._forecast = services, forecast

    def all(self, session: Session) -> list[Limit]:
        """Return all budgets; one set over the API comes before one of the settings."""
        found = {}
        for one in self._services.settings.cost.budgets:
            kind, name = (TEAM, one.team) if one.team is not None else (MODEL, one.model or "")
            found[kind, name] = Limit(kind, name, one.monthly, one.enforce, "the settings")
        for row in repository.budgets(session):
            found[row.kind, row.name] = Limit(row.kind, row.name, row.monthly, row.enforce, row.set_by)
        return [found[key] for key in sorted(found)]

    def of(self, session: Session, kind: str, name: str) -> Limit | None:
        """Return one budget."""
        return next((one for one in self.all(session) if (one.kind, one.name) == (kind, name)), None)

    def standing(self, session: Session, limit: Limit) -> Standing:
        """Return how a budget stands."""
        only = {"owner" if limit.kind == TEAM else "model": limit.name}
        spent, expected = self._forecast.of(session, **only)
        return Standing(limit, spent, expected)

    def set(
        self, session: Session, caller: Principal, kind: str, name: str, *, monthly: Decimal, enforce: bool
    ) -> Limit:
        """Set a budget.

        Raises:
            NotFound: there is no such model.
            Forbidden: the caller is neither of the owner group nor a platform administrator.
        """
        decision = self._may_set(session, caller, kind, name)
        row = repository.budget(session, kind, name)
        before = None if row is None else str(row.monthly)
        if row is None:
            row = Budget(kind=kind, name=name)
            session.add(row)
        row.monthly, row.enforce = monthly, enforce
        row.set_by, row.set_at = caller.ref, self._services.clock.now()
        self._services.audit.append(
            session,
            type=f"{EVENT}.set",
            subject=f"budget:{kind}/{name}",
            actor=caller,
            data={"monthly": str(monthly), "before": before, "enforce": enforce, "access": decision.as_json()},
        )
        return Limit(kind, name, monthly, enforce, caller.ref)

    def remove(self, session: Session, caller: Principal, kind: str, name: str) -> None:
        """Take back a budget that was set over the API; one of the settings holds again.

        Raises:
            NotFound: none was set.
            Forbidden: as :meth:`set`.
        """
        decision = self._may_set(session, caller, kind, name)
        row = repository.budget(session, kind, name)
        if row is None:
            raise NotFound(
                f"no budget of the {kind} {name[:190]} was set here",
                fix="One of the settings is taken out of the settings.",
            )
        session.delete(row)
        self._services.audit.append(
            session,
            type=f"{EVENT}.removed",
            subject=f"budget:{kind}/{name}",
            actor=caller,
            data={"access": decision.as_json()},
        )

    def watch(self, session: Session) -> list[str]:
        """Tell the owners what they have not been told this month; return what that is."""
        month = str(Month.of(self._services.clock.now()))
        told = repository.notices(session, month)
        found = []
        for limit in self.all(session):
            standing = self.standing(session, limit)
            new = [
                mark
                for mark in standing.marks(sorted(self._services.settings.cost.warn_at))
                if (limit.kind, limit.name, mark) not in told
            ]
            if not new:
                continue
            message = self._message(standing, month)
            for mark in new:
                session.add(
                    BudgetNotice(
                        kind=limit.kind,
                        name=limit.name,
                        month=month,
                        mark=mark,
                        message=message,
                        at=self._services.clock.now(),
                    )
                )
            self._services.audit.append(
                session,
                type=f"{EVENT}.{'exceeded' if standing.exceeded else 'warned'}",
                subject=f"budget:{limit.kind}/{limit.name}",
                actor=PLATFORM,
                data={"month": month, "marks": new, "message": message},
            )
            self._tell(session, standing, new[-1], message)
            found.append(message)
        return found

    def refuses(self, session: Session, model: str) -> str | None:
        """Say why a new rollout of a model is not admitted because of its or its team's budget; ``None`` if it is."""
        row = self._services.registry.get_model(session, model)
        for limit in self.all(session):
            if not limit.enforce or (limit.kind, limit.name) not in ((MODEL, model), (TEAM, row.owner)):
                continue
            standing = self.standing(session, limit)
            if standing.exceeded or limit.monthly == 0:
                month = Month.of(self._services.clock.now())
                return (
                    f"the budget of {limit.kind} {limit.name} for {month} is used up: {self._amount(standing.spent)} of "
                    f"{self._amount(limit.monthly)}; it was set by {limit.set_by}"
                )
        return None

    def _may_set(self, session: Session, caller: Principal, kind: str, name: str) -> Decision:
        owner = self._services.registry.get_model(session, name).owner if kind == MODEL else name
        return self._services.access.require(
            session,
            caller,
            Action.SET_BUDGET,
            BudgetResource(kind, name, owner),
            detail=f"{caller.ref} may not set the budget of {kind} {name}",
            fix=f"Members of {owner} may.",
            event=f"{EVENT}.refused",
        )

    def _tell(self, session: Session, standing: Standing, mark: str, message: str) -> None:
        limit = standing.limit
        act = standing.exceeded or mark == FORECAST
        what = "is used up" if standing.exceeded else "will not last" if mark == FORECAST else f"is {mark} % used"
        lines = [message, f"It was set by {limit.set_by}."]
        if limit.enforce:
            refused = "from now on" if standing.exceeded else "once it is used up"
            lines.append(f"New rollouts are refused {refused}.")
        lines.append(f"What costs what: platform cost --{limit.kind} {limit.name}")
        self._services.notifications.tell(
            session,
            Notice(
                kind="budget",
                subject=f"budget:{limit.kind}/{limit.name}",
                event="exceeded" if standing.exceeded else "warned",
                owner=self._owner(session, limit),
                severity="ticket" if act else "info",
                title=f"the budget of {limit.kind} {limit.name} {what}",
                lines=lines,
            ),
        )

    def _owner(self, session: Session, limit: Limit) -> str:
        return limit.name if limit.kind == TEAM else self._services.registry.get_model(session, limit.name).owner

    def _message(self, standing: Standing, month: str) -> str:
        limit = standing.limit
        whose = f"the budget of {limit.kind} {limit.name} for {month}"
        spent, whole = self._amount(standing.spent), self._amount(limit.monthly)
        if standing.exceeded:
            return f"{whose} is used up: {spent} of {whole}"
        if standing.forecast > limit.monthly:
            return f"{whose} will not last: {spent} of {whole} is spent, and it is going to be {self._amount(standing.forecast)}"
        return f"{whose}: {spent} of {whole} is spent"

    def _amount(self, value: Decimal) -> str:
        return f"{to_cents(value)} {self._services.settings.cost.currency}"
