"""The schema gate: signature against ``model.yaml``, data against ``model.yaml``, and the model's own example through it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mlplatform.gates.columns import violations
from mlplatform.gates.context import GateContext
from mlplatform.gates.quiet_mlflow import load_pyfunc, quiet
from mlplatform.gates.recorder import Recorder, checked_body, explain
from mlplatform.gates.result import Gate, GateResult
from mlplatform.spec.model import Column, ColumnType, DataRole

if TYPE_CHECKING:
    import pandas as pd

_TENSOR_TYPES = {
    "bool": ColumnType.BOOLEAN,
    "int8": ColumnType.INTEGER,
    "int16": ColumnType.INTEGER,
    "int32": ColumnType.INTEGER,
    "int64": ColumnType.LONG,
    "float32": ColumnType.FLOAT,
    "float64": ColumnType.DOUBLE,
    "object": ColumnType.STRING,
    "str": ColumnType.STRING,
}


def evaluate(context: GateContext) -> GateResult:
    """Check signature, data and example of the trained model."""
    record = Recorder(Gate.SCHEMA, context)
    record.tool("mlflow", "pandas")
    judged = [reference.name for reference in context.spec.data if reference.role is not DataRole.REFERENCE]
    record.datasets(judged)
    with quiet():
        if _check_signature(context, record):
            _check_example(context, record)
        for name in judged:
            _check_data(context, record, name)
    declared = context.spec.schema_
    return record.finish(
        f"signature, {len(judged)} data sets and the model's example agree with {len(declared.inputs)} declared inputs "
        f"and {len(declared.outputs)} outputs"
    )


def body(result: GateResult, context: GateContext) -> dict[str, Any]:
    """Return the predicate of the statement about the result."""
    return checked_body(result, context)


def _check_signature(context: GateContext, record: Recorder) -> bool:
    """Check the signature; say whether there is a model that can be tried."""
    from mlflow.models import Model

    if not (context.model / "MLmodel").is_file():
        record.failed("signature", "build/model holds no MLflow model: run `platform train`")
        return False
    try:
        metadata = Model.load(str(context.model))
        signature = metadata.signature
    except Exception as error:
        record.failed("signature", f"the model's MLmodel file can't be read: {explain(error)}")
        return False
    if signature is None or signature.inputs is None:
        record.failed(
            "signature",
            "the model has no signature: pass signature=mlflow.models.infer_signature(inputs, outputs) to save_model",
            observed="none",
            limit="inputs and outputs",
        )
        return True
    declared = context.spec.schema_
    if signature.inputs.is_tensor_spec():
        record.failed(
            "signature.inputs",
            "the signature has tensors where model.yaml has columns: infer it from a DataFrame with named columns",
            observed="tensor",
            limit=f"{len(declared.inputs)} columns",
        )
    else:
        _compare_inputs(record, signature.inputs, declared.inputs)
    if signature.outputs is None:
        record.failed(
            "signature.outputs",
            "the signature has no outputs: pass the predictions to infer_signature",
            observed="none",
            limit=f"{len(declared.outputs)} columns",
        )
    else:
        _compare_outputs(record, signature.outputs, declared.outputs)
    return True


def _compare_inputs(record: Recorder, found: Any, declared: Sequence[Column]) -> None:
    names = list(found.input_names())
    wanted = [column.name for column in declared]
    if names != wanted:
        record.failed(
            "signature.inputs.names",
            f"the signature's input columns differ from schema.inputs: {_difference(names, wanted)}",
            observed=f"{len(names)} columns",
            limit=f"{len(wanted)} columns, in this order",
        )
    else:
        record.passed("signature.inputs.names", f"{len(names)} input columns have the declared names and order")
    by_name = dict(zip(names, found.inputs, strict=True))
    wrong = [
        (column, _type_name(by_name[column.name].type))
        for column in declared
        if column.name in by_name and _type_name(by_name[column.name].type) != column.type
    ]
    for column, type_name in wrong:
        record.failed(
            f"signature.inputs.{column.name}.type",
            f"input {column.name} is {type_name} in the signature and {column.type} in model.yaml",
            observed=type_name,
            limit=column.type,
        )
    for column in declared:
        if column.name in by_name and bool(by_name[column.name].required) != column.required:
            required = bool(by_name[column.name].required)
            record.failed(
                f"signature.inputs.{column.name}.required",
                f"input {column.name} is {_necessity(required)} in the signature and {_necessity(column.required)} "
                "in model.yaml",
                observed=_necessity(required),
                limit=_necessity(column.required),
            )
    if not wrong:
        record.passed("signature.inputs.types", "all declared inputs have their declared types")


def _compare_outputs(record: Recorder, found: Any, declared: Sequence[Column]) -> None:
    wanted = [f"{column.name}: {column.type}" for column in declared]
    if found.is_tensor_spec():
        observed, fits = _fits_tensor(found, declared)
    else:
        types = [_type_name(spec.type) for spec in found.inputs]
        names = list(found.input_names()) if found.has_input_names() else None
        observed = ", ".join(f"{n}: {t}" for n, t in zip(names, types, strict=True)) if names else ", ".join(types)
        fits = types == [column.type for column in declared]
        # An unnamed output (a Series or an array) is the declared one when there is only one.
        fits = fits and (names == [column.name for column in declared] if names else len(declared) == 1)
    if fits:
        record.passed("signature.outputs", f"the outputs are {', '.join(wanted)}", observed=observed)
    else:
        record.failed(
            "signature.outputs",
            f"the signature's outputs ({observed}) are not those of schema.outputs ({', '.join(wanted)})",
            observed=observed,
            limit=", ".join(wanted),
        )


def _fits_tensor(found: Any, declared: Sequence[Column]) -> tuple[str, bool]:
    if len(found.inputs) != 1:
        return f"{len(found.inputs)} tensors", False
    spec = found.inputs[0]
    width = 1 if len(spec.shape) == 1 else spec.shape[-1] if len(spec.shape) == 2 else None
    kind = _TENSOR_TYPES.get(spec.type.name if not spec.type.name.startswith("str") else "str")
    shape = "×".join("n" if size == -1 else str(size) for size in spec.shape)
    fits = width == len(declared) and all(column.type == kind for column in declared)
    return f"{shape} {kind or spec.type}", fits


def _check_example(context: GateContext, record: Recorder) -> None:
    """Send the example that was saved with the model through the model."""
    from mlflow.models import Model

    try:
        example = Model.load(str(context.model)).load_input_example(str(context.model))
    except Exception as error:
        record.failed("example", f"the model's input example can't be read: {explain(error)}")
        return
    if example is None:
        record.failed("example", "the model has no input example: pass input_example=inputs.head(3) to save_model")
        return
    try:
        answer = load_pyfunc(context.model).predict(example)
    except Exception as error:
        record.failed("example", f"the model does not predict its own input example: {explain(error)}")
        return
    try:
        frame = _as_frame(answer, context.spec.schema_.outputs)
    except ValueError as error:
        record.failed("example", f"the model's answer is not what schema.outputs declares: {error}")
        return
    faults = 0
    if len(frame) != len(example):
        faults += 1
        record.failed(
            "example.rows",
            f"the model answered {len(frame)} rows to an example of {len(example)}",
            observed=str(len(frame)),
            limit=str(len(example)),
        )
    for column in context.spec.schema_.outputs:
        for found in violations(frame[column.name], column):
            faults += 1
            record.failed(
                f"example.{column.name}.{found.rule}",
                f"output {column.name} breaks its {found.rule} rule ({found.limit}) on the model's own example",
                observed=found.observed,
                limit=found.limit,
            )
    if not faults:
        record.passed("example", f"the model answers its example of {len(example)} rows as declared")


def _as_frame(answer: Any, declared: Sequence[Column]) -> "pd.DataFrame":
    """Return a model's answer as a frame with the declared output columns; raise ``ValueError`` if it does not fit."""
    import numpy as np
    import pandas as pd

    names = [column.name for column in declared]
    if isinstance(answer, pd.DataFrame) and list(map(str, answer.columns)) == names:
        return answer
    if isinstance(answer, pd.DataFrame):
        if len(names) != 1 or answer.shape[1] != 1:
            raise ValueError(f"columns {', '.join(map(str, answer.columns))} instead of {', '.join(names)}")
        values = answer.to_numpy()
    elif isinstance(answer, pd.Series):
        return answer.to_frame(names[0]) if len(names) == 1 else _wrong_width(1, names)
    else:
        values = np.asarray(answer)
    if values.ndim == 1:
        values = values.reshape(-1, 1)
    if values.ndim != 2 or values.shape[1] != len(names):
        return _wrong_width(values.shape[-1] if values.ndim else 0, names)
    return pd.DataFrame({name: values[:, index] for index, name in enumerate(names)})


def _wrong_width(found: int, names: list[str]) -> "pd.DataFrame":
    raise ValueError(f"{found} columns instead of {len(names)} ({', '.join(names)})")


def _check_data(context: GateContext, record: Recorder, name: str) -> None:
    import pandas as pd

    try:
        frame = context.load(name)
    except Exception as error:
        record.failed(f"data.{name}", f"data set {name} can't be loaded: {explain(error)}")
        return
    if not isinstance(frame, pd.DataFrame):
        record.failed(f"data.{name}", f"data set {name} is a {type(frame).__name__}, not a pandas DataFrame")
        return
    if frame.empty:
        record.failed(f"data.{name}", f"data set {name} has no rows", observed="0 rows", limit="at least 1 row")
        return
    columns = [column for column in context.spec.schema_.inputs if column.name in frame.columns]
    absent = [c.name for c in context.spec.schema_.inputs if c.required and c.name not in frame.columns]
    if context.spec.validation.dataset == name and context.spec.validation.target not in frame.columns:
        absent.append(context.spec.validation.target)
    faults = len(absent)
    for missing in absent:
        record.failed(f"data.{name}.{missing}", f"data set {name} has no column {missing}", observed="absent")
    for column in columns:
        if not isinstance(frame[column.name], pd.Series):
            faults += 1
            record.failed(f"data.{name}.{column.name}", f"data set {name} has the column {column.name} twice")
            continue
        for found in violations(frame[column.name], column):
            faults += 1
            record.failed(
                f"data.{name}.{column.name}.{found.rule}",
                f"column {column.name} of data set {name} breaks its {found.rule} rule ({found.limit}) in "
                f"{found.count} of {found.total} rows",
                observed=found.observed,
                limit=found.limit,
            )
    if not faults:
        record.passed(
            f"data.{name}",
            f"{len(frame)} rows of data set {name} agree with {len(columns)} declared columns",
            observed=f"{len(frame)} rows",
        )


def _difference(found: list[str], wanted: list[str]) -> str:
    missing = [name for name in wanted if name not in found]
    extra = [name for name in found if name not in wanted]
    if not missing and not extra:
        first = next(i for i, (f, w) in enumerate(zip(found, wanted, strict=False)) if f != w)
        return f"same names in another order, first at position {first + 1} ({found[first]})"
    parts = []
    if missing:
        parts.append(f"not in the signature: {', '.join(missing[:10])}")
    if extra:
        parts.append(f"not in model.yaml: {', '.join(extra[:10])}")
    return "; ".join(parts)


def _necessity(required: bool) -> str:
    return "required" if required else "optional"


def _type_name(found: Any) -> str:
    return found.name if hasattr(found, "name") and isinstance(found.name, str) else str(found)
