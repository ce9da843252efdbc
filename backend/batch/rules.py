"""Who may do what to batch models, what a version says about itself, and the audit events of this domain."""

from typing import Any, ClassVar

from sqlalchemy.orm import Session

from backend.access.engine import Decision
from backend.access.resources import Action
from backend.batch.models import Backfill, BatchRun
from backend.core.container import Services
from backend.core.errors import Conflict, NotFound
from backend.identity.principal import Principal
from mlplatform.batch.faults import BatchFailed
from mlplatform.batch.lake import Lake, open_lake
from mlplatform.spec.batch import Batch
from mlplatform.spec.model import ModelSpec, ModelType

EVENT = "ml-platform.batch"
"""What the types of this domain's audit events begin with."""


class RunInProgress(Conflict):
    """There is a run of that day that is not over."""

    slug: ClassVar[str] = "run-in-progress"
    title: ClassVar[str] = "Run in progress"


class Rules:
    """The checks that runs and backfills share."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def environment(self, name: str) -> str:
        """Return the name of an environment.

        Raises:
            NotFound: it is not configured.
        """
        if name not in self._services.settings.environments:
            known = ", ".join(self._services.settings.environments)
            raise NotFound(f"there is no environment {name[:63]!r}", fix=f"Configured are: {known}.")
        return name

    def batch_model(self, session: Session, model: str) -> None:
        """Let through models of type batch.

        Raises:
            NotFound: there is no such model.
            Conflict: it is of another type.
        """
        row = self._services.registry.get_model(session, model)
        if row.type != ModelType.BATCH:
            raise Conflict(f"{model} is of type {row.type}; only batch models have runs and backfills")

    def may_run(self, session: Session, caller: Principal, model: str, verb: str) -> Decision:
        """Let through whom the policies permit to run the model; return their decision.

        Raises:
            NotFound: there is no such model.
            Forbidden: the policies say no.
        """
        about = self._services.access.model(session, model)
        return self._services.access.require(
            session,
            caller,
            Action.RUN_BATCH,
            about,
            detail=f"{caller.ref} may not {verb} of {model}",
            fix=f"Members of {about.owner} and the repository {about.repository} may.",
            event=f"{EVENT}.refused",
            verb=verb,
        )

    def version(self, session: Session, environment: str, model: str, version: int | None) -> int:
        """Return the version that is meant: a given one that was live there at some time, or the live one.

        Only what was admitted to an environment may write into its lake.

        Raises:
            Conflict: nothing is live there, or the version never was.
        """
        live = self._services.deployments.live_version(session, environment, model)
        if version is None:
            if live is None:
                raise Conflict(
                    f"no version of {model} is live in {environment}",
                    fix=f"Deploy one first: `platform deploy --env {environment}`.",
                )
            return live
        self._services.registry.get_version(session, model, version)
        if version != live and not self._services.deployments.was_live(session, environment, model, version):
            raise Conflict(
                f"v{version} of {model} was never live in {environment}, so it may not score there",
                fix=f"Deploy it first: `platform deploy --env {environment} --version {version}`.",
            )
        return version

    def spec(self, session: Session, model: str, version: int) -> ModelSpec:
        """Return the ``model.yaml`` that a version was registered with."""
        return ModelSpec.model_validate(self._services.registry.get_version(session, model, version).spec)

    def batch(self, session: Session, model: str, version: int) -> Batch:
        """Return the batch section of a version."""
        batch = self.spec(session, model, version).batch
        if batch is None:
            raise Conflict(f"v{version} of {model} is no batch version")
        return batch

    def lake(self, environment: str) -> Lake:
        """Return an environment's lake.

        Raises:
            Conflict: its address can't be used.
        """
        try:
            return open_lake(self._services.settings.lake_of(environment))
        except BatchFailed as fault:
            raise Conflict(f"the lake of {environment} can't be used: {fault.message}") from fault

    def record(
        self, session: Session, event: str, of: BatchRun | Backfill, actor: Principal | str, *, reason: str, **data: Any
    ) -> None:
        """Write an audit event about a run or a backfill."""
        self._services.audit.append(
            session,
            type=f"{EVENT}.{event}",
            subject=subject_of(of),
            actor=actor,
            data={**about(of), "reason": reason, **data},
        )


def subject_of(of: BatchRun | Backfill) -> str:
    """Return the subject of events; it begins with the model's, so that all are found together."""
    kind = "runs" if isinstance(of, BatchRun) else "backfills"
    return f"model:{of.model}/batch/{kind}/{of.id}"


def about(of: BatchRun | Backfill) -> dict[str, Any]:
    """Return what every event about a run or a backfill says."""
    common = {"environment": of.environment, "model": of.model, "version": of.version, "state": of.state}
    if isinstance(of, BatchRun):
        return {"run": of.id, **common, "day": of.day.isoformat(), "cause": of.cause, "backfill": of.backfill_id}
    return {"backfill": of.id, **common, "from": of.first.isoformat(), "to": of.last.isoformat()}


def span(first: object, last: object) -> str:
    """Write a range of days."""
    return f"{first}" if first == last else f"{first} to {last}"
