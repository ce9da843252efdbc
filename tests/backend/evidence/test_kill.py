"""kill -9 of the backend anywhere in an export: the next one writes the pack once, whole, and an auditor's tool agrees."""

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest

from backend.app import build_services
from backend.audit.models import AuditRow
from backend.core.clock import SystemClock
from backend.core.config import Settings
from backend.evidence.models import ENDED, EvidencePack, PackState
from backend.evidence.schemas import PackIn
from backend.identity.principal import Principal, PrincipalKind
from evidence.notes import VerifierKey
from evidence.verify import verify_pack
from tests.killing import Forker, alive
from tests.waiting import wait_until

pytestmark = [pytest.mark.fault, pytest.mark.timeout(300)]
POINTS = ("written:1", "named:1", "commit:1", "before:3")
EVENTS = 30


@pytest.fixture(scope="module")
def backends() -> Iterator[Forker]:
    made = Forker("tests.backend.evidence.evidence_process")
    yield made
    made.close()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("kill_at", POINTS)
def test_an_export_goes_on(settings: Settings, tmp_path: Path, backends: Forker, kill_at: str) -> None:
    services = build_services(settings, SystemClock())
    document = tmp_path / "settings.json"
    document.write_text(settings.model_dump_json(by_alias=True))
    admin = frozenset({"group:default/platform"})
    operator = Principal(PrincipalKind.USER, "user:default/operator", admin, "test", datetime.max.replace(tzinfo=UTC))
    with services.database.write() as session:
        for number in range(EVENTS):
            services.audit.append(session, type="ml-platform.test", subject=f"thing:{number}", actor=operator)
    with services.database.write() as session:
        wanted = PackIn.model_validate({"from": "2020-01-01T00:00:00Z", "to": datetime.now(UTC).isoformat()})
        id = services.evidence.request(session, operator, wanted).id

    def pack() -> EvidencePack:
        with services.database.read() as session:
            return session.get_one(EvidencePack, id)

    def over() -> bool:
        return pack().state in ENDED

    with backends.process(str(document), kill_at) as pid:
        wait_until(lambda: not alive(pid), 100)
    assert not over()
    with backends.process(str(document), "never"):
        wait_until(over, 100)

    done, file = pack(), services.evidence.file_of(id)
    assert (done.state, done.reason) == (PackState.DONE, None)
    assert [one.name for one in services.evidence.folder.iterdir()] == [file.name]
    assert (done.sha256, done.bytes) == (sha256(file.read_bytes()).hexdigest(), file.stat().st_size)
    key = VerifierKey(base64.b64decode((settings.home / "audit" / "key.pub").read_text()))
    result = verify_pack(file, key)
    assert result.valid, result.faults
    assert result.events == done.events == done.written
    assert result.events >= EVENTS
    with services.database.read() as session:
        written = session.query(AuditRow).filter_by(type="ml-platform.evidence.pack.written").count()
    assert written == 1
    services.database.close()
