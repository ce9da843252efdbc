"""A partition is replaced as a whole: whoever looks, and whatever is killed in between, it is the old one or the new one."""

import contextlib
import hashlib
import os
import signal
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlplatform.batch.faults import BatchFailed
from mlplatform.batch.lake import Lake, open_lake, part_name
from mlplatform.batch.lake import local as local_lake
from mlplatform.batch.lake.exchange import ExchangeUnsupported
from mlplatform.batch.manifest import FILE_NAME, Identity, Manifest, OutputFile

DAY = date(2013, 1, 5)
PLACE = ("late/scores", "date", DAY)
NOW = datetime(2013, 1, 6, tzinfo=UTC)


def content(version: int, parts: int) -> dict[str, bytes]:
    """Files of a version, by name; not really Parquet, since nothing here looks inside."""
    texts = [f"version {version}, part {index}".encode() for index in range(parts)]
    return {part_name(index, hashlib.sha256(text).hexdigest()): text for index, text in enumerate(texts)}


def manifest(files: dict[str, bytes], version: int) -> Manifest:
    written = [
        OutputFile(name=name, bytes=len(text), rows=1, sha256=hashlib.sha256(text).hexdigest())
        for name, text in files.items()
    ]
    return Manifest(
        identity=Identity(model="late", version=version, model_digest="m", spec_digest="s"),
        environment="lab",
        day=DAY.isoformat(),
        run_id=f"run-{version}",
        engine="polars",
        started_at=NOW,
        finished_at=NOW,
        rows_in=1,
        rows_out=1,
        rows_rejected=0,
        model_seconds=0.0,
        input_path="x",
        input_files=[],
        input_digest="i",
        output_files=written,
        output_digest="o",
    )


def replace(lake: Lake, scratch: Path, version: int, parts: int = 2) -> None:
    files = content(version, parts)
    staging = lake.stage(*PLACE, f"run-{version}")
    scratch.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (scratch / name).write_bytes(text)
        staging.put(scratch / name, name)
    staging.commit(manifest(files, version))


def by_folder(root: Path) -> dict[str, bytes]:
    """What a reader sees who takes every file that Hive's rules let through."""
    folder = root / PLACE[0] / f"date={DAY}"
    return {file.name: file.read_bytes() for file in folder.iterdir() if not file.name.startswith(("_", "."))}


def by_manifest(lake: Lake, scratch: Path) -> dict[str, bytes]:
    """What a reader sees who goes by the manifest."""
    scratch.mkdir(parents=True, exist_ok=True)
    return {file.name: lake.fetch(*PLACE, file.name, scratch).read_bytes() for file in lake.files(*PLACE)}


class Killer:
    """Kills this process at the n-th call of the file system that the lake makes to change something."""

    CALLS = ("rename", "replace", "unlink", "mkdir", "rmdir", "fsync", "remove")

    def __init__(self, at: int, patch: Callable[[Any, str, Any], None]) -> None:
        self.left = at
        for owner, names in ((os, self.CALLS), (Path, ("rename", "replace", "unlink", "mkdir", "write_bytes"))):
            for name in names:
                patch(owner, name, self._killing(getattr(owner, name)))
        patch(local_lake, "exchange", self._killing(local_lake.exchange))

    def _killing(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def killing(*arguments: Any, **options: Any) -> Any:
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **options)

        return killing


def killed_at(at: int, work: Callable[[], None]) -> bool:
    """Do the work in a process of its own that is killed at its n-th change; say whether it came to that."""
    pid = os.fork()
    if pid == 0:
        Killer(at, setattr)
        work()
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def unsupported(*_paths: Path) -> None:
    raise ExchangeUnsupported(38, "not here")


@pytest.fixture(params=["exchange", "in place"])
def exchanging(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the file system can exchange folders; one that can't is played by a call that says so."""
    if request.param == "in place":
        monkeypatch.setattr(local_lake, "exchange", unsupported)
    return str(request.param) == "exchange"


@pytest.mark.fault
def test_a_kill_at_any_step_leaves_the_old_or_the_new_partition(tmp_path: Path, exchanging: bool) -> None:
    at, killed = 0, True
    while killed:
        at += 1
        root = tmp_path / str(at)
        lake = open_lake(str(root))
        root.mkdir()
        replace(lake, tmp_path / "scratch", 1)
        old, new = content(1, 2), content(2, 3)
        killed = killed_at(at, lambda lake=lake: replace(lake, tmp_path / "killed", 2, 3))  # type: ignore[misc]
        seen = by_manifest(lake, tmp_path)
        assert seen in (old, new), at
        if exchanging:
            assert by_folder(root) == seen, at
        # The next run clears up whatever was left, and the one after that finds nothing to do so.
        replace(lake, tmp_path / "scratch", 2, 3)
        assert by_manifest(lake, tmp_path) == by_folder(root) == new
        left = [path for path in (root / "_staging").rglob("*") if not path.is_dir()]
        assert left == [], at
    assert at > 8


@pytest.mark.fault
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kills=st.lists(st.tuples(st.integers(1, 24), st.integers(1, 3)), min_size=1, max_size=4))
def test_kills_upon_kills_never_mix_versions(
    tmp_path_factory: pytest.TempPathFactory, kills: list[tuple[int, int]]
) -> None:
    root = tmp_path_factory.mktemp("lake")
    lake = open_lake(str(root))
    replace(lake, root.parent / "scratch", 0)
    known = [content(0, 2)]
    for version, (at, parts) in enumerate(kills, start=1):
        known.append(content(version, parts))
        killed_at(at, lambda version=version, parts=parts: replace(lake, root.parent / "k", version, parts))  # type: ignore[misc]
        assert by_folder(root) in known
        assert by_folder(root) == by_manifest(lake, root)


@pytest.mark.fault
def test_readers_of_a_folder_never_see_a_mixture(tmp_path: Path) -> None:
    lake = open_lake(str(tmp_path))
    versions = [content(version, 3) for version in range(40)]
    folder = tmp_path / PLACE[0] / f"date={DAY}"
    replace(lake, tmp_path / "scratch", 0, 3)
    whole: list[dict[str, bytes]] = []
    replaced: list[dict[str, bytes]] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            seen = {}
            for name in os.listdir(opened):  # noqa: PTH208 - by the folder that is open, wherever it is by now
                # Listed before the exchange and opened after it, a file is gone: the reader has to read again.
                with contextlib.suppress(FileNotFoundError):
                    seen[name] = (folder / name).read_bytes()
            same = os.path.samestat(os.fstat(opened), folder.stat())
            os.close(opened)
            seen = {name: text for name, text in seen.items() if not name.startswith(("_", "."))}
            (whole if same else replaced).append(seen)

    reader = threading.Thread(target=read)
    reader.start()
    for version in range(1, 40):
        replace(lake, tmp_path / "scratch", version, 3)
    stop.set()
    reader.join()
    assert len(whole) > 10
    assert all(one in versions for one in whole)
    assert all(any(one.items() <= version.items() for version in versions) for one in replaced)


@pytest.mark.fault
def test_a_removal_that_is_killed_is_finished_by_the_next(tmp_path: Path) -> None:
    for at in range(1, 20):
        root = tmp_path / str(at)
        root.mkdir()
        lake = open_lake(str(root))
        replace(lake, tmp_path / "scratch", 1)
        killed = killed_at(at, lambda lake=lake: lake.remove(*PLACE))  # type: ignore[misc]
        assert by_manifest(lake, tmp_path) in (content(1, 2), {})
        lake.remove(*PLACE)
        assert lake.files(*PLACE) == []
        assert lake.days("late/scores", "date") == []
        assert not list((root / "_staging").rglob("*.parquet"))
        if not killed:
            return
    raise AssertionError("it never came to its end")


def test_foreign_files_go_and_readers_skip_what_is_hidden(tmp_path: Path, exchanging: bool) -> None:
    lake = open_lake(str(tmp_path))
    folder = tmp_path / PLACE[0] / f"date={DAY}"
    folder.mkdir(parents=True)
    for name in ("part-0.parquet", "_hidden.parquet", ".hidden.parquet", "notes.txt"):
        (folder / name).write_bytes(b"x")
    assert [file.name for file in lake.files(*PLACE)] == ["part-0.parquet"]
    replace(lake, tmp_path / "scratch", 1)
    assert {file.name for file in lake.files(*PLACE)} == set(content(1, 2))
    assert not (folder / "part-0.parquet").exists()


def test_files_that_no_manifest_names_are_not_read(tmp_path: Path) -> None:
    lake = open_lake(str(tmp_path))
    replace(lake, tmp_path / "scratch", 1)
    (tmp_path / PLACE[0] / f"date={DAY}" / "late.parquet").write_bytes(b"of somebody else")
    assert by_manifest(lake, tmp_path) == content(1, 2)


def test_only_folders_of_days_count(tmp_path: Path) -> None:
    lake = open_lake(str(tmp_path))
    for name in (
        "date=2013-02-01",
        "date=2013-01-31",
        "date=2013-02-30",
        "date=__HIVE_DEFAULT_PARTITION__",
        "day=2013-01-01",
    ):
        (tmp_path / "flights" / name).mkdir(parents=True)
    (tmp_path / "flights" / "date=2013-03-01").write_text("a file")
    assert lake.days("flights", "date") == [date(2013, 1, 31), date(2013, 2, 1)]
    assert lake.days("nothing", "date") == []


def test_two_processes_do_not_replace_the_same_partition_at_the_same_time(tmp_path: Path) -> None:
    lake = open_lake(str(tmp_path))
    again = lake.alone(*PLACE)
    with lake.alone(*PLACE):
        with pytest.raises(BatchFailed, match="another process is scoring late/scores/date=2013-01-05") as caught:
            again.__enter__()
        assert caught.value.again
        with lake.alone("late/scores", "date", date(2013, 1, 6)):
            pass
    with lake.alone(*PLACE):
        pass


def test_what_is_written_has_the_rights_of_the_lake_and_not_of_the_run(tmp_path: Path) -> None:
    root = tmp_path / "lake"
    root.mkdir()
    root.chmod(0o755)
    before = os.umask(0o077)
    try:
        replace(open_lake(str(root)), tmp_path / "scratch", 1)
    finally:
        os.umask(before)
    folder = root / PLACE[0] / f"date={DAY}"
    assert [path.stat().st_mode & 0o777 for path in (root / "late", folder.parent, folder)] == [0o755] * 3
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o644}


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("s3://key:secret@bucket/lake", "must not hold credentials"),
        ("carrier-pigeon://lake", "no such kind of lake"),
    ],
)
def test_addresses_that_are_refused(address: str, message: str) -> None:
    with pytest.raises(BatchFailed, match=message) as caught:
        open_lake(address).days("x", "date")
    assert "secret" not in str(caught.value)


def test_a_manifest_of_another_kind_is_taken_for_none(tmp_path: Path) -> None:
    lake = open_lake(str(tmp_path))
    folder = tmp_path / PLACE[0] / f"date={DAY}"
    folder.mkdir(parents=True)
    (folder / FILE_NAME).write_text('{"identity": 7}')
    (folder / "a.parquet").write_bytes(b"x")
    assert lake.manifest(*PLACE) is None
    assert [file.name for file in lake.files(*PLACE)] == ["a.parquet"]
