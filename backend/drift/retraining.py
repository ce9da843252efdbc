"""What follows drift where ``model.yaml`` says ``onDrift: retrain``: a pull request by which the model is trained again.

A version is asked to be trained again once, however long it drifts. The platform trains nothing itself and merges nothing.
"""

from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from backend.audit.service import PLATFORM
from backend.drift import repository
from backend.drift.models import DriftReport
from mlplatform.spec.model import ModelSpec
from scaffolder.errors import HostError, HostUnavailable, ScaffoldError
from scaffolder.fleet.rerun import Rerun

if TYPE_CHECKING:
    from backend.core.container import Services

EVENT = "ml-platform.drift.retraining"
LABEL = "drift"


class Retraining:
    """See the module's docstring."""

    def __init__(self, services: "Services") -> None:
        self._services = services

    def follow(self, id: str) -> None:
        """Ask for a training because of a report, if that is wanted and nobody has yet.

        Raises:
            HostUnavailable: the git host does not answer now; called again it goes on.
        """
        with self._services.database.read() as session:
            row = repository.find(session, id)
            if row is None or row.retraining is not None:
                return
            version = self._services.registry.get_version(session, row.model, row.version)
            if ModelSpec.model_validate(version.spec).drift.on_drift != "retrain":
                return
            before = repository.retrained_since(session, row.model, row.version)
            if before is not None and before.retraining is not None and before.retraining.get("number") is not None:
                return
            wish = _wish(row)
            found = self._services.fleet.of_identities(session, [version.repository]).get(version.repository)
            place = None if found is None else (found.host, found.org, found.name)
        if place is None:
            self._keep(id, {"number": None, "reason": f"the fleet knows no repository {version.repository}"})
            return
        try:
            pull = self._services.fleet.propose_rerun(*place, wish)
        except HostUnavailable:
            raise
        except (HostError, ScaffoldError) as error:
            self._keep(id, {"number": None, "reason": str(error)[:500]})
            return
        self._keep(
            id, {"number": pull.number, "url": pull.web_url, "branch": wish.branch, "repository": "/".join(place)}
        )

    def _keep(self, id: str, said: dict[str, Any]) -> None:
        with self._services.database.write() as session:
            row = repository.find(session, id)
            if row is None or row.retraining is not None:
                return
            row.retraining = said
            asked = said["number"] is not None
            text = (
                f"pull request #{said['number']} has it trained again"
                if asked
                else f"not trained again: {said['reason']}"
            )
            self._record(session, row, "asked" if asked else "failed", said)
            self._services.incidents.happened(session, row.model, row.environment, "retraining", text)

    def _record(self, session: Session, row: DriftReport, what: str, said: dict[str, Any]) -> None:
        self._services.audit.append(
            session,
            type=f"{EVENT}.{what}",
            subject=f"model:{row.model}/drift/{row.id}",
            actor=PLATFORM,
            data={"report": row.id, "environment": row.environment, "version": row.version, **said},
        )


def _wish(row: DriftReport) -> Rerun:
    columns = sorted({str(one["column"]) for one in row.drifted})
    named = ", ".join(f"`{name.replace('`', '')[:60]}`" for name in columns[:10])
    body = (
        f"v{row.version} has drifted in {row.environment} ({named}); `platform drift show {row.id}` tells more.\n\n"
        "This changes no file. Merge it when the training data covers what is new, and the pipeline makes a new version from it."
    )
    return Rerun(f"platform/retrain-v{row.version}", f"Train again: v{row.version} has drifted", body, LABEL)
