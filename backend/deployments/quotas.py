"""Quotas: what a team takes up in an environment, and what it may.

One version of each model counts: the live one or, while a rollout is under way, whichever of both asks for more. That both run
for a while, and that the former one is kept warm, ends by itself and is not counted; the challenger of an experiment is. What
counts is what ``model.yaml`` asks for, not what is used: that is what has to be kept free.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from backend.core.config_quotas import RESOURCES
from backend.core.database import lock_for_transaction
from backend.deployments import repository
from backend.deployments.admission import Quota
from mlplatform.spec.model import ModelSpec
from mlplatform.spec.quantities import cpu_cores, memory_bytes

if TYPE_CHECKING:
    from backend.core.container import Services

Demand = Mapping[str, Decimal]
_NOTHING: Demand = dict.fromkeys(RESOURCES, Decimal(0))


class Quotas:
    """See the module's docstring."""

    def __init__(self, services: "Services") -> None:
        self._services = services
        self._demands: dict[tuple[str, int], Demand] = {}

    def of(
        self, session: Session, model: str, version: int, environment: str, *, beside: bool = False
    ) -> tuple[Quota, ...]:
        """Return the quotas that a version would count under in an environment.

        ``beside`` says that it would run beside the live version, as the challenger of an experiment.
        """
        team = self._services.registry.get_model(session, model).owner
        limits = self._limits(team, environment)
        if not limits:
            return ()
        present = self._present(session, environment, team).get(team, {})
        had = present.pop(model, _NOTHING)
        used = _sum(present.values())
        asked = self._demanded(session, [(model, version)])[model, version]
        if beside:
            used, had, asked = _sum((used, had)), _NOTHING, {**asked, "models": Decimal(0)}
        return tuple(
            self._quota(team, environment, resource, *limit, used=used, had=had, asked=asked)
            for resource, limit in limits.items()
        )

    def lock(self, session: Session, model: str, environment: str) -> None:
        """Let only one transaction at a time take up room of a quota that a model counts under."""
        team = self._services.registry.get_model(session, model).owner
        if self._limits(team, environment):
            lock_for_transaction(session, f"quota:{team}:{environment}")

    def everywhere(self, session: Session, *, team: str | None = None, environment: str | None = None) -> list[Quota]:
        """Return how all teams that something of is live, or that a quota names, stand to the quotas of each environment."""
        settings = self._services.settings
        places = [one for one in settings.environments if environment in (None, one)]
        found = []
        for place in places:
            present = self._present(session, place, team) if settings.quotas else {}
            owners = {one.team for one in settings.quotas if one.team is not None} | present.keys()
            for owner in sorted(one for one in owners if team in (None, one)):
                used = _sum(present.get(owner, {}).values())
                found += [
                    self._quota(owner, place, resource, *limit, used=used, had=_NOTHING, asked=_NOTHING)
                    for resource, limit in self._limits(owner, place).items()
                ]
        return found

    def _limits(self, team: str, environment: str) -> dict[str, tuple[Decimal, str]]:
        """Return the limits that hold, with the settings that they come from, by resource."""
        best: dict[str, tuple[tuple[bool, bool], Decimal, str]] = {}
        for position, one in enumerate(self._services.settings.quotas):
            if one.team not in (None, team) or one.environment not in (None, environment):
                continue
            rank = one.team is not None, one.environment is not None
            for resource in RESOURCES:
                limit = one.limit(resource)
                if limit is not None and (resource not in best or best[resource][0] < rank):
                    best[resource] = rank, limit, f"mlPlatform.quotas[{position}]"
        return {resource: best[resource][1:] for resource in RESOURCES if resource in best}

    def _quota(
        self,
        team: str,
        environment: str,
        resource: str,
        limit: Decimal,
        setting: str,
        *,
        used: Demand,
        had: Demand,
        asked: Demand,
    ) -> Quota:
        changed_by = tuple(self._services.settings.permissions.platform_admins)
        amounts = used[resource], had[resource], asked[resource]
        return Quota(resource, team, environment, limit, *amounts, setting=setting, changed_by=changed_by)

    def _present(self, session: Session, environment: str, team: str | None) -> dict[str, dict[str, Demand]]:
        """Return what each model takes up in an environment, by team: of one team, or of all."""
        rows = repository.occupants(session, environment)
        known = self._services.registry.registered(session, sorted({model for model, _, _ in rows}))
        owners = {name: row.owner for name, (row, _, _) in known.items() if team in (None, row.owner)}
        own = [one for one in rows if one[0] in owners]
        demands = self._demanded(session, [(model, version) for model, version, _ in own])
        found: dict[str, dict[str, Demand]] = {}
        # Challengers last: they come on top of what is there by then.
        for model, version, extra in sorted(own, key=lambda one: one[2]):
            models = found.setdefault(owners[model], {})
            demand, there = demands[model, version], models.get(model, _NOTHING)
            if extra:
                models[model] = {name: there[name] + (demand[name] if name != "models" else 0) for name in RESOURCES}
            else:
                models[model] = {name: max(there[name], demand[name]) for name in RESOURCES}
        return found

    def _demanded(self, session: Session, versions: list[tuple[str, int]]) -> dict[tuple[str, int], Demand]:
        missing = [one for one in dict.fromkeys(versions) if one not in self._demands]
        for row in self._services.registry.versions_of(session, missing):
            # A version's model.yaml never changes.
            self._demands[row.model, row.version] = _demand(ModelSpec.model_validate(row.spec))
        return {one: self._demands[one] for one in versions}


def _demand(spec: ModelSpec) -> Demand:
    serving = spec.serving
    replicas = Decimal(serving.autoscaling.max_replicas if serving.autoscaling is not None else serving.replicas)
    return {
        "cpu": Decimal(str(cpu_cores(serving.resources.cpu))) * replicas,
        "memory": Decimal(memory_bytes(serving.resources.memory)) / 2**30 * replicas,
        "gpu": replicas if serving.gpu is not None and not serving.gpu.shared else Decimal(0),
        "replicas": replicas,
        "models": Decimal(1),
    }


def _sum(demands: Iterable[Demand]) -> Demand:
    total = dict(_NOTHING)
    for one in demands:
        for name in RESOURCES:
            total[name] += one[name]
    return total
