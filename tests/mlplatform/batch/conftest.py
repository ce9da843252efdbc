"""Models to score days with, and lakes with days to score."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from mlplatform.batch.lake import Lake, open_lake
from mlplatform.batch.run import DayRequest, Scored, score_day
from mlplatform.spec.load import load_spec
from tests.mlplatform.serving.conftest import SavedModel, save_cellar, save_scripted, save_wine

DAY = date(2013, 1, 5)


@dataclass
class Model:
    """A saved model with a batch section, and the lake that it reads and writes."""

    saved: SavedModel
    spec_file: Path
    lake: Lake
    root: Path
    runs: int = field(default=0)

    def write(self, frame: pl.DataFrame, day: date = DAY, name: str = "a.parquet", **options: Any) -> Path:
        folder = self.root / "shop/orders" / f"date={day}"
        folder.mkdir(parents=True, exist_ok=True)
        frame.write_parquet(folder / name, **options)
        return folder / name

    def score(self, day: date = DAY, version: int = 1, **options: Any) -> Scored:
        self.runs += 1
        request = DayRequest(
            model_dir=self.saved.folder,
            spec=load_spec(self.spec_file),
            version=version,
            environment="lab",
            lake=self.lake,
            output=options.pop("output", self.lake),
            day=day,
            run_id=f"run-{self.runs}",
            **options,
        )
        return score_day(request)

    def read(self, folder: str = "shop/scores", day: date = DAY) -> pl.DataFrame:
        files = self.lake.files(folder, "date", day)
        paths = [self.lake.fetch(folder, "date", day, file.name, self.root) for file in files]
        return pl.concat([pl.read_parquet(path, hive_partitioning=False) for path in paths])

    def bytes(self) -> dict[str, bytes]:
        folders = (self.root / "shop/scores", self.root / "shop/scores_rejected")
        files = [file for folder in folders for file in sorted(folder.rglob("*.parquet"))]
        return {str(file.relative_to(self.root)): file.read_bytes() for file in files}

    def change(self, **sections: Any) -> None:
        """Change top members of the model.yaml; ``batch`` is merged."""
        document = json.loads(self.spec_file.read_text())
        document |= {**sections, "batch": document["batch"] | sections.get("batch", {})}
        self.spec_file.write_text(json.dumps(document))


def batch_model(saved: SavedModel, root: Path, **batch: Any) -> Model:
    """Make a batch model of a saved one."""
    root.mkdir(parents=True, exist_ok=True)
    document = json.loads(saved.spec.read_text())
    document["type"] = "batch"
    document["batch"] = {"input": "shop/orders", "output": "shop/scores", "keys": ["id"], **batch}
    spec = root.parent / f"{root.name}-model.yaml"
    spec.write_text(json.dumps(document))
    return Model(saved, spec, open_lake(str(root)), root)


@pytest.fixture(scope="session")
def saved_models(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], SavedModel]:
    """The models by name, each saved once."""
    makers = {"wine": save_wine, "cellar": save_cellar}
    made: dict[str, SavedModel] = {}

    def model(name: str) -> SavedModel:
        if name not in made:
            made[name] = makers[name](tmp_path_factory.mktemp(name))
        return made[name]

    return model


@pytest.fixture
def wine(saved_models: Callable[[str], SavedModel], tmp_path: Path) -> Model:
    """Thirteen numbers; scikit-learn on an array."""
    return batch_model(saved_models("wine"), tmp_path / "lake")


@pytest.fixture
def cellar(saved_models: Callable[[str], SavedModel], tmp_path: Path) -> Model:
    """Four types of columns, looked up by name; scikit-learn on a DataFrame."""
    return batch_model(saved_models("cellar"), tmp_path / "lake")


@pytest.fixture
def scripted(tmp_path: Path) -> Callable[..., Model]:
    """A function that makes a batch model whose class has the given methods."""

    def make(body: str, **batch: Any) -> Model:
        return batch_model(save_scripted(tmp_path / "scripted", body), tmp_path / "lake", **batch)

    return make


def rows(model: Model, count: int | None = None) -> pl.DataFrame:
    """Rows of the model's own data set with a key in front, as often as it takes."""
    frame = pl.from_pandas(model.saved.data)
    if count is not None:
        frame = pl.concat([frame] * (count // frame.height + 1)).head(count)
    return frame.with_row_index("id").with_columns(pl.col("id").cast(pl.Int64))
