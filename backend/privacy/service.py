"""The privacy domain's parts, in the order in which they need each other."""

from sqlalchemy.orm import Session

from backend.core.actions import ActionOut, tried
from backend.core.container import Services
from backend.identity.principal import Principal
from backend.privacy.holds import Holds
from backend.privacy.keys import DataKeys
from backend.privacy.retention import Retention
from backend.privacy.rotation import KeyRotations
from backend.privacy.samples import Samples
from backend.privacy.subject_keys import SubjectKeys
from backend.privacy.subjects.requests import SubjectRequests
from backend.privacy.subjects.work import SubjectWork


class PrivacyService:
    """What others call: payload samples, keys of people, holds; and the durable work, which adds itself to the runtime."""

    def __init__(self, services: Services) -> None:
        self.keys = DataKeys(services.settings, services.clock)
        self.samples = Samples(services.settings, services.clock, services.database, self.keys, services.audit)
        self.subject_keys = SubjectKeys(self.keys)
        self.holds = Holds(services)
        self.requests = SubjectRequests(services)
        self.rotations = KeyRotations(services)
        self.retention = Retention(services)
        self.subjects = SubjectWork(services)

    def actions(self, session: Session, caller: Principal) -> list[ActionOut]:
        """Return what the caller may do about personal data and retention as a whole, and why not."""
        return [
            self.requests.finding(session, caller),
            tried("hold", lambda: self.holds.may(caller, "place or lift a legal hold", "holds")),
            tried("delete", lambda: self.holds.may(caller, "delete what is over", "retention")),
        ]
