"""The model: scaled inputs, the most telling of them, a regularised logistic regression."""

from math import inf

import pandas as pd
from sklearn.base import clone
from sklearn.feature_selection import SelectFromModel
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from .data import TARGET
from .features import FEATURES, inputs
from .params import Params


def build(params: Params, seed: int) -> Pipeline:
    """Return the untrained model."""
    count = min(params.features, len(FEATURES))
    classifier = LogisticRegression(C=params.c, max_iter=1000, random_state=seed)
    return Pipeline(
        [
            ("scale", StandardScaler()),
            ("select", SelectFromModel(clone(classifier), max_features=count, threshold=-inf)),
            ("classify", classifier),
        ]
    )


def fit(frame: pd.DataFrame, params: Params, seed: int) -> Pipeline:
    """Train on the rows of ``frame``; the same rows, parameters and seed give the same model."""
    return build(params, seed).fit(inputs(frame), frame[TARGET])
