"""The monthly report of a team: a page, the same as PDF, and its lines as CSV; and the month's FOCUS file."""

import csv
import io
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from backend.core.errors import NotFound
from backend.cost import focus, repository
from backend.cost.budgets import TEAM
from backend.cost.health import health_of
from backend.cost.money import cents_of, to_cents
from backend.cost.periods import Month
from backend.cost.report_pdf import as_pdf
from backend.cost.service import Group, GroupBy
from backend.notifications.service import Notice

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

        environment = Environment(loader=PackageLoader("backend.cost", "."), autoescape=True)
        page: str = environment.get_template(_TEMPLATE).render(self._content(session, month, team))
        return page

    def pdf(self, session: Session, month: Month, team: str) -> bytes:
        """Return a team's month as a PDF that screen readers can read (PDF/UA-1, ISO 14289-1).

        Raises:
            NotFound: it has no cost in that month.
        """
        return as_pdf(self._content(session, month, team))

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
                _replace(self.file(month, team, "html"), self.html(session, month, team).encode())
                _replace(self.file(month, team, "csv"), self.csv(session, month, team).encode())
                _replace(self.file(month, team, "pdf"), self.pdf(session, month, team))

    def notices(self, session: Session, month: Month) -> list[Notice]:
        """Return what the teams are told of a month that is closed."""
        found = []
        for team in self.teams(session, month):
            content = self._content(session, month, team)
            found.append(
                Notice(
                    kind="cost-report",
                    subject=f"cost-report:{month}/{team}",
                    event="written",
                    owner=team,
                    severity="info",
                    title=f"the models of {team} cost {content['total']} {content['currency']} in {month}",
                    lines=[
                        *_short_view(content),
                        f"All of it: platform cost report --team {team} --month {month} --format pdf -o report.pdf",
                    ],
                    attachment=self.file(month, team, "pdf").relative_to(self._services.settings.home),
                )
            )
        return found

    def file(self, month: Month, team: str, kind: str) -> Path:
        """Return where a team's report is once its month is closed."""
        return self.folder / str(month) / f"{team.replace(':', '-').replace('/', '-')}.{kind}"

    def _content(self, session: Session, month: Month, team: str) -> dict[str, Any]:
        """Return what a report says, in whatever form.

        Raises:
            NotFound: the team has no cost in that month.
        """
        cost = self._services.cost
        summary = cost.summary(session, month, "model", team=team)
        if not summary.groups:
            raise NotFound(f"{team} has no cost in {month}", fix="Teams are groups, such as group:default/risk.")
        months = dict(cost.months(session, month, owner=team))
        models = [str(group.key[0]) for group in summary.groups]
        limit = cost.budgets.of(session, TEAM, team)
        savings = cost.recommendations.of(session, models)[0] if month >= cost.month.plus(-1) else []
        return {
            "team": team,
            "month": month,
            "total": summary.total,
            "shared": summary.shared,
            "currency": summary.currency,
            "closed": summary.closed,
            "before": months.get(month.plus(-1)),
            "budget": None if limit is None else {"monthly": limit.monthly, "exceeded": summary.total >= limit.monthly},
            "health": health_of(self._services, session, month, models),
            "tables": [(title, *self._table(session, month, team, title, by)) for title, by in _TABLES],
            "anomalies": [
                one for one in repository.anomalies(session, month.first, month.end) if one.model in set(models)
            ],
            "savings": [
                {
                    "model": one.model,
                    "environment": one.environment,
                    "change": one.change,
                    "reason": one.reason,
                    "amount": to_cents(one.saving),
                }
                for one in savings
            ],
            "unpriced": summary.unpriced,
        }

    def _table(
        self, session: Session, month: Month, team: str, title: str, by: GroupBy
    ) -> tuple[list[str], list[list[Any]]]:
        groups = self._services.cost.summary(session, month, by, team=team).groups
        head = [title.removeprefix("By ").capitalize(), "Cost", "Of it shared", "Predictions", "Per thousand"]
        return head, [_cells(group, by) for group in groups]


def _short_view(content: dict[str, Any]) -> list[str]:
    """Return what is worth knowing at once."""
    health, unit = content["health"], content["currency"]
    lines = [f"{content['total']} {unit}, of which {content['shared']} {unit} is the share of shared cost."]
    if content["before"] is not None:
        lines.append(f"The month before: {content['before']} {unit}.")
    if content["budget"] is not None and content["budget"]["exceeded"]:
        lines.append(f"The budget of {content['budget']['monthly']} {unit} is used up.")
    return [*lines, health.said]


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
