"""A lake on S3, as moto's server answers for it: objects first, the manifest in one step, then the old objects."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest
import s3fs

from mlplatform.batch.faults import BatchFailed
from mlplatform.batch.lake import Lake, open_lake
from mlplatform.batch.lake.objects import ObjectLake
from tests.mlplatform.batch.conftest import DAY, Model, batch_model, rows
from tests.mlplatform.batch.test_lake import PLACE, by_manifest, content, manifest, replace
from tests.mlplatform.serving.conftest import SavedModel
from tests.object_store import s3_server

pytestmark = [pytest.mark.slow]


@pytest.fixture(scope="module")
def store() -> Iterator[dict[str, str]]:
    with s3_server() as variables:
        yield variables


@pytest.fixture
def lake(store: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    import boto3

    for name, value in store.items():
        monkeypatch.setenv(name, value)
    bucket = f"lake-{abs(hash(str(tmp_path)))}"
    boto3.client("s3").create_bucket(Bucket=bucket)
    return open_lake(f"s3://{bucket}/top")


def objects(lake: Lake) -> set[str]:
    assert isinstance(lake, ObjectLake)
    return {str(entry["name"]).rsplit("/", 1)[1] for entry in lake._listed("late/scores", f"date={DAY}")}


def test_what_the_former_manifest_named_goes(lake: Lake, tmp_path: Path) -> None:
    replace(lake, tmp_path, 1)
    assert by_manifest(lake, tmp_path) == content(1, 2)
    replace(lake, tmp_path, 2, parts=3)
    assert by_manifest(lake, tmp_path) == content(2, 3)
    assert objects(lake) == {*content(2, 3), "_run.json"}
    assert lake.days("late/scores", "date") == [DAY]
    lake.remove(*PLACE)
    assert (lake.files(*PLACE), objects(lake)) == ([], set())


@pytest.mark.fault
def test_a_run_that_dies_before_its_manifest_changes_nothing_for_readers(lake: Lake, tmp_path: Path) -> None:
    replace(lake, tmp_path, 1)
    staging = lake.stage(*PLACE, "killed")
    for name, text in content(2, 2).items():
        (tmp_path / name).write_bytes(text)
        staging.put(tmp_path / name, name)
        assert by_manifest(lake, tmp_path) == content(1, 2)
    # The objects stay, unread; a run of other content leaves them alone, for they may be of one that goes on.
    replace(lake, tmp_path, 3)
    assert by_manifest(lake, tmp_path) == content(3, 2)
    assert set(content(2, 2)) <= objects(lake)


@pytest.mark.fault
def test_a_run_that_dies_after_its_manifest_has_published(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace(lake, tmp_path, 1)
    store, _ = lake._open()  # type: ignore[attr-defined]
    monkeypatch.setattr(store._store, "rm_file", _dies)
    with pytest.raises(KeyboardInterrupt):
        replace(lake, tmp_path, 2)
    monkeypatch.undo()
    assert by_manifest(lake, tmp_path) == content(2, 2)


def _dies(*_arguments: object) -> None:
    raise KeyboardInterrupt


def test_of_two_runs_at_the_same_time_the_last_manifest_counts_and_has_its_files(lake: Lake, tmp_path: Path) -> None:
    replace(lake, tmp_path, 1)
    stagings = {version: lake.stage(*PLACE, f"run-{version}") for version in (2, 3)}
    for version, staging in stagings.items():
        for name, text in content(version, 2).items():
            (tmp_path / name).write_bytes(text)
            staging.put(tmp_path / name, name)
    stagings[3].commit(manifest(content(3, 2), 3))
    stagings[2].commit(manifest(content(2, 2), 2))
    assert by_manifest(lake, tmp_path) == content(2, 2)


def test_readers_by_the_manifest_always_find_its_files_until_the_next(lake: Lake, tmp_path: Path) -> None:
    replace(lake, tmp_path / "w", 0)
    known = [content(version, 2) for version in range(8)]
    seen, stop = [], threading.Event()

    def read() -> None:
        while not stop.is_set():
            try:
                seen.append(by_manifest(lake, tmp_path / "r"))
            except FileNotFoundError:
                continue  # the manifest was replaced in between: it reads again

    reader = threading.Thread(target=read)
    reader.start()
    for version in range(1, 8):
        replace(lake, tmp_path / "w", version)
    stop.set()
    reader.join()
    assert seen
    assert all(one in known for one in seen)


def test_a_day_is_scored_from_s3_to_s3_and_recognised(
    lake: Lake, saved_models: Callable[[str], SavedModel], tmp_path: Path
) -> None:
    model = batch_model(saved_models("wine"), tmp_path / "local")
    model.lake = lake
    upload(lake, model, rows(model, 500), tmp_path)
    done = model.score()
    assert (done.outcome, done.manifest.rows_out) == ("done", 500)
    assert model.score().outcome == "unchanged"
    assert model.score(version=2).outcome == "done"
    assert model.read()["model_version"].unique().to_list() == [2]
    upload(lake, model, rows(model, 499), tmp_path)
    assert model.score(version=2).manifest.rows_out == 499


def upload(lake: Lake, model: Model, frame: pl.DataFrame, folder: Path) -> None:
    frame.write_parquet(folder / "in.parquet")
    store, root = lake._open()  # type: ignore[attr-defined]
    store.put_file(str(folder / "in.parquet"), f"{root}/shop/orders/date={DAY}/in.parquet")


def test_a_lake_that_does_not_answer_is_told_as_such(
    wine: Model, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "k",
        "AWS_SECRET_ACCESS_KEY": "s",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    s3fs.S3FileSystem.clear_instance_cache()  # they are kept with the endpoint that they were made for
    wine.lake = open_lake("s3://nowhere/lake")
    with pytest.raises(BatchFailed, match="the lake's store failed: ") as caught:
        wine.score()
    assert caught.value.again
