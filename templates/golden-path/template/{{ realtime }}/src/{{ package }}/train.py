"""Training: from data to an MLflow model. ``platform train`` calls :func:`train`."""

from importlib.metadata import version
from math import inf

import mlflow.sklearn
import pandas as pd
from mlflow.models import ModelSignature, infer_signature
from mlflow.types import ColSpec, DataType, Schema
from mlplatform.training import TrainedModel, TrainingContext
from sklearn.base import clone
from sklearn.feature_selection import SelectFromModel
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from .data import TARGET
from .features import FEATURES, inputs
from .params import Params, load_params

NEEDED_TO_PREDICT = ("mlflow", "numpy", "pandas", "scikit-learn", "skops")


def build(params: Params, seed: int) -> Pipeline:
    """Return the untrained model: scaled inputs, the best of them, a regularised logistic regression."""
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


def train(context: TrainingContext) -> TrainedModel:
    """Train, and save the model where the platform looks for it.

    What is judged later is the holdout; the metrics returned here are those on the training rows, to tell a model that
    did not learn from one that learnt by heart.
    """
    params = load_params()
    frame = context.load(context.spec.data[0].name)
    model = fit(frame, params, context.seed)

    rows, truth = inputs(frame), frame[TARGET]
    predictions = model.predict(rows)
    mlflow.sklearn.save_model(
        model,
        context.model_dir,
        signature=ModelSignature(infer_signature(rows).inputs, Schema([ColSpec(DataType.long, "prediction")])),
        input_example=rows.head(3),
        # Written out: guessing them means starting another interpreter.
        pip_requirements=[f"{name}=={version(name)}" for name in NEEDED_TO_PREDICT],
    )
    return TrainedModel(
        metrics={
            "training_accuracy_score": float(accuracy_score(truth, predictions)),
            "training_roc_auc": float(roc_auc_score(truth, model.predict_proba(rows)[:, 1])),
        },
        params={"features": params.features, "c": params.c},
    )
