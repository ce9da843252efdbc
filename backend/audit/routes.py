"""HTTP routes of the audit domain: reading and verifying; nobody writes through HTTP."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Literal

import orjson
from fastapi import APIRouter, Depends, Header, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import Field

from backend.audit import tree
from backend.audit.models import AuditRow
from backend.audit.repository import EventFilter, last_seq, publications
from backend.audit.schemas import (
    AuditEventOut,
    CheckpointOut,
    ConsistencyProofOut,
    InclusionProofOut,
    PublicationOut,
    VerificationIn,
    VerificationOut,
)
from backend.audit.verify import snapshot, verify
from backend.core.container import Services, ServicesOf
from backend.core.errors import InvalidInput
from backend.core.http.events import Following
from backend.core.http.problems import problems
from backend.core.schemas import LARGEST_PAGE, Page, Paging, PlainText
from backend.identity.auth import Caller
from evidence.checkpoint import Checkpoint, open_checkpoint
from evidence.errors import EvidenceError

router = APIRouter(prefix="/audit", tags=["audit"])

_LOOK = 0.5
Size = Annotated[int, Field(ge=1, le=2**53 - 1)]
Text = Annotated[PlainText | None, Query(max_length=500)]


@router.get("/events", summary="Audit events", responses=problems(401, 422, 503))
def events(
    services: ServicesOf,
    caller: Caller,
    page: Paging,
    subject: Annotated[Text, Query(description="Subject, and all that belongs to it.")] = None,
    type: Annotated[Text, Query(description="Event type; with a `.` at its end, all types below.")] = None,
    actor: Annotated[Text, Query(description="Ref of who did it.")] = None,
    since: Annotated[datetime | None, Query(alias="from", description="Not before this time.")] = None,
    until: Annotated[datetime | None, Query(alias="to", description="Before this time.")] = None,
    order: Annotated[Literal["oldest", "newest"], Query(description="Which come first.")] = "oldest",
) -> Page[AuditEventOut]:
    """Return the events that match, those in sealed segments included."""
    (after,) = page.after(int) or (None,)
    wanted = EventFilter(subject, type, actor, _utc(since, "from"), _utc(until, "to"))
    with services.database.read() as session:
        newest_first = order == "newest"
        rows = services.audit.find(session, wanted, after=after, limit=page.limit + 1, newest_first=newest_first)
    return page.page(rows, lambda row: [row.seq], _event)


def _begin(
    services: ServicesOf,
    caller: Caller,
    last_event_id: Annotated[
        str | None,
        Header(pattern=r"^[0-9]{1,18}$", description="Go on after this event, as browsers ask by themselves."),
    ] = None,
) -> int:
    if last_event_id is not None:
        return int(last_event_id)
    with services.database.read() as session:
        return last_seq(session)


@router.get(
    "/events/stream",
    summary="Follow audit events",
    response_class=EventSourceResponse,
    responses=problems(401, 422, 429),
)
async def stream(
    services: ServicesOf,
    begin: Annotated[int, Depends(_begin)],
    follower: Following,
    subject: Annotated[Text, Query(description="Subject, and all that belongs to it.")] = None,
    type: Annotated[Text, Query(description="Event type; with a `.` at its end, all types below.")] = None,
) -> AsyncIterator[ServerSentEvent]:
    """Stream the events that match as server-sent events named `audit`, oldest first; the id is the sequence number.

    Begins after `Last-Event-ID`, or with what happens from now on. Never ends by itself but with the caller's token.
    """
    seen, wanted = begin, EventFilter(subject, type)

    def look() -> tuple[list[ServerSentEvent], bool]:
        nonlocal seen
        with services.database.read() as session:
            newest = last_seq(session)
            rows = services.audit.find(session, wanted, after=seen, limit=LARGEST_PAGE)
        # What does not match need not be looked at again.
        seen = rows[-1].seq if len(rows) == LARGEST_PAGE else max(seen, newest, *(row.seq for row in rows))
        return [ServerSentEvent(data=_event(row), event="audit", id=str(row.seq)) for row in rows], False

    async for one in follower.events(look, every=_LOOK):
        yield one


@router.get("/verification", summary="Verify the whole log", responses=problems(401))
def verification(services: ServicesOf, caller: Caller) -> VerificationOut:
    """Recompute the chain and the tree from the first event and compare everything; takes seconds per million events."""
    return _verified(services, [])


@router.post("/verification", summary="Verify the whole log against earlier checkpoints", responses=problems(401, 422))
def verification_against(services: ServicesOf, caller: Caller, body: VerificationIn) -> VerificationOut:
    """The same, and the log must go on from each checkpoint: one that was rewritten or cut off since is found."""
    known = []
    for index, note in enumerate(body.checkpoints):
        try:
            known.append(open_checkpoint(note, services.audit.verifier))
        except EvidenceError as error:
            fix = "Give checkpoints of this platform, unchanged, as `platform audit checkpoint` writes them."
            raise InvalidInput(f"/checkpoints/{index}: {error.message}", fix=fix) from None
    return _verified(services, known)


def _verified(services: Services, known: list[Checkpoint]) -> VerificationOut:
    with snapshot(services.database.engine.connect()) as connection:
        result = verify(connection, services.audit.key.public_key, known, services.audit.sealed.store)
    return VerificationOut.model_validate(result)


@router.get("/checkpoint", summary="Signed checkpoint of the log", responses=problems(401, 404, 422))
def checkpoint(
    services: ServicesOf,
    caller: Caller,
    size: Annotated[Size | None, Query(description="As it was with so many events; as it is now if left out.")] = None,
) -> CheckpointOut:
    """Return what the log is, signed. Kept elsewhere, it shows later whether the log was rewritten since."""
    with services.database.read() as session:
        found, note = services.audit.checkpoint(session, size)
    return CheckpointOut(
        origin=found.origin,
        size=found.size,
        root=found.root.hex(),
        chain=found.chain,
        key=services.audit.verifier.encoded,
        checkpoint=note,
    )


@router.get("/publications", summary="Published checkpoints", responses=problems(401, 422))
def published(services: ServicesOf, caller: Caller, page: Paging) -> Page[PublicationOut]:
    """Return what was published to second places, or refused to be, newest first."""
    (before,) = page.after(str) or (None,)
    with services.database.read() as session:
        rows = publications(session, before=before, limit=page.limit + 1)
    return page.page(rows, lambda row: [row.id], PublicationOut.model_validate)


@router.get(
    "/proofs/inclusion", summary="Prove that an event is in the log", responses=problems(401, 404, 410, 422, 503)
)
def inclusion_proof(
    services: ServicesOf,
    caller: Caller,
    seq: Annotated[Size, Query(description="Number of the event.")],
    size: Annotated[
        Size | None, Query(description="Size of the log to prove it for; the present one if left out.")
    ] = None,
) -> InclusionProofOut:
    """Return the hashes that lead from the event to the root."""
    with services.database.read() as session:
        size, proof, leaf, root = tree.inclusion(session, services.audit.sealed, seq, size)
    hashes = [one.hex() for one in proof]
    return InclusionProofOut(seq=seq, size=size, leaf=leaf.hex(), root=root.hex(), proof=hashes)


@router.get("/proofs/consistency", summary="Prove that the log only grew", responses=problems(401, 404, 410, 422, 503))
def consistency_proof(
    services: ServicesOf,
    caller: Caller,
    old: Annotated[Size, Query(alias="from", description="Size of the log then.")],
    new: Annotated[
        Size | None, Query(alias="to", description="Size of the log later; the present one if left out.")
    ] = None,
) -> ConsistencyProofOut:
    """Return the hashes that lead from the older root to the newer one."""
    with services.database.read() as session:
        new, proof, old_root, new_root = tree.consistency(session, services.audit.sealed, old, new)
    hashes = [one.hex() for one in proof]
    return ConsistencyProofOut(old=old, new=new, old_root=old_root.hex(), new_root=new_root.hex(), proof=hashes)


def _event(row: AuditRow) -> AuditEventOut:
    return AuditEventOut(seq=row.seq, hash=row.hash, prev_hash=row.prev_hash, event=orjson.loads(row.event))


def _utc(value: datetime | None, name: str) -> datetime | None:
    try:
        return None if value is None else (value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC))
    except OverflowError:
        raise InvalidInput(f"query/{name}: out of range") from None
