"""The rows of the overview, kept current in the transaction of whatever they show.

A domain whose change can be seen here says :meth:`OverviewService.changed`. The model is only noted then. Its rows are made
anew once, when the transaction is about to be committed, from what the domains' services say: so it makes no difference in which
order a transaction does its work, and a rebuild gives the same rows. Listening to the audit log instead would miss what is no
event of a model (a rollout's next phase, an inventory of the fleet) and would look before the change is complete.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, event
from sqlalchemy.orm import Session

from backend.core.database import lock_for_transaction
from backend.core.errors import NotFound
from backend.core.remembered import Remembered
from backend.drift.service import worst
from backend.observability.slos import UNKNOWN_BUDGET
from backend.overview import repository
from backend.overview.models import ModelSummary
from catalog.refs import DEFAULT_NAMESPACE, make_ref
from scaffolder.fleet.models import FleetRepository

if TYPE_CHECKING:
    from backend.core.container import Services

_NOTED = "overview"
_AT_ONCE = 500


class OverviewService:
    """See the module's docstring."""

    def __init__(self, services: "Services") -> None:
        self._services = services
        self.remembered = Remembered(services.database)
        """Answers about all models, which many ask for again and again."""

    def changed(self, session: Session, model: str) -> None:
        """Say that something about a model changes in this transaction; a name that is no model's is no harm."""
        if _NOTED not in session.info:
            session.info[_NOTED] = set()
            event.listen(session, "before_commit", self._before_commit)
        session.info[_NOTED].add(model)

    def repository_changed(self, session: Session, name: str) -> None:
        """Say that something about a repository changes in this transaction."""
        for model in repository.of_repository(session, name):
            self.changed(session, model)

    def get(self, session: Session, name: str) -> ModelSummary:
        """Return a model's summary.

        Raises:
            NotFound: there is no such model.
        """
        row = repository.find(session, name)
        if row is None:
            raise NotFound(f"there is no model {name[:80]!r}", fix="Its first `platform register` makes it.")
        return row

    def labelled(self, session: Session) -> Sequence[Row[str, str, str, int]]:
        """Return name, owner, type and tier of every model, by name."""
        return repository.labelled(session)

    def rebuild(self) -> int:
        """Make the rows of all models anew, some at a time; return how many models there are."""
        with self._services.database.read() as session:
            there = set(self._services.registry.names(session))
            names = sorted(there | set(repository.known(session)))
        self._make_all(names)
        return len(there)

    def fill(self) -> int:
        """Make the rows that are missing, as in a database from before there were any; return how many those were."""
        with self._services.database.read() as session:
            missing = sorted(set(self._services.registry.names(session)) - set(repository.known(session)))
        self._make_all(missing)
        return len(missing)

    def _make_all(self, names: Sequence[str]) -> None:
        for first in range(0, len(names), _AT_ONCE):
            with self._services.database.write() as session:
                self._make(session, names[first : first + _AT_ONCE])

    def _before_commit(self, session: Session) -> None:
        # What is released with a savepoint is not over: more may follow in the same transaction.
        if session.in_nested_transaction():
            return
        names: set[str] = session.info.get(_NOTED, set())
        if names:
            noted, session.info[_NOTED] = sorted(names), set()
            session.flush()
            self._make(session, noted)

    def _make(self, session: Session, names: Sequence[str]) -> None:
        # Two transactions may each change one part of a model. In this order nobody waits for each other in a ring, and
        # nobody locks anything after it.
        for name in names:
            lock_for_transaction(session, f"overview:{name}")
        registered = self._services.registry.registered(session, names)
        places = self._services.deployments.places(session, list(registered))
        components = self._services.catalog.components(session, list(registered))
        from_templates = self._services.fleet.of_identities(
            session, {one.repository for one, *_ in registered.values()}
        )
        cost = self._services.cost.monthly(session, list(registered))
        failing = self._services.controls.failing(session, list(registered))
        objectives = self._services.slos.summaries(session, list(registered))
        reported = self._services.drift.standings(session, list(registered))
        summaries = []
        for name, (model, latest, registered_at) in registered.items():
            own = places.get(name, [])
            times = [registered_at, *(one.changed_at for one in own)]
            summaries.append(
                {
                    **{key: getattr(model, key) for key in ("name", "description", "type", "owner", "tier")},
                    "system": model.system or "",
                    "cost_centre": model.cost_centre,
                    "repository": model.repository,
                    "repository_name": model.repository.rpartition("/")[2],
                    "entity_ref": make_ref("component", DEFAULT_NAMESPACE, name) if name in components else None,
                    "latest_version": latest,
                    "updated_at": max(times),
                    "live": any(one.champion is not None for one in own),
                    "compliance": failing[name] if any(one.champion is not None for one in own) else -1,
                    "slo": objectives[name].state if name in objectives else "",
                    "budget": objectives[name].budget if name in objectives else UNKNOWN_BUDGET,
                    "drift": worst(
                        reported.get(name, {}).get((one.environment, one.champion), "") for one in own if one.champion
                    ),
                    "monthly_cost": int(cost[name] * 100) if name in cost else -1,
                    **_template(from_templates.get(model.repository)),
                }
            )
        rows = [one.as_row() for name in registered for one in places.get(name, [])]
        repository.replace_rows(session, names, summaries, rows)


def _template(seen: FleetRepository | None) -> dict[str, Any]:
    """Return what the fleet knows of a model's repository."""
    if seen is None:
        return {**dict.fromkeys(("template", "template_version", "template_newest", "request_url")), "behind": -1}
    return {
        "template": seen.template,
        "template_version": seen.version,
        "template_newest": seen.newest,
        "behind": -1 if seen.behind is None else seen.behind,
        "request_url": seen.request_url,
    }
