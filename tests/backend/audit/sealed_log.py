"""A platform with a log that is long enough to be sealed, and what tests do with it."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import text

from backend.app import build_services
from backend.audit import segment_repository
from backend.audit.events import NewEvent
from backend.audit.models import AuditSealing
from backend.audit.segment_store import FolderStore, SegmentStore
from backend.audit.verify import Verification, verify_database
from backend.core.container import Services
from backend.identity.principal import Principal, PrincipalKind
from evidence.checkpoint import Checkpoint, open_checkpoint
from tests.conftest import SetClock

from ..conftest import make_settings
from .test_log import _GUARDS

OLD, SEALED = 1300, 1280
"""Events that are old enough, and how many of them whole blocks are made of."""
NAMES = ("0000000000000001-0000000000000512", "0000000000000513-0000000000001024", "0000000000001025-0000000000001280")

OPERATOR = Principal(
    PrincipalKind.USER,
    "user:default/operator",
    frozenset({"group:default/platform"}),
    "test",
    datetime.max.replace(tzinfo=UTC),
)


class SealedLog:
    """A platform whose events are sealed after thirty days, in segments of two blocks."""

    def __init__(
        self, home: Path, database_url: str, clock: SetClock, *, schedule: str | None = None, **sections: Any
    ) -> None:
        said = {"keep": "30d", "segmentEvents": 512, "schedule": schedule}
        self.services: Services = build_services(
            make_settings(home, database_url, audit={"sealing": said}, **sections), clock
        )
        self.clock, self.url = clock, database_url
        self.folder = home / "audit" / "segments"

    def write(self, count: int, mark: str = "m") -> None:
        """Append events of a few types about a few models, all at this moment."""
        audit = self.services.audit
        events = [
            NewEvent(
                f"test.{('thing.made', 'thing.used', 'other')[number % 3]}",
                f"model:{mark}{number % 7}" + ("/versions/1" if number % 2 else ""),
                f"user:default/{('ada', 'grace')[number % 5 == 0]}",
                {"n": number, "note": 'a "quoted" text,\n"time":"x" and ümläuts'},
            )
            for number in range(count)
        ]
        with self.services.database.write() as session:
            audit.append_many(session, events)

    def write_old(self) -> None:
        """Append what is old enough, on three days and behind what the start has written, and what is not."""
        for count in (500 - self.count(), 1, OLD - 501):
            self.write(count)
            self.clock.move(days=1)
        self.clock.move(days=35)
        self.write(10, "new")

    def checkpoint(self, size: int | None = None) -> Checkpoint:
        """The signed checkpoint at a size, or at the end."""
        audit = self.services.audit
        with self.services.database.read() as session:
            found, note = audit.checkpoint(session, size)
        assert open_checkpoint(note, audit.verifier) == found
        return found

    def seal(self) -> AuditSealing:
        with self.services.database.write() as session:
            id = self.services.sealing.begin(session, "service:ml-platform", scheduled=False).id
        return self.go_on(id)

    def go_on(self, id: str) -> AuditSealing:
        while self.services.sealing.seal_next(id):
            pass
        with self.services.database.read() as session:
            return self.services.sealing.get(session, id)

    def check(self, *known: Checkpoint, store: SegmentStore | None = None) -> Verification:
        where = store or FolderStore(self.folder)
        return verify_database(self.url, self.services.audit.key.public_key, known, where)

    def said(self) -> list[tuple[str, str]]:
        """What verification finds wrong."""
        return [(fault.kind, fault.message) for fault in self.check().faults]

    def file(self, number: int, kind: str = "jsonl.gz") -> Path:
        """A segment's file, which may be written."""
        file = self.folder / f"{NAMES[number]}.{kind}"
        file.chmod(0o600)
        return file

    def count(self, where: str = "1 = 1") -> int:
        with self.services.database.read() as session:
            return int(session.execute(text(f"SELECT count(*) FROM audit_events WHERE {where}")).scalar_one())

    def unguarded(self, *statements: str, **values: Any) -> None:
        """Drop the guards, then change what is there."""
        engine = self.services.database.engine.execution_options(writing=True)
        with engine.begin() as connection:
            for (drop,) in connection.execute(text(_GUARDS[connection.dialect.name])).all():
                connection.execute(text(drop))
            for statement in statements:
                connection.execute(text(statement), values)

    def events(self, type: str) -> list[dict[str, Any]]:
        with self.services.database.read() as session:
            rows = session.execute(
                text("SELECT event FROM audit_events WHERE type = :type ORDER BY seq"), {"type": type}
            )
            return [json.loads(row.event) for row in rows]

    def horizon(self) -> int:
        with self.services.database.read() as session:
            return segment_repository.horizon(session)
