"""Values that tokens of somebody's vault stand for: the platform decides who sees them, and has it on record before they do.

The vault is a file that the platform does not reach, and whoever has it and its key needs nobody. What this gives is that the
commands ask, that the owner of the data decides, and that the audit log knows.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from backend.access.engine import Context, Decision
from backend.access.resources import Action, DatasetResource
from backend.core.container import Services
from backend.identity.principal import Principal
from backend.privacy.holds import EVENT
from mlplatform.spec.model import Classification


@dataclass(frozen=True)
class Wanted:
    """Tokens that somebody wants revealed: how many of which vault, and what for."""

    vault: str
    domain: str
    tokens: int
    purpose: str
    dataset: str | None = None
    """The catalog's name of the data set that the values come from."""
    reason: str | None = None


class Reveals:
    """See the module's docstring."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def permit(self, session: Session, caller: Principal, wanted: Wanted) -> Decision:
        """Let through whom the policies permit to see the values for that purpose, and put it on record.

        Tokens stand for personal data whatever class the data set has, and for the most sensitive where none is named.

        Raises:
            NotFound: the catalog knows no such data set.
            InvalidInput: it is no purpose for data of that class.
            Forbidden: the policies say no.
        """
        resource = self._resource(session, wanted.dataset)
        self._services.grants.wishes.fitting(wanted.purpose, resource.classification)
        said: dict[str, Any] = {
            "vault": wanted.vault,
            "domain": wanted.domain,
            "tokens": wanted.tokens,
            "purpose": wanted.purpose,
            "why": wanted.reason,
            "classification": resource.classification.value,
        }
        decision = self._services.access.require(
            session,
            caller,
            Action.REVEAL,
            resource,
            Context(purpose=wanted.purpose),
            detail=f"{caller.ref} may not reveal tokens that stand for {resource.classification} data"
            f"{f' of {resource.ref}' if wanted.dataset else ''}",
            event=f"{EVENT}.vault.refused",
            **said,
        )
        self._services.audit.append(
            session,
            type=f"{EVENT}.vault.revealed",
            subject=resource.ref,
            actor=caller,
            data={**said, "access": decision.as_json()},
        )
        return decision

    def _resource(self, session: Session, dataset: str | None) -> DatasetResource:
        if dataset is None:
            return DatasetResource(None, None, Classification.SENSITIVE_PII)
        found = self._services.access.dataset(session, dataset)
        least = max(found.classification, Classification.PII, key=lambda one: one.level)
        return DatasetResource(found.name, found.owner, least)
