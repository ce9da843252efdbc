"""The monthly report of a team: a page that prints well, and its lines as CSV; and the month's FOCUS file."""

import csv
import io
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from backend.core.errors import NotFound
from backend.cost import focus, repository
from backend.cost.budgets import TEAM, Notice
from backend.cost.money import cents_of, to_cents
from backend.cost.periods import Month
from backend.cost.service import Group, GroupBy

if TYPE_CHECKING:
    from backend.core.container import Services

_TEMPLATE = "report.html.jinja"
_CSV = ("model", "version", "environment", "activity", "resource", "sku", "origin", "shared", "cost_centre")
_TABLES: tuple[tuple[str, GroupBy], ...] = (
    ("By model", "model"),
    ("By version", "version"),
    ("By environment", "environment"),
    ("By resource", "resource"),
)
REPORT = "report"
FOCUS_FILE = "focus.parquet"


class Reports:
    """See the module's docstring."""

    def __init__(self, services: "Services") -> None:
        self._services = services
        self.folder = services.settings.home / "cost"

    def teams(self, session: Session, month: Month) -> list[str]:
        """Return the teams that have cost something in a month."""
        rows = repository.sums(session, ["owner"], month.first, month.end)
        return [row["owner"] for row in rows if row["owner"]]

    def html(self, session: Session, month: Month, team: str) -> str:
        """Return a team's month as a page.

        Raises:
            NotFound: it has no cost in that month.
        """
        from jinja2 import Environment, PackageLoader

        cost = self._services.cost
        summary = cost.summary(session, month, "model", team=team)
        if not summary.groups:
            raise NotFound(f"{team} has no cost in {month}", fix="Teams are groups, such as group:default/risk.")
        tables = [(title, *self._table(session, month, team, title, by)) for title, by in _TABLES]
        months = dict(cost.months(session, month, owner=team))
        models = [str(group.key[0]) for group in summary.groups]
        limit = cost.budgets.of(session, TEAM, team)
        savings = cost.recommendations.of(session, models)[0] if month >= cost.month.plus(-1) else []
        environment = Environment(loader=PackageLoader("backend.cost", "."), autoescape=True)
        page: str = environment.get_template(_TEMPLATE).render(
            team=team,
            month=month,
            total=summary.total,
            shared=summary.shared,
            currency=summary.currency,
            closed=summary.closed,
            before=months.get(month.plus(-1)),
            budget=None if limit is None else {"monthly": limit.monthly, "exceeded": summary.total >= limit.monthly},
            tables=tables,
            anomalies=[
                one for one in repository.anomalies(session, month.first, month.end) if one.model in set(models)
            ],
            savings=[
                {
                    "model": one.model,
                    "environment": one.environment,
                    "change": one.change,
                    "reason": one.reason,
                    "amount": to_cents(one.saving),
                }
                for one in savings
            ],
            unpriced=summary.unpriced,
        )
        return page

    def csv(self, session: Session, month: Month, team: str) -> str:
        """Return a team's month as lines that add up to its total, in cents.

        Raises:
            NotFound: it has no cost in that month.
        """
        rows = repository.sums(session, _CSV, month.first, month.end, owner=team)
        if not rows:
            raise NotFound(f"{team} has no cost in {month}", fix="Teams are groups, such as group:default/risk.")
        cents = cents_of({index: row["cost"] for index, row in enumerate(rows)})
        sink = io.StringIO()
        writer = csv.writer(sink)
        writer.writerow(["month", "team", *_CSV, "quantity", "cost", "currency"])
        for index, row in enumerate(rows):
            own = [row[name] if row[name] != 0 or name == "shared" else "" for name in _CSV]
            currency = self._services.cost.sheet.currency
            writer.writerow([month, team, *own, f"{row['quantity']:f}", cents[index], currency])
        return sink.getvalue()

    def write(self, period: str) -> None:
        """Write the FOCUS file of a month and the reports of its teams into HOME/cost; again, if it is called again."""
        month = Month.parse(period)
        folder = self.folder / period
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._services.database.read() as session:
            lines = repository.lines(session, month.first, month.end)
            _replace(folder / FOCUS_FILE, focus.parquet(lines, month, self._services.cost.sheet.currency))
            for team in self.teams(session, month):
                name = team.replace(":", "-").replace("/", "-")
                _replace(folder / f"{name}.html", self.html(session, month, team).encode())
                _replace(folder / f"{name}.csv", self.csv(session, month, team).encode())

    def notices(self, session: Session, month: Month) -> list[Notice]:
        """Return what the teams are told of a month that is closed."""
        found = []
        for team in self.teams(session, month):
            total = self._services.cost.summary(session, month, "model", team=team).total
            currency = self._services.cost.sheet.currency
            message = f"the models of {team} cost {total} {currency} in {month}; the report is at cost/reports/{month}"
            found.append(Notice(TEAM, team, team, REPORT, message))
        return found

    def _table(
        self, session: Session, month: Month, team: str, title: str, by: GroupBy
    ) -> tuple[list[str], list[list[Any]]]:
        groups = self._services.cost.summary(session, month, by, team=team).groups
        head = [title.removeprefix("By ").capitalize(), "Cost", "Of it shared", "Predictions", "Per thousand"]
        return head, [_cells(group, by) for group in groups]


def _cells(group: Group, by: GroupBy) -> list[Any]:
    name = str(group.key[0]) or "—"
    if by == "version":
        name = f"{name} v{group.key[1]}" if group.key[1] else f"{name}, no version"
    per = group.per_thousand
    predictions = int(group.predictions) or "—"
    return [name, group.cost, group.shared, predictions, "—" if per is None else _short(per)]


def _short(amount: Decimal) -> str:
    return f"{amount.normalize():f}"


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_bytes(content)
    temporary.replace(path)
