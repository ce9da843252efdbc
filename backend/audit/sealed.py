"""Reads events from sealed segments. Each block is held against its signed manifest before anything of it is given out."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, ClassVar

import orjson
import rfc8785
from sqlalchemy.orm import Session

from backend.audit import segment_repository as repository
from backend.audit.models import AuditRow, AuditSegment
from backend.audit.segment_repository import SegmentSpan
from backend.audit.segment_store import SegmentStore, StoreFailed
from backend.core.errors import PlatformError
from evidence.errors import EvidenceError
from evidence.notes import VerifierKey
from evidence.segments import BLOCK, SegmentManifest, file_name, open_removal, open_segment, segment_name, verified

_TOGETHER = 32
"""So many blocks are fetched at once when many are read."""


class SegmentUnreadable(PlatformError):
    """Events lie in a sealed segment that can't be read."""

    status: ClassVar[int] = 503
    slug: ClassVar[str] = "segment-unreadable"
    title: ClassVar[str] = "Sealed segment can't be read"


@dataclass(frozen=True)
class Lookup:
    """What sealed events are searched for. ``None`` is all; times are as the log writes them."""

    types: Callable[[str], bool] | None = None
    matches: Callable[[dict[str, Any]], bool] = lambda _event: True
    since: str | None = None
    until: str | None = None
    marks: Sequence[bytes] = ()
    """Pieces of canonical text of which an event that matches has at least one."""


def mark(member: str, value: str, *, whole: bool = True) -> bytes:
    """Return the canonical text of a member, or of its beginning."""
    text: bytes = rfc8785.dumps({member: value})[1:-1]
    return text if whole else text[:-1]


class SegmentRemoved(SegmentUnreadable):
    """Events lay in a sealed segment that was deleted by policy."""

    status: ClassVar[int] = 410
    slug: ClassVar[str] = "segment-removed"
    title: ClassVar[str] = "Sealed segment was deleted"


class SealedSegments:
    """The segments that a platform has sealed."""

    def __init__(self, store: SegmentStore, verifier: VerifierKey) -> None:
        self.store = store
        self._verifier = verifier
        self._manifests: dict[tuple[int, int], SegmentManifest] = {}
        self._removed: set[int] = set()

    def horizon(self, session: Session) -> int:
        """Return the number of the last sealed event: those behind it are in the table."""
        return repository.horizon(session)

    def manifest(self, session: Session, first: int, last: int) -> SegmentManifest:
        """Return a segment's manifest, which the platform signed.

        Raises:
            SegmentUnreadable: it did not.
        """
        found = self._manifests.get((first, last))
        if found is None:
            found = self._opened(repository.manifest(session, first), first, last)
            self._manifests[first, last] = found
        return found

    def manifest_in(self, row: AuditSegment) -> SegmentManifest:
        """Return the manifest in a segment's row.

        Raises:
            SegmentUnreadable: the platform did not sign it.
        """
        return self._opened(row.manifest, row.first_seq, row.last_seq)

    def texts(self, session: Session, first: int, last: int) -> list[bytes]:
        """Return the canonical texts of sealed events, in order; fewer where no segment has them.

        Raises:
            SegmentUnreadable: a segment can't be read, or was deleted.
        """
        found: list[bytes] = []
        for span in repository.spans(session, first, last):
            manifest = self.manifest(session, span.first, span.last)
            if self._is_removed(session, span, manifest):
                raise SegmentRemoved(removed_in_words(span), fix="What is left of them is their root.")
            low, high = max(first, span.first), min(last, span.last)
            numbers = range((low - span.first) // BLOCK, (high - span.first) // BLOCK + 1)
            for number, raw in self._blocks(manifest, numbers):
                begin = span.first + number * BLOCK
                lines = _lines(manifest, number, raw)
                found += lines[max(low - begin, 0) : high - begin + 1]
        return found

    def search(
        self, session: Session, wanted: Lookup, first: int, last: int, *, newest_first: bool = False
    ) -> Iterator[AuditRow]:
        """Yield the sealed events from ``first`` to ``last`` that match; of deleted segments there are none any more.

        Raises:
            SegmentUnreadable: a segment that may have some can't be read.
        """
        spans = repository.spans(session, first, last)
        for span in reversed(spans) if newest_first else spans:
            # What is signed decides, not the table's copy of it: nobody hides a segment by changing a row.
            manifest = self.manifest(session, span.first, span.last)
            if not _may_have(manifest, wanted) or self._is_removed(session, span, manifest):
                continue
            low, high = max(first, span.first), min(last, span.last)
            numbers = range((low - span.first) // BLOCK, (high - span.first) // BLOCK + 1)
            for number, raw in self._blocks(manifest, numbers[::-1] if newest_first else numbers):
                found = [one for one in _rows(manifest, number, raw, wanted) if low <= one.seq <= high]
                yield from reversed(found) if newest_first else found

    def _is_removed(self, session: Session, span: SegmentSpan, manifest: SegmentManifest) -> bool:
        if span.removed_at is None:
            return False
        if span.first not in self._removed:
            try:
                open_removal(repository.removal(session, span.first), self._verifier, manifest)
            except EvidenceError as error:
                problem = f"its deletion is not what the platform signed: {error.message}"
                raise _unreadable(manifest.name, problem, manifest.first, manifest.last) from None
            self._removed.add(span.first)
        return True

    def _opened(self, note: str, first: int, last: int) -> SegmentManifest:
        name = segment_name(first, last)
        try:
            found = open_segment(note, self._verifier)
        except EvidenceError as error:
            raise _unreadable(name, f"its manifest is no good: {error.message}", first, last) from None
        if (found.first, found.last) != (first, last):
            raise _unreadable(name, f"its manifest is that of segment {found.name}", first, last)
        return found

    def _blocks(self, manifest: SegmentManifest, numbers: range) -> Iterator[tuple[int, bytes]]:
        """Yield blocks as they lie in the file, fetched many at a time."""
        for start in range(0, len(numbers), _TOGETHER):
            some = numbers[start : start + _TOGETHER]
            low, high = min(some), max(some)
            begin, end = manifest.span(low)[0], manifest.span(high)[1]
            try:
                raw = self.store.read(file_name(manifest.name), begin, end)
            except FileNotFoundError:
                problem = f"its file is missing in {self.store.place}"
                raise _unreadable(manifest.name, problem, manifest.first, manifest.last) from None
            except StoreFailed as error:
                raise _unreadable(manifest.name, str(error), manifest.first, manifest.last) from None
            for number in some:
                at, until = manifest.span(number)
                yield number, raw[at - begin : until - begin]


def _rows(manifest: SegmentManifest, number: int, raw: bytes, wanted: Lookup) -> Iterator[AuditRow]:
    # All of it is verified, also where nothing matches: an altered block must not keep an event from being found.
    lines = _lines(manifest, number, raw)
    if wanted.marks and not any(one in line for line in lines for one in wanted.marks):
        return
    hash = manifest.chain_at(number)
    for line in lines:
        before, hash = hash, sha256(hash.encode() + line).hexdigest()
        if wanted.marks and not any(one in line for one in wanted.marks):
            continue
        event = orjson.loads(line)
        if (wanted.since is not None and event["time"] < wanted.since) or (
            wanted.until is not None and event["time"] >= wanted.until
        ):
            continue
        if wanted.matches(event):
            members = {name: event[name] for name in ("id", "type", "subject", "actor", "time")}
            seq = int(event["sequence"])
            yield AuditRow(seq=seq, event=line.decode(), prev_hash=before, hash=hash, **members)


def _lines(manifest: SegmentManifest, number: int, raw: bytes) -> list[bytes]:
    try:
        return verified(manifest, number, raw)
    except EvidenceError as error:
        first = manifest.first + number * BLOCK
        raise _unreadable(manifest.name, error.message, first, first + BLOCK - 1) from None


def removed_in_words(span: SegmentSpan) -> str:
    """Say that a segment was deleted."""
    name = segment_name(span.first, span.last)
    return (
        f"events {span.first} to {span.last} lay in the sealed segment {name}, which retention deleted on "
        f"{span.removed_at:%Y-%m-%d}"
    )


def _may_have(manifest: SegmentManifest, wanted: Lookup) -> bool:
    early = wanted.since is not None and manifest.until < wanted.since
    late = wanted.until is not None and manifest.since >= wanted.until
    known = wanted.types is None or any(wanted.types(one) for one in manifest.types)
    return known and not early and not late


def _unreadable(name: str, problem: str, first: int, last: int) -> SegmentUnreadable:
    return SegmentUnreadable(
        f"events {first} to {last} lie in the sealed segment {name}, which can't be read: {problem}",
        fix="Put the file back as it was sealed; `platform audit verify` says of each segment what is wrong with it.",
    )
