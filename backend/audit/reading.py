"""What other domains read of the log: spans of it, in bounded pieces, and what is needed to prove them."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from backend.audit import repository, searching
from backend.audit.sealed import SealedSegments, removed_in_words
from backend.audit.segment_repository import removed_in
from backend.audit.service import AuditService
from backend.audit.tree import KeptTree
from backend.core.database import Database
from backend.core.schemas import utc
from evidence.checkpoint import Checkpoint
from evidence.merkle import frontier_at, inclusion_proof

_PIECE = 2000


class LogDamaged(Exception):
    """The log lacks what it should hold."""


@dataclass(frozen=True)
class Span:
    """The events of a period, with their neighbours, up to a checkpoint.

    Those before ``first_within`` and after ``last_within`` lie outside the period: so nothing of it is left out.
    """

    first: int
    first_within: int
    last_within: int
    checkpoint: Checkpoint
    note: str

    @property
    def last(self) -> int:
        """Number of the last event: where the checkpoint was signed."""
        return self.checkpoint.size


def span(session: Session, audit: AuditService, since: datetime, until: datetime) -> Span:
    """Find the events of a period that is over.

    Raises:
        LogDamaged: there is no event after it yet, or no checkpoint, or some of its events were deleted.
        SegmentUnreadable: it begins or ends in a sealed segment that can't be read.
    """
    if (gone := removed_in(session, utc(since), utc(until))) is not None:
        raise LogDamaged(f"the period is not whole any more: {removed_in_words(gone)}")
    first = searching.first_from(session, audit.sealed, utc(since))
    last = searching.last_before(session, audit.sealed, utc(until))
    end = repository.checkpoint_from(session, last + 1)
    if first is None or end is None:
        raise LogDamaged("the log has no event after the period: was the clock set back?")
    checkpoint, note = audit.checkpoint(session, end)
    return Span(max(first - 1, 1), first, last, checkpoint, note)


def frontier(session: Session, sealed: SealedSegments, size: int) -> tuple[bytes, ...]:
    """Return the tree's right edge as it was at a size."""
    return frontier_at(KeptTree(session, sealed), size).hashes


def texts(database: Database, sealed: SealedSegments, first: int, last: int) -> Iterator[str]:
    """Yield the canonical texts from ``first`` to ``last``, read in pieces.

    Raises:
        LogDamaged: one is missing.
        SegmentUnreadable: some lie in a sealed segment that can't be read.
    """
    for start in range(first, last + 1, _PIECE):
        end = min(start + _PIECE - 1, last)
        with database.read() as session:
            piece = searching.texts(session, sealed, start, end)
        if len(piece) != end - start + 1:
            raise LogDamaged(f"events are missing between {start} and {end}; run `platform audit verify`")
        yield from piece


def of_types(
    database: Database, sealed: SealedSegments, types: Collection[str], first: int, last: int
) -> Iterator[str]:
    """Yield the texts of the events of some types between two numbers, in order, read in pieces."""
    after = first - 1
    while True:
        with database.read() as session:
            piece = searching.texts_of_types(session, sealed, types, after, last, _PIECE)
        for _, event in piece:
            yield event
        if len(piece) < _PIECE:
            return
        after = piece[-1][0]


def about(
    session: Session, sealed: SealedSegments, subjects: Collection[str], types: Collection[str], before: int
) -> list[tuple[int, str]]:
    """Return numbers and texts of the events about exactly these subjects before a number; of all types if none is named.

    Sealed segments are gone through once for all subjects.
    """
    return searching.texts_about(session, sealed, subjects, types, before)


def inclusion_proofs(session: Session, sealed: SealedSegments, seqs: Sequence[int], size: int) -> Iterator[list[bytes]]:
    """Yield the proofs that these events, in order, are in the log of that size."""
    kept = KeptTree(session, sealed)
    for seq in seqs:
        yield inclusion_proof(kept, seq - 1, size)
