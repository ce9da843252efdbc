"""What a check is, and what all of them look at."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from backend.compliance.models import CheckState
from backend.deployments.admission import Verdict
from backend.deployments.views import Past
from backend.registry.models import VersionRow

if TYPE_CHECKING:
    from backend.core.container import Services

WINDOW = timedelta(days=92)
"""How far back checks of what has happened look: a quarter."""


@dataclass(frozen=True)
class Deviation:
    """One thing that is not as a check demands."""

    subject: str
    """What it is about, as audit events name it: ``model:wine/versions/3``."""
    message: str
    evidence: str | None = None
    """Id of the attestation, deployment or event that shows it."""
    model: str | None = None
    """The model that it is held against, where it is about one."""


@dataclass(frozen=True)
class Result:
    """What a check came to."""

    examined: int
    deviations: tuple[Deviation, ...]
    nothing: str = "nothing is live yet"
    """What to say where there was nothing to look at."""

    @property
    def state(self) -> CheckState:
        """Failing with a deviation, passing without one if anything was there to look at."""
        if self.deviations:
            return CheckState.FAILING
        return CheckState.PASSING if self.examined else CheckState.NOT_EVALUATED

    @property
    def summary(self) -> str:
        """The state in one sentence."""
        if self.deviations:
            more = f", and {len(self.deviations) - 1} more" if len(self.deviations) > 1 else ""
            return f"{len(self.deviations)} of {self.examined}: {self.deviations[0].message}{more}"
        return f"{self.examined} looked at, no deviation" if self.examined else self.nothing


@dataclass(frozen=True)
class Live:
    """A version that takes traffic in an environment, and how it stands to that environment's policy now."""

    environment: str
    version: VersionRow
    owner: str
    verdict: Verdict

    @property
    def subject(self) -> str:
        """The version as audit events name it."""
        return f"model:{self.version.model}/versions/{self.version.version}"

    def deviation(self, message: str, *, subject: str | None = None, evidence: str | None = None) -> Deviation:
        """Return a deviation of this version, or of something else that is held against it."""
        return Deviation(subject or self.subject, message, evidence, self.version.model)

    @property
    def name(self) -> str:
        """The version for people."""
        return f"v{self.version.version} of {self.version.model} in {self.environment}"


class View:
    """What checks look at: one moment, of some models or of all. Everything is read once, when first asked for."""

    def __init__(self, services: "Services", session: Session, models: Sequence[str] | None = None) -> None:
        self.services, self.session = services, session
        self._models = None if models is None else frozenset(models)

    @property
    def now(self) -> datetime:
        """The present."""
        return self.services.clock.now()

    @cached_property
    def live(self) -> list[Live]:
        """All versions that take traffic."""
        deployments, registry = self.services.deployments, self.services.registry
        found = []
        for environment, model, version in deployments.live_everywhere(self.session):
            if environment not in self.services.settings.environments or not self.covers(model):
                continue
            row = registry.get_version(self.session, model, version)
            found.append(
                Live(
                    environment,
                    row,
                    registry.get_model(self.session, model).owner,
                    deployments.standing(self.session, environment, model, version),
                )
            )
        return found

    @cached_property
    def past(self) -> list[Past]:
        """The rollouts that were over in the window."""
        all_past = self.services.deployments.past(self.session, self.now - WINDOW)
        return [one for one in all_past if self.covers(one.model)]

    @cached_property
    def running_for(self) -> timedelta:
        """How long there has been a record."""
        began = self.services.audit.began(self.session)
        return timedelta(0) if began is None else self.now - began

    def covers(self, model: str) -> bool:
        """Say whether a model is looked at."""
        return self._models is None or model in self._models


@dataclass(frozen=True)
class Check:
    """A check: what it demands, in one sentence, and how that is found out."""

    id: str
    title: str
    examine: Callable[[View], Result]
    of_models: bool = True
    """Whether it can be asked of one model; the others are about the platform."""
