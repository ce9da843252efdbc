"""Key rotation as durable work: everything sealed anew, piece by piece, while reading and writing go on."""

from collections.abc import Sequence
from typing import Any, ClassVar

from sqlalchemy.orm import Session

from backend.access.engine import Decision
from backend.access.resources import Action
from backend.audit.service import PLATFORM
from backend.core.container import Services
from backend.core.errors import Conflict
from backend.core.ids import new_id
from backend.core.workflows import Steps
from backend.identity.principal import Principal
from backend.privacy import key_repository as repository
from backend.privacy import sample_repository
from backend.privacy.holds import let_through
from backend.privacy.keys import SAMPLES
from backend.privacy.models import JobState, KeyRotation
from mlplatform.crypto.providers.local import LocalKey

EVENT = "ml-platform.privacy"
_PIECE = 200


class RotationRunning(Conflict):
    """One rotation at a time."""

    slug: ClassVar[str] = "rotation-running"
    title: ClassVar[str] = "Rotation running"


class KeyRotations:
    """The :class:`~backend.core.workflows.Work` of rotations, and what asks for one."""

    name: ClassVar[str] = "key rotation"
    most: ClassVar[int | None] = 1

    def __init__(self, services: Services) -> None:
        self._services = services
        services.runtime.add(self)

    def request(self, session: Session, caller: Principal, reason: str) -> KeyRotation:
        """Ask for a rotation.

        Raises:
            Forbidden: the policies say no.
            RotationRunning: one is under way.
        """
        decision = self.may(session, caller, "rotate keys")
        if running := repository.open_rotations(session):
            raise RotationRunning("a rotation is under way", fix="Wait for it to end.", rotation=running[0])
        row = KeyRotation(
            id=new_id(),
            state=JobState.PENDING,
            reason=reason,
            requested_by=caller.ref,
            requested_at=self._services.clock.now(),
            total=0,
            done=0,
        )
        session.add(row)
        self._record(session, row, "requested", caller, reason=reason, access=decision.as_json())
        return row

    def may(self, session: Session, caller: Principal, verb: str) -> Decision:
        """Let through whom the policies permit to see and rotate the platform's data keys; return their decision.

        Raises:
            Forbidden: the policies say no.
        """
        return let_through(self._services, session, caller, Action.MANAGE_KEYS, verb, "data-keys")

    def waiting(self, session: Session) -> Sequence[str]:
        """Return the rotations that are not over."""
        return repository.open_rotations(session)

    def run(self, steps: Steps, id: str) -> None:
        """New keys first; then what the old ones have sealed; then the old ones go, and the rest is wrapped anew."""
        steps.run("begin", self._begin, id)
        steps.run("reseal", self._reseal, id)
        steps.run("rewrap", self._rewrap, id)

    def give_up(self, id: str, reason: str) -> None:
        """End a rotation that can't go on; old keys still open what they have sealed."""
        with self._services.database.write() as session:
            row = repository.rotation(session, id)
            if row.state in repository.OPEN:
                row.state, row.message, row.finished_at = JobState.FAILED, reason, self._services.clock.now()
                self._record(session, row, "failed", PLATFORM, reason=reason)

    def beat(self, *, changed: bool) -> None:
        """There is nothing besides the rotations."""

    def close(self) -> None:
        """There is nothing to let go of."""

    def _begin(self, id: str) -> None:
        keys = self._services.privacy.keys
        with self._services.database.write() as session:
            row = repository.rotation(session, id)
            if row.state != JobState.PENDING:
                return
            if isinstance(keys.envelope.present, LocalKey):
                # Killed behind this line the file has one key more than need be, which does no harm.
                keys.envelope.present.rotate()
            keys.retire(session, SAMPLES)
            current, _ = keys.active(session, SAMPLES)
            samples = sample_repository.count_sealed_by_others(session, current)
            row.total = samples + repository.count_standing(session)
            row.state = JobState.RUNNING
            self._record(session, row, "started", PLATFORM, total=row.total)

    def _reseal(self, id: str) -> None:
        while True:
            self._services.runtime.wait(0)  # leaves when the runtime stops
            with self._services.database.write() as session:
                row = repository.rotation(session, id)
                moved = self._services.privacy.samples.reseal(session, _PIECE)
                if row.state not in repository.OPEN or not moved:
                    return
                row.done += moved

    def _rewrap(self, id: str) -> None:
        keys, after = self._services.privacy.keys, ""
        with self._services.database.write() as session:
            for row in repository.retired(session, SAMPLES):
                keys.destroy(session, row)
        while True:
            self._services.runtime.wait(0)
            with self._services.database.write() as session:
                piece = repository.standing(session, after=after, limit=_PIECE)
                for row in piece:
                    keys.rewrap(session, row)
                if not piece:
                    self._finish(session, id)
                    return
                after = piece[-1].id

    def _finish(self, session: Session, id: str) -> None:
        row = repository.rotation(session, id)
        if row.state not in repository.OPEN:
            return
        row.state, row.done, row.finished_at = JobState.DONE, row.total, self._services.clock.now()
        kek = self._services.privacy.keys.envelope.present.name
        row.message = f"everything is sealed anew and wrapped by {kek}"
        self._record(session, row, "finished", PLATFORM, key=kek, done=row.done)

    def _record(self, session: Session, row: KeyRotation, event: str, actor: Principal | str, **data: Any) -> None:
        self._services.audit.append(
            session,
            type=f"{EVENT}.rotation.{event}",
            subject=f"key-rotation:{row.id}",
            actor=actor,
            data={"rotation": row.id, **data},
        )
