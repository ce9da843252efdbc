"""The data that the model is trained and judged on.

It is the Statlog shuttle data (NASA, by the UCI repository) as the package ``river`` ships it: readings of nine sensors
in the order they came in, 7 % of them abnormal. Replace the two functions that ``model.yaml`` names under ``data`` with
your own; they take no arguments and return a DataFrame.
"""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd

from .features import FEATURES

TARGET = "anomaly"
TRAINING_ROWS = 25_000


def training_data() -> pd.DataFrame:
    """Return the head of the stream, which the model may learn from."""
    return _readings().head(TRAINING_ROWS)


def holdout_data() -> pd.DataFrame:
    """Return all that came later, which the model is judged on."""
    return _readings().iloc[TRAINING_ROWS:].reset_index(drop=True)


def sample() -> Iterator[dict[str, Any]]:
    """Return the later readings as the messages that they came in; ``platform dev`` sends them."""
    for number, row in enumerate(holdout_data()[FEATURES].to_dict("records"), start=TRAINING_ROWS):
        yield {"reading": f"r{number}", **row}


def _readings() -> pd.DataFrame:
    # The package is not imported: only its file is needed.
    package = find_spec("river")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("river is not installed: `make setup` installs it")
    return pd.read_csv(Path(package.origin).parent / "datasets" / "shuttle.csv.gz")
