"""Checkpoints in a second place: published, refused where the log or the place is not what it was, and never lost."""

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from backend.app import build_services, create_app
from backend.audit import repository
from backend.audit.models import AuditPublication
from backend.audit.places import PlaceUnusable
from backend.audit.publication import Publications
from backend.audit.tree import GrowingTree
from backend.core.config import Settings
from backend.core.container import Services
from evidence.checkpoint import open_checkpoint
from evidence.merkle import leaf_hash
from mlplatform.attest.keys import SigningKey
from tests.conftest import SetClock
from tests.marks import on_one_database
from tests.waiting import wait_until

from ..conftest import Backend, make_settings

pytestmark = pytest.mark.slow


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    return done.stdout


class Published:
    """A platform with a target, and the target."""

    def __init__(self, services: Services, clock: SetClock) -> None:
        self.services, self.clock = services, clock
        self.publications = Publications(services)

    def event(self, subject: str = "s") -> None:
        with self.services.database.write() as session:
            self.services.audit.append(session, type="t", subject=subject, actor="a")

    def publish(self) -> AuditPublication | None:
        """Publish what is due; return what became of it."""
        self.clock.move(hours=2)
        with self.services.database.write() as session:
            self.publications.begin(session, self.publications.due(session))
        with self.services.database.read() as session:
            (id,) = repository.open_publications(session) or [None]
        if id is None:
            return None
        self.publications.publish(id)
        with self.services.database.read() as session:
            return session.get(AuditPublication, id)

    def types(self) -> list[str]:
        with self.services.database.read() as session:
            rows = session.execute(text("SELECT type FROM audit_events WHERE subject = 'audit:log' ORDER BY seq"))
            return [str(row.type) for row in rows]


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    folder = tmp_path / "second-place.git"
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(folder)], check=True)
    return folder


def platform(home: Path, database_url: str, clock: SetClock, target: dict[str, Any]) -> Published:
    settings = make_settings(home, database_url, audit={"publication": {"targets": [target]}})
    return Published(build_services(settings, clock), clock)


@pytest.fixture
def by_git(database_url: str, tmp_path: Path, set_clock: SetClock, bare: Path) -> Iterator[Published]:
    made = platform(tmp_path / "home", database_url, set_clock, {"kind": "git", "name": "second", "url": str(bare)})
    yield made
    made.services.database.close()


def test_each_checkpoint_lies_in_the_repository(by_git: Published, bare: Path) -> None:
    for number in (1, 2):
        by_git.event()
        published = by_git.publish()
        assert published is not None
        assert published.state == "published", published.reason
        note = git(bare, "show", f"main:checkpoints/{published.size:016}")
        assert note == git(bare, "show", "main:checkpoint")
        assert open_checkpoint(note, by_git.services.audit.verifier).root.hex() == published.root
        assert git(bare, "rev-list", "--count", "main").strip() == str(number)
    assert by_git.types() == ["ml-platform.audit.publication.published"] * 2


def test_nothing_new_is_not_published(by_git: Published) -> None:
    by_git.event()
    assert by_git.publish() is not None
    assert by_git.publish() is None
    by_git.event()
    with by_git.services.database.read() as session:
        assert by_git.publications.due(session) == ["second"]
    by_git.publish()
    by_git.event()
    with by_git.services.database.read() as session:
        assert by_git.publications.due(session) == [], "the interval is not over"


def forge(published: Published) -> None:
    """Rewrite the log's first event with the key in hand, and everything that follows from it."""
    from .test_log import _GUARDS

    audit = published.services.audit
    with published.services.database.engine.begin() as connection:
        for (drop,) in connection.execute(text(_GUARDS[connection.dialect.name])).all():
            connection.execute(text(drop))
        connection.execute(text("UPDATE audit_events SET event = '{}' WHERE seq = 1"))
        tree = GrowingTree(0, "")
        for (event,) in connection.execute(text("SELECT event FROM audit_events ORDER BY seq")):
            tree.append(leaf_hash(event.encode()))
        connection.execute(text("UPDATE audit_head SET frontier = :frontier"), {"frontier": tree.frontier})
    assert audit.verifier


def test_a_log_that_was_rewritten_is_not_published(by_git: Published, bare: Path, caplog: Any) -> None:
    by_git.event()
    by_git.publish()
    before = git(bare, "rev-parse", "main")
    forge(by_git)
    by_git.event()
    refused = by_git.publish()
    assert refused is not None
    assert (refused.state, refused.size) == ("refused", None)
    assert "the log was rewritten" in (refused.reason or "")
    assert git(bare, "rev-parse", "main") == before
    assert by_git.types()[-1] == "ml-platform.audit.publication.refused"
    assert any(one.levelname == "CRITICAL" for one in caplog.records)


def test_a_log_that_was_cut_is_not_published(by_git: Published, tmp_path: Path, bare: Path) -> None:
    for _ in range(4):
        by_git.event()
    by_git.publish()
    target = {"kind": "git", "name": "second", "url": str(bare)}
    restored = platform(tmp_path / "restored", f"sqlite:///{tmp_path / 'restored.db'}", by_git.clock, target)
    restored.services.audit.key, restored.services.audit.verifier = (
        by_git.services.audit.key,
        by_git.services.audit.verifier,
    )
    restored.event()
    refused = restored.publish()
    assert refused is not None
    assert "the log was cut off, or an older copy was restored" in (refused.reason or "")
    restored.services.database.close()


def test_a_place_that_lost_what_was_published_is_found(by_git: Published, bare: Path) -> None:
    by_git.event()
    first = by_git.publish()
    by_git.event()
    by_git.publish()
    assert first is not None
    git(bare, "update-ref", "refs/heads/main", "main~1")
    by_git.event()
    refused = by_git.publish()
    assert refused is not None
    assert "the place was set back" in (refused.reason or "")
    git(bare, "update-ref", "-d", "refs/heads/main")
    refused = by_git.publish()
    assert refused is not None
    assert "there is none any more" in (refused.reason or "")


def test_another_platforms_place_is_refused(by_git: Published, tmp_path: Path, bare: Path) -> None:
    by_git.event()
    by_git.publish()
    target = {"kind": "git", "name": "second", "url": str(bare)}
    other = platform(tmp_path / "other", f"sqlite:///{tmp_path / 'other.db'}", by_git.clock, target)
    other.event()
    refused = other.publish()
    assert refused is not None
    assert f"signed by {by_git.services.audit.verifier.origin}" in (refused.reason or "")
    assert SigningKey.generate().keyid != other.services.audit.key.keyid
    other.services.database.close()


def test_a_place_that_does_not_answer_is_an_error_that_says_so(by_git: Published, bare: Path) -> None:
    bare.rename(bare.with_name("gone.git"))
    by_git.event()
    with pytest.raises(PlaceUnusable, match=r"second-place\.git says"):
        by_git.publish()


def test_what_was_pushed_before_a_crash_is_recognised(by_git: Published, bare: Path) -> None:
    by_git.event()
    by_git.publish()
    with by_git.services.database.engine.begin() as connection:
        connection.execute(text("DELETE FROM audit_publications"))
    with by_git.services.database.write() as session:
        by_git.publications.begin(session, ["second"])
    with by_git.services.database.read() as session:
        (id,) = repository.open_publications(session)
    by_git.publications.publish(id)
    by_git.publications.publish(id)
    assert git(bare, "rev-list", "--count", "main").strip() == "2"  # the event about the first is new


@on_one_database
def test_the_platform_publishes_by_itself(database_url: str, tmp_path: Path, bare: Path, empty_mlflow: Path) -> None:
    target = {"kind": "git", "name": "second", "url": str(bare)}
    settings = make_settings(
        tmp_path / "home", database_url, audit={"publication": {"interval": "1s", "targets": [target]}}
    )
    app = create_app(settings)
    with TestClient(app) as http:
        ada = Backend(http, app.state.services).someone("ada")
        wait_until(lambda: ada.get("/audit/publications").json()["items"][:1] and _ended(ada), 30)
        (first, *_) = ada.get("/audit/publications", limit=1).json()["items"]
    assert (first["state"], first["target"]) == ("published", "second"), first


def _ended(someone: Any) -> bool:
    return bool(someone.get("/audit/publications").json()["items"][0]["finishedAt"])


class Bucket:
    """A bucket of an S3 that runs in this process."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def objects(self) -> list[dict[str, Any]]:
        return list(self.client.list_object_versions(Bucket="second-place").get("Versions", []))


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    import boto3
    from moto import mock_aws

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="second-place", ObjectLockEnabledForBucket=True)
        yield Bucket(client)


@pytest.fixture
def by_s3(tmp_path: Path, set_clock: SetClock, bucket: Bucket) -> Iterator[Published]:
    target = {"kind": "s3", "name": "locked", "bucket": "second-place", "region": "us-east-1", "retention": "400d"}
    set_clock.moment = datetime.now(UTC)
    made = platform(tmp_path / "home", f"sqlite:///{tmp_path / 'platform.db'}", set_clock, target)
    yield made
    made.services.database.close()


def test_a_checkpoint_in_a_bucket_can_not_be_deleted(by_s3: Published, bucket: Bucket) -> None:
    for count in (1, 2):
        by_s3.event()
        published = by_s3.publish()
        assert published is not None
        assert published.state == "published", published.reason
        assert len(bucket.objects()) == count
    kept = bucket.objects()[0]
    with pytest.raises(Exception, match="Access Denied"):
        bucket.client.delete_object(Bucket="second-place", Key=kept["Key"], VersionId=kept["VersionId"])
    head = bucket.client.head_object(Bucket="second-place", Key=kept["Key"])
    assert head["ObjectLockMode"] == "COMPLIANCE"
    assert head["ObjectLockRetainUntilDate"] > datetime.now(UTC) + timedelta(days=399)


def test_a_new_version_over_a_published_one_is_not_believed(by_s3: Published, bucket: Bucket) -> None:
    by_s3.event()
    by_s3.publish()
    (kept,) = bucket.objects()
    bucket.client.put_object(Bucket="second-place", Key=kept["Key"], Body=b"forged")
    by_s3.event()
    published = by_s3.publish()
    assert published is not None
    assert published.state == "published", published.reason


def test_a_bucket_without_lock_is_refused(tmp_path: Path, set_clock: SetClock, bucket: Bucket) -> None:
    bucket.client.create_bucket(Bucket="plain-bucket")
    target = {"kind": "s3", "name": "plain", "bucket": "plain-bucket", "region": "us-east-1"}
    made = platform(tmp_path / "home", f"sqlite:///{tmp_path / 'platform.db'}", set_clock, target)
    made.event()
    with pytest.raises(PlaceUnusable, match="s3://plain-bucket"):
        made.publish()
    made.services.database.close()


@pytest.mark.parametrize(
    "target",
    [
        {"kind": "git", "name": "a", "url": "https://user:secret@git.example.org/x.git"},
        {"kind": "git", "name": "a", "url": "ext::sh -c evil"},
        {"kind": "git", "name": "a", "url": "/x.git", "branch": "-evil"},
        {"kind": "s3", "name": "a", "bucket": "UPPER"},
        {"kind": "ftp", "name": "a"},
    ],
)
def test_a_target_that_is_none_is_refused(target: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        Settings.model_validate({"audit": {"publication": {"targets": [target]}}})
