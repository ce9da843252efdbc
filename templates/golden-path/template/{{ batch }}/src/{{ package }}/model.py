"""The model: airline and airports one-hot encoded, numbers scaled, a regularised logistic regression."""

import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from .data import TARGET
from .features import CATEGORIES, NUMBERS, inputs
from .params import Params


def build(params: Params, seed: int) -> Pipeline:
    """Return the untrained model."""
    # Rare and unknown airlines and airports share one column, so that a new one is no error.
    categories = OneHotEncoder(min_frequency=params.min_flights, handle_unknown="infrequent_if_exist")
    encode = ColumnTransformer([("categories", categories, CATEGORIES), ("numbers", StandardScaler(), NUMBERS)])
    classifier = LogisticRegression(C=params.c, max_iter=1000, random_state=seed)
    return Pipeline([("encode", encode), ("classify", classifier)])


def fit(frame: pd.DataFrame, params: Params, seed: int) -> Pipeline:
    """Train on the rows of ``frame``; the same rows, parameters and seed give the same model."""
    return build(params, seed).fit(inputs(frame), frame[TARGET])
