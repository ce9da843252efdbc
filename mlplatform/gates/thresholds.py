"""The thresholds gate: MLflow's evaluation held against ``model.yaml``, absolutely and against the champion."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlplatform.gates.context import NO_CHAMPION, GateContext
from mlplatform.gates.evaluation import input_columns, metrics_of
from mlplatform.gates.quiet_mlflow import load_pyfunc, own_tracking, quiet
from mlplatform.gates.recorder import Recorder, checked_body, explain
from mlplatform.gates.result import Gate, GateResult, Outcome, Reference
from mlplatform.spec.model import Slice, Threshold

if TYPE_CHECKING:
    import pandas as pd


class _NotJudgeable(Exception):
    """There are no figures for this part of the data; the message says why."""


@dataclass(frozen=True)
class _Judged:
    """A loaded model and what the evaluation of each part of the data gave, computed once."""

    title: str
    evaluate: Callable[[Slice | None], dict[str, float]]


def evaluate(context: GateContext) -> GateResult:
    """Check each threshold over all rows or its slice."""
    record = Recorder(Gate.THRESHOLDS, context)
    record.tool("mlflow", "scikit-learn")
    validation = context.spec.validation
    record.datasets([validation.dataset])
    with quiet():
        try:
            frame = _evaluation_data(context)
            candidate = load_pyfunc(context.model)
        except _NotJudgeable as error:
            record.failed("data", str(error))
        except Exception as error:
            record.failed("model", f"build/model can't be loaded: {explain(error)}")
        else:
            with own_tracking():
                new = _judged("the model", candidate, context, frame)
                champion = _champion(context, frame, record)
                for threshold in validation.thresholds:
                    _judge(record, threshold, new, champion, context, frame)
    count = len(validation.thresholds)
    return record.finish(f"all {count} thresholds hold on data set {validation.dataset}")


def body(result: GateResult, context: GateContext) -> dict[str, Any]:
    """Return the predicate of the statement about the result."""
    return checked_body(result, context)


def _evaluation_data(context: GateContext) -> "pd.DataFrame":
    validation = context.spec.validation
    try:
        frame = context.load(validation.dataset)
    except Exception as error:
        raise _NotJudgeable(f"data set {validation.dataset} can't be loaded: {explain(error)}") from error
    if validation.target not in frame.columns:
        raise _NotJudgeable(f"data set {validation.dataset} has no column {validation.target} (validation.target)")
    gaps = int(frame[validation.target].isna().sum())
    if gaps:
        raise _NotJudgeable(
            f"the target {validation.target} is missing in {gaps} of {len(frame)} rows of data set {validation.dataset}"
        )
    return frame.reset_index(drop=True)


def _judged(title: str, model: Any, context: GateContext, frame: "pd.DataFrame") -> _Judged:
    """Return the model with its evaluation, in which each part of the data is evaluated once."""
    validation = context.spec.validation
    columns = input_columns(model) or [column.name for column in context.spec.schema_.inputs]
    labels = sorted(frame[validation.target].unique().tolist()) if validation.evaluator == "classifier" else None
    done: dict[Slice | None, dict[str, float] | _NotJudgeable] = {}

    def compute(part: Slice | None) -> dict[str, float]:
        absent = [name for name in columns if name not in frame.columns]
        if absent:
            raise _NotJudgeable(f"data set {validation.dataset} lacks input columns of {title}: {', '.join(absent)}")
        rows = _rows_of(frame, part)
        try:
            return metrics_of(
                model,
                rows[columns],
                rows[validation.target],
                validation.evaluator,
                labels if part is not None else None,
            )
        except Exception as error:
            raise _NotJudgeable(f"{title} can't be evaluated{_on(part)}: {explain(error)}") from error

    def evaluated(part: Slice | None) -> dict[str, float]:
        if part not in done:
            try:
                done[part] = compute(part)
            except _NotJudgeable as error:
                done[part] = error
        found = done[part]
        if isinstance(found, _NotJudgeable):
            raise found
        return found

    return _Judged(title, evaluated)


def _champion(context: GateContext, frame: "pd.DataFrame", record: Recorder) -> _Judged | str | None:
    """Return the champion; or, as text, why it can't be asked; or nothing when there is none yet."""
    if all(threshold.max_regression is None for threshold in context.spec.validation.thresholds):
        return None
    if context.champion is None:
        reason = context.champion_unavailable or "the platform was not asked"
        return None if reason.startswith(NO_CHAMPION) else reason
    version = context.champion.version
    digest = {"sha256": context.champion.digest} if context.champion.digest else {}
    record.against.append(Reference(name=f"{context.spec.name} version {version} (champion)", digest=digest))
    try:
        return _judged(f"champion version {version}", load_pyfunc(context.champion.path), context, frame)
    except Exception as error:
        return f"champion version {version} can't be loaded here: {explain(error)}"


def _judge(
    record: Recorder,
    threshold: Threshold,
    new: _Judged,
    champion: _Judged | str | None,
    context: GateContext,
    frame: "pd.DataFrame",
) -> None:
    part = threshold.slice
    name = f"{threshold.metric}{f'[{_label(part)}]' if part else ''}"
    try:
        rows = len(_rows_of(frame, part))
        if rows < threshold.min_rows:
            raise _NotJudgeable(
                f"{threshold.metric}{_on(part)} is not judgeable: {rows} rows, at least {threshold.min_rows} are needed"
            )
        value = _value(new, threshold)
    except _NotJudgeable as error:
        record.failed(name, str(error), limit=f"at least {threshold.min_rows} rows")
        return
    if threshold.minimum is not None:
        _limit(record, f"{name}.minimum", threshold, value, threshold.minimum, greater=True)
    if threshold.maximum is not None:
        _limit(record, f"{name}.maximum", threshold, value, threshold.maximum, greater=False)
    if threshold.max_regression is not None:
        _compare(record, f"{name}.maxRegression", threshold, value, champion)


def _value(judged: _Judged, threshold: Threshold) -> float:
    metrics = judged.evaluate(threshold.slice)
    if threshold.metric not in metrics:
        raise _NotJudgeable(
            f"MLflow's evaluator gives no metric {threshold.metric!r} for {judged.title}{_on(threshold.slice)}; "
            f"there are: {', '.join(sorted(metrics))}"
        )
    value = metrics[threshold.metric]
    if not math.isfinite(value):
        raise _NotJudgeable(f"{threshold.metric} of {judged.title}{_on(threshold.slice)} is {value}, not a number")
    return value


def _limit(record: Recorder, name: str, threshold: Threshold, value: float, limit: float, *, greater: bool) -> None:
    where = _on(threshold.slice)
    holds = _holds(threshold.metric, value, limit, greater=greater)
    relation = ("at least" if greater else "at most") if holds else ("below" if greater else "above")
    record.add(
        name,
        Outcome.PASSED if holds else Outcome.FAILED,
        f"{threshold.metric}{where} is {value:.4g}, {relation} {limit:g}",
        observed=f"{value:.6g}",
        limit=f"{'>=' if greater else '<='} {limit:g}",
    )


def _compare(record: Recorder, name: str, threshold: Threshold, value: float, champion: _Judged | str | None) -> None:
    allowed = threshold.max_regression or 0.0
    limit = f"at most {allowed:g} worse than the champion"
    if champion is None:
        record.passed(
            name, f"{threshold.metric}: no champion yet to compare with", observed=f"{value:.6g}", limit=limit
        )
        return
    try:
        if isinstance(champion, str):
            raise _NotJudgeable(champion)
        theirs = _value(champion, threshold)
    except _NotJudgeable as error:
        record.not_evaluated(name, f"{threshold.metric} is not compared with the champion: {error}", limit=limit)
        return
    better = threshold.greater_is_better
    # Rounded, so that a regression of exactly what is allowed does not fail by a unit in the last place.
    bound = round(theirs - allowed if better else theirs + allowed, 12)
    holds = _holds(threshold.metric, round(value, 12), bound, greater=better)
    gap = theirs - value if better else value - theirs
    verdict = "not worse than" if gap <= 0 else f"{gap:.4g} worse than"
    record.add(
        name,
        Outcome.PASSED if holds else Outcome.FAILED,
        f"{threshold.metric}{_on(threshold.slice)} is {value:.4g}, {verdict} {champion.title}'s {theirs:.4g}"
        f"{'' if holds else f'; at most {allowed:g} is allowed'}",
        observed=f"{value:.6g} against {theirs:.6g}",
        limit=limit,
    )


def _holds(metric: str, value: float, limit: float, *, greater: bool) -> bool:
    from mlflow.models import MetricThreshold
    from mlflow.models.evaluation import EvaluationResult
    from mlflow.models.evaluation.validation import ModelValidationFailedException, validate_evaluation_results

    result = EvaluationResult(metrics={metric: value}, artifacts={})  # type: ignore[no-untyped-call]
    bound = MetricThreshold(threshold=float(limit), greater_is_better=greater)  # type: ignore[no-untyped-call]

    try:
        validate_evaluation_results({metric: bound}, result)
    except ModelValidationFailedException:
        return False
    return True


def _rows_of(frame: "pd.DataFrame", part: Slice | None) -> "pd.DataFrame":
    import pandas as pd

    if part is None:
        return frame
    if part.column not in frame.columns:
        raise _NotJudgeable(f"the slice {_label(part)} needs the column {part.column}, which the data does not have")
    values = frame[part.column]
    if part.equals is not None:
        # A category and a flag compare by value, but 1 is not true.
        chosen = values == part.equals
        if isinstance(part.equals, bool) != pd.api.types.is_bool_dtype(values.dtype):
            chosen &= values.map(lambda value: isinstance(value, bool) == isinstance(part.equals, bool)).astype(bool)
        return frame[chosen.to_numpy(dtype=bool)]
    if not pd.api.types.is_numeric_dtype(values):
        raise _NotJudgeable(f"the slice {_label(part)} needs numbers in the column {part.column}")
    inside = values.notna()
    if part.minimum is not None:
        inside &= values >= part.minimum
    if part.maximum is not None:
        inside &= values < part.maximum
    return frame[inside.to_numpy(dtype=bool)]


def _label(part: Slice) -> str:
    if part.equals is not None:
        return f"{part.column}={part.equals}"
    bounds = [f">={part.minimum:g}"] if part.minimum is not None else []
    bounds += [f"<{part.maximum:g}"] if part.maximum is not None else []
    return f"{part.column}{','.join(bounds)}"


def _on(part: Slice | None) -> str:
    return f" on the slice {_label(part)}" if part else ""
