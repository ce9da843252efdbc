"""kill -9 of the backend anywhere in a deletion: the next one goes on, nothing is left or done twice, and all is certified."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from backend.app import build_services
from backend.audit.models import AuditRow
from backend.audit.verify import verify_database
from backend.core.clock import SystemClock
from backend.core.config import Settings
from backend.identity.principal import Principal, PrincipalKind
from backend.privacy import certificates, repository
from backend.privacy.models import RetentionRun, SubjectRequest
from tests.killing import Forker, alive
from tests.waiting import wait_until

from .conftest import PERSON

pytestmark = [pytest.mark.fault, pytest.mark.timeout(300)]
POINTS = ("commit:1", "commit:2", "before:3", "gone:1", "commit:4", "gone:2", "gone:3", "commit:7", "commit:9")


def admin(name: str) -> Principal:
    groups = frozenset({"group:default/platform"})
    return Principal(PrincipalKind.USER, f"user:default/{name}", groups, "test", datetime.max.replace(tzinfo=UTC))


@pytest.fixture(scope="module")
def backends() -> Iterator[Forker]:
    made = Forker("tests.backend.privacy.privacy_process")
    yield made
    made.close()


class Killed:
    """A platform whose backend comes and goes."""

    def __init__(self, settings: Settings, folder: Path, backends: Forker) -> None:
        self.services = build_services(settings, SystemClock())
        self.privacy = self.services.privacy
        self._backends, self._settings = backends, folder / "settings.json"
        self._settings.write_text(settings.model_dump_json(by_alias=True))
        self.logs = settings.home / "logs" / "models" / "lab" / "wine"
        self.logs.mkdir(parents=True)

    def backend(self, kill_at: str = "never") -> AbstractContextManager[int]:
        return self._backends.process(str(self._settings), kill_at)

    def through(self, kill_at: str, over: Any) -> None:
        """Run a backend that is killed there, then one that finishes."""
        with self.backend(kill_at) as pid:
            wait_until(lambda: not alive(pid) or over(), 100)
        with self.backend():
            wait_until(over, 100)

    def events(self, type: str) -> list[str]:
        with self.services.database.read() as session:
            return [row.event for row in session.query(AuditRow).filter_by(type=f"ml-platform.privacy.{type}")]

    def certified(self, about: str) -> dict[str, Any]:
        with self.services.database.read() as session:
            found = repository.certificate_of(session, about)
        assert found is not None
        said = certificates.read(found.envelope, self.services.audit.key.public_key)
        url = self.services.database.url.render_as_string(hide_password=False)
        assert verify_database(url, self.services.audit.key.public_key).valid
        assert len(self.events("certificate.signed")) == 1
        predicate: dict[str, Any] = said["predicate"]
        return predicate


@pytest.fixture
def killed(settings: Settings, tmp_path: Path, backends: Forker) -> Iterator[Killed]:
    made = Killed(settings, tmp_path, backends)
    yield made
    made.services.database.close()


def cases(*on_postgres: str) -> pytest.MarkDecorator:
    found = [pytest.param("sqlite", point, id=f"sqlite-{point}") for point in POINTS]
    found += [pytest.param("postgres", one, id=f"postgres-{one}", marks=pytest.mark.postgres) for one in on_postgres]
    return pytest.mark.parametrize(("database_url", "kill_at"), found, indirect=["database_url"])


@cases("gone:2")
def test_a_retention_run_goes_on(killed: Killed, kill_at: str) -> None:
    old = (datetime.now(UTC) - timedelta(days=900)).timestamp()
    for number in range(4):
        file = killed.logs / f"v1-r{number}.log.1"
        file.write_text("old\n")
        os.utime(file, (old, old))
    (killed.logs / "v1-r0.log").write_text("new\n")
    with killed.services.database.write() as session:
        id = killed.privacy.retention.request(session, admin("operator"), dry_run=False).id

    def over() -> bool:
        with killed.services.database.read() as session:
            return repository.get(session, RetentionRun, id, "run").state not in repository.OPEN

    killed.through(kill_at, over)
    assert [path.name for path in killed.logs.iterdir()] == ["v1-r0.log"]
    assert killed.certified(f"retention-run:{id}")["counts"] == {"deleted": 4}
    assert len(killed.events("retention.deleted")) == 4
    assert len(killed.events("retention.planned")) == len(killed.events("retention.finished")) == 1


@cases("gone:2")
def test_an_erasure_goes_on(killed: Killed, kill_at: str) -> None:
    for number in range(4):
        (killed.logs / f"v1-r{number}.log").write_text(f"first\nscored {PERSON}\nlast\n")
    requests = killed.privacy.requests
    with killed.services.database.write() as session:
        id = requests.request(session, admin("operator"), [PERSON], "asked").id

    def reached(*states: str) -> bool:
        with killed.services.database.read() as session:
            return repository.get(session, SubjectRequest, id, "request").state in states

    killed.through("commit:1", lambda: reached("found"))
    with killed.services.database.write() as session:
        requests.ask_to_erase(session, admin("operator"), id, "asked")
    with killed.services.database.write() as session:
        requests.confirm(session, admin("second"), id, "checked")
    killed.through(kill_at, lambda: reached("erased", "partly_erased", "failed"))
    assert reached("erased")
    for path in killed.logs.iterdir():
        assert [line.strip() for line in path.read_text().splitlines()] == ["first", "[erased]", "last"]
    assert killed.certified(f"subject-request:{id}")["counts"] == {"found": 4, "remaining": 0}
    assert len(killed.events("subject.searched")) == len(killed.events("subject.erased")) == 1
