"""Training: from data to an MLflow model. ``platform train`` calls :func:`train`."""

from importlib.metadata import version

import mlflow.sklearn
from mlflow.models import ModelSignature, infer_signature
from mlflow.types import ColSpec, DataType, Schema
from mlplatform.training import TrainedModel, TrainingContext
from sklearn.metrics import accuracy_score, roc_auc_score

from .data import TARGET
from .features import inputs
from .model import fit
from .params import load_params

NEEDED_TO_PREDICT = ("mlflow", "numpy", "pandas", "scikit-learn", "skops")


def train(context: TrainingContext) -> TrainedModel:
    """Train, and save the model where the platform looks for it.

    What is judged later is the holdout; the metrics returned here are those on the training rows, to tell a model that
    did not learn from one that learnt by heart.
    """
    params = load_params()
    frame = context.load(context.spec.data[0].name)
    model = fit(frame, params, context.seed)

    rows, truth = inputs(frame), frame[TARGET]
    answer = context.spec.schema_.outputs[0].name
    mlflow.sklearn.save_model(
        model,
        context.model_dir,
        signature=ModelSignature(infer_signature(rows).inputs, Schema([ColSpec(DataType.long, answer)])),
        input_example=rows.head(3),
        # Written out: guessing them means starting another interpreter.
        pip_requirements=[f"{name}=={version(name)}" for name in NEEDED_TO_PREDICT],
    )
    return TrainedModel(
        metrics={
            "training_accuracy_score": float(accuracy_score(truth, model.predict(rows))),
            "training_roc_auc": float(roc_auc_score(truth, model.predict_proba(rows)[:, 1])),
        },
        params=params.model_dump(),
    )
