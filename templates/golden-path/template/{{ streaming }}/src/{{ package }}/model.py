"""The model: each sensor's reading by its rank among those seen in training, and a regularised logistic regression.

Ranks keep a sensor that jumps by thousands, as some here do, from drowning out the others.
"""

import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import QuantileTransformer

from .data import TARGET
from .features import inputs
from .params import Params


def build(params: Params, seed: int) -> Pipeline:
    """Return the untrained model."""
    return Pipeline(
        [
            ("rank", QuantileTransformer(n_quantiles=params.quantiles, subsample=None)),
            ("classify", LogisticRegression(C=params.c, max_iter=1000, random_state=seed)),
        ]
    )


def fit(frame: pd.DataFrame, params: Params, seed: int) -> Pipeline:
    """Train on the rows of ``frame``; the same rows, parameters and seed give the same model."""
    return build(params, seed).fit(inputs(frame), frame[TARGET])
