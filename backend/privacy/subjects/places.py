"""Where a person is looked for: what is asked of each place, and the two places that are in the database."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from backend.core.container import Services
from backend.privacy import key_repository, sample_repository
from backend.privacy.models import SubjectFinding
from backend.privacy.subjects.matching import Matcher


class Busy(Exception):
    """The place is being written at this moment; the message says by whom or what."""


class Unerasable(Exception):
    """The place does not let go of what it holds; the message says why, and when it ends by itself."""


@dataclass(frozen=True)
class Spot:
    """Somewhere the person is, or (with a fault) somewhere that could not be searched."""

    location: str
    """Where; never holds a value."""
    refs: tuple[str, ...]
    count: int
    fault: str | None = None
    open: bool = False
    """Whether the person may well be there, so that nobody can be said to be erased before it was searched."""


class Place(Protocol):
    """A kind of place. What it gives out as location it must find again after any crash."""

    kind: str

    def search(self, matcher: Matcher, hashes: list[str]) -> Iterator[Spot]:
        """Yield where the person is, in a fixed order, and what could not be searched."""
        ...

    def erase(self, matcher: Matcher, finding: SubjectFinding, hashes: list[str]) -> str | None:
        """Remove the person from a location and nobody else; again is no error.

        What is returned is to be known about it, and goes into the certificate.

        Raises:
            Busy: it is being written; a later attempt may succeed.
            Unerasable: it can't be removed there.
        """
        ...


class SamplePlace:
    """Payload samples: by environment and model, searched in the clear, deleted as rows."""

    kind = "payload_sample"

    def __init__(self, services: Services) -> None:
        self._services = services

    def search(self, matcher: Matcher, hashes: list[str]) -> Iterator[Spot]:
        """Yield the environments and models of samples that hold the person."""
        with self._services.database.read() as session:
            places = sample_repository.places(session)
        for environment, model in places:
            if found := self._found(matcher, environment, model):
                refs = (f"kind:{self.kind}", f"environment:{environment}", f"model:{model}")
                yield Spot(f"{environment}/{model}", refs, len(found))

    def erase(self, matcher: Matcher, finding: SubjectFinding, hashes: list[str]) -> None:
        """Delete the samples that hold the person."""
        environment, _, model = finding.location.partition("/")
        found = self._found(matcher, environment, model)
        with self._services.database.write() as session:
            sample_repository.forget(session, found)

    def _found(self, matcher: Matcher, environment: str, model: str) -> list[str]:
        samples = self._services.privacy.samples
        with self._services.database.read() as session:
            return [
                sample.id
                for sample in samples.read(session, environment, model)
                if matcher.in_value(sample.request) or matcher.in_value(sample.answer)
            ]


class KeyPlace:
    """Data keys of the person: what they have sealed, in a token vault or a backup, is noise once they are destroyed."""

    kind = "subject_key"

    def __init__(self, services: Services) -> None:
        self._services = services

    def search(self, matcher: Matcher, hashes: list[str]) -> Iterator[Spot]:
        """Yield how many keys there are."""
        with self._services.database.read() as session:
            count = len(key_repository.of_people(session, hashes))
        if count:
            yield Spot("data keys", (f"kind:{self.kind}",), count)

    def erase(self, matcher: Matcher, finding: SubjectFinding, hashes: list[str]) -> None:
        """Destroy the keys (crypto-shredding)."""
        with self._services.database.write() as session:
            for row in key_repository.of_people(session, hashes):
                self._services.privacy.keys.destroy(session, row)
