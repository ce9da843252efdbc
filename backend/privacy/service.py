"""The privacy domain's parts, in the order in which they need each other."""

from backend.core.container import Services
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
        self.samples = Samples(services.settings, services.clock, services.database, self.keys)
        self.subject_keys = SubjectKeys(self.keys)
        self.holds = Holds(services)
        self.requests = SubjectRequests(services)
        self.rotations = KeyRotations(services)
        self.retention = Retention(services)
        self.subjects = SubjectWork(services)
