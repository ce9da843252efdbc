"""The privacy domain's parts, in the order in which they need each other."""

from sqlalchemy.orm import Session

from backend.access.engine import Decision
from backend.access.resources import Action
from backend.core.actions import ActionOut, tried
from backend.core.container import Services
from backend.identity.principal import Principal
from backend.privacy.holds import EVENT, Holds
from backend.privacy.keys import DataKeys
from backend.privacy.retention import Retention
from backend.privacy.reveals import Reveals
from backend.privacy.rotation import KeyRotations
from backend.privacy.samples import Samples
from backend.privacy.subject_keys import SubjectKeys
from backend.privacy.subjects.requests import SubjectRequests
from backend.privacy.subjects.work import SubjectWork


class PrivacyService:
    """What others call: payload samples, keys of people, holds; and the durable work, which adds itself to the runtime."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.keys = DataKeys(services.settings, services.clock)
        self.samples = Samples(services.settings, services.clock, services.database, self.keys, services.audit)
        self.subject_keys = SubjectKeys(self.keys)
        self.holds = Holds(services)
        self.reveals = Reveals(services)
        self.requests = SubjectRequests(services)
        self.rotations = KeyRotations(services)
        self.retention = Retention(services)
        self.subjects = SubjectWork(services)

    def actions(self, session: Session, caller: Principal) -> list[ActionOut]:
        """Return what the caller may do about personal data and retention as a whole, and why not."""
        return [
            self.requests.finding(session, caller),
            tried("hold", lambda: self.holds.may(session, caller, "place or lift a legal hold", "holds")),
            tried("delete", lambda: self.retention.may(session, caller)),
        ]

    def may_read_samples(self, session: Session, caller: Principal, model: str) -> Decision:
        """Let through whom the policies permit to read what a model was sent and answered; return their decision.

        Raises:
            NotFound: there is no such model.
            Forbidden: the policies say no.
        """
        about = self._services.access.model(session, model)
        return self._services.access.require(
            session,
            caller,
            Action.READ_SAMPLES,
            about,
            detail=f"{caller.ref} may not read samples of {model}",
            fix=f"Members of {about.owner} may.",
            event=f"{EVENT}.refused",
            verb="read samples",
        )
