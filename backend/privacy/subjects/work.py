"""Searching for a person, erasing the person, and proving it: durable work."""

import logging
from collections.abc import Sequence
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from backend.audit.service import PLATFORM
from backend.audit.verify import snapshot, verify
from backend.core.container import Services
from backend.core.workflows import Steps
from backend.privacy import repository
from backend.privacy.certificates import certify
from backend.privacy.holdings.base import digest_of
from backend.privacy.holds import said
from backend.privacy.models import ItemState, RequestState, SubjectFinding, SubjectRequest
from backend.privacy.subjects.lake import LakePlace
from backend.privacy.subjects.logs import LogPlace
from backend.privacy.subjects.places import Busy, KeyPlace, Place, SamplePlace, Spot, Unerasable
from backend.privacy.subjects.streams import StreamPlace
from mlplatform.redaction import redact

_TRIES = 5
_WORD = "data-subject request"
_CAME = "it came, or could be searched, only after the erasure had begun"

_log = logging.getLogger(__name__)


class SubjectWork:
    """The :class:`~backend.core.workflows.Work` of data-subject requests."""

    name: ClassVar[str] = "subject request"
    most: ClassVar[int | None] = 2

    def __init__(self, services: Services) -> None:
        self._services = services
        self.places: list[Place] = [
            SamplePlace(services),
            LogPlace(services),
            LakePlace(services),
            StreamPlace(services),
            KeyPlace(services),
        ]
        """More may be added before the runtime starts, such as a token vault."""
        self.wait_for_writer = 2.0
        """Seconds between two attempts at a place that is being written."""
        services.runtime.add(self)

    def waiting(self, session: Session) -> Sequence[str]:
        """Return the requests that are being searched or erased."""
        return repository.requests_to_work_on(session)

    def run(self, steps: Steps, id: str) -> None:
        """Search, or erase and search again; steps that are not this workflow's turn do nothing."""
        steps.run("search", self._search, id)
        steps.run("erase", self._erase, id)
        steps.run("prove", self._prove, id)

    def give_up(self, id: str, reason: str) -> None:
        """End a search or an erasure that can't go on; it may be asked for again."""
        with self._services.database.write() as session:
            row = repository.get(session, SubjectRequest, id, _WORD, lock=True)
            if row.state in repository.TO_WORK_ON:
                row.state, row.message = RequestState.FAILED, reason
                self._services.privacy.requests.record(session, row, "failed", PLATFORM, reason=reason)

    def beat(self, *, changed: bool) -> None:
        """There is nothing besides the requests."""

    def close(self) -> None:
        """There is nothing to let go of."""

    def _search(self, id: str) -> None:
        found = self._looked(id, RequestState.SEARCHING)
        if found is None:
            return
        with self._services.database.write() as session:
            row = repository.get(session, SubjectRequest, id, _WORD, lock=True)
            if row.state != RequestState.SEARCHING:
                return
            for index, (kind, spot) in enumerate(found):
                session.add(_finding(id, index, kind, spot))
            total = sum(spot.count for _, spot in found)
            unknown = sum(spot.open for _, spot in found)
            row.state, row.message = RequestState.FOUND, _left(0, unknown)
            row.models = self._models(session, [spot for _, spot in found if spot.count])
            if not total and not unknown:
                row.state, row.finished_at = RequestState.NOTHING_FOUND, self._services.clock.now()
            self._services.privacy.requests.record(
                session, row, "searched", PLATFORM, counts=_counts(found), models=len(row.models)
            )

    def _looked(self, id: str, state: RequestState) -> list[tuple[str, Spot]] | None:
        with self._services.database.read() as session:
            row = repository.get(session, SubjectRequest, id, _WORD)
            if row.state != state:
                return None
            matcher = self._services.privacy.requests.matcher(session, row)
        found: list[tuple[str, Spot]] = []
        for place in self.places:
            for spot in place.search(matcher, row.hashes):
                self._services.runtime.wait(0)  # leaves when the runtime stops
                found.append((place.kind, spot))
        return found

    def _erase(self, id: str) -> None:
        places = {place.kind: place for place in self.places}
        tries: dict[int, int] = {}
        while True:
            self._services.runtime.wait(0)
            with self._services.database.write() as session:
                row = repository.get(session, SubjectRequest, id, _WORD)
                finding = repository.next_finding(session, id)
                if row.state != RequestState.ERASING or finding is None:
                    return
                if holds := self._services.privacy.requests.holds_on(session, row, [finding]):
                    finding.state, finding.reason = ItemState.KEPT, said(holds)
                    continue
                matcher = self._services.privacy.requests.matcher(session, row)
            tries[finding.index] = tries.get(finding.index, 0) + 1
            state, reason = ItemState.DELETED, None
            try:
                reason = places[finding.kind].erase(matcher, finding, row.hashes)
            except Busy as busy:
                if tries[finding.index] < _TRIES:
                    self._services.runtime.wait(self.wait_for_writer)
                    continue
                state, reason = ItemState.FAILED, str(busy)
            except Unerasable as kept:
                state, reason = ItemState.FAILED, str(kept)
            except OperationalError:
                raise
            except Exception as error:  # what is left must be erased all the same
                _log.exception("a person can't be erased from %s", finding.location)
                state, reason = ItemState.FAILED, redact(f"{type(error).__name__}: {error}")[:500]
            with self._services.database.write() as session:
                done = session.get_one(SubjectFinding, (id, finding.index))
                done.state, done.reason = state, reason

    def _prove(self, id: str) -> None:
        """Search everything again, and sign what came out."""
        with self._services.database.read() as session:
            # Confirmed since this workflow looked for something to erase: that is for the next one.
            if repository.next_finding(session, id) is not None:
                return
        again = self._looked(id, RequestState.ERASING)
        if again is None:
            return
        with snapshot(self._services.database.engine.connect()) as connection:
            audit = self._services.audit
            chain = verify(connection, audit.key.public_key, store=audit.sealed.store)
        with self._services.database.write() as session:
            row = repository.get(session, SubjectRequest, id, _WORD, lock=True)
            if row.state != RequestState.ERASING:
                return
            findings = self._compared(session, id, again)
            left = sum(finding.remaining or 0 for finding in findings)
            unknown = sum(finding.remaining is None for finding in findings)
            row.state = RequestState.PARTLY_ERASED if left or unknown else RequestState.ERASED
            row.message = _left(left, unknown)
            now = row.finished_at = self._services.clock.now()
            self._certify(session, row, findings, {"valid": chain.valid, "events": chain.events})
            counts = {"found": sum(one.found for one in findings), "remaining": left, "notSearched": unknown}
            self._services.privacy.requests.record(session, row, row.state, PLATFORM, counts=counts, at=now.isoformat())

    def _compared(self, session: Session, id: str, again: list[tuple[str, Spot]]) -> Sequence[SubjectFinding]:
        findings = list(repository.findings(session, id))
        left = {(kind, spot.location): spot for kind, spot in again}
        for finding in findings:
            spot = left.pop((finding.kind, finding.location), None)
            judge(finding, spot)
        for index, ((kind, _), spot) in enumerate(left.items(), start=len(findings)):
            # It came while the person was being erased, or under another name.
            new = _finding(id, index, kind, spot)
            new.remaining, new.state = None if spot.open else spot.count, ItemState.FAILED
            new.reason = spot.fault or _CAME
            session.add(new)
            findings.append(new)
        session.flush()
        return findings

    def _certify(
        self, session: Session, row: SubjectRequest, findings: Sequence[SubjectFinding], chain: dict[str, Any]
    ) -> None:
        """Sign what was erased and what was not; a request that is partly erased gets one for each attempt."""
        about = f"subject-request:{row.id}"
        if row.state == RequestState.PARTLY_ERASED:
            about += f"/attempts/{len(repository.certificates_of_request(session, row.id)) + 1}"
        counts = {"found": sum(one.found for one in findings), "remaining": sum(one.remaining or 0 for one in findings)}
        certify(
            self._services,
            session,
            about,
            digest_of(f"{one.kind} {one.location} {one.found} {one.remaining} {one.state}" for one in findings),
            {
                "state": str(row.state),
                "counts": counts,
                "places": [
                    {
                        "kind": one.kind,
                        "location": one.location,
                        "found": one.found,
                        "remaining": one.remaining,
                        "note": one.reason,
                    }
                    for one in findings
                ],
                "notDeleted": [
                    {"state": one.state, "kind": one.kind, "name": one.location, "reason": one.reason}
                    for one in findings
                    if one.state != ItemState.DELETED
                ],
                "requestedBy": row.requested_by,
                "confirmedBy": row.confirmed_by,
                "models": row.models,
                "auditLog": chain,
            },
        )

    def _models(self, session: Session, spots: Sequence[Spot]) -> list[dict[str, Any]]:
        """Return the versions whose data references, or whose batch input, are a file or folder that holds the person."""
        needed = self._services.deployments.needed_versions(session)
        places = [spot.location.partition(":")[2] for spot in spots if ":" in spot.location]
        folders = {ref.removeprefix("dataset:") for spot in spots for ref in spot.refs if ref.startswith("dataset:")}
        found = []
        for version in self._services.registry.all_versions(session):
            batch = version.spec.get("batch") or {}
            names = [
                str(data.get("name"))
                for data in version.lineage.get("data") or version.spec.get("data") or []
                if _is_about(str(data.get("uri", "")), folders, places)
            ]
            if names or batch.get("input") in folders:
                found.append(
                    {
                        "model": version.model,
                        "version": version.version,
                        "datasets": names or [batch["input"]],
                        "use": "trained" if names else "scores",
                        "inUse": (version.model, version.version) in needed,
                        "deleted": version.deleted_at is not None,
                    }
                )
        return found


def _finding(id: str, index: int, kind: str, spot: Spot) -> SubjectFinding:
    return SubjectFinding(
        request_id=id,
        index=index,
        kind=kind,
        location=spot.location,
        refs=list(spot.refs),
        found=spot.count,
        state=ItemState.FAILED if spot.fault else ItemState.PLANNED,
        reason=spot.fault,
    )


def judge(finding: SubjectFinding, spot: Spot | None) -> None:
    """Write down what the search after an erasure says about a place."""
    if spot is None:
        # What was not erased and is not seen either may be where nobody looks any more, such as at a former broker.
        finding.remaining = None if finding.found and finding.state == ItemState.FAILED else 0
        if not finding.found:
            finding.state, finding.reason = ItemState.DELETED, "nothing is there now that it could be searched"
    elif spot.fault is not None:
        finding.remaining = None if spot.open or finding.found else 0
        finding.state, finding.reason = ItemState.FAILED, finding.reason or spot.fault
    else:
        finding.remaining = spot.count
        if finding.state == ItemState.DELETED or not finding.found:
            finding.found = finding.found or spot.count
            finding.state, finding.reason = ItemState.FAILED, _CAME


def _left(found_again: int, not_searched: int) -> str | None:
    """Say what keeps a person from being erased altogether."""
    said = [f"{found_again} found again"] if found_again else []
    if not_searched:
        said.append(f"{not_searched} {'place' if not_searched == 1 else 'places'} could not be searched")
    return "; ".join(said) or None


def _counts(found: Sequence[tuple[str, Spot]]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for kind, spot in found:
        counts[kind] = counts.get(kind, 0) + spot.count
    return counts


def _is_about(uri: str, folders: set[str], places: Sequence[str]) -> bool:
    """Say whether a data reference is one of the folders, or a file in them, wherever the lake is mounted."""
    path = f"/{unquote(urlsplit(uri).path or uri).strip('/')}"
    return any(path.endswith(f"/{folder}") or f"/{folder}/" in path for folder in folders) or any(
        path.endswith(f"/{place}") for place in places
    )
