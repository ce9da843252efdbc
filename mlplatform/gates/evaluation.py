"""MLflow's own evaluators, without the pictures they draw.

The figures are exactly those of ``mlflow.models.evaluate``; drawing and logging plots takes most of its time and nobody
would see them.
"""

from functools import cache
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pandas as pd

_TARGET = "__target__"
# Flavours whose estimator the evaluator calls itself, so that it gets probabilities too.
_RAW_FLAVOURS = {"mlflow.sklearn", "mlflow.xgboost", "mlflow.catboost"}


def metrics_of(
    model: Any,
    inputs: "pd.DataFrame",
    truth: "pd.Series[Any]",
    kind: Literal["classifier", "regressor"],
    labels: list[Any] | None = None,
) -> dict[str, float]:
    """Return all metrics that MLflow's evaluator computes for a loaded pyfunc model.

    ``labels`` are all the classes there are; a slice need not hold each of them. It needs an active run.
    """
    import mlflow.models

    _register()
    config: dict[str, Any] = {"log_model_explainability": False, "log_explainer": False}
    if labels is not None and kind == "classifier":
        config["label_list"] = list(labels)
    result = mlflow.models.evaluate(  # type: ignore[no-untyped-call]
        _callable(model),
        inputs.assign(**{_TARGET: truth.to_numpy()}),
        targets=_TARGET,
        model_type=kind,
        evaluators=f"mlplatform_{kind}",
        evaluator_config=config,
    )
    return {name: float(value) for name, value in result.metrics.items()}


def input_columns(model: Any) -> list[str] | None:
    """Return the columns that a loaded model's signature asks for, or nothing where it names none."""
    signature = model.metadata.signature
    if signature is None or signature.inputs is None or not signature.inputs.has_input_names():
        return None
    return list(signature.inputs.input_names())


def _callable(model: Any) -> Any:
    """Return what the evaluator is to call: other flavours' answers are reduced to their first column."""
    if model.metadata.flavors["python_function"]["loader_module"] in _RAW_FLAVOURS:
        return model

    def first_column(inputs: "pd.DataFrame") -> Any:
        import numpy as np

        answer = np.asarray(model.predict(inputs))
        return answer if answer.ndim == 1 else answer[:, 0]

    return first_column


@cache
def _register() -> None:
    from mlflow.models.evaluation.evaluator_registry import _model_evaluation_registry as registry
    from mlflow.models.evaluation.evaluators.classifier import ClassifierEvaluator
    from mlflow.models.evaluation.evaluators.regressor import RegressorEvaluator

    class Classifier(ClassifierEvaluator):
        name = "mlplatform_classifier"

        def _log_image_artifact(self, do_plot: Any, artifact_name: str) -> None:
            pass

        def _log_pandas_df_artifact(self, pandas_df: Any, artifact_name: str) -> None:
            pass

    class Regressor(RegressorEvaluator):
        name = "mlplatform_regressor"

    for evaluator in (Classifier, Regressor):
        registry.register(evaluator.name, evaluator)  # type: ignore[no-untyped-call]
