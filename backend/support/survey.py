"""The quarterly survey: three questions, one answer a person and quarter, nothing shown of a few.

It is open all quarter and needs nobody to open it. An answer is kept under a keyed hash of the person and the quarter: so it can
be changed, nobody answers twice, and answers of two quarters can't be put together. That is a pseudonym and not anonymity: with
the platform's key the hash of a person can be computed. The audit log says who answered, not what; of a few answers nothing is
shown, and means are rounded, so that one more answer does not give itself away.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import mean
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from backend.access.resources import Action, PlatformResource
from backend.core.database import lock_for_transaction
from backend.core.errors import Forbidden, InvalidInput
from backend.identity.principal import Principal, PrincipalKind
from backend.support import repository
from backend.support.models import SurveyAnswer
from mlplatform.redaction import redact

if TYPE_CHECKING:
    from backend.core.container import Services

EVENT = "ml-platform.support.survey"
QUESTIONS = {
    "satisfaction": "How satisfied are you with the platform?",
    "shipping": "How easy is it to bring a model to production?",
    "help": "How well are you helped when you are stuck?",
}
"""By name. What 1 and 5 mean is the same for all: not at all, and very."""
QUARTER_PATTERN = r"^(19|2[0-9])[0-9]{2}-Q[1-4]$"


@dataclass(frozen=True, order=True)
class Quarter:
    """A quarter of a year, in UTC."""

    year: int
    number: int

    @classmethod
    def of(cls, time: datetime) -> "Quarter":
        """Return the quarter of a time."""
        time = time.astimezone(UTC)
        return cls(time.year, (time.month + 2) // 3)

    @classmethod
    def parse(cls, text: str) -> "Quarter":
        """Read ``2028-Q1``; raise ``ValueError`` for anything else."""
        if not re.fullmatch(QUARTER_PATTERN, text):
            raise ValueError(f"{text!r} is no quarter; write for example 2028-Q1")
        return cls(int(text[:4]), int(text[6]))

    def __str__(self) -> str:
        return f"{self.year:04d}-Q{self.number}"

    @property
    def end(self) -> datetime:
        """The first moment after it."""
        year, number = (self.year + 1, 1) if self.number == 4 else (self.year, self.number + 1)
        return datetime(year, 3 * number - 2, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Results:
    """What people said in a quarter; the means are nothing where too few answered."""

    quarter: Quarter
    answers: int
    enough: bool
    mean: float | None
    """Over all questions, to one decimal."""
    means: Mapping[str, float]
    """By question, to one decimal."""


class Survey:
    """See the module's docstring."""

    def __init__(self, services: "Services") -> None:
        self._services = services

    @property
    def quarter(self) -> Quarter:
        """The present quarter."""
        return Quarter.of(self._services.clock.now())

    def may_answer(self, caller: Principal) -> None:
        """Let people through.

        Raises:
            Forbidden: the caller is a job or a service.
        """
        if caller.kind is not PrincipalKind.USER:
            raise Forbidden(
                f"{caller.ref} is no person", fix="The survey is for the people who use the platform."
            ).audited(type=f"{EVENT}.refused", subject=f"survey:{self.quarter}", actor=caller.ref)

    def own(self, session: Session, caller: Principal) -> SurveyAnswer | None:
        """Return what the caller said this quarter."""
        if caller.kind is not PrincipalKind.USER or repository.counts(session).get(str(self.quarter)) is None:
            return None
        return repository.answer(session, str(self.quarter), self._pseudonym(session, caller))

    def answer(self, session: Session, caller: Principal, ratings: Mapping[str, int], comment: str) -> SurveyAnswer:
        """Answer this quarter's survey, or answer it otherwise than before.

        Raises:
            Forbidden: the caller is no person.
            InvalidInput: a question is missing or unknown.
        """
        self.may_answer(caller)
        if ratings.keys() != QUESTIONS.keys():
            raise InvalidInput("/ratings: must answer each question once", fix=f"There are: {', '.join(QUESTIONS)}.")
        quarter = str(self.quarter)
        person = self._pseudonym(session, caller)
        lock_for_transaction(session, f"survey:{quarter}:{person}")
        row = repository.answer(session, quarter, person)
        changed = row is not None
        if row is None:
            row = SurveyAnswer(quarter=quarter, person=person)
            session.add(row)
        row.ratings, row.comment = dict(ratings), redact(comment.strip())
        # Who took part is on record; what they said is nobody's business.
        self._services.audit.append(
            session,
            type=f"{EVENT}.{'changed' if changed else 'answered'}",
            subject=f"survey:{quarter}",
            actor=caller,
            data={"quarter": quarter},
        )
        session.flush()
        return row

    def results(self, session: Session, quarter: Quarter) -> Results:
        """Return what people said in a quarter, as far as enough did."""
        rows = repository.answers(session, str(quarter))
        if len(rows) < self._services.settings.support.least_answers:
            return Results(quarter, len(rows), False, None, {})
        means = {name: mean(row.ratings[name] for row in rows) for name in QUESTIONS}
        return Results(
            quarter,
            len(rows),
            True,
            round(mean(means.values()), 1),
            {name: round(one, 1) for name, one in means.items()},
        )

    def comments(self, session: Session, caller: Principal, quarter: Quarter) -> list[str] | None:
        """Return what people wrote, for platform administrators and as far as enough answered; else nothing."""
        rows = repository.answers(session, str(quarter))
        if not self._services.access.decide(session, caller, Action.ADMINISTER, PlatformResource()).allowed:
            return None
        if len(rows) < self._services.settings.support.least_answers:
            return None
        return [row.comment for row in rows if row.comment]

    def all_results(self, session: Session) -> list[tuple[datetime, Results]]:
        """Return the quarters that enough people answered in, oldest first, each with its last moment or the present."""
        now, found = self._services.clock.now(), []
        for name in sorted(repository.counts(session)):
            results = self.results(session, Quarter.parse(name))
            if results.enough:
                found.append((min(now, results.quarter.end - timedelta(seconds=1)), results))
        return found

    def _pseudonym(self, session: Session, caller: Principal) -> str:
        person = self._services.access.people.person(caller.ref)
        index = self._services.privacy.keys.subject_index(session)
        return index.hashed(f"survey\0{self.quarter}\0{person}".encode())
