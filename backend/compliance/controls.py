"""Controls: what their checks came to, over everything and for one model."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy.orm import Session

from backend.access.resources import Action, PlatformResource
from backend.audit.events import NewEvent
from backend.audit.service import PLATFORM
from backend.compliance import repository
from backend.compliance.checks import CHECKS
from backend.compliance.checks.base import Result, View
from backend.compliance.framework import Control, Framework, FrameworkError, load_frameworks
from backend.compliance.models import CheckRow, CheckState, ComplianceRun
from backend.core.config_files import ConfigError
from backend.core.errors import Conflict, NotFound
from backend.core.ids import new_id
from backend.identity.principal import Principal
from backend.notifications.service import Notice

if TYPE_CHECKING:
    from backend.core.container import Services

EVENT = "ml-platform.compliance.check"
FOUND, ENDED = "ml-platform.compliance.deviation.found", "ml-platform.compliance.deviation.ended"
"""A check began to find something about a model, and finds nothing any more."""
MOST_DEVIATIONS = 500
MOST_TOLD = 20
"""Findings that a notification lists."""
AGAIN = timedelta(minutes=1)
"""Time after which a check that had nothing to look at looks again."""

ControlState = Literal["passing", "failing", "not_evaluated", "outside"]
_ORDER: tuple[CheckState, ...] = (CheckState.FAILING, CheckState.NOT_EVALUATED, CheckState.PASSING)


@dataclass(frozen=True)
class Checked:
    """What one check came to."""

    id: str
    title: str
    state: CheckState
    summary: str
    examined: int
    exceptions: Sequence[Mapping[str, str | None]]
    evaluated_at: datetime | None
    since: datetime | None


@dataclass(frozen=True)
class Lasting:
    """What a check found about a model, and from when to when; ``until`` is nothing while it still does."""

    model: str
    message: str
    since: datetime
    until: datetime | None


@dataclass(frozen=True)
class Standing:
    """A control with what its checks came to."""

    framework: str
    control: Control
    state: ControlState
    checks: Sequence[Checked]


class ControlService:
    """See the module's docstring."""

    def __init__(self, services: "Services") -> None:
        self._services = services
        try:
            self.frameworks = load_frameworks(services.settings.compliance.frameworks, list(CHECKS))
        except FrameworkError as fault:
            raise ConfigError([str(fault)]) from None
        self.frequencies = _frequencies(self.frameworks.values())
        services.metrics.look_up(_Gauges(services))

    def request(self, session: Session, caller: Principal) -> ComplianceRun:
        """Ask for every check to be run, due or not.

        Raises:
            Forbidden: the policies say no.
            Conflict: an evaluation is under way.
        """
        decision = self._services.access.require(
            session,
            caller,
            Action.EVALUATE_CONTROLS,
            PlatformResource(),
            detail=f"{caller.ref} may not have the checks run",
            fix="They run by themselves; `platform compliance status` shows when.",
            event="ml-platform.compliance.evaluation.refused",
            subject="compliance",
        )
        if repository.open_runs(session):
            raise Conflict("an evaluation is under way", fix="Wait for it.")
        row = ComplianceRun(
            id=new_id(),
            started_at=self._services.clock.now(),
            requested_by=caller.ref,
            everything=True,
            evaluated=0,
        )
        session.add(row)
        self._services.audit.append(
            session,
            type="ml-platform.compliance.evaluation.requested",
            subject="compliance",
            actor=caller,
            data={"access": decision.as_json()},
        )
        return row

    def framework(self, name: str) -> Framework:
        """Return a framework.

        Raises:
            NotFound: there is none of that name.
        """
        found = self.frameworks.get(name)
        if found is None:
            raise NotFound(f"there is no framework {name[:40]!r}", fix=f"There are: {', '.join(self.frameworks)}.")
        return found

    def standings(self, session: Session, framework: str) -> list[Standing]:
        """Return how all controls of a framework stand, by what their checks last came to."""
        rows = repository.checks(session)
        return self._standings(framework, {id: _from_row(id, rows.get(id)) for id in CHECKS})

    def of_model(self, session: Session, framework: str, model: str) -> list[Standing]:
        """Return how a model stands to the controls that models can be asked about, examined now.

        Raises:
            NotFound: there is no such model or framework.
        """
        self._services.registry.get_model(session, model)
        view = View(self._services, session, [model])
        now = self._services.clock.now()
        found = {id: _from_result(id, check.examine(view), now) for id, check in CHECKS.items() if check.of_models}
        standings = self._standings(framework, found)
        return [one for one in standings if one.checks and len(one.checks) == len(one.control.checks)]

    def failing(self, session: Session, models: Sequence[str]) -> dict[str, int]:
        """Return how many checks found something about each of these models; -1 where nothing was examined yet.

        A model that went live since the last evaluation counts as examined: what is wrong with it shows at the next one.
        """
        if not repository.evaluated(session):
            return dict.fromkeys(models, -1)
        found = repository.failing(session, models)
        return {model: len(found.get(model, ())) for model in models}

    def lasting(self, session: Session, check: str, since: datetime) -> list[Lasting]:
        """Return what a check finds about models now, and what it found since a time, oldest first."""
        found = [Lasting(row.model, row.message, row.since, None) for row in repository.failing_of(session, check)]
        for event in self._services.audit.events(session, ENDED, since, self._services.clock.now()):
            said = event["data"]
            if said["check"] == check:
                ended = datetime.fromisoformat(event["time"])
                model = event["subject"].removeprefix("model:")
                found.append(Lasting(model, said["message"], datetime.fromisoformat(said["since"]), ended))
        return sorted(found, key=lambda one: (one.since, one.model))

    def due(self, session: Session, *, everything: bool = False) -> list[str]:
        """Return the checks that have not run for as long as their most frequent control says.

        One that had nothing to look at is due again soon: the first version that goes live is not to wait for it.
        """
        evaluated, now = repository.evaluated(session), self._services.clock.now()
        due = []
        for id, frequency in self.frequencies.items():
            state, at = evaluated.get(id, (None, None))
            if state == CheckState.NOT_EVALUATED:
                frequency = min(frequency, AGAIN)
            if everything or at is None or not now - frequency < at <= now:
                due.append(id)
        return due

    def examine(self, session: Session, checks: Iterable[str]) -> Iterator[tuple[str, Result]]:
        """Run checks over everything, one after another, all on what is read once."""
        view = View(self._services, session)
        for id in checks:
            yield id, CHECKS[id].examine(view)

    def keep(self, session: Session, results: Mapping[str, Result]) -> None:
        """Write down what checks came to; each change of a state is an event, and so is each evaluation that saw anything."""
        now, rows = self._services.clock.now(), repository.checks(session)
        if not rows:
            for model in {model for _, model, _ in self._services.deployments.live_everywhere(session)}:
                self._services.overview.changed(session, model)
        for id, result in results.items():
            row = rows.get(id)
            before = row.state if row is not None else None
            if row is None:
                row = CheckRow(check=id, since=now)
                session.add(row)
            row.state, row.summary, row.examined = result.state.value, result.summary, result.examined
            row.exceptions = [asdict(one) for one in result.deviations[:MOST_DEVIATIONS]]
            row.evaluated_at = now
            new = self._keep_models(session, id, result, now)
            turned = before != row.state and result.state is CheckState.FAILING
            self._tell(session, row, new if not turned else [*new, ""])
            if before != row.state:
                row.since = now
                self._services.audit.append(
                    session,
                    type=f"{EVENT}.{row.state}",
                    subject=f"check:{id}",
                    actor=PLATFORM,
                    data={
                        "before": before,
                        "summary": row.summary,
                        "controls": self._controls_of(id),
                        "exceptions": row.exceptions[:20],
                    },
                )
        if all(result.state is CheckState.NOT_EVALUATED for result in results.values()):
            return
        self._services.audit.append(
            session,
            type="ml-platform.compliance.evaluated",
            subject="compliance",
            actor=PLATFORM,
            data={"checks": {id: result.state.value for id, result in results.items()}},
        )

    def _keep_models(self, session: Session, check: str, result: Result, now: datetime) -> list[str]:
        """Write down about which models a check found something; return those that are new."""
        found: dict[str, str] = {}
        for one in result.deviations:
            if one.model is not None:
                found.setdefault(one.model, one.message)
        new, gone = repository.replace_failing(session, check, found, now)
        events = [NewEvent(FOUND, f"model:{one}", PLATFORM, {"check": check, "message": found[one]}) for one in new]
        events += [
            NewEvent(
                ENDED, f"model:{one.model}", PLATFORM, {"check": check, "message": one.message, "since": one.since}
            )
            for one in gone
        ]
        self._services.audit.append_many(session, events)
        for model in [*new, *(one.model for one in gone)]:
            self._services.overview.changed(session, model)
        return new

    def _tell(self, session: Session, row: CheckRow, models: Sequence[str]) -> None:
        """Have owners told of what was found about their models now, and the platform's people (``""``) that a check fails."""
        platform = self._services.notifications.platform
        owners = {name: one.owner for name, (one, *_) in self._services.registry.registered(session, models).items()}
        said: dict[str, list[str]] = {platform: [row.summary]} if "" in models else {}
        messages = {one["model"]: str(one["message"]) for one in reversed(row.exceptions) if one["model"]}
        for model, owner in owners.items():
            if owner != platform or "" not in models:
                said.setdefault(owner, []).append(messages.get(model, f"about {model}"))
        for owner, lines in said.items():
            self._services.notifications.tell(
                session,
                Notice(
                    kind="control",
                    subject=f"check:{row.check}",
                    event="failing",
                    owner=owner,
                    severity="ticket",
                    title=f"failing: {CHECKS[row.check].title}",
                    lines=[
                        *lines[:MOST_TOLD],
                        *([f"and {len(lines) - MOST_TOLD} more"] if len(lines) > MOST_TOLD else []),
                        f"Controls: {', '.join(self._controls_of(row.check))}",
                        f"All of it: {self._services.settings.portal.url}/compliance",
                    ],
                ),
            )

    def _controls_of(self, check: str) -> list[str]:
        return [
            f"{name}/{control.id}"
            for name, framework in self.frameworks.items()
            for control in framework.controls
            if check in control.checks
        ]

    def _standings(self, framework: str, checked: Mapping[str, Checked]) -> list[Standing]:
        found = []
        for control in self.framework(framework).controls:
            own = [checked[id] for id in control.checks if id in checked]
            found.append(Standing(framework, control, _combined(own), own))
        return found


def _combined(checks: Sequence[Checked]) -> ControlState:
    states = {one.state for one in checks}
    return next((state.value for state in _ORDER if state in states), "outside")


def _from_row(id: str, row: CheckRow | None) -> Checked:
    title = CHECKS[id].title
    if row is None:
        return Checked(id, title, CheckState.NOT_EVALUATED, "has not run yet", 0, (), None, None)
    state = CheckState(row.state)
    return Checked(id, title, state, row.summary, row.examined, row.exceptions, row.evaluated_at, row.since)


def _from_result(id: str, result: Result, now: datetime) -> Checked:
    deviations = [asdict(one) for one in result.deviations[:MOST_DEVIATIONS]]
    return Checked(id, CHECKS[id].title, result.state, result.summary, result.examined, deviations, now, None)


def _frequencies(frameworks: Iterable[Framework]) -> dict[str, timedelta]:
    found: dict[str, timedelta] = {}
    for framework in frameworks:
        for control in framework.controls:
            for id in control.checks:
                found[id] = min(found.get(id, control.frequency), control.frequency)
    return found


class _Gauges(Collector):
    """Whether each control passes, looked up at each scrape."""

    def __init__(self, services: "Services") -> None:
        self._services = services

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Yield 1 for each control that passes and 0 for each that fails; those not evaluated are left out."""
        family = GaugeMetricFamily(
            "ml_platform_control_passing", "Whether a control passes.", labels=["framework", "control"]
        )
        controls = self._services.controls
        with self._services.database.read() as session:
            for name in controls.frameworks:
                for one in controls.standings(session, name):
                    if one.state in ("passing", "failing"):
                        family.add_metric([name, one.control.id], float(one.state == "passing"))
        yield family
